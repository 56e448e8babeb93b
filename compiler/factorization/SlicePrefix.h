//===- SlicePrefix.h - a sub-model of the first columns of products -----------------------===//
//
// The step `prefix` (MatFormer, HAT). A model trained so that the first m hidden units of a layer are a smaller model by
// themselves is that smaller model: y = W2[:m] act(W1[:, :m] x + b[:m]). The choice is made when the model is compiled, for each
// layer by itself; what is left out is not in the artifact.
//
// The same for a query's columns: the first m heads of an attention, where the columns are a whole number of them. Keys, values and what
// reads the heads are sliced along. And for the columns that make a residual stream (HAT's embedding widths): tables, all that adds to
// it, the norms' parameters, and the rows of what reads it; a norm is then one of the first m channels.
//
// Worked example. x W1 of 8 columns at size 2: both columns' bias and activation stay, and of W2 its first 2 rows. With a gated layer
// act(x W1) · (x V), V is sliced with W1.
//
#ifndef TENON_COMPILER_FACTORIZATION_SLICEPREFIX_H
#define TENON_COMPILER_FACTORIZATION_SLICEPREFIX_H

#include "compiler/factorization/Factorize.h"
#include "compiler/factorization/ModelWeights.h"

namespace tenon {

/// Keeps the first `size` columns of the products that `isWanted`; an error names the node that needs the others.
llvm::Error slicePrefixes(mlir::ModuleOp module, ModelWeights &weights, int64_t size,
                          llvm::function_ref<bool(llvm::ArrayRef<std::string> names)> isWanted,
                          std::vector<FactorizedWeight> &reports);

} // namespace tenon
#endif
