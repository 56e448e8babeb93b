//===- RecipeCheck.h - whether a recipe gives the weight it is for --------------------===//
#ifndef TENON_DIALECTS_TENON_RECIPECHECK_H
#define TENON_DIALECTS_TENON_RECIPECHECK_H

#include "dialects/tenon/Tenon.h"

namespace tenon {

/// What is wrong with making a `result` from `inputs` by this recipe: its kind, the number of
/// inputs, its parameters, types or sizes. Empty if nothing is.
std::string problemOfRecipe(RecipeAttr recipe, llvm::ArrayRef<mlir::RankedTensorType> inputs,
                            mlir::RankedTensorType result);

} // namespace tenon
#endif
