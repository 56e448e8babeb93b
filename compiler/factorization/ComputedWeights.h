//===- ComputedWeights.h - matrices that a model computes from its weights ---------------------------===//
//
// A part of the step `fold`. TLEG's layers are expanded from two sets of weights, A + (l / L) B for layer l: an export computes the
// matrix of each product by arithmetic on weights, in every run. Here it becomes a weight, computed once, in float64.
//
#ifndef TENON_COMPILER_FACTORIZATION_COMPUTEDWEIGHTS_H
#define TENON_COMPILER_FACTORIZATION_COMPUTEDWEIGHTS_H

#include "compiler/factorization/Factorize.h"
#include "compiler/factorization/ModelWeights.h"

namespace tenon {

/// Replaces maps of weights alone that are matrices of products with these names.
llvm::Error computeWeights(mlir::ModuleOp module, ModelWeights &weights,
                           llvm::function_ref<bool(llvm::ArrayRef<std::string>)> isWanted,
                           std::vector<FactorizedWeight> &reports);

} // namespace tenon
#endif
