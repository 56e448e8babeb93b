//===- Shapes.cpp - ONNX operators that make and change shapes ----------------------===//
#include "frontends/onnx/importer/MaskedPlaces.h"
#include "frontends/onnx/importer/NodeContext.h"
#include "frontends/onnx/importer/SizesEvaluation.h"

#include <cmath>
#include <numeric>

using namespace mlir;
using namespace tenon;
using namespace tenon::onnx_importer;

// Shape and Size are always evaluated as sizes; only a mistake leads here.
static LogicalResult unevaluated(NodeContext &n) {
  if (!n.graph.hasFailed())
    n.error() << "the shape of its operand is not known";
  return failure();
}

LogicalResult onnx_importer::importShape(NodeContext &n) { return unevaluated(n); }
LogicalResult onnx_importer::importSize(NodeContext &n) { return unevaluated(n); }

LogicalResult onnx_importer::importReshape(NodeContext &n) {
  bool allowZero = n.integer("allowzero", 0) != 0;
  if (auto done = reshapeMasked(n))
    return *done;
  Value x = n.tensor(0);
  if (n.isComputed(1)) {
    std::optional<Shape> declared = n.wantDeclared(1, "shape");
    return x && declared ? n.result(n.graph.reshape(x, *declared)) : failure();
  }
  std::optional<Sizes> target = n.wantSizes(1, "shape");
  if (!x || !target)
    return failure();
  std::optional<Shape> shape = reshapedTo(n, shapeOf(x), target->elements, allowZero);
  return shape ? n.result(n.graph.reshape(x, *shape)) : failure();
}

LogicalResult onnx_importer::importFlatten(NodeContext &n) {
  int64_t axis = n.integer("axis", 1);
  Value x = n.tensor(0);
  if (!x)
    return failure();
  Shape shape = shapeOf(x);
  int64_t rank = shape.size();
  if (axis < -rank || axis > rank)
    return n.error() << "attribute 'axis': wanted " << -rank << " to " << rank << ", found " << axis;
  ArrayRef<Dim> dims(shape);
  size_t split = axis < 0 ? axis + rank : axis;
  return n.result(n.graph.reshape(x, {countOf(dims.take_front(split)), countOf(dims.drop_front(split))}));
}

/// Squeeze and Unsqueeze where the axes are computed: the result has the dims the file says.
static LogicalResult reshapeAsDeclared(NodeContext &n) {
  Value x = n.tensor(0);
  std::optional<Shape> declared = n.wantDeclared(1, "axes");
  return x && declared ? n.result(n.graph.reshape(x, *declared)) : failure();
}

LogicalResult onnx_importer::importSqueeze(NodeContext &n) {
  if (n.isComputed(1))
    return reshapeAsDeclared(n);
  auto axes = n.axes(1);
  Value x = n.tensor(0);
  if (!x)
    return failure();
  if (!axes) {
    axes.emplace();
    for (auto [i, dim] : llvm::enumerate(shapeOf(x)))
      if (dim == Dim(1))
        axes->push_back(i);
  }
  return n.result(n.graph.squeeze(x, *axes));
}

LogicalResult onnx_importer::importUnsqueeze(NodeContext &n) {
  if (n.isComputed(1))
    return reshapeAsDeclared(n);
  auto axes = n.axes(1);
  if (!axes)
    return n.graph.hasFailed() ? failure() : LogicalResult(n.error() << "wants axes, found none");
  return n.result(n.graph.unsqueeze(n.tensor(0), *axes));
}

LogicalResult onnx_importer::importExpand(NodeContext &n) {
  if (auto done = expandMasked(n))
    return *done;
  Value x = n.tensor(0);
  if (n.isComputed(1)) {
    std::optional<Shape> declared = n.wantDeclared(1, "shape");
    return x && declared ? n.result(n.graph.broadcastTo(x, *declared)) : failure();
  }
  std::optional<Sizes> target = n.wantSizes(1, "shape");
  if (!x || !target)
    return failure();
  std::optional<Shape> shape = n.graph.broadcast(shapeOf(x), target->elements);
  return shape ? n.result(n.graph.broadcastTo(x, *shape)) : failure();
}

LogicalResult onnx_importer::importIdentity(NodeContext &n) { return n.result(n.tensor(0)); }

LogicalResult onnx_importer::importDropout(NodeContext &n) {
  n.integer("seed", 0);
  n.real("ratio", 0.5);
  n.ignore({1}); // The ratio again.
  if (n.has(2)) {
    std::optional<Sizes> training = n.wantSizes(2, "training_mode");
    if (!training || training->elements[0] != Dim(0))
      return n.graph.hasFailed() ? failure() : LogicalResult(n.error() << "wants training_mode false");
  }
  Value x = n.tensor(0);
  if (n.node.outputs.size() < 2 || !x)
    return n.result(x);
  return n.results({x, n.graph.splat(n.graph.i1(), 1, shapeOf(x))});
}

