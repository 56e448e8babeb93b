//===- Quantisation.cpp - ONNX's numbers as scaled integers ---------------------------===//
//
// A quantised tensor q stands for (q - zero point) * scale; scale and zero point are one
// number, one for each position of an axis, or one for each block of positions.
//
#include "frontends/onnx/importer/Quantisation.h"
#include "frontends/onnx/importer/Window.h"

using namespace mlir;
using namespace tenon;
using namespace tenon::onnx_importer;

static bool isSignedInteger(ElementType type) { return signOf(type) == Sign::Signed || isSignedStorage(type); }

/// Least and greatest of an integer type.
static std::pair<double, double> rangeOf(ElementType type) {
  double count = std::ldexp(1.0, int(onnx_reader::bitsOf(type)));
  return isSignedInteger(type) ? std::pair(-count / 2, count / 2 - 1) : std::pair(0.0, count - 1);
}

/// An element as a number of i32 (integers) or f32 (8-bit and 4-bit floats).
static Value asNumber(ScalarBuilder &s, Value element, ElementType type) {
  if (isStorageFloat(type))
    return decode(s, element, type);
  Value number = isStorage(type) ? decode(s, element, type) : element;
  return s.cast(number, s.builder.getI32Type(), isSignedInteger(type) ? Sign::Signed : Sign::Unsigned);
}

/// A number of f32, rounded to the nearest of a type; integers are kept in its range.
static Value toElement(ScalarBuilder &s, Value number, Value zeroPoint, ElementType type, bool saturates) {
  if (isStorageFloat(type))
    return encode(s, number, type, {saturates, "up"});
  auto [least, greatest] = rangeOf(type);
  Type f32 = s.builder.getF32Type(), i32 = s.builder.getI32Type();
  Value rounded = s.math<math::RoundEvenOp>(number);
  if (zeroPoint)
    rounded = s.add(rounded, s.cast(zeroPoint, f32));
  Value kept = s.cast(s.max(s.min(rounded, s.number(f32, greatest)), s.number(f32, least)), i32);
  return isStorage(type) ? encode(s, kept, type) : s.cast(kept, typeOf(type, s.builder.getContext()));
}

//===----------------------------------------------------------------------------===//
// Scales and zero points
//===----------------------------------------------------------------------------===//

namespace {
/// Where the parameter of an element stands.
struct ParameterPlace {
  int64_t axis = 0, block = 0;

  SmallVector<Value> indices(ScalarBuilder &s, Value parameter, ValueRange at) const {
    Shape shape = shapeOf(parameter);
    if (shape.empty())
      return {};
    if (shape.size() == 1)
      return {shape[0] == Dim(1) ? s.index(0) : at[axis]};
    SmallVector<Value> place(at);
    if (block > 0)
      place[axis] = s.div(place[axis], s.index(block), Sign::Unsigned);
    return place;
  }
};
} // namespace

/// The place of parameter `i` of operand 0; none after an error.
static std::optional<ParameterPlace> placeOf(NodeContext &n, Value x, Value parameter) {
  ParameterPlace place;
  int64_t along = n.integer("axis", 1);
  place.block = n.integer("block_size", 0);
  Shape shape = shapeOf(x), own = shapeOf(parameter);
  if (countOf(own) == Dim(1) && own.size() <= 1)
    return place;
  std::optional<int64_t> axis = n.graph.axis(along, shape.size());
  if (!axis)
    return std::nullopt;
  place.axis = *axis;
  if (own.size() == 1)
    return n.graph.wantEqual(shape[*axis], own[0], "scales along the axis") ? std::optional(place) : std::nullopt;
  if (own.size() == shape.size() && place.block == 0) // One block size fits.
    if (std::optional<Dim> size = shape[*axis].exactDiv(own[*axis]); size && size->isConstant())
      place.block = *size->constant();
  if (own.size() != shape.size() || place.block < 1) {
    n.error() << "wants a scale that is one number, a list along the axis or blocks of it, found " << toString(own)
              << " for " << toString(shape);
    return std::nullopt;
  }
  return place;
}

//===----------------------------------------------------------------------------===//
// To and from integers
//===----------------------------------------------------------------------------===//

/// The type of a quantised result: the zero point's, the attribute's, or uint8.
static ElementType quantisedType(NodeContext &n) {
  int64_t declared = n.integer("output_dtype", 0);
  if (n.has(2))
    return n.type(2);
  return onnx_reader::elementTypeOf(declared).value_or(ElementType::UInt8);
}

