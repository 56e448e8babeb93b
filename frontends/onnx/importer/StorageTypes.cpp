//===- StorageTypes.cpp - elements that are stored, not computed with ----------------===//
#include "frontends/onnx/importer/StorageTypes.h"

#include <cmath>

using namespace mlir;
using namespace tenon;
using namespace tenon::onnx_importer;

namespace {
/// A float of a sign, E bits of exponent and M of mantissa.
struct FloatFormat {
  unsigned exponentBits, mantissaBits;
  int bias;
  int largest;           ///< The bits of the largest number, without sign.
  bool hasInfinity;      ///< The pattern after the largest; NaN beyond it.
  bool hasNaN;           ///< After the largest, or, of fnuz types, in place of -0.
  bool isUnsignedZero;   ///< fnuz
  int magnitudeBits() const { return int(exponentBits + mantissaBits); }
};
} // namespace

static std::optional<FloatFormat> formatOf(ElementType type) {
  switch (type) {
  case ElementType::Float8E4M3FN:
    return FloatFormat{4, 3, 7, 0x7e, false, true, false};
  case ElementType::Float8E4M3FNUZ:
    return FloatFormat{4, 3, 8, 0x7f, false, true, true};
  case ElementType::Float8E5M2:
    return FloatFormat{5, 2, 15, 0x7b, true, true, false};
  case ElementType::Float8E5M2FNUZ:
    return FloatFormat{5, 2, 16, 0x7f, false, true, true};
  case ElementType::Float4E2M1:
    return FloatFormat{2, 1, 1, 0x7, false, false, false};
  default:
    return std::nullopt;
  }
}

bool onnx_importer::isSignedStorage(ElementType type) { return type == ElementType::Int4 || type == ElementType::Int2; }

static bool isStorageInteger(ElementType type) {
  return isSignedStorage(type) || type == ElementType::UInt4 || type == ElementType::UInt2;
}

bool onnx_importer::isStorageFloat(ElementType type) {
  return formatOf(type).has_value() || type == ElementType::Float8E8M0;
}

bool onnx_importer::isStorage(ElementType type) { return isStorageFloat(type) || isStorageInteger(type); }

Type onnx_importer::computeTypeOf(ElementType type, MLIRContext *context) {
  if (isStorageFloat(type))
    return Float32Type::get(context);
  return isStorage(type) ? Type(IntegerType::get(context, 8)) : typeOf(type, context);
}

//===----------------------------------------------------------------------------===//
// From bits
//===----------------------------------------------------------------------------===//

static Value asFloat(ScalarBuilder &s, Value bits) {
  return s.builder.createOrFold<arith::BitcastOp>(s.loc, s.builder.getF32Type(), bits);
}

static Value asBits(ScalarBuilder &s, Value number) {
  return s.builder.createOrFold<arith::BitcastOp>(s.loc, s.builder.getI32Type(), number);
}

static Value shiftLeft(ScalarBuilder &s, Value a, int64_t count) {
  return s.builder.createOrFold<arith::ShLIOp>(s.loc, a, s.integer(a.getType(), count));
}

static Value shiftRight(ScalarBuilder &s, Value a, int64_t count) {
  return s.builder.createOrFold<arith::ShRUIOp>(s.loc, a, s.integer(a.getType(), count));
}