//===----------------------------------------------------------------------------===//
// Constants
//===----------------------------------------------------------------------------===//

template <typename T>
static std::shared_ptr<const onnx_reader::Tensor> makeConstant(ElementType type, ArrayRef<T> values, bool isScalar) {
  auto tensor = std::make_shared<onnx_reader::Tensor>();
  tensor->type = type;
  if (!isScalar)
    tensor->dims = {int64_t(values.size())};
  tensor->elementCount = values.size();
  auto *bytes = reinterpret_cast<const uint8_t *>(values.data());
  tensor->data = Bytes::own(std::vector<uint8_t>(bytes, bytes + values.size() * sizeof(T)));
  return tensor;
}

LogicalResult onnx_importer::importConstant(NodeContext &n) {
  using Attribute = onnx_reader::Attribute;
  for (StringRef name : {"value", "value_int", "value_ints", "value_float", "value_floats"}) {
    const Attribute *attribute = n.find(name);
    if (!attribute)
      continue;
    if (auto *tensor = std::get_if<onnx_reader::Tensor>(&attribute->value))
      return n.result(std::make_shared<onnx_reader::Tensor>(*tensor));
    if (auto *integer = std::get_if<int64_t>(&attribute->value))
      return n.result(makeConstant<int64_t>(ElementType::Int64, *integer, true));
    if (auto *integers = std::get_if<std::vector<int64_t>>(&attribute->value))
      return n.result(makeConstant<int64_t>(ElementType::Int64, *integers, false));
    if (auto *real = std::get_if<float>(&attribute->value))
      return n.result(makeConstant<float>(ElementType::Float32, *real, true));
    if (auto *reals = std::get_if<std::vector<float>>(&attribute->value))
      return n.result(makeConstant<float>(ElementType::Float32, *reals, false));
  }
  return n.error() << "wants a dense tensor or numbers as its value";
}

LogicalResult onnx_importer::importConstantOfShape(NodeContext &n) {
  const onnx_reader::Tensor *value = n.tensorAttribute("value");
  std::optional<Shape> shape;
  if (n.isComputed(0))
    shape = n.wantDeclared(0, "shape");
  else if (std::optional<Sizes> sizes = n.wantSizes(0, "shape"))
    shape = Shape(sizes->elements.begin(), sizes->elements.end());
  if (!shape)
    return failure();
  if (value && value->elementCount != 1)
    return n.error() << "attribute 'value': wanted one element, found " << value->elementCount;
  ElementType type = value ? value->type : ElementType::Float32;
  Type element = typeOf(type, n.graph.getContext());
  if (!element)
    return n.error() << "elements of " << onnx_reader::nameOf(type) << " are not supported" << insteadOfType(type);
  if (!value)
    return n.result(n.graph.splat(element, 0, *shape), type);
  return n.result(n.graph.splat(elementAt(*value, 0, element), *shape), type);
}

//===----------------------------------------------------------------------------===//
// Range, EyeLike
//===----------------------------------------------------------------------------===//

/// ceil((limit - start) / delta), at least 0.
static std::optional<Dim> rangeCount(NodeContext &n, const Dim &start, const Dim &limit, const Dim &delta) {
  if (!delta.isConstant() || *delta.constant() == 0) {
    n.error() << "delta: wanted a constant other than 0, found " << delta.str();
    return std::nullopt;
  }
  bool down = *delta.constant() < 0;
  Dim span = down ? start - limit : limit - start;
  return n.graph.simplify(Dim::max(Dim(0), span.ceilDiv(down ? -delta : delta)));
}

static LogicalResult realRange(NodeContext &n) {
  int64_t stash = n.integer("stash_type", 1);
  double bounds[3];
  for (unsigned i = 0; i < 3; ++i) {
    Value operand = n.tensor(i);
    auto element = operand ? dyn_cast_or_null<FloatAttr>(GraphBuilder::splatElement(operand)) : FloatAttr();
    if (!element)
      return n.graph.hasFailed()
                 ? failure()
                 : LogicalResult(n.error()
                                 << "wants constant start, limit and delta, found computed data in input " << i);
    bounds[i] = element.getValueAsDouble();
  }
  if (bounds[2] == 0)
    return n.error() << "wants a delta other than 0";
  int64_t count = std::max(0.0, std::ceil((bounds[1] - bounds[0]) / bounds[2]));
  Type element = elementOf(n.tensor(0));
  Type wide = stash == 1 && element.getIntOrFloatBitWidth() < 32 ? n.graph.f32() : element;
  return n.result(n.graph.map(element, Dim(count), {}, [&](ScalarBuilder &s, ValueRange, ValueRange at) {
    Value steps = s.mul(s.cast(at[0], wide), s.number(wide, bounds[2]));
    return s.cast(s.add(steps, s.number(wide, bounds[0])), element);
  }));
}

