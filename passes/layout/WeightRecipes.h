//===- WeightRecipes.h - weights made from other weights ------------------------------===//
//
// Passes ask for a weight in another form; they get the name of a `tenon.weight` with a
// recipe. Equal recipes give the same name, so twelve readers of one packed weight
// share it, and a recipe of nothing is the weight itself.
//
#ifndef TENON_PASSES_LAYOUT_WEIGHTRECIPES_H
#define TENON_PASSES_LAYOUT_WEIGHTRECIPES_H

#include "dialects/tenon/Tenon.h"
#include "llvm/ADT/DenseMap.h"

namespace tenon {

class WeightRecipes {
public:
  explicit WeightRecipes(mlir::ModuleOp module);

  WeightOp lookup(GetOp get) const { return symbols.lookup<WeightOp>(get.getWeight()); }

  /// A weight with dims `sizes` of `element`, by default the inputs' element type, made by `kind` with `parameters`.
  WeightOp make(llvm::StringRef kind, llvm::ArrayRef<WeightOp> inputs, llvm::ArrayRef<int64_t> sizes,
                llvm::ArrayRef<mlir::NamedAttribute> parameters = {}, mlir::Type element = {});

  WeightOp concat(llvm::ArrayRef<WeightOp> inputs, int64_t axis);
  WeightOp transpose(WeightOp input, llvm::ArrayRef<int64_t> permutation);
  WeightOp slice(WeightOp input, int64_t axis, int64_t begin, int64_t size);
  WeightOp reshape(WeightOp input, llvm::ArrayRef<int64_t> sizes);
  /// `[K, N]` as `[ceil(N / width), K, width]`.
  WeightOp panels(WeightOp input, int64_t width);
  /// `[K, N]` as `[ceil(N / width), ceil(K / 2), width · 2]`: two neighbours along K side by side.
  WeightOp pairPanels(WeightOp input, int64_t width);
  WeightOp cast(WeightOp input, mlir::Type element);
  /// Element-wise with a `b` that broadcasts to `a`.
  WeightOp multiply(WeightOp a, WeightOp b);
  WeightOp add(WeightOp a, WeightOp b);
  /// `[M, K]` times `[K, N]`.
  WeightOp product(WeightOp a, WeightOp b);

  /// A weight that is no recipe, declared after `near` and named after it.
  WeightOp declare(WeightOp near, llvm::StringRef suffix, mlir::RankedTensorType type, mlir::Attribute value);

  static GetOp get(mlir::OpBuilder &builder, mlir::Location loc, WeightOp weight);

private:
  mlir::ModuleOp module;
  mlir::SymbolTable symbols;
  llvm::DenseMap<std::pair<mlir::Attribute, mlir::Type>, WeightOp> known;
};

} // namespace tenon
#endif
