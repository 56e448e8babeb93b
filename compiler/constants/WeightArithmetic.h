//===- WeightArithmetic.h - operations on weights alone, evaluated ---------------------------===//
//
// What the two rewritings of this folder share: the value of an operation that follows from weights, in float64, and a
// weight with that value in its place.
//
#ifndef TENON_COMPILER_CONSTANTS_WEIGHTARITHMETIC_H
#define TENON_COMPILER_CONSTANTS_WEIGHTARITHMETIC_H

#include "compiler/factorization/ModelWeights.h"
#include "interpreter/Evaluation.h"

namespace tenon {

class WeightArithmetic {
public:
  WeightArithmetic(mlir::ModuleOp module, WeightStore &store)
      : weights(module, store), evaluation{module, store, Arithmetic::Float64, dims} {}

  /// The first result of an operation that follows from weights and sizes that are known.
  llvm::Expected<Array> evaluate(mlir::Operation *op);

  /// A weight with the elements of `value`, rounded to float32, in the place of `result`, named after a weight that
  /// that is computed from: "w.spectrum". `what` is "a transform": the beginning of a remark.
  void replace(mlir::Value result, const Array &value, llvm::StringRef suffix, llvm::StringRef what);

  /// A weight that the operation reads or is computed from; null where there is none.
  static GetOp nearestWeight(mlir::Operation *op);

private:
  using Known = llvm::DenseMap<mlir::Operation *, std::unique_ptr<Array>>;
  llvm::Error evaluate(mlir::Operation *op, Known &known);

  ModelWeights weights;
  DimValues dims; ///< None: nothing here depends on a run.
  Evaluation evaluation;
};

} // namespace tenon
#endif