/// How many there are where start, limit and delta are computed from sizes, as in `arange(n - 1, -1, -1.0)`.
static std::optional<Shape> shapeOfRange(NodeContext &n) {
  std::optional<std::pair<Dim, int64_t>> bounds[3];
  int64_t common = 1;
  for (unsigned i = 0; i < 3; ++i) {
    bounds[i] = n.fraction(i);
    if (!bounds[i])
      return std::nullopt;
    common = std::lcm(common, bounds[i]->second);
  }
  auto whole = [&](unsigned i) { return bounds[i]->first * Dim(common / bounds[i]->second); };
  if (!whole(2).isConstant())
    return std::nullopt;
  std::optional<Dim> count = rangeCount(n, whole(0), whole(1), whole(2));
  return count ? std::optional(Shape{*count}) : std::nullopt;
}

/// start + i * delta, both computed; sizes or the file say how many.
static LogicalResult computedRange(NodeContext &n) {
  n.integer("stash_type", 1);
  n.ignore({1}); // The limit, but for the shape.
  std::optional<Shape> shape = shapeOfRange(n);
  if (!shape && !n.graph.hasFailed())
    shape = n.wantDeclared(0, "start, limit or delta");
  Value start = n.tensor(0), delta = n.tensor(2);
  if (!shape || !start || !delta)
    return failure();
  Type element = elementOf(start);
  Type wide = isa<FloatType>(element) && element.getIntOrFloatBitWidth() < 32 ? n.graph.f32() : element;
  auto first = [](ScalarBuilder &s, Value tensor) {
    return s.load(tensor, SmallVector<Value>(shapeOf(tensor).size(), s.index(0)));
  };
  return n.result(n.graph.map(element, *shape, {start, delta}, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    Value steps = s.mul(s.cast(at[0], wide), s.cast(first(s, t[1]), wide));
    return s.cast(s.add(s.cast(first(s, t[0]), wide), steps), element);
  }));
}

LogicalResult onnx_importer::importRange(NodeContext &n) {
  auto isConstantNumber = [&](unsigned i) {
    Value operand = n.has(i) ? n.tensor(i) : Value();
    return operand && GraphBuilder::splatElement(operand);
  };
  bool isReal = isFloat(n.type(0));
  for (unsigned i = 0; i < 3; ++i)
    if (isReal ? !isConstantNumber(i) : n.isComputed(i))
      return computedRange(n);
  if (isReal)
    return realRange(n);
  std::optional<Sizes> start = n.wantSizes(0, "start"), limit = n.wantSizes(1, "limit"),
                       delta = n.wantSizes(2, "delta");
  if (!start || !limit || !delta)
    return failure();
  std::optional<Dim> count = rangeCount(n, start->elements[0], limit->elements[0], delta->elements[0]);
  if (!count)
    return failure();
  Type element = typeOf(n.type(0), n.graph.getContext());
  return n.result(n.graph.iota(element, *count, start->elements[0], delta->elements[0]));
}

std::optional<Sizes> onnx_importer::sizesRange(NodeContext &n) {
  std::optional<Sizes> start = n.sizes(0), limit = n.sizes(1), delta = n.sizes(2);
  if (!start || !limit || !delta || !delta->elements[0].isConstant())
    return std::nullopt;
  std::optional<Dim> count = rangeCount(n, start->elements[0], limit->elements[0], delta->elements[0]);
  if (!count || !count->isConstant() || *count->constant() > Sizes::maxElements)
    return std::nullopt;
  Sizes result{{*count->constant()}, {}, start->type};
  for (int64_t i = 0; i < *count->constant(); ++i)
    result.elements.push_back(start->elements[0] + Dim(i) * delta->elements[0]);
  return result;
}

LogicalResult onnx_importer::importEyeLike(NodeContext &n) {
  int64_t offset = n.integer("k", 0);
  std::optional<ElementType> type = onnx_reader::elementTypeOf(n.integer("dtype", int64_t(n.type(0))));
  Type element = type ? typeOf(*type, n.graph.getContext()) : Type();
  Shape shape = n.shape(0);
  if (!element || shape.size() != 2)
    return n.graph.hasFailed() ? failure()
                               : LogicalResult(n.error() << "wants a matrix of numbers, found " << toString(shape));
  return n.result(n.graph.map(element, shape, {},
                              [&](ScalarBuilder &s, ValueRange, ValueRange at) {
                                Value diagonal = s.compare(Comparison::Equal, at[1], s.add(at[0], s.index(offset)));
                                return s.select(diagonal, s.number(element, 1), s.number(element, 0));
                              }),
                  *type);
}
