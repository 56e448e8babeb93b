//===- ScanBuilder.h - a loop's step as a scan --------------------------------------------------===//
#ifndef TENON_PASSES_SCAN_SCANBUILDER_H
#define TENON_PASSES_SCAN_SCANBUILDER_H

#include "passes/scan/LinearStep.h"
#include "passes/scan/UnrolledLoop.h"

namespace tenon {

/// What one step computes, over its number n and the indices of the state.
struct StepTrees {
  Dim n;
  llvm::SmallVector<Dim, 4> state;    ///< The indices of the state.
  llvm::SmallVector<Dim, 4> outputAt; ///< Those of a part.
  std::optional<unsigned> depth;      ///< The dim of the state a read sums over.
  LinearStep step;
  mlir::Value initial;      ///< Null for zeros.
  StepTree query;           ///< What a read multiplies the state by.
  StepTree output;          ///< y over the indices of the collected tensor, what was read being carried.
  bool isStateRead = false; ///< Each element of a state whose rows a matrix mixes: its rows are heads of the result.
  /// The dim of the state each index of what was read runs over; behind the last where it is one of none.
  llvm::SmallVector<unsigned> readDims;
};

/// Writes the scan before what the loop collects, and that from its result; false where a scan has no roles for the
/// dims.
bool buildScan(const UnrolledLoop &loop, StepTracer &tracer, const StepTrees &trees);

} // namespace tenon
#endif
