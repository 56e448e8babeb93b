//===- KeepIntervals.h - a keep region evaluated over a block of keys ------------------===//
//
// The run-time half of attention/KeepAnalysis.h: code that computes the range of a keep region over a box, once
// for each tile, in scalar registers. It costs some tens of instructions and the scanned rows of data, beside
// queries * keys * 2 depth multiply-adds.
//
#ifndef TENON_PASSES_ATTENTION_KEEPINTERVALS_H
#define TENON_PASSES_ATTENTION_KEEPINTERVALS_H

#include "passes/attention/KeepAnalysis.h"
#include "passes/lowering/KernelLowering.h"

namespace tenon {

/// Queries and keys from the first to the last, both included; all index.
struct AttentionBox {
  mlir::Value batch, head, firstQuery, lastQuery, firstKey, lastKey;
};

/// Whether keep holds for some element of a box, and for every one (i1).
struct KeepTruth {
  mlir::Value some, every;
};

class KeepIntervals {
public:
  /// The keep region of an attention or an attention_update, and what it captures.
  KeepIntervals(KernelLowering &lowering, mlir::Region &keep, mlir::ValueRange captures)
      : lowering(lowering), keep(keep), captures(captures), analysis(keep) {}

  /// False if no box could be decided: then every element is masked.
  bool decides() { return analysis.decides(); }
  KeepTruth evaluate(const AttentionBox &box);

private:
  /// From `low` to `high`, both included; for i1 false is less than true. Null if anything is possible.
  struct Interval {
    mlir::Value low, high;
    bool isKnown() const { return bool(low); }
  };

  Interval visit(mlir::Value value);
  Interval compute(mlir::Value value);
  Interval scan(LoadOp load);
  Interval ofArithmetic(mlir::Operation *op);
  Interval ofProduct(mlir::Operation *op);
  Interval ofRemainder(mlir::Operation *op);
  Interval ofLogic(mlir::Operation *op);
  Interval ofComparison(mlir::arith::CmpIOp compare);
  Interval ofSelect(mlir::arith::SelectOp select);
  mlir::Value clone(mlir::Operation *op, mlir::ValueRange operands);
  mlir::Value read(LoadOp load, llvm::ArrayRef<mlir::Value> indices);

  mlir::Value less(mlir::Value a, mlir::Value b, bool orEqual);
  mlir::Value isNot(mlir::Value condition);
  mlir::Value both(mlir::Value a, mlir::Value b);
  mlir::Value either(mlir::Value a, mlir::Value b);
  mlir::Value least(mlir::Value a, mlir::Value b);
  mlir::Value greatest(mlir::Value a, mlir::Value b);
  mlir::Value truth(bool value);
  Interval booleanOr(Interval interval);

  KernelLowering &lowering;
  mlir::Region &keep;
  llvm::SmallVector<mlir::Value> captures;
  KeepAnalysis analysis;
  llvm::DenseMap<mlir::Value, Interval> intervals; ///< Of the box being evaluated.
};

} // namespace tenon
#endif