static Value decodeFloat(ScalarBuilder &s, Value bits, const FloatFormat &format) {
  Type f32 = s.builder.getF32Type(), i32 = s.builder.getI32Type();
  auto number = [&](int64_t value) { return s.integer(i32, value); };
  int width = format.magnitudeBits();
  Value wide = s.cast(bits, i32, Sign::Unsigned);
  Value magnitude = s.bitAnd(wide, number((1 << width) - 1));
  // A mantissa alone is a small integer; with an exponent the bits are an f32's, shifted and biased.
  int smallest = 1 - format.bias - int(format.mantissaBits);
  Value denormal = s.mul(s.cast(magnitude, f32), s.number(f32, std::ldexp(1.0, smallest)));
  Value shifted = shiftLeft(s, magnitude, 23 - format.mantissaBits);
  Value normal = asFloat(s, s.add(shifted, number(int64_t(127 - format.bias) << 23)));
  Value isDenormal = s.compare(Comparison::Less, magnitude, number(1 << format.mantissaBits));
  Value value = s.select(isDenormal, denormal, normal);
  Value nan = s.number(f32, std::nan(""));
  if (format.hasInfinity)
    value = s.select(s.compare(Comparison::Equal, magnitude, number(format.largest + 1)),
                     s.number(f32, HUGE_VAL), value);
  int lastNumber = format.largest + (format.hasInfinity ? 1 : 0);
  if (format.hasNaN && !format.isUnsignedZero)
    value = s.select(s.compare(Comparison::Greater, magnitude, number(lastNumber)), nan, value);
  Value isNegative = s.compare(Comparison::NotEqual, s.bitAnd(wide, number(1 << width)), number(0));
  value = s.select(isNegative, s.neg(value), value);
  return format.isUnsignedZero ? s.select(s.compare(Comparison::Equal, wide, number(1 << width)), nan, value) : value;
}

Value onnx_importer::decode(ScalarBuilder &s, Value bits, ElementType type) {
  if (std::optional<FloatFormat> format = formatOf(type))
    return decodeFloat(s, bits, *format);
  Type i32 = s.builder.getI32Type();
  if (type == ElementType::Float8E8M0) {
    Value exponent = s.cast(bits, i32, Sign::Unsigned);
    Value least = s.number(s.builder.getF32Type(), std::ldexp(1.0, -127));
    Value value = s.select(s.compare(Comparison::Equal, exponent, s.integer(i32, 0)), least,
                           asFloat(s, shiftLeft(s, exponent, 23)));
    Value isNaN = s.compare(Comparison::Equal, exponent, s.integer(i32, 255));
    return s.select(isNaN, s.number(s.builder.getF32Type(), std::nan("")), value);
  }
  unsigned width = onnx_reader::bitsOf(type);
  if (!isSignedStorage(type))
    return s.bitAnd(bits, s.integer(bits.getType(), (1 << width) - 1));
  // The sign bit to the top of the byte, and back with copies of it.
  Value up = shiftLeft(s, bits, 8 - width);
  return s.builder.createOrFold<arith::ShRSIOp>(s.loc, up, s.integer(bits.getType(), 8 - width));
}

//===----------------------------------------------------------------------------===//
// To bits
//===----------------------------------------------------------------------------===//

/// The bits of |x|, rounded to nearest even, as large as they come.
static Value roundMagnitude(ScalarBuilder &s, Value magnitude, const FloatFormat &format) {
  Type f32 = s.builder.getF32Type(), i32 = s.builder.getI32Type();
  int dropped = 23 - int(format.mantissaBits), least = 1 - format.bias;
  Value bits = asBits(s, magnitude);
  Value lowest = s.bitAnd(shiftRight(s, bits, dropped), s.integer(i32, 1));
  Value rounded = s.add(s.add(bits, s.integer(i32, (1 << (dropped - 1)) - 1)), lowest);
  Value normal =
      s.sub(shiftRight(s, rounded, dropped), s.integer(i32, int64_t(127 - format.bias) << format.mantissaBits));
  // Below the least exponent the mantissa counts steps of one size.
  Value bound = s.number(f32, std::ldexp(1.0, least));
  Value isDenormal = s.compare(Comparison::Less, magnitude, bound);
  Value steps = s.mul(s.select(isDenormal, magnitude, s.number(f32, 0)),
                      s.number(f32, std::ldexp(1.0, int(format.mantissaBits) - least)));
  return s.select(isDenormal, s.cast(s.math<math::RoundEvenOp>(steps), i32), normal);
}

