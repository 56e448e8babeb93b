//===- ScanForm.h - whether a recurrence goes by steps or by chunks -------------------===//
//
// Multiply-adds a step of a head does, over the rate it does them at. A state of d rows and e columns, chunks of C steps, tiles
// of at most 64 columns, or 32 where there would be a single tile, each of which computes all the scores:
//
//   steps    d e (2, and 1 for a decay, and 1 for a rate)
//   chunks   d e (2, and 1 for a rate, and 1 / C for a decay)
//            + e C / 2 (1, and 1 for a rate) + d (C, and C for a rate, and 1) tiles
//
// The rates are ScanRates.def's: parts of the peak. The program is the same for every level, so they are, too: only their quotients decide.
//
#ifndef TENON_PASSES_SCAN_SCANFORM_H
#define TENON_PASSES_SCAN_SCANFORM_H

#include "dialects/tenon/Tenon.h"

namespace tenon {

/// Steps that are taken at once.
inline constexpr int64_t chunkSteps = 16;
/// On a recurrence: "steps" or "chunks", or, with a transition, "toeplitz" or "fft" (TransitionForm.h), chosen by chooseScanForms or, where it stands there before, asked for.
inline constexpr llvm::StringLiteral scanFormName = "tenon.form";

inline bool isInChunks(ScanOp op) {
  auto form = op->getAttrOfType<mlir::StringAttr>(scanFormName);
  return form && form.getValue() == "chunks";
}

inline constexpr int64_t columnsOfHalf = 32;
/// Threads share tiles, so a single head of a single batch item, which would be one tile, is cut in two that both read its keys and
/// queries: a tenth slower by one thread, up to 1.4 times as fast by two.
inline bool isCutInTwo(ScanOp op) {
  ScanOp::Sizes sizes = op.getSizes();
  std::optional<int64_t> columns = sizes.valueDepth.constant();
  return sizes.batch * sizes.heads == Dim(1) && columns && *columns > columnsOfHalf && *columns <= 2 * columnsOfHalf;
}

/// Columns of a state that a tile carries over time, where it has as many.
int64_t columnsOfTile(ScanOp op);

struct ScanCost {
  double steps, chunks;
};
/// Of constant depths.
ScanCost costOf(ScanOp op);

/// Writes the form on every recurrence of `module` and says why, as remarks of `pass`. Fails where one was asked for
/// that does not exist.
mlir::LogicalResult chooseScanForms(mlir::ModuleOp module, llvm::StringRef pass);

} // namespace tenon
#endif
