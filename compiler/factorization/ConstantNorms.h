//===- ConstantNorms.h - LayerNorms that divide by a constant ----------------------------------------===//
//
// The step `constant_norms`. A GPT-2 without LayerNorms is kept in files as one whose norms have an ε far above any variance: they
// divide by √ε, and g stands in the file times √ε / σ. Or the division is written out, (x - mean(x)) / σ · g + b, σ a number or a
// weight. Then the norm is linear, and products behind it take it in:
//
//     y = ((x - mean(x)) / √ε · g + b) W + c = x M + (b W + c),  M = (I - 11ᵀ/d) diag(g / √ε) W
//
// M is W with its rows scaled and the means of its columns subtracted. Of a norm with an ε the step leaves out var(x) beside it, a relative difference of
// var(x) / 2ε: below float32's rounding where ε is 1e8 and the variance at most 10.
//
#ifndef TENON_COMPILER_FACTORIZATION_CONSTANTNORMS_H
#define TENON_COMPILER_FACTORIZATION_CONSTANTNORMS_H

#include "compiler/factorization/Factorize.h"
#include "compiler/factorization/ModelWeights.h"

namespace tenon {

/// Rewrites every such norm; an error names one that something else than products with weights reads, or that there is none.
llvm::Error foldConstantNorms(mlir::ModuleOp module, ModelWeights &weights, std::vector<FactorizedWeight> &reports);

} // namespace tenon
#endif
