//===- ProductNames.cpp - which products the patterns of a step mean ---------------------===//
#include "compiler/factorization/ProductNames.h"
#include "compiler/program/BuildProgram.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;

namespace tenon {

ProductNames namesOf(Location loc) {
  std::string sources = sourceOf(loc); // outlives its pieces
  SmallVector<StringRef> each;
  StringRef(sources).split(each, ", ");
  return llvm::map_to_vector(each, [](StringRef name) { return name.str(); });
}

ProductNames namesOf(WeightOp weight) {
  ProductNames names{weight.getSymName().str()};
  if (auto recipe = dyn_cast<RecipeAttr>(weight.getValue()))
    for (FlatSymbolRefAttr input : recipe.getInputs())
      names.append(namesOf(SymbolTable::lookupNearestSymbolFrom<WeightOp>(weight, input)));
  return names;
}

ProductNames namesOf(ContractOp product, WeightOp weight) {
  ProductNames names = namesOf(weight);
  names.append(namesOf(product.getLoc()));
  return names;
}

ProductPatterns::ProductPatterns(const FactorizationStep &step) {
  for (const std::string &text : step.weights)
    patterns.emplace_back(text,
                          llvm::cantFail(llvm::GlobPattern::create(text))); // the recipe's reader has looked at it
}

static bool matchAny(const llvm::GlobPattern &pattern, ArrayRef<std::string> names) {
  return llvm::any_of(names, [&](const std::string &name) { return pattern.match(name); });
}

bool ProductPatterns::match(ArrayRef<std::string> names) const {
  return patterns.empty() || llvm::any_of(patterns, [&](const auto &entry) { return matchAny(entry.second, names); });
}

llvm::Error ProductPatterns::checkAll(ArrayRef<ProductNames> products, size_t number) const {
  constexpr size_t most = 8;
  for (const auto &[text, pattern] : patterns) {
    if (llvm::any_of(products, [&](const ProductNames &names) { return matchAny(pattern, names); }))
      continue;
    SmallVector<StringRef> known;
    for (const ProductNames &names : products.take_front(most))
      known.push_back(names.front());
    std::string list = known.empty() ? "none" : llvm::join(known, ", ") + (products.size() > most ? ", ..." : "");
    return llvm::createStringError("step %zu, weights: no product has a weight or node called '%s'; there are: %s",
                                   number, text.c_str(), list.c_str());
  }
  return llvm::Error::success();
}

} // namespace tenon
