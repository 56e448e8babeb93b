//===- Recipe.h - the bytes of a weight, when the artifact is written ----------------------===//
//
// Passes only say how a weight is made (`#tenon.recipe`); here it is made, one weight
// at a time, straight into the bytes of the artifact.
//
// Recipes that move elements (transpose, concat, slice, reshape, panels) are composed as
// a StridedView, so a chain of them is one blocked copy from the mapped file. Those
// that compute (cast, scale, multiply, add, product) take their input in double and round once to the
// declared type; they hold at most a copy of each input.
//
//     WeightRecipe recipe(weightOp, store);
//     recipe.key();                       // equal keys: equal bytes, to be stored once
//     std::string error = recipe.fill(destination);
//
// The meaning of each kind is in the description of `#tenon.recipe`; the oracle is
// interpreter/Weights.cpp in plain arithmetic, bit for bit.
//
//===-----------------------------------------------------------------------------===//
#ifndef TENON_COMPILER_WEIGHTS_RECIPE_H
#define TENON_COMPILER_WEIGHTS_RECIPE_H

#include "dialects/tenon/Tenon.h"
#include "dialects/tenon/WeightStore.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace tenon {

class WeightRecipe {
public:
  /// Reads all it needs of the IR here. The store, and what it maps, must outlive this.
  WeightRecipe(WeightOp op, const WeightStore &store);

  /// Says how the bytes come about; weights with equal keys have equal bytes. Weights that
  /// differ only in name, or by a reshape, have equal keys.
  const std::string &key() const { return canonicalKey; }

  /// Writes the weight's elements, row-major and little-endian, one byte for an i1. The
  /// span must have their exact size. Returns an empty string, or what went wrong: the place
  /// of the weight, what was wanted and what was found. May run on several threads at once.
  std::string fill(std::span<uint8_t> bytes) const;

  struct Node;

private:
  std::shared_ptr<const Node> root; ///< Null when `error` says why.
  std::string canonicalKey, error;
};

} // namespace tenon
#endif
