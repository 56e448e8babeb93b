//===- Arithmetic.cpp - ONNX's arithmetic on elements ------------------------------===//
#include "frontends/onnx/importer/NodeContext.h"
#include "frontends/onnx/importer/StorageTypes.h"

using namespace mlir;
using namespace tenon;
using namespace tenon::onnx_importer;

/// Folds any number of operands with one function.
template <typename Function> static Value foldOperands(NodeContext &n, Function function) {
  Value result = n.tensor(0);
  for (unsigned i = 1; i < n.count(); ++i)
    result = function(result, n.tensor(i));
  return result;
}

LogicalResult onnx_importer::importAdd(NodeContext &n) { return n.result(n.graph.add(n.tensor(0), n.tensor(1))); }
LogicalResult onnx_importer::importSub(NodeContext &n) { return n.result(n.graph.sub(n.tensor(0), n.tensor(1))); }
LogicalResult onnx_importer::importMul(NodeContext &n) { return n.result(n.graph.mul(n.tensor(0), n.tensor(1))); }

LogicalResult onnx_importer::importDiv(NodeContext &n) {
  return n.result(n.graph.div(n.tensor(0), n.tensor(1), n.sign(0)));
}

LogicalResult onnx_importer::importMod(NodeContext &n) {
  bool truncated = n.integer("fmod", 0) != 0;
  Value a = n.tensor(0), b = n.tensor(1);
  Sign sign = n.sign(0);
  if (!a || !b)
    return failure();
  if (isa<FloatType>(elementOf(a)) && !truncated && n.version < 28)
    return n.error() << "wants fmod = 1 for floating point before operator set 28, found 0";
  return n.result(n.graph.elementwise(elementOf(a), {a, b}, [&](ScalarBuilder &s, ArrayRef<Value> v) {
    return truncated ? s.rem(v[0], v[1], sign) : s.mod(v[0], v[1], sign);
  }));
}

/// The exponent when it is the same everywhere.
static std::optional<double> constantExponent(Value exponent) {
  TypedAttr element = GraphBuilder::splatElement(exponent);
  if (auto real = dyn_cast_or_null<FloatAttr>(element))
    return real.getValueAsDouble();
  if (auto integer = dyn_cast_or_null<IntegerAttr>(element))
    return static_cast<double>(integer.getValue().getSExtValue());
  return std::nullopt;
}

static Value realPower(ScalarBuilder &s, Value base, Value exponent, std::optional<double> known) {
  if (known == 1.0)
    return base;
  if (known == 2.0)
    return s.mul(base, base);
  if (known == 3.0)
    return s.mul(s.mul(base, base), base);
  if (known == -1.0)
    return s.reciprocal(base);
  // Not the root for one half: pow(-inf, 0.5) is +inf, sqrt(-inf) NaN.
  return s.math<math::PowFOp>(base, s.cast(exponent, base.getType()));
}

LogicalResult onnx_importer::importPow(NodeContext &n) {
  Value base = n.tensor(0), exponent = n.tensor(1);
  if (!base || !exponent)
    return failure();
  std::optional<double> known = constantExponent(exponent);
  Type type = elementOf(base);
  return n.result(n.graph.elementwise(type, {base, exponent}, [&](ScalarBuilder &s, ArrayRef<Value> v) -> Value {
    if (isa<FloatType>(type))
      return realPower(s, v[0], v[1], known);
    if (known == 2.0)
      return s.mul(v[0], v[0]);
    if (isa<IntegerType>(v[1].getType()))
      return s.math<math::IPowIOp>(v[0], s.cast(v[1], type));
    Type wide = s.builder.getF64Type();
    return s.cast(s.math<math::PowFOp>(s.cast(v[0], wide), s.cast(v[1], wide)), type);
  }));
}

LogicalResult onnx_importer::importMax(NodeContext &n) {
  return n.result(foldOperands(n, [&](Value a, Value b) { return n.graph.max(a, b, n.sign(0)); }));
}

LogicalResult onnx_importer::importMin(NodeContext &n) {
  return n.result(foldOperands(n, [&](Value a, Value b) { return n.graph.min(a, b, n.sign(0)); }));
}

LogicalResult onnx_importer::importSum(NodeContext &n) {
  return n.result(foldOperands(n, [&](Value a, Value b) { return n.graph.add(a, b); }));
}

LogicalResult onnx_importer::importMean(NodeContext &n) {
  Value sum = foldOperands(n, [&](Value a, Value b) { return n.graph.add(a, b); });
  if (!sum)
    return failure();
  return n.result(n.graph.elementwise(elementOf(sum), sum, [&](ScalarBuilder &s, ArrayRef<Value> v) {
    return s.div(v[0], s.number(v[0].getType(), n.count()));
  }));
}

LogicalResult onnx_importer::importClip(NodeContext &n) {
  Value x = n.tensor(0);
  if (Value low = n.optional(1))
    x = n.graph.max(x, low, n.sign(0));
  if (Value high = n.optional(2))
    x = n.graph.min(x, high, n.sign(0));
  return n.result(x);
}

LogicalResult onnx_importer::importNeg(NodeContext &n) {
  return n.result(n.graph.apply(&ScalarBuilder::neg, n.tensor(0)));
}

LogicalResult onnx_importer::importAbs(NodeContext &n) {
  if (n.sign(0) == Sign::Unsigned)
    return n.result(n.tensor(0));
  return n.result(n.graph.apply(&ScalarBuilder::abs, n.tensor(0)));
}

