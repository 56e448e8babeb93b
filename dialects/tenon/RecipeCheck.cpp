//===- RecipeCheck.cpp - whether a recipe gives the weight it is for ------------------===//
//
// The rules are those of the table in `#tenon.recipe`'s description. Each check answers
// with the end of a sentence that begins "recipe KIND", or with nothing.
//
#include "dialects/tenon/RecipeCheck.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace tenon {
namespace {

std::string textOf(ArrayRef<int64_t> shape) {
  return "[" + llvm::join(llvm::map_range(shape, [](int64_t size) { return std::to_string(size); }), ", ") + "]";
}

class RecipeCheck {
public:
  RecipeCheck(RecipeAttr recipe, ArrayRef<RankedTensorType> inputs, RankedTensorType result)
      : recipe(recipe), inputs(inputs), type(result), shape(result.getShape()) {}

  std::string problem() const {
    using Rule = std::string (RecipeCheck::*)() const;
    static const std::pair<StringRef, Rule> rules[] = {
        {"concat", &RecipeCheck::concat},     {"transpose", &RecipeCheck::transpose},
        {"reshape", &RecipeCheck::reshape},   {"slice", &RecipeCheck::slice},
        {"cast", &RecipeCheck::sameShape},    {"scale", &RecipeCheck::scale},
        {"multiply", &RecipeCheck::broadcast}, {"add", &RecipeCheck::broadcast},
        {"panels", &RecipeCheck::panels},     {"product", &RecipeCheck::product}};
    StringRef kind = recipe.getKind();
    for (auto [name, rule] : rules) {
      if (name != kind)
        continue;
      std::string text = generalProblem();
      if (text.empty())
        text = (this->*rule)();
      return text.empty() ? "" : ("recipe " + kind + " " + text).str();
    }
    return ("'" + kind + "' is not a kind of recipe").str();
  }

private:
  std::string generalProblem() const {
    StringRef kind = recipe.getKind();
    bool isBinary = kind == "multiply" || kind == "add" || kind == "product", isMany = kind == "concat";
    if (isMany ? inputs.empty() : inputs.size() != (isBinary ? 2u : 1u))
      return std::string("wants ") + (isBinary ? "two inputs" : isMany ? "an input or more" : "one input") +
             ", found " + std::to_string(inputs.size());
    for (RankedTensorType input : inputs)
      if (kind != "cast" && input.getElementType() != type.getElementType())
        return "wants inputs of the result's element type";
    return "";
  }

  ArrayRef<int64_t> from() const { return inputs[0].getShape(); }
  std::string turns() const { return "turns " + textOf(from()) + " into " + textOf(shape); }

  std::optional<int64_t> integer(StringRef name) const {
    auto attribute = recipe.getParams().getAs<IntegerAttr>(name);
    return attribute ? std::optional<int64_t>(attribute.getInt()) : std::nullopt;
  }

  /// Whether an input agrees with the result in every dimension but `axis`.
  bool agreesExcept(int64_t axis, ArrayRef<int64_t> input) const {
    if (axis < 0 || axis >= int64_t(shape.size()) || input.size() != shape.size())
      return false;
    for (auto [d, sizes] : llvm::enumerate(llvm::zip(input, shape)))
      if (int64_t(d) != axis && std::get<0>(sizes) != std::get<1>(sizes))
        return false;
    return true;
  }

  std::string concat() const {
    std::optional<int64_t> axis = integer("axis");
    if (!axis)
      return "wants the integer parameter 'axis'";
    int64_t size = 0;
    for (RankedTensorType input : inputs) {
      if (!agreesExcept(*axis, input.getShape()))
        return "along axis " + std::to_string(*axis) + " does not fit " + textOf(input.getShape()) + " into " +
               textOf(shape);
      size += input.getDimSize(*axis);
    }
    return size == shape[*axis] ? ""
                                : "gives " + std::to_string(size) + " along axis " + std::to_string(*axis) +
                                      ", wanted " + std::to_string(shape[*axis]);
  }

  std::string slice() const {
    std::optional<int64_t> axis = integer("axis"), begin = integer("begin");
    if (!axis || !begin)
      return "wants the integer parameters 'axis' and 'begin'";
    if (!agreesExcept(*axis, from()) || *begin < 0 || *begin > from()[*axis] - shape[*axis])
      return "from " + std::to_string(*begin) + " along axis " + std::to_string(*axis) + " of " + textOf(from()) +
             " does not give " + textOf(shape);
    return "";
  }

  std::string transpose() const {
    auto permutation = recipe.getParams().getAs<DenseI64ArrayAttr>("permutation");
    if (!permutation || permutation.size() != int64_t(from().size()) || from().size() != shape.size())
      return "wants the parameter 'permutation' = array<i64: …> of " + std::to_string(from().size()) + " dimensions";
    std::vector<bool> seen(from().size());
    for (auto [to, dimension] : llvm::enumerate(permutation.asArrayRef())) {
      if (dimension < 0 || dimension >= int64_t(from().size()) || seen[dimension] || from()[dimension] != shape[to])
        return turns() + " by " + textOf(permutation.asArrayRef());
      seen[dimension] = true;
    }
    return "";
  }

  std::string reshape() const { return inputs[0].getNumElements() == type.getNumElements() ? "" : turns(); }
  std::string sameShape() const { return from() == shape ? "" : turns(); }

  std::string panels() const {
    int64_t width = integer("width").value_or(0);
    if (from().size() != 2 || width < 1)
      return "wants a matrix and a positive width, found " + textOf(from()) + " and " + std::to_string(width);
    int64_t wanted[] = {int64_t(llvm::divideCeil(from()[1], width)), from()[0], width};
    return shape == ArrayRef<int64_t>(wanted) ? "" : turns() + ", wanted " + textOf(wanted);
  }

  std::string scale() const {
    if (!recipe.getParams().getAs<FloatAttr>("factor") || !isa<FloatType>(type.getElementType()))
      return "wants the floating-point parameter 'factor' and floating-point elements";
    return sameShape();
  }

  std::string product() const {
    ArrayRef<int64_t> left = inputs[0].getShape(), right = inputs[1].getShape();
    bool fits =
        left.size() == 2 && right.size() == 2 && left[1] == right[0] && shape == ArrayRef<int64_t>{left[0], right[1]};
    if (!isa<FloatType>(type.getElementType()))
      return "wants floating-point elements";
    return fits ? ""
                : "turns " + textOf(left) + " and " + textOf(right) + " into " + textOf(shape) +
                      ", wanted [M, K] and [K, N] into [M, N]";
  }

  std::string broadcast() const {
    for (RankedTensorType input : inputs) {
      ArrayRef<int64_t> sizes = input.getShape();
      bool fits = sizes.size() <= shape.size();
      for (size_t d = 0; fits && d < sizes.size(); ++d)
        fits = sizes[d] == 1 || sizes[d] == shape[shape.size() - sizes.size() + d];
      if (!fits)
        return "does not broadcast " + textOf(sizes) + " to " + textOf(shape);
    }
    return "";
  }

  RecipeAttr recipe;
  ArrayRef<RankedTensorType> inputs;
  RankedTensorType type;
  ArrayRef<int64_t> shape;
};

} // namespace

std::string problemOfRecipe(RecipeAttr recipe, ArrayRef<RankedTensorType> inputs, RankedTensorType result) {
  return RecipeCheck(recipe, inputs, result).problem();
}

} // namespace tenon