static Value encodeFloat(ScalarBuilder &s, Value x, const FloatFormat &format, bool saturates) {
  Type i32 = s.builder.getI32Type();
  auto number = [&](int64_t value) { return s.integer(i32, value); };
  int width = format.magnitudeBits(), sign = 1 << width;
  Value isNaN = s.isNaN(x);
  Value finite = s.select(isNaN, s.number(x.getType(), 0), x);
  Value bits = roundMagnitude(s, s.abs(finite), format);
  int nan = format.isUnsignedZero ? sign : (1 << width) - 1;
  int beyond = saturates || !format.hasNaN ? format.largest : format.hasInfinity ? format.largest + 1 : nan;
  Value isBeyond = s.compare(Comparison::Greater, bits, number(format.largest));
  Value chosen = s.select(isBeyond, number(beyond), bits);
  Value isNegative = s.compare(Comparison::Less, asBits(s, finite), number(0));
  if (format.isUnsignedZero) // -0 and a NaN have no sign.
    isNegative = s.bitAnd(isNegative, s.compare(Comparison::NotEqual, s.bitAnd(chosen, number(sign - 1)), number(0)));
  chosen = s.select(isNegative, s.bitOr(chosen, number(sign)), chosen);
  // Without a NaN, a number that is none is -0.
  chosen = s.select(isNaN, number(format.hasNaN ? nan : sign), chosen);
  return s.cast(chosen, s.builder.getI8Type());
}

/// The exponent alone: 2^n >= |x| ("up"), <= |x| ("down"), or the nearest.
static Value encodeExponent(ScalarBuilder &s, Value x, const Rounding &rounding) {
  Type i32 = s.builder.getI32Type();
  auto number = [&](int64_t value) { return s.integer(i32, value); };
  Value bits = s.bitAnd(asBits(s, x), number(0x7fffffff));
  Value exponent = shiftRight(s, bits, 23), fraction = s.bitAnd(bits, number(0x7fffff));
  Value isSpecial = s.compare(Comparison::Equal, exponent, number(255));
  Value increment = number(0);
  if (rounding.mode != "down") {
    Value rounds = s.compare(Comparison::NotEqual, fraction, number(0));
    if (rounding.mode == "nearest") { // From one and a half on; of 2^-127, only beyond.
      Value above = s.compare(Comparison::Greater, fraction, number(0x400000));
      Value half = s.bitAnd(s.compare(Comparison::Equal, fraction, number(0x400000)),
                            s.compare(Comparison::Greater, exponent, number(0)));
      rounds = s.bitOr(above, half);
    }
    if (rounding.saturates)
      rounds = s.bitAnd(rounds, s.compare(Comparison::NotEqual, exponent, number(254)));
    increment = s.cast(rounds, i32);
  }
  return s.cast(s.select(isSpecial, number(255), s.add(exponent, increment)), s.builder.getI8Type());
}

Value onnx_importer::encode(ScalarBuilder &s, Value number, ElementType type, const Rounding &rounding) {
  if (std::optional<FloatFormat> format = formatOf(type))
    return encodeFloat(s, number, *format, rounding.saturates);
  if (type == ElementType::Float8E8M0)
    return encodeExponent(s, number, rounding);
  Value low = s.cast(number, s.builder.getI8Type());
  return s.bitAnd(low, s.integer(low.getType(), (1 << onnx_reader::bitsOf(type)) - 1));
}

std::vector<uint8_t> onnx_importer::unpacked(const onnx_reader::Tensor &tensor) {
  unsigned width = onnx_reader::bitsOf(tensor.type), perByte = 8 / width;
  std::vector<uint8_t> elements(tensor.elementCount);
  for (int64_t i = 0; i < tensor.elementCount; ++i)
    elements[i] = (tensor.data.data()[i / perByte] >> (i % perByte * width)) & ((1u << width) - 1);
  return elements;
}
