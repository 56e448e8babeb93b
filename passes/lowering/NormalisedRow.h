//===- NormalisedRow.h - one row of a layer or RMS normalisation -----------------------===//
//
// Two passes over the row for its mean and deviation, then its elements, as often as they are wanted.
//
#ifndef TENON_PASSES_LOWERING_NORMALISEDROW_H
#define TENON_PASSES_LOWERING_NORMALISEDROW_H

#include "passes/lowering/KernelLowering.h"

namespace tenon {

class NormalisedRow {
public:
  /// Element j of the row that is normalised, in the type it is normalised in.
  using Element = llvm::function_ref<mlir::Value(RegionEmitter &emitter, const LaneValue &j)>;

  /// f64 for f64, else f32.
  static mlir::Type computedIn(mlir::Type element);

  /// Emits the sum of a term over the row.
  using Sum = llvm::function_ref<mlir::Value(Element term)>;

  /// Emits the passes for mean and deviation; the first reads the row by `first`, the second by `again`. `sum` adds up;
  /// without one, lanes do.
  NormalisedRow(KernelLowering &lowering, NormOp norm, Element first, Element again, Sum sum = {});

  /// Element j of the result, of the row's element there.
  mlir::Value at(RegionEmitter &emitter, const LaneValue &j, mlir::Value element);

private:
  mlir::Value everyLane(RegionEmitter &emitter, mlir::Value scalar) const {
    return emitter.materialise(LaneValue::uniform(scalar));
  }
  mlir::Value constant(double value) const;
  mlir::Value centred(RegionEmitter &emitter, mlir::Value element) const;
  mlir::Value meanOf(mlir::Value sum) const;
  mlir::Value sumOf(Element term) const;

  KernelLowering &lowering;
  NormOp norm;
  mlir::OpBuilder &builder = lowering.builder;
  mlir::Location loc = lowering.loc;
  mlir::Type real;
  mlir::Value length, mean, factor; ///< index; the row's mean (null: not taken off), 1 / its deviation.
};

} // namespace tenon
#endif
