//===- FoldWeights.h - what is linear between two tensors is one product ------------------===//
//
// The step `fold`. BatchNorms, scales, norms' scales and shifts and re-parameterised norms go into the product behind or in front
// of them; LoRA, linear adapters and parallel branches into the product they stand beside; products in a row become one where
// that has fewer elements (LinearForm.h). Matrices a model computes from its weights are computed (ComputedWeights.h).
//
// Worked example. y = (x · s + t) W + 0.5 (x A) B + b is x (diag(s) W + 0.5 A B) + (t W + b).
//
#ifndef TENON_COMPILER_FACTORIZATION_FOLDWEIGHTS_H
#define TENON_COMPILER_FACTORIZATION_FOLDWEIGHTS_H

#include "compiler/factorization/Factorize.h"
#include "compiler/factorization/ModelWeights.h"

namespace tenon {

/// Adds a report for each product that took something in; `names` says which products may.
llvm::Error foldWeights(mlir::ModuleOp module, ModelWeights &weights,
                        llvm::function_ref<bool(llvm::ArrayRef<std::string> names)> isWanted,
                        std::vector<FactorizedWeight> &reports);

} // namespace tenon
#endif
