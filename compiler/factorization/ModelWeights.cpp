//===- ModelWeights.cpp - a model's weights, read and added ------------------------------===//
#include "compiler/factorization/ModelWeights.h"
#include "compiler/weights/Recipe.h"
#include <cmath>

using namespace mlir;

namespace tenon {

WeightOp ModelWeights::of(Value value) const {
  auto get = value.getDefiningOp<GetOp>();
  return get ? recipes.lookup(get) : WeightOp();
}

std::string ModelWeights::readAny(WeightOp weight, std::vector<float> &elements) const {
  int64_t count = 1;
  for (int64_t size : sizesOf(weight))
    count *= size;
  elements.resize(size_t(count));
  return WeightRecipe(weight, store)
      .fill({reinterpret_cast<uint8_t *>(elements.data()), elements.size() * sizeof(float)});
}

std::string ModelWeights::read(WeightOp weight, std::vector<float> &elements) const {
  if (std::string error = readAny(weight, elements); !error.empty())
    return error;
  auto isFinite = [](float element) { return std::isfinite(element); };
  if (!llvm::all_of(elements, isFinite))
    return "weight '" + weight.getSymName().str() + "': wanted finite elements, found infinity or NaN";
  return "";
}

template <typename Element>
WeightOp ModelWeights::addElements(WeightOp near, StringRef suffix, RankedTensorType type,
                                   std::vector<Element> elements) {
  auto owner = std::make_shared<std::vector<Element>>(std::move(elements));
  WeightOp weight = recipes.declare(near, suffix, type, UnitAttr::get(module.getContext()));
  std::string key = "factorized:" + weight.getSymName().str();
  store.add(key, owner->data(), owner->size() * sizeof(Element), owner);
  weight.setValueAttr(SourceAttr::get(module.getContext(), key, 0));
  return weight;
}

WeightOp ModelWeights::add(WeightOp near, StringRef suffix, ArrayRef<int64_t> sizes, std::vector<float> elements) {
  return addElements(near, suffix, RankedTensorType::get(sizes, Float32Type::get(module.getContext())),
                     std::move(elements));
}
WeightOp ModelWeights::add(WeightOp near, StringRef suffix, ArrayRef<int64_t> sizes, std::vector<int32_t> elements) {
  return addElements(near, suffix, RankedTensorType::get(sizes, IntegerType::get(module.getContext(), 32)),
                     std::move(elements));
}

} // namespace tenon
