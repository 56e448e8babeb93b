//===- Weights.cpp - the value of a weight, by its definition -----------------------------===//
//
// Recipes are evaluated recursively and element by element: the oracle of
// compiler/weights/Recipe.h, which does the same in blocks and streams.
//
//===-----------------------------------------------------------------------------===//
#include "interpreter/Evaluation.h"
#include "interpreter/Indexing.h"

using namespace mlir;

namespace tenon {
namespace {

llvm::Expected<Array> emptyWeight(WeightOp op) {
  auto type = cast<RankedTensorType>(op.getType());
  llvm::Expected<DType> dtype = dtypeOf(type.getElementType(), op);
  if (!dtype)
    return dtype.takeError();
  return Array::zeros(*dtype, type.getShape().vec());
}

llvm::Error evaluateSource(WeightOp op, SourceAttr source, const WeightStore &store, Array &result) {
  std::string message;
  StringRef file = source.getFile();
  auto bytes = store.bytes(std::string_view(file.data(), file.size()), uint64_t(source.getOffset()),
                           uint64_t(result.count()) * bytesOf(result.dtype), &message);
  if (!bytes)
    return errorAt(op, "@" + op.getSymName() + ": " + message);
  result = Array::fromBytes(result.dtype, result.shape, *bytes);
  return llvm::Error::success();
}

void evaluateDense(DenseElementsAttr elements, Array &result) {
  int64_t n = 0;
  if (result.isFloat())
    for (const APFloat &value : elements.getValues<APFloat>()) {
      APFloat wide = value;
      bool exact;
      wide.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &exact);
      result.floats[n++] = wide.convertToDouble();
    }
  else
    for (const APInt &value : elements.getValues<APInt>())
      result.integers[n++] = wrapTo(result.dtype, value.getSExtValue());
}

/// The n-th output of SplitMix64 after `seed`.
uint64_t splitMix64(uint64_t seed, uint64_t n) {
  uint64_t z = seed + (n + 1) * 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

/// The upper 53 bits as a number u in [0, 1) give scale · (2u - 1), rounded to the type.
llvm::Error evaluateRandom(WeightOp op, RandomAttr random, Array &result) {
  if (!result.isFloat())
    return errorAt(op, "@" + op.getSymName() + ": random elements are floats, found " + toString(result.dtype));
  double scale = random.getScale().getValueAsDouble();
  for (int64_t n = 0; n < result.count(); ++n) {
    double u = double(splitMix64(random.getSeed(), uint64_t(n)) >> 11) * 0x1p-53;
    result.floats[n] = roundTo(result.dtype, scale * (2 * u - 1));
  }
  return llvm::Error::success();
}

//===----------------------------------------------------------------------------===//
// Recipes
//===----------------------------------------------------------------------------===//

class RecipeEvaluator {
public:
  RecipeEvaluator(WeightOp op, RecipeAttr recipe, ArrayRef<Array> inputs, const Evaluation &evaluation, Array &result)
      : op(op), recipe(recipe), inputs(inputs), evaluation(evaluation), result(result) {}

  llvm::Error run() {
    StringRef kind = recipe.getKind();
    if (inputs.empty())
      return error("wants at least one input");
    if (kind == "concat")
      return concat();
    if (kind == "transpose")
      return transpose();
    if (kind == "slice")
      return slice();
    if (kind == "panels")
      return panels();
    if (kind == "reshape" || kind == "cast")
      return convert();
    if (kind == "scale")
      return scale();
    if (kind == "multiply" || kind == "add")
      return combine(kind == "add");
    if (kind == "product")
      return product();
    return error("is not a kind of recipe");
  }

private:
  llvm::Error error(const llvm::Twine &message) {
    return errorAt(op, "@" + op.getSymName() + ": recipe " + recipe.getKind() + " " + message);
  }

  llvm::Expected<int64_t> parameter(StringRef name) {
    auto value = recipe.getParams().getAs<IntegerAttr>(name);
    if (!value)
      return error("wants the integer parameter '" + name + "'");
    return value.getInt();
  }

  /// result[index] = the input's element at offset from(index); a negative one leaves zero.
  template <typename From> void move(const Array &input, From from) {
    std::vector<int64_t> index(result.shape.size(), 0);
    for (int64_t n = 0; n < result.count(); ++n, nextIndex(index, result.shape))
      if (int64_t offset = from(index); offset >= 0)
        put(n, input, offset);
  }

  /// Whether the input has the result's shape except along `axis`.
  bool matchesExcept(const Array &input, int64_t axis) {
    if (axis < 0 || axis >= int64_t(input.shape.size()) || input.shape.size() != result.shape.size())
      return false;
    for (int64_t d = 0; d < int64_t(input.shape.size()); ++d)
      if (d != axis && input.shape[d] != result.shape[d])
        return false;
    return true;
  }

  static int64_t offsetAt(ArrayRef<int64_t> index, ArrayRef<int64_t> strides) {
    int64_t offset = 0;
    for (auto [i, stride] : llvm::zip(index, strides))
      offset += i * stride;
    return offset;
  }

  void put(int64_t n, const Array &input, int64_t from) {
    if (input.isFloat() && result.isFloat())
      result.floats[n] = input.floats[from];
    else if (!input.isFloat() && !result.isFloat())
      result.integers[n] = wrapTo(result.dtype, input.integers[from]);
    else if (result.isFloat())
      result.floats[n] = double(input.integers[from]);
    else
      result.integers[n] = integerOf(result.dtype, input.floats[from]);
    if (result.isFloat())
      result.floats[n] = evaluation.round(result.dtype, result.floats[n]);
  }

  llvm::Error concat() {
    llvm::Expected<int64_t> axis = parameter("axis");
    if (!axis)
      return axis.takeError();
    int64_t begin = 0;
    for (const Array &input : inputs) {
      if (!matchesExcept(input, *axis))
        return error("along axis " + llvm::Twine(*axis) + " does not fit " + toString(input.shape) + " into " +
                     toString(result.shape));
      int64_t end = begin + input.shape[*axis];
      std::vector<int64_t> strides = stridesOf(input.shape);
      move(input, [&](const std::vector<int64_t> &index) {
        int64_t position = index[*axis];
        return position < begin || position >= end ? -1 : offsetAt(index, strides) - begin * strides[*axis];
      });
      begin = end;
    }
    if (begin != result.shape[*axis])
      return error("gives " + llvm::Twine(begin) + " along the axis, wanted " + llvm::Twine(result.shape[*axis]));
    return llvm::Error::success();
  }

  llvm::Error transpose() {
    ArrayRef<int64_t> permutation;
    if (auto array = recipe.getParams().getAs<DenseI64ArrayAttr>("permutation"))
      permutation = array.asArrayRef();
    const Array &input = inputs[0];
    if (permutation.size() != input.shape.size() || permutation.size() != result.shape.size())
      return error("wants a permutation of " + llvm::Twine(input.shape.size()) + " dimensions");
    std::vector<int64_t> strides;
    for (auto [to, from] : llvm::enumerate(permutation)) {
      if (from < 0 || from >= int64_t(permutation.size()) || input.shape[from] != result.shape[to])
        return error("turns " + toString(input.shape) + " into " + toString(result.shape));
      strides.push_back(stridesOf(input.shape)[from]);
    }
    move(input, [&](const std::vector<int64_t> &index) { return offsetAt(index, strides); });
    return llvm::Error::success();
  }

  llvm::Error slice() {
    llvm::Expected<int64_t> axis = parameter("axis");
    if (!axis)
      return axis.takeError();
    llvm::Expected<int64_t> begin = parameter("begin");
    if (!begin)
      return begin.takeError();
    const Array &input = inputs[0];
    if (!matchesExcept(input, *axis) || *begin < 0 || *begin > input.shape[*axis] - result.shape[*axis])
      return error("from " + llvm::Twine(*begin) + " along axis " + llvm::Twine(*axis) + " of " +
                   toString(input.shape) + " does not give " + toString(result.shape));
    std::vector<int64_t> strides = stridesOf(input.shape);
    move(input, [&](const std::vector<int64_t> &index) { return offsetAt(index, strides) + *begin * strides[*axis]; });
    return llvm::Error::success();
  }

  llvm::Error panels() {
    llvm::Expected<int64_t> width = parameter("width");
    if (!width)
      return width.takeError();
    const Array &input = inputs[0];
    if (*width < 1 || input.shape.size() != 2)
      return error("wants a positive width and a matrix, found " + llvm::Twine(*width) + " and " +
                   toString(input.shape));
    int64_t columns = input.shape[1];
    if (result.shape != std::vector<int64_t>{(columns + *width - 1) / *width, input.shape[0], *width})
      return error("turns " + toString(input.shape) + " into " + toString(result.shape));
    move(input, [&](const std::vector<int64_t> &index) {
      int64_t column = index[0] * *width + index[2];
      return column < columns ? index[1] * columns + column : -1;
    });
    return llvm::Error::success();
  }

  llvm::Error convert() {
    if (inputs[0].count() != result.count())
      return error("turns " + toString(inputs[0].shape) + " into " + toString(result.shape));
    for (int64_t n = 0; n < result.count(); ++n)
      put(n, inputs[0], n);
    return llvm::Error::success();
  }

  llvm::Error scale() {
    auto factor = recipe.getParams().getAs<FloatAttr>("factor");
    if (!factor || !inputs[0].isFloat() || !result.isFloat())
      return error("wants the floating-point parameter 'factor' and floating-point elements");
    if (inputs[0].count() != result.count())
      return error("turns " + toString(inputs[0].shape) + " into " + toString(result.shape));
    for (int64_t n = 0; n < result.count(); ++n)
      result.floats[n] = evaluation.round(result.dtype, inputs[0].floats[n] * factor.getValueAsDouble());
    return llvm::Error::success();
  }

  llvm::Error product() {
    if (inputs.size() != 2 || !inputs[0].isFloat() || !inputs[1].isFloat() || !result.isFloat())
      return error("wants two inputs of floating-point elements");
    const std::vector<int64_t> &a = inputs[0].shape, &b = inputs[1].shape;
    if (a.size() != 2 || b.size() != 2 || a[1] != b[0] || result.shape != std::vector<int64_t>{a[0], b[1]})
      return error("of " + toString(a) + " and " + toString(b) + " does not give " + toString(result.shape));
    for (int64_t row = 0; row < a[0]; ++row)
      for (int64_t column = 0; column < b[1]; ++column) {
        double sum = 0;
        for (int64_t k = 0; k < a[1]; ++k)
          sum += inputs[0].floats[row * a[1] + k] * inputs[1].floats[k * b[1] + column];
        result.floats[row * b[1] + column] = evaluation.round(result.dtype, sum);
      }
    return llvm::Error::success();
  }

  /// The input's strides seen from the result: 0 along a size of 1 that is repeated.
  std::optional<std::vector<int64_t>> broadcastStrides(const Array &input) {
    if (input.shape.size() > result.shape.size())
      return std::nullopt;
    std::vector<int64_t> strides = stridesOf(input.shape), seen(result.shape.size(), 0);
    size_t missing = result.shape.size() - input.shape.size();
    for (size_t d = 0; d < input.shape.size(); ++d) {
      if (input.shape[d] != 1 && input.shape[d] != result.shape[missing + d])
        return std::nullopt;
      seen[missing + d] = input.shape[d] == 1 ? 0 : strides[d];
    }
    return seen;
  }

  llvm::Error combine(bool isSum) {
    if (inputs.size() != 2 || inputs[0].isFloat() != result.isFloat() || inputs[1].isFloat() != result.isFloat())
      return error("wants two inputs of the result's kind of elements");
    std::optional<std::vector<int64_t>> a = broadcastStrides(inputs[0]), b = broadcastStrides(inputs[1]);
    if (!a || !b)
      return error("does not broadcast " + toString(inputs[0].shape) + " and " + toString(inputs[1].shape) + " to " +
                   toString(result.shape));
    std::vector<int64_t> index(result.shape.size(), 0);
    for (int64_t n = 0; n < result.count(); ++n, nextIndex(index, result.shape))
      combineElement(n, offsetAt(index, *a), offsetAt(index, *b), isSum);
    return llvm::Error::success();
  }

  void combineElement(int64_t n, int64_t a, int64_t b, bool isSum) {
    if (result.isFloat()) {
      double x = inputs[0].floats[a], y = inputs[1].floats[b];
      result.floats[n] = evaluation.round(result.dtype, isSum ? x + y : x * y);
    } else {
      uint64_t x = uint64_t(inputs[0].integers[a]), y = uint64_t(inputs[1].integers[b]);
      result.integers[n] = wrapTo(result.dtype, int64_t(isSum ? x + y : x * y));
    }
  }

  WeightOp op;
  RecipeAttr recipe;
  ArrayRef<Array> inputs;
  const Evaluation &evaluation;
  Array &result;
};

llvm::Expected<Array> evaluate(WeightOp op, const Evaluation &evaluation, SmallVectorImpl<WeightOp> &path);

llvm::Error evaluateRecipe(WeightOp op, RecipeAttr recipe, const Evaluation &evaluation,
                           SmallVectorImpl<WeightOp> &path, Array &result) {
  SmallVector<Array> inputs;
  for (FlatSymbolRefAttr name : recipe.getInputs()) {
    auto input = SymbolTable::lookupNearestSymbolFrom<WeightOp>(op, name);
    if (!input)
      return errorAt(op, "@" + op.getSymName() + ": the recipe reads @" + name.getValue() +
                             ", which no tenon.weight declares");
    llvm::Expected<Array> value = evaluate(input, evaluation, path);
    if (!value)
      return value.takeError();
    inputs.push_back(std::move(*value));
  }
  return RecipeEvaluator(op, recipe, inputs, evaluation, result).run();
}

llvm::Expected<Array> evaluate(WeightOp op, const Evaluation &evaluation, SmallVectorImpl<WeightOp> &path) {
  if (llvm::is_contained(path, op))
    return errorAt(op, "@" + op.getSymName() + " is made from itself");
  llvm::Expected<Array> result = emptyWeight(op);
  if (!result)
    return result.takeError();
  path.push_back(op);
  llvm::Error error = llvm::Error::success();
  if (auto source = dyn_cast<SourceAttr>(op.getValue()))
    error = evaluateSource(op, source, evaluation.weights, *result);
  else if (auto random = dyn_cast<RandomAttr>(op.getValue()))
    error = evaluateRandom(op, random, *result);
  else if (auto recipe = dyn_cast<RecipeAttr>(op.getValue()))
    error = evaluateRecipe(op, recipe, evaluation, path, *result);
  else
    evaluateDense(cast<DenseElementsAttr>(op.getValue()), *result);
  path.pop_back();
  if (error)
    return error;
  return result;
}

} // namespace

llvm::Expected<Array> evaluateWeight(WeightOp op, const Evaluation &evaluation) {
  SmallVector<WeightOp> path;
  return evaluate(op, evaluation, path);
}

} // namespace tenon
