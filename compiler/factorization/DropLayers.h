//===- DropLayers.h - a sub-model without some of its layers -------------------------------===//
//
// The step `drop_layers` (HAT's depths, and other models trained to be run with fewer layers). A layer makes of a tensor x another one like
// it, y: what reads y reads x instead, and all that only y needed is not in the artifact.
//
// Which operations are a layer follows from the weights that are named. Of all that depends on one of them, y is the first tensor that
// everything else goes through; x is the one tensor of y's type that goes in, and it is not read behind y. So it does not matter whether norms stand in front of
// the residual sum or behind it, and a part of a layer (its feed-forward block) is one as well.
//
// Worked example. x1 = x + f(norm(x) A); x2 = x1 + f(norm(x1) B), and A is named: x1 is what the rest goes through, x what goes in, and
// x + f(norm(x) B) stays.
//
#ifndef TENON_COMPILER_FACTORIZATION_DROPLAYERS_H
#define TENON_COMPILER_FACTORIZATION_DROPLAYERS_H

#include "compiler/factorization/Factorize.h"
#include "compiler/factorization/ModelWeights.h"

namespace tenon {

/// Leaves out the operations between two tensors that the weights named span, which may be several layers in a row. An error says what
/// stands in the way: a product or norm among them that is not named, something that is read elsewhere.
llvm::Error dropLayers(mlir::ModuleOp module, ModelWeights &weights,
                       llvm::function_ref<bool(llvm::ArrayRef<std::string> names)> isWanted,
                       std::vector<FactorizedWeight> &reports);

} // namespace tenon
#endif
