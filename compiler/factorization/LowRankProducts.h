//===- LowRankProducts.h - products with weights as two with their factors ---------------===//
//
// The steps `low_rank`. Matrices of a joint step that multiply the same tensor are one matrix, side by side:
//
//     k = x Wk, v = x Wv,  [Wk Wv] ≈ L [Rk Rv]:   c = x L, k = c Rk, v = c Rv
//
// which is the latent of multi-head latent attention, as X-EcoMLA starts from (Wkva = L, Wkvb = [Rk Rv]).
//
#ifndef TENON_COMPILER_FACTORIZATION_LOWRANKPRODUCTS_H
#define TENON_COMPILER_FACTORIZATION_LOWRANKPRODUCTS_H

#include "compiler/factorization/Calibration.h"
#include "compiler/factorization/ModelWeights.h"

namespace tenon {

/// `steps` are side by side in the recipe, the first of them its `firstNumber`-th. A report for each weight they name.
llvm::Error factorLowRank(mlir::ModuleOp module, ModelWeights &weights, const Calibration *calibration,
                          llvm::ArrayRef<FactorizationStep> steps, size_t firstNumber, unsigned threads,
                          std::vector<FactorizedWeight> &reports);

} // namespace tenon
#endif