LogicalResult onnx_importer::importQuantizeLinear(NodeContext &n) {
  bool saturates = n.integer("saturate", 1) != 0;
  n.integer("precision", 0); // Of the division, which is float32's or float64's.
  ElementType type = quantisedType(n);
  Value x = n.tensor(0), scale = n.tensor(1), zero = n.optional(2);
  Type element = typeOf(type, n.graph.getContext());
  std::optional<ParameterPlace> place = x && scale && element ? placeOf(n, x, scale) : std::nullopt;
  if (!place)
    return n.graph.hasFailed() ? failure() : LogicalResult(n.error() << "wants an integer or 8-bit float to give");
  SmallVector<Value> inputs{x, scale};
  if (zero)
    inputs.push_back(zero);
  Type f32 = n.graph.f32();
  auto body = [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    Sign sign = n.sign(0);
    Value step = s.cast(s.load(t[1], place->indices(s, scale, at)), f32);
    Value quotient = s.div(s.cast(s.load(t[0], at), f32, sign), step);
    Value zeroPoint = zero ? asNumber(s, s.load(t[2], place->indices(s, zero, at)), type) : Value();
    return toElement(s, quotient, zeroPoint, type, saturates);
  };
  return n.result(n.graph.map(element, shapeOf(x), inputs, body), type);
}

LogicalResult onnx_importer::importDequantizeLinear(NodeContext &n) {
  int64_t declared = n.integer("output_dtype", 0);
  ElementType from = n.type(0), to = onnx_reader::elementTypeOf(declared).value_or(n.type(1));
  Value x = n.tensor(0), scale = n.tensor(1), zero = n.optional(2);
  Type element = typeOf(to, n.graph.getContext());
  std::optional<ParameterPlace> place = x && scale ? placeOf(n, x, scale) : std::nullopt;
  if (!place || !isFloat(to))
    return n.graph.hasFailed() ? failure() : LogicalResult(n.error() << "wants a float to give");
  SmallVector<Value> inputs{x, scale};
  if (zero)
    inputs.push_back(zero);
  auto body = [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    Value number = asNumber(s, s.load(t[0], at), from);
    if (zero)
      number = s.sub(number, asNumber(s, s.load(t[2], place->indices(s, zero, at)), from));
    Value step = s.cast(s.load(t[1], place->indices(s, scale, at)), n.graph.f32());
    return s.cast(s.mul(s.cast(number, n.graph.f32()), step), element);
  };
  return n.result(n.graph.map(element, shapeOf(x), inputs, body), to);
}

DynamicallyQuantised DynamicallyQuantised::of(NodeContext &n, Value x) {
  if (!x)
    return {};
  SmallVector<int64_t> all = llvm::to_vector(llvm::seq<int64_t>(0, shapeOf(x).size()));
  Value least = n.graph.reduce(ReduceKind::Min, x, all, false), most = n.graph.reduce(ReduceKind::Max, x, all, false);
  // The range holds zero, so that zero is exact.
  auto spread = [](ScalarBuilder &s, ArrayRef<Value> v) {
    Value zero = s.number(v[0].getType(), 0);
    return s.div(s.sub(s.max(v[1], zero), s.min(v[0], zero)), s.number(v[0].getType(), 255));
  };
  Value scale = n.graph.elementwise(n.graph.f32(), {least, most}, spread);
  if (!scale)
    return {};
  Type i8 = n.graph.i8();
  auto zeroOf = [](ScalarBuilder &s, ArrayRef<Value> v) {
    Value zero = s.number(v[0].getType(), 0);
    Value shift = s.div(s.sub(zero, s.min(v[0], zero)), v[1]);
    return toElement(s, s.select(s.compare(Comparison::Equal, v[1], zero), zero, shift), {}, ElementType::UInt8, true);
  };
  Value zero = n.graph.elementwise(i8, {least, scale}, zeroOf);
  auto quantise = [](ScalarBuilder &s, ArrayRef<Value> v) {
    Value none = s.number(v[0].getType(), 0);
    Value quotient = s.select(s.compare(Comparison::Equal, v[1], none), none, s.div(v[0], v[1]));
    return toElement(s, quotient, asNumber(s, v[2], ElementType::UInt8), ElementType::UInt8, true);
  };
  return {{n.graph.elementwise(i8, {x, scale, zero}, quantise), zero}, scale};
}

LogicalResult onnx_importer::importDynamicQuantizeLinear(NodeContext &n) {
  auto [y, scale] = DynamicallyQuantised::of(n, n.tensor(0));
  return n.results({y.integers, scale, y.zero}, {y.type, ElementType::Float32, y.zeroType});
}

Value onnx_importer::dequantised(NodeContext &n, unsigned i, unsigned scaleInput, unsigned zeroInput) {
  Value centred = Quantised::operand(n, i, zeroInput).centred(n, 1), scale = n.tensor(scaleInput);
  return scale ? n.graph.mul(n.graph.cast(centred, n.graph.f32()), n.graph.reshape(scale, {})) : Value();
}

LogicalResult onnx_importer::quantisedResult(NodeContext &n, Value x, unsigned scaleInput, unsigned zeroInput,
                                             ElementType type) {
  Value scale = n.tensor(scaleInput), zero = n.optional(zeroInput);
  if (!x || !scale || n.graph.hasFailed())
    return failure();
  SmallVector<Value> inputs{x, n.graph.reshape(scale, {})};
  if (zero)
    inputs.push_back(n.graph.reshape(zero, {}));
  Type element = typeOf(type, n.graph.getContext());
  auto body = [&](ScalarBuilder &s, ArrayRef<Value> v) {
    return toElement(s, s.div(v[0], v[1]), zero ? asNumber(s, v[2], type) : Value(), type, true);
  };
  return n.result(n.graph.elementwise(element, inputs, body), type);
}

