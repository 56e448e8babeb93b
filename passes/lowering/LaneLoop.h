//===- LaneLoop.h - loops over neighbouring elements -------------------------------===//
//
// A dimension of n elements is walked `lanes` at a time, then what is left one by
// one. Where n is constant the parts that cannot run are not emitted.
//
#ifndef TENON_PASSES_LOWERING_LANELOOP_H
#define TENON_PASSES_LOWERING_LANELOOP_H

#include "passes/lowering/RegionEmitter.h"

namespace tenon {

/// `body(emitter, j)` for every j in 0..n-1; j is linear (uniform in the remainder).
void emitLaneLoop(KernelScope &scope, mlir::Location loc, mlir::Value n, unsigned lanes,
                  llvm::function_ref<void(RegionEmitter &, const LaneValue &j)> body);

/// The same in vectors alone; of the last one only the lanes below n are active (RegionEmitter::limitLanes).
void emitMaskedLaneLoop(KernelScope &scope, mlir::Location loc, mlir::Value n, unsigned lanes,
                        llvm::function_ref<void(RegionEmitter &, const LaneValue &j)> body);

/// The reduction of `element(emitter, j)` over j in 0..n-1, starting from the scalar `start`.
/// The order of combination is free but fixed by n.
mlir::Value emitLaneReduction(KernelScope &scope, mlir::Location loc, mlir::Value n, unsigned lanes, ReduceKind kind,
                              mlir::Value start,
                              llvm::function_ref<mlir::Value(RegionEmitter &, const LaneValue &j)> element);

/// `body(i)` for i in begin..end-1.
void emitLoop(KernelScope &scope, mlir::Location loc, mlir::Value begin, mlir::Value end,
              llvm::function_ref<void(mlir::Value i)> body);

/// `yes` where the condition holds, else `no`, if any.
void emitIf(KernelScope &scope, mlir::Location loc, mlir::Value condition, llvm::function_ref<void()> yes,
            llvm::function_ref<void()> no = {});

/// A loop from `begin` to `end` by `step` that carries values; what `body` gives are those of the next round.
llvm::SmallVector<mlir::Value>
emitCarryingLoop(KernelScope &scope, mlir::Location loc, mlir::Value begin, mlir::Value end, int64_t step,
                 mlir::ValueRange start,
                 llvm::function_ref<llvm::SmallVector<mlir::Value>(mlir::Value i, mlir::ValueRange carried)> body);

/// A loop nest over all points of `sizes` that carries one value.
mlir::Value emitLoopNest(KernelScope &scope, mlir::Location loc, llvm::ArrayRef<mlir::Value> sizes, mlir::Value start,
                         llvm::function_ref<mlir::Value(llvm::ArrayRef<mlir::Value> point, mlir::Value carried)> body);

/// Sum, product, maximum or minimum of two scalars or vectors; NaN propagates.
mlir::Value combine(mlir::OpBuilder &builder, mlir::Location loc, ReduceKind kind, mlir::Value a, mlir::Value b);
/// A float, scalar or vector, as one of another element type.
mlir::Value convertFloat(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value value, mlir::Type element);
/// `lanes` neighbouring elements of a memref of any float, or one as a scalar, in f32.
mlir::Value loadAsF32(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value memory, mlir::Value at, unsigned lanes);
mlir::Value loadAsF32(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value memory, mlir::Value at);
/// What an empty reduction gives.
mlir::Value identityOf(mlir::OpBuilder &builder, mlir::Location loc, ReduceKind kind, mlir::Type element);

} // namespace tenon
#endif
