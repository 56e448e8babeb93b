//===- MergeHeads.h - query and key, value and output, as one product each ------------------------------===//
//
// The step `merge_heads`. Heads of width D, wide beside the model's C, cost more as two factors than as their product:
//
//     (x Wq + bq)(z Wk)ᵀ    = (x M + c) zᵀ,        M = Wq Wkᵀ [C x C],  c = bq Wkᵀ
//     Σ_h P_h (z Wv + bv) Wo = Σ_h (P_h z) N + c,   N = Wv Wo  [C x C],  c = Σ_h bv Wo
//
// for each head: keys and values are then z itself, for all heads. The second c stands where the rows of P sum to 1. Where they need
// not (a guard makes rows without a key 0), or keys have a bias, keys and values are (z, 1), and the bias is one more row of Wk and Wv.
//
// Worked example. C = 16, one head of D = 24: 4 · 16 · 24 elements become 2 · 16 · 16, and a query and a key take 32 multiply-adds,
// not 48. With D = 12, 4 · 16 · 12 become 2 · 16 · 16 as well, but a query and a key take 32 and not 24.
//
#ifndef TENON_COMPILER_FACTORIZATION_MERGEHEADS_H
#define TENON_COMPILER_FACTORIZATION_MERGEHEADS_H

#include "compiler/factorization/Factorize.h"
#include "compiler/factorization/ModelWeights.h"

namespace tenon {

/// Rewrites the attentions one of whose four products `isWanted` where that leaves fewer elements; an error if there is none says what
/// stands in the way.
llvm::Error mergeHeads(mlir::ModuleOp module, ModelWeights &weights,
                       llvm::function_ref<bool(llvm::ArrayRef<std::string> names)> isWanted,
                       std::vector<FactorizedWeight> &reports);

} // namespace tenon
#endif
