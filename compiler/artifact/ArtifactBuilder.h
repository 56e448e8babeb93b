//===- ArtifactBuilder.h - Writes .tenon artifacts --------------*- C++ -*-===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// Turns a program, its code and its weights into the bytes that
// runtime/src/format.h describes. The bytes depend on these three alone: not on
// the number of threads, the folder, the locale or the clock.
//
// Weights stream: a file is written tensor by tensor, each thread holding one
// weight in memory at a time, then read back in 4 MiB pieces for its checksums.
//
//===----------------------------------------------------------------------===//

#ifndef TENON_COMPILER_ARTIFACT_ARTIFACTBUILDER_H
#define TENON_COMPILER_ARTIFACT_ARTIFACTBUILDER_H

#include "compiler/artifact/Program.h"

#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tenon {

/// An artifact in memory, page-aligned, so that a runtime can use it in place.
class ArtifactBytes {
public:
  ArtifactBytes() = default;
  /// Zeroed memory; data() is null if there is not enough.
  explicit ArtifactBytes(size_t bytes);
  uint8_t *data() { return memory.get(); }
  const uint8_t *data() const { return memory.get(); }
  size_t size() const { return count; }

private:
  struct Free {
    void operator()(uint8_t *pointer) const { std::free(pointer); }
  };
  std::unique_ptr<uint8_t[], Free> memory;
  size_t count = 0;
};

class ArtifactBuilder {
public:
  /// What went wrong, ready to be shown; nothing on success.
  using Failure = std::optional<std::string>;

  ArtifactBuilder(ProgramDesc program, std::vector<LevelCode> levels, std::vector<WeightDesc> weights)
      : program(std::move(program)), levels(std::move(levels)), weights(std::move(weights)) {}

  /// Writes under a temporary name in path's folder, syncs, and renames over
  /// path. On failure path is as it was before and nothing else is left.
  Failure writeFile(const std::string &path, unsigned threads);

  /// Builds the artifact in memory.
  Failure writeMemory(ArtifactBytes &bytes, unsigned threads);

private:
  ProgramDesc program;
  std::vector<LevelCode> levels;
  std::vector<WeightDesc> weights;
};

} // namespace tenon

#endif // TENON_COMPILER_ARTIFACT_ARTIFACTBUILDER_H
