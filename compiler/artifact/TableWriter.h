//===- TableWriter.h - Programs as flat tables ------------------*- C++ -*-===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// First half of writing an artifact: nested descriptions become tables of
// fixed-size records, and every table, image and weight gets its place in the
// file. The second half (ArtifactBuilder.cpp) puts the bytes there.
//
//===----------------------------------------------------------------------===//

#ifndef TENON_COMPILER_ARTIFACT_TABLEWRITER_H
#define TENON_COMPILER_ARTIFACT_TABLEWRITER_H

#include "compiler/artifact/Program.h"

#include <optional>
#include <string>
#include <vector>

namespace tenon {

/// Where everything goes.
struct ArtifactLayout {
  std::vector<uint8_t> head;           ///< header, section records, tables: the file's first bytes
  std::vector<uint64_t> imageOffsets;  ///< per level, from the start of the file
  std::vector<uint64_t> weightOffsets; ///< per weight, from the start of the file
  uint64_t checksumStart = 0;
  uint64_t fileBytes = 0;
};

/// Lays the file out. Returns a message if an index in the descriptions points
/// nowhere or a count does not fit.
std::optional<std::string> layOut(const ProgramDesc &program, const std::vector<LevelCode> &levels,
                                  const std::vector<WeightDesc> &weights, ArtifactLayout &layout);

} // namespace tenon

#endif // TENON_COMPILER_ARTIFACT_TABLEWRITER_H
