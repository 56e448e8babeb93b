//===- ThreadGroup.h - threads that work on one row together ------------------------===//
//
// A warp, or the whole block. Neighbouring threads take neighbouring elements, so that what a warp reads or writes at
// once lies together. A group works as one: all of its threads come to each `reduce` and `combine`.
//
#ifndef TENON_COMPILER_CODEGEN_NVPTX_THREADGROUP_H
#define TENON_COMPILER_CODEGEN_NVPTX_THREADGROUP_H

#include "compiler/codegen/nvptx/NativeLowerings.h"

namespace tenon {

class ThreadGroup {
public:
  enum Kind { Warp, Block };
  ThreadGroup(DeviceLowering &lowering, Kind kind);

  unsigned size;     ///< threads
  mlir::Value rank;  ///< the thread's number in the group, index
  mlir::Value number; ///< the group's number in the block, index

  /// body(j) in one thread for each j in 0..n-1.
  void forEach(mlir::Value n, llvm::function_ref<void(mlir::Value j)> body);
  /// The reduction of element(j) over 0..n-1, in every thread. The order of combination depends on n alone.
  mlir::Value reduce(mlir::Value n, ReduceKind kind, mlir::Type type,
                     llvm::function_ref<mlir::Value(mlir::Value j)> element);

  /// `value` of all of the group's threads, combined, in every thread.
  mlir::Value combine(ReduceKind kind, mlir::Value value);

private:
  mlir::Value acrossWarp(ReduceKind kind, mlir::Value value);
  mlir::Value acrossBlock(ReduceKind kind, mlir::Value value);
  mlir::Value exchange(mlir::Value value, unsigned distance);
  mlir::Value exchangeWord(mlir::Value word, unsigned distance);

  DeviceFunction &function;
  KernelScope &scope;
  mlir::OpBuilder &builder;
  mlir::Location loc;
};

} // namespace tenon
#endif
