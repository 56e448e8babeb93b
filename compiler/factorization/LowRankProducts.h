//===- LowRankProducts.h - products with weights as two with their factors ---------------===//
//
// The steps `low_rank`.
//
#ifndef TENON_COMPILER_FACTORIZATION_LOWRANKPRODUCTS_H
#define TENON_COMPILER_FACTORIZATION_LOWRANKPRODUCTS_H

#include "compiler/factorization/Factorize.h"
#include "compiler/factorization/ModelWeights.h"

namespace tenon {

/// `steps` are side by side in the recipe, the first of them its `firstNumber`-th. A report for each weight they name.
llvm::Error factorLowRank(mlir::ModuleOp module, ModelWeights &weights, llvm::ArrayRef<FactorizationStep> steps,
                          size_t firstNumber, unsigned threads, std::vector<FactorizedWeight> &reports);

} // namespace tenon
#endif
