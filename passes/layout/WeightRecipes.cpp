//===- WeightRecipes.cpp - weights made from other weights ----------------------------===//
#include "passes/layout/WeightRecipes.h"
#include "dialects/tenon/ContractSpec.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace tenon {

static RankedTensorType typeOf(WeightOp weight) { return cast<RankedTensorType>(weight.getType()); }

WeightRecipes::WeightRecipes(ModuleOp module) : module(module), symbols(module) {
  for (WeightOp weight : module.getOps<WeightOp>())
    if (isa<RecipeAttr>(weight.getValue()))
      known.try_emplace({weight.getValue(), weight.getType()}, weight);
}

WeightOp WeightRecipes::make(StringRef kind, ArrayRef<WeightOp> inputs, ArrayRef<int64_t> sizes,
                             ArrayRef<NamedAttribute> parameters, Type element) {
  MLIRContext *context = module.getContext();
  auto names = llvm::map_to_vector(
      inputs, [&](WeightOp input) { return FlatSymbolRefAttr::get(context, input.getSymName()); });
  WeightOp first = inputs.front();
  auto value = RecipeAttr::get(context, kind, names, DictionaryAttr::get(context, parameters));
  auto type = RankedTensorType::get(sizes, element ? element : typeOf(first).getElementType());
  WeightOp &weight = known[{value, type}];
  if (weight)
    return weight;
  WeightOp last = *std::max_element(inputs.begin(), inputs.end(),
                                    [](WeightOp a, WeightOp b) { return a != b && a->isBeforeInBlock(b); });
  OpBuilder builder(context);
  builder.setInsertionPointAfter(last);
  weight = WeightOp::create(builder, first.getLoc(), (first.getSymName() + "." + kind).str(), type, value);
  symbols.insert(weight);
  return weight;
}

WeightOp WeightRecipes::concat(ArrayRef<WeightOp> inputs, int64_t axis) {
  SmallVector<int64_t> sizes(typeOf(inputs.front()).getShape());
  for (WeightOp input : inputs.drop_front())
    sizes[axis] += typeOf(input).getDimSize(axis);
  Builder builder(module.getContext());
  return make("concat", inputs, sizes, builder.getNamedAttr("axis", builder.getI64IntegerAttr(axis)));
}

WeightOp WeightRecipes::transpose(WeightOp input, ArrayRef<int64_t> permutation) {
  if (llvm::is_sorted(permutation))
    return input;
  auto sizes = llvm::map_to_vector(permutation, [&](int64_t axis) { return typeOf(input).getDimSize(axis); });
  // A transpose of a transpose that leaves every dim in its place is the first weight.
  auto recipe = dyn_cast<RecipeAttr>(input.getValue());
  if (recipe && recipe.getKind() == "transpose") {
    auto inner = cast<DenseI64ArrayAttr>(recipe.getParams().get("permutation"));
    auto composed = llvm::map_to_vector(permutation, [&](int64_t axis) { return inner[axis]; });
    return transpose(symbols.lookup<WeightOp>(recipe.getInputs()[0].getValue()), composed);
  }
  Builder builder(module.getContext());
  return make("transpose", input, sizes,
              builder.getNamedAttr("permutation", builder.getDenseI64ArrayAttr(permutation)));
}

WeightOp WeightRecipes::slice(WeightOp input, int64_t axis, int64_t begin, int64_t size) {
  SmallVector<int64_t> sizes(typeOf(input).getShape());
  if (sizes[axis] == size)
    return input;
  sizes[axis] = size;
  Builder builder(module.getContext());
  return make("slice", input, sizes,
              {builder.getNamedAttr("axis", builder.getI64IntegerAttr(axis)),
               builder.getNamedAttr("begin", builder.getI64IntegerAttr(begin))});
}

WeightOp WeightRecipes::reshape(WeightOp input, ArrayRef<int64_t> sizes) {
  if (typeOf(input).getShape() == sizes)
    return input;
  auto recipe = dyn_cast<RecipeAttr>(input.getValue());
  if (recipe && recipe.getKind() == "reshape")
    return reshape(symbols.lookup<WeightOp>(recipe.getInputs()[0].getValue()), sizes);
  return make("reshape", input, sizes);
}

WeightOp WeightRecipes::panels(WeightOp input, int64_t width) {
  int64_t rows = typeOf(input).getDimSize(0), columns = typeOf(input).getDimSize(1);
  Builder builder(module.getContext());
  return make("panels", input, {int64_t(llvm::divideCeil(columns, width)), rows, width},
              builder.getNamedAttr("width", builder.getI64IntegerAttr(width)));
}

// Panels of 32 columns of the transpose are 16 pairs each, missing rows zero; the rest
// is panels of pairs.
WeightOp WeightRecipes::pairPanels(WeightOp input, int64_t width) {
  constexpr int64_t pairs = pairTile;
  WeightOp tiles = panels(transpose(input, {1, 0}), 2 * pairs); // [ceil(K / 32), N, 32]
  int64_t count = typeOf(tiles).getDimSize(0), columns = typeOf(tiles).getDimSize(1);
  WeightOp rows = transpose(reshape(tiles, {count, columns, pairs, 2}), {0, 2, 1, 3});
  return panels(reshape(rows, {count * pairs, 2 * columns}), 2 * width);
}

WeightOp WeightRecipes::cast(WeightOp input, Type element) {
  return make("cast", input, typeOf(input).getShape(), {}, element);
}

WeightOp WeightRecipes::multiply(WeightOp a, WeightOp b) { return make("multiply", {a, b}, typeOf(a).getShape()); }
WeightOp WeightRecipes::add(WeightOp a, WeightOp b) { return make("add", {a, b}, typeOf(a).getShape()); }
WeightOp WeightRecipes::product(WeightOp a, WeightOp b) {
  return make("product", {a, b}, {typeOf(a).getDimSize(0), typeOf(b).getDimSize(1)});
}

WeightOp WeightRecipes::declare(WeightOp near, StringRef suffix, RankedTensorType type, Attribute value) {
  OpBuilder builder(module.getContext());
  builder.setInsertionPointAfter(near);
  auto weight = WeightOp::create(builder, near.getLoc(), (near.getSymName() + suffix).str(), type, value);
  symbols.insert(weight);
  return weight;
}

GetOp WeightRecipes::get(OpBuilder &builder, Location loc, WeightOp weight) {
  return GetOp::create(builder, loc, weight.getType(), weight.getSymName());
}

} // namespace tenon
