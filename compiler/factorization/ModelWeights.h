//===- ModelWeights.h - a model's weights, read and added --------------------------------===//
//
// Exact rewritings say how a matrix is made by recipes, which are evaluated when the artifact is written; only vectors, and
// what must be looked at (means, finiteness), are read here.
//
#ifndef TENON_COMPILER_FACTORIZATION_MODELWEIGHTS_H
#define TENON_COMPILER_FACTORIZATION_MODELWEIGHTS_H

#include "dialects/tenon/Tenon.h"
#include "dialects/tenon/WeightStore.h"
#include "passes/layout/WeightRecipes.h"

namespace tenon {

/// A number for each channel; a single one is that of all of them.
using Channels = std::vector<double>;

class ModelWeights {
public:
  ModelWeights(mlir::ModuleOp module, WeightStore &store) : recipes(module), store(store), module(module) {}

  /// The weight a value is, null if it is none.
  WeightOp of(mlir::Value value) const;

  /// Its elements, row-major, and "", or what is wrong. From any thread.
  std::string readAny(WeightOp weight, std::vector<float> &elements) const;
  /// The same; an element that is not finite is wrong as well.
  std::string read(WeightOp weight, std::vector<float> &elements) const;

  /// A weight of float32 elements that are given.
  WeightOp add(WeightOp near, llvm::StringRef suffix, llvm::ArrayRef<int64_t> sizes, std::vector<float> elements);
  /// The same of 32-bit integers.
  WeightOp add(WeightOp near, llvm::StringRef suffix, llvm::ArrayRef<int64_t> sizes, std::vector<int32_t> elements);

  WeightRecipes recipes;
  WeightStore &store;

private:
  template <typename Element>
  WeightOp addElements(WeightOp near, llvm::StringRef suffix, mlir::RankedTensorType type,
                       std::vector<Element> elements);

  mlir::ModuleOp module;
};

inline llvm::ArrayRef<int64_t> sizesOf(WeightOp weight) {
  return llvm::cast<mlir::RankedTensorType>(weight.getType()).getShape();
}
inline bool isFloat32(WeightOp weight) {
  return llvm::cast<mlir::RankedTensorType>(weight.getType()).getElementType().isF32();
}

} // namespace tenon
#endif