//===----------------------------------------------------------------------------===//
// Products of integers
//===----------------------------------------------------------------------------===//

Quantised Quantised::operand(NodeContext &n, unsigned i, unsigned zeroInput) {
  Quantised q{n.tensor(i), n.optional(zeroInput), n.type(i)};
  q.zeroType = n.has(zeroInput) ? n.type(zeroInput) : q.type;
  return q;
}

Value Quantised::centred(NodeContext &n, int64_t zeroAxis) const {
  Type i32 = n.graph.i32();
  if (!integers || n.graph.hasFailed())
    return {};
  if (!zero)
    return n.graph.cast(integers, i32, signOf(type));
  Shape own = shapeOf(zero), shape = shapeOf(integers), wide;
  if (countOf(own) != Dim(1)) {
    wide.assign(shape.size(), Dim(1));
    wide[shape.size() - zeroAxis] = own.back();
  }
  Value from = own.size() <= 1 || countOf(own) == Dim(1) ? n.graph.reshape(zero, wide) : zero;
  return n.graph.elementwise(i32, {integers, from}, [&](ScalarBuilder &s, ArrayRef<Value> v) {
    return s.sub(asNumber(s, v[0], type), asNumber(s, v[1], zeroType));
  });
}

/// Operand `i` less its zero point.
static Value centred(NodeContext &n, unsigned i, unsigned zeroInput, int64_t zeroAxis) {
  return Quantised::operand(n, i, zeroInput).centred(n, zeroAxis);
}

LogicalResult onnx_importer::importMatMulInteger(NodeContext &n) {
  return n.result(n.graph.matmul(centred(n, 0, 2, 2), centred(n, 1, 3, 1)), ElementType::Int32);
}

Value onnx_importer::scaled(NodeContext &n, Value sums, Value aScale, Value bScale) {
  if (!sums || !aScale || !bScale)
    return {};
  if (countOf(shapeOf(bScale)) == Dim(1))
    bScale = n.graph.reshape(bScale, {});
  return n.graph.mul(n.graph.cast(sums, n.graph.f32()), n.graph.mul(n.graph.reshape(aScale, {}), bScale));
}

Value onnx_importer::scaledProduct(NodeContext &n, const Quantised &a, const Quantised &b, Value aScale, Value bScale) {
  return scaled(n, n.graph.matmul(a.centred(n, 2), b.centred(n, 1)), aScale, bScale);
}

LogicalResult onnx_importer::requantise(NodeContext &n, Value sums, unsigned aScale, unsigned bScale, unsigned yScale,
                                        unsigned yZero, int64_t columns, double factor) {
  Value a = n.tensor(aScale), b = n.tensor(bScale), y = n.tensor(yScale), zero = n.tensor(yZero);
  if (!sums || !a || !b || !y || !zero)
    return failure();
  ElementType type = n.type(yZero);
  Type f32 = n.graph.f32();
  auto body = [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    auto parameter = [&](unsigned i, Value tensor, int64_t dim) {
      Shape shape = shapeOf(tensor);
      SmallVector<Value> place(shape.size(), s.index(0));
      if (shape.size() == 1 && shape[0] != Dim(1))
        place[0] = at[dim];
      return s.load(t[i], place);
    };
    Value step = s.div(s.mul(s.cast(parameter(1, a, columns), f32), s.cast(parameter(2, b, columns), f32)),
                       s.cast(parameter(3, y, columns), f32));
    if (factor != 1)
      step = s.mul(step, s.number(f32, factor));
    Value scaled = s.mul(s.cast(s.load(t[0], at), f32), step);
    return toElement(s, scaled, asNumber(s, parameter(4, zero, columns), type), type, true);
  };
  return n.result(n.graph.map(typeOf(type, n.graph.getContext()), shapeOf(sums), {sums, a, b, y, zero}, body), type);
}

LogicalResult onnx_importer::importQLinearMatMul(NodeContext &n) {
  Value sums = n.graph.matmul(centred(n, 0, 2, 2), centred(n, 3, 5, 1));
  return sums ? requantise(n, sums, 1, 4, 6, 7, int64_t(shapeOf(sums).size()) - 1) : failure();
}

LogicalResult onnx_importer::importConvInteger(NodeContext &n) {
  Value x = centred(n, 0, 2, 0), w = centred(n, 1, 3, n.has(1) ? n.shape(1).size() : 0);
  return n.result(convolve(n, x, w, {}), ElementType::Int32);
}

LogicalResult onnx_importer::importQLinearConv(NodeContext &n) {
  Value x = centred(n, 0, 2, 0), w = centred(n, 3, 5, n.has(3) ? n.shape(3).size() : 0);
  return requantise(n, convolve(n, x, w, n.optional(8)), 1, 4, 6, 7, 1);
}
