//===- artifact.h - The bytes of an artifact and their tables ---*- C++ -*-===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// Opening goes in four steps, each refusing what it cannot vouch for:
//
//   1. map the file (or take the memory),
//   2. read the header and the section records, find the tables,
//   3. compare the checksums, all threads at once,
//   4. check the tables (check.h): every index and offset, whatever step 3 said.
//
//===----------------------------------------------------------------------===//

#ifndef TENON_RUNTIME_ARTIFACT_H
#define TENON_RUNTIME_ARTIFACT_H

#include "runtime/src/format.h"
#include "runtime/src/status.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace tenon {

/// Bytes that stay put: a mapped file, memory of somebody else, or a copy of it.
class Bytes {
public:
  Bytes() = default;
  Bytes(const Bytes &) = delete;
  Bytes &operator=(const Bytes &) = delete;
  ~Bytes();

  Status mapFile(const char *path);
  Status useMemory(const void *memory, size_t bytes);

  const uint8_t *data() const { return start; }
  size_t size() const { return count; }
  const std::string &name() const { return label; }

private:
  const uint8_t *start = nullptr;
  size_t count = 0;
  std::string label; ///< the path, for messages
  void *mapping = nullptr;
  size_t mappingBytes = 0;
};

/// Every table of the file as records of this version.
struct Tables {
  const char *strings = nullptr;
  uint64_t stringBytes = 0;
  std::vector<format::SymbolRecord> symbols;
  std::vector<format::DimOp> dimOps;
  std::vector<format::DimRecord> dimensions;
  std::vector<uint32_t> indices;
  std::vector<int64_t> extents;
  std::vector<format::TensorRecord> tensors;
  std::vector<format::CheckRecord> checks;
  std::vector<format::EntryRecord> entries;
  std::vector<format::BufferRecord> buffers;
  std::vector<format::CommandRecord> commands;
  std::vector<format::OperandRecord> operands;
  std::vector<format::KernelRecord> kernels;
  std::vector<format::LevelRecord> levels;
  std::vector<format::KernelCodeRecord> kernelCode;
  std::vector<format::WeightRecord> weights;
  std::vector<format::StateRecord> states;
  std::vector<format::MetadataRecord> metadata;
  uint64_t weightDataOffset = 0; ///< from the start of the file
  uint64_t weightDataBytes = 0;

  /// Only after the tables are checked.
  const char *string(format::StringRef ref) const { return strings + ref.offset; }
};

class Artifact {
public:
  /// Steps 2 to 4; `threads` threads compare checksums, 0: as many as CPUs.
  Status open(unsigned threads);

  Bytes bytes;
  Tables tables;
  uint16_t major = 0;
  uint16_t minor = 0;

  const uint8_t *image(const format::LevelRecord &level) const { return bytes.data() + level.offset; }
  const uint8_t *weightData() const { return bytes.data() + tables.weightDataOffset; }

private:
  Status readHeader(format::Header &header) const;
  Status readTables(const format::Header &header);
  Status readSection(const format::SectionRecord &section);
};

} // namespace tenon

#endif // TENON_RUNTIME_ARTIFACT_H