LogicalResult onnx_importer::importSign(NodeContext &n) {
  Value x = n.tensor(0);
  Sign sign = n.sign(0);
  if (!x)
    return failure();
  return n.result(n.graph.elementwise(elementOf(x), x, [&](ScalarBuilder &s, ArrayRef<Value> v) {
    Type type = v[0].getType();
    Value zero = s.number(type, 0);
    Value negative = s.select(s.compare(Comparison::Less, v[0], zero, sign), s.number(type, -1), v[0]);
    return s.select(s.compare(Comparison::Greater, v[0], zero, sign), s.number(type, 1), negative);
  }));
}

LogicalResult onnx_importer::importReciprocal(NodeContext &n) {
  return n.result(n.graph.apply(&ScalarBuilder::reciprocal, n.tensor(0)));
}

//===----------------------------------------------------------------------------===//
// Casts
//===----------------------------------------------------------------------------===//

/// A number of type `from`, in the type it is computed in, as one of type `to`. An integer
/// takes the low bits of one too large for it; a float beyond its range gives some value.
static Value castNumber(ScalarBuilder &s, Value x, ElementType from, ElementType to, const Rounding &rounding) {
  Type type = computeTypeOf(to, s.builder.getContext());
  bool isReal = isa<FloatType>(x.getType());
  if (isStorage(to) && !isStorageFloat(to)) // Wraps as wider integers do.
    return encode(s, isReal ? s.cast(x, s.builder.getI32Type()) : x, to, rounding);
  // From float the sign is the result's, from an integer its own.
  Value number = s.cast(x, type,
                        isStorage(from) && !isReal ? (isSignedStorage(from) ? Sign::Signed : Sign::Unsigned)
                                                   : signOf(isReal ? to : from));
  return isStorage(to) ? encode(s, number, to, rounding) : number;
}

/// A small constant of floats in another type, known as one: a `Resize` may want its scales. Null for other tensors.
static std::shared_ptr<const onnx_reader::Tensor> castConstant(NodeContext &n, ElementType wanted) {
  const onnx_reader::Tensor *given = n.has(0) ? n.constant(0) : nullptr;
  if (!given || !isFloat(given->type) || !isFloat(wanted) || given->elementCount > Sizes::maxElements)
    return nullptr;
  Type from = typeOf(given->type, n.graph.getContext());
  auto to = cast<FloatType>(typeOf(wanted, n.graph.getContext()));
  size_t width = onnx_reader::bitsOf(wanted) / 8;
  std::vector<uint8_t> bytes;
  for (int64_t i = 0; i < given->elementCount; ++i) {
    bool isInexact;
    APFloat number = cast<FloatAttr>(elementAt(*given, i, from)).getValue();
    number.convert(to.getFloatSemantics(), APFloat::rmNearestTiesToEven, &isInexact);
    uint64_t bits = number.bitcastToAPInt().getZExtValue();
    for (size_t b = 0; b < width; ++b)
      bytes.push_back(bits >> 8 * b);
  }
  auto tensor = std::make_shared<onnx_reader::Tensor>(*given);
  tensor->type = wanted;
  tensor->data = Bytes::own(std::move(bytes));
  return tensor;
}

static LogicalResult castTo(NodeContext &n, ElementType wanted, const Rounding &rounding) {
  Type element = typeOf(wanted, n.graph.getContext());
  if (!element)
    return n.error() << "wants a number or bool to cast to, found " << onnx_reader::nameOf(wanted)
                     << ", which is not supported" << insteadOfType(wanted);
  if (auto constant = castConstant(n, wanted))
    return n.result(std::move(constant));
  ElementType from = n.type(0);
  Value x = n.tensor(0);
  if (!x || from == wanted)
    return n.result(x, wanted);
  return n.result(n.graph.elementwise(element, x,
                                      [&](ScalarBuilder &s, ArrayRef<Value> v) {
                                        Value number = isStorage(from) ? decode(s, v[0], from) : v[0];
                                        return castNumber(s, number, from, wanted, rounding);
                                      }),
                  wanted);
}

static Rounding roundingOf(NodeContext &n) {
  Rounding rounding;
  rounding.saturates = n.integer("saturate", 1) != 0;
  rounding.mode = n.text("round_mode", "up");
  return rounding;
}

static std::optional<ElementType> targetOf(NodeContext &n) {
  int64_t number = n.integer("to", 0);
  std::optional<ElementType> wanted = onnx_reader::elementTypeOf(number);
  if (!wanted)
    n.error() << "attribute 'to': wanted the number of an element type, found " << number;
  return wanted;
}

LogicalResult onnx_importer::importCast(NodeContext &n) {
  Rounding rounding = roundingOf(n);
  std::optional<ElementType> wanted = targetOf(n);
  return wanted ? castTo(n, *wanted, rounding) : failure();
}

LogicalResult onnx_importer::importCastLike(NodeContext &n) {
  Rounding rounding = roundingOf(n);
  return castTo(n, n.type(1), rounding);
}

LogicalResult onnx_importer::importBitCast(NodeContext &n) {
  std::optional<ElementType> wanted = targetOf(n);
  Value x = n.tensor(0);
  Type element = wanted ? typeOf(*wanted, n.graph.getContext()) : Type();
  if (!x || !element || onnx_reader::bitsOf(*wanted) != onnx_reader::bitsOf(n.type(0)))
    return n.graph.hasFailed() ? failure() : LogicalResult(n.error() << "wants two types of one width");
  bool isBool = elementOf(x).isInteger(1) || element.isInteger(1);
  if (elementOf(x) == element || isBool)
    return n.result(n.graph.cast(x, element, Sign::Unsigned), *wanted);
  return n.result(n.graph.elementwise(element, x,
                                      [&](ScalarBuilder &s, ArrayRef<Value> v) {
                                        return s.builder.createOrFold<arith::BitcastOp>(s.loc, element, v[0]);
                                      }),
                  *wanted);
}
