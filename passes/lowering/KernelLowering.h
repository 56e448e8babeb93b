//===- KernelLowering.h - one kernel on its way to loops and vectors ---------------===//
//
// A kernel is producers (maps), at most one root (contraction, reduction,
// normalisation, softmax, attention) and at most one map behind it. A lowering of
// a root computes elements of its result and hands each to `finish`, which applies the
// map behind it and stores; it reads its operands through `reader`, which
// evaluates producers where they are read. So every family fuses its neighbours
// without knowing them.
//
#ifndef TENON_PASSES_LOWERING_KERNELLOWERING_H
#define TENON_PASSES_LOWERING_KERNELLOWERING_H

#include "passes/lowering/LaneLoop.h"

namespace tenon {

/// The tiles of a kernel and what one worker needs beside its operands, over kernel dims.
struct KernelGrid {
  Dim tiles;
  Dim scratchBytes;
  int64_t grain = 1; ///< neighbouring tiles that share work, which a call that begins among them does again
};

class KernelLowering {
public:
  KernelLowering(KernelOp kernel, KernelScope &scope, TargetAttr target)
      : kernel(kernel), scope(scope), builder(scope.builder), target(target), loc(kernel.getLoc()) {}

  KernelOp kernel;
  KernelScope &scope;
  mlir::OpBuilder &builder;
  TargetAttr target;
  mlir::Location loc;

  /// Elements of this type in one vector register.
  unsigned lanesOf(mlir::Type element) const;

  /// How `emitter` reads a tensor of the kernel: memory, or a producer's region.
  TensorReader reader(mlir::Value tensor, RegionEmitter &emitter);
  /// The memory of a tensor that is a kernel argument; null otherwise.
  mlir::Value memoryOf(mlir::Value tensor);
  /// The memory of a result of the kernel.
  mlir::Value resultMemory(unsigned number = 0);
  /// The tensor the kernel returns.
  mlir::Value returned() { return kernel.getBody().front().getTerminator()->getOperand(0); }

  /// Stores what the kernel returns at `indices`, given the root's element there. `offset`
  /// is the position of the first lane in the result.
  void finish(RegionEmitter &emitter, llvm::ArrayRef<LaneValue> indices, mlir::Value offset, const LaneValue &element);

  /// Calls `body` for `count` neighbouring elements of the result, which hands each to `finish`: whole vectors, then one
  /// whose last lanes are left out, or single elements where the map behind must not see lanes that do not exist.
  void forEachElement(mlir::Value count, llvm::function_ref<void(RegionEmitter &, const LaneValue &j)> body);

  /// Calls body(row) for the rows of this call's tiles, `rowsPerTile` to a tile.
  void forEachRow(const Dim &rows, int64_t rowsPerTile, llvm::function_ref<void(mlir::Value row)> body);
  /// The position in a row-major shape that has number `row`.
  llvm::SmallVector<LaneValue> delinearise(mlir::Value row, llvm::ArrayRef<Dim> shape);
};

/// A tile is about this many elements of element-wise work: some microseconds.
inline constexpr int64_t elementsPerTile = 8192;
int64_t rowsPerTile(const Dim &rowLength);

/// The op a kernel is about: what its result comes from, past the map behind it.
mlir::Operation *rootOf(KernelOp kernel);
/// What a kernel's operands hold in memory: its arguments, then its results.
llvm::SmallVector<mlir::Type> operandElements(KernelOp kernel);
/// Emits the kernel as tiles of loops and vectors, by what its root is.
mlir::FailureOr<KernelGrid> lowerRoot(KernelLowering &lowering);

KernelGrid lowerMap(KernelLowering &lowering, MapOp map);
KernelGrid lowerReduce(KernelLowering &lowering, ReduceOp reduce);
/// What a reduction of such elements adds up in: f32 for narrower floats.
mlir::Type accumulatorOf(mlir::Type element);
/// Whether an element of the result combines the elements up to it, or from it on.
bool isRunning(ReduceOp reduce);
KernelGrid lowerScatter(KernelLowering &lowering, ScatterOp scatter);
KernelGrid lowerSoftmax(KernelLowering &lowering, SoftmaxOp softmax);
KernelGrid lowerNorm(KernelLowering &lowering, NormOp norm);
KernelGrid lowerContract(KernelLowering &lowering, ContractOp contract);
mlir::FailureOr<KernelGrid> lowerScan(KernelLowering &lowering, ScanOp scan);
/// Attention by the algorithm chosen for it; any other operation is an error.
mlir::FailureOr<KernelGrid> lowerAttention(KernelLowering &lowering, mlir::Operation *op);

} // namespace tenon
#endif
