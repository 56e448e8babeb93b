//===- NormProducts.h - the products that read a norm ---------------------------------------------------===//
//
// y = (n · g + b) W + c, n without parameters: a step that has another n, n' = n M⁻¹ or n without a part of it, gives its products
// M diag(g) W, and b W as an offset.
//
#ifndef TENON_COMPILER_FACTORIZATION_NORMPRODUCTS_H
#define TENON_COMPILER_FACTORIZATION_NORMPRODUCTS_H

#include "compiler/factorization/Factorize.h"
#include "compiler/factorization/LinearForm.h"

namespace tenon {

class NormProducts {
public:
  /// Of a norm's result, the channels last.
  NormProducts(mlir::Value norm, LinearAnalysis &linear);

  std::string problem; ///< If something else reads it: what.

  /// Products of `input` instead, with what `rewrite` makes of diag(scale) W, and shift W added. Errors name a weight.
  llvm::Error replace(mlir::Value input, const Channels &scale, const Channels &shift,
                      llvm::function_ref<llvm::Expected<WeightOp>(WeightOp)> rewrite, StepKind step,
                      llvm::StringRef change, std::vector<FactorizedWeight> &reports);

private:
  llvm::Error replace(MatrixProduct product, mlir::Value input, const Channels &scale, const Channels &shift,
                      llvm::function_ref<llvm::Expected<WeightOp>(WeightOp)> rewrite, FactorizedWeight report,
                      StepKind step, std::vector<FactorizedWeight> &reports);

  mlir::Value norm;
  LinearAnalysis &linear;
  llvm::SmallVector<MatrixProduct> products;
};

/// The elements of a norm's scale or shift, `otherwise` where it has none.
llvm::Expected<Channels> parameterOf(mlir::Value parameter, double otherwise, const ModelWeights &weights);

} // namespace tenon
#endif
