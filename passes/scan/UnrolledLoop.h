//===- UnrolledLoop.h - the steps of a loop over time that an exporter unrolled ----------------===//
#ifndef TENON_PASSES_SCAN_UNROLLEDLOOP_H
#define TENON_PASSES_SCAN_UNROLLEDLOOP_H

#include "dialects/tenon/Tenon.h"
#include "llvm/ADT/DenseMap.h"

namespace tenon {

/// y_0, y_1, … one after another along `axis`, each computed from what its predecessor left behind:
///
///     state_t = step(state_{t-1}, t),  read_t = sum over a dim of state_t times something,  y_t = function of read_t
///
/// An operation belongs to the first step that needs it; what the first step needs is of no step alone.
struct UnrolledLoop {
  mutable MapOp collect; ///< Puts the y_t side by side.
  int64_t axis = 0;
  llvm::SmallVector<mlir::Value> parts; ///< y_t
  llvm::SmallVector<mlir::Value> states;
  mlir::Value initial; ///< What stands in the first step where the others have the state before; may be null.
  llvm::SmallVector<mlir::Operation *>
      reads; ///< The contraction or sum by which y_t reads state_t; null where it has its elements.

  static std::optional<UnrolledLoop> match(MapOp collect);
  /// Parts and what computes them alone: nothing is known of states.
  static std::optional<UnrolledLoop> matchParts(MapOp collect);

  int64_t steps() const { return parts.size(); }
  /// Whether a tensor is not computed by `step`, which is none but the first: the step reads it.
  bool isShared(mlir::Value tensor, int64_t step) const;
  /// The last state, where more than its y reads it.
  mlir::Value finalState() const;
  bool isOfSteps(mlir::Operation *op) const { return op == collect || stepOf.contains(op); }
  /// None for what is of no step.
  std::optional<int64_t> stepNumber(mlir::Operation *op) const;
  llvm::ArrayRef<mlir::Operation *> operationsOf(int64_t step) const { return operations[step]; }
  /// Where the operations lead from y_`step` by which `state`, of step 2, is reached from y_2; null where there are
  /// none such.
  mlir::Value alike(mlir::Value state, int64_t step) const;

private:
  bool readParts();
  void number();
  mlir::Value carriedInto(int64_t step) const;
  bool followStates();
  mlir::Value along(mlir::Value from, llvm::ArrayRef<unsigned> path, mlir::Operation **read) const;
  bool isOnlyRead() const;

  llvm::DenseMap<mlir::Operation *, int64_t> stepOf;
  llvm::SmallVector<llvm::SmallVector<mlir::Operation *>> operations;
};

} // namespace tenon
#endif
