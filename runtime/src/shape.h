//===- shape.h - From input shapes to the symbols' values -------*- C++ -*-===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// Inputs `ids: [B, S]` and `mask: [B, S]` with ids 2 x 7 give B = 2 and S = 7;
// a mask of 2 x 8 is then an error that says which input gave S, what was
// wanted and what was found.
//
//===----------------------------------------------------------------------===//

#ifndef TENON_RUNTIME_SHAPE_H
#define TENON_RUNTIME_SHAPE_H

#include "runtime/src/model.h"

namespace tenon {

/// Values of the kept symbols in a new session; others are 0.
std::vector<int64_t> keptAtFirst(const Tables &tables);

/// Fills `symbols` (one value per symbol of the artifact; those this entry does
/// not bind stay 0) from `kept`, one value per symbol as well, and from the dims of each input. `dims[i]` has input
/// i's rank. An error, too, if a kept symbol would leave its bounds by this run.
Status bindSymbols(const tenon_entry &entry, const std::vector<int64_t> &kept, const int64_t *const *dims,
                   std::vector<int64_t> &symbols);

/// `kept` as a run with these symbols leaves it.
Status advanceKept(const tenon_entry &entry, const std::vector<int64_t> &symbols, std::vector<int64_t> &kept);

/// The value of a dimension that `what` needs, at least 0.
Status sizeOf(const tenon_entry &entry, uint32_t dimension, const std::vector<int64_t> &symbols, const char *what,
              int64_t &value);

/// The dims of a tensor and the bytes they take.
Status tensorDims(const tenon_entry &entry, uint32_t tensor, const std::vector<int64_t> &symbols, int64_t *dims,
                  uint64_t &bytes);

/// "[1, 16]".
std::string printDims(const int64_t *dims, uint32_t rank);

} // namespace tenon

#endif // TENON_RUNTIME_SHAPE_H
