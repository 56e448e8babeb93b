//===- DenseSparseProducts.h - products with dense bases and sparse codes -------------------------===//
//
// The step `dense_sparse`: x W becomes one product with all bases (DenseSparse.h), and a map that gathers from it, multiplies and
// adds: non-zeros loads, whose places are a weight. What follows the product stays in that map's kernel.
//
#ifndef TENON_COMPILER_FACTORIZATION_DENSESPARSEPRODUCTS_H
#define TENON_COMPILER_FACTORIZATION_DENSESPARSEPRODUCTS_H

#include "compiler/factorization/Factorize.h"
#include "compiler/factorization/ModelWeights.h"

namespace tenon {

/// A report for each weight the step, the recipe's `number`-th, names.
llvm::Error factorDenseSparse(mlir::ModuleOp module, ModelWeights &weights, const FactorizationStep &step,
                              size_t number, unsigned threads, std::vector<FactorizedWeight> &reports);

} // namespace tenon
#endif
