//===- Array.cpp - a tensor's value, plainly ----------------------------------------===//
#include "interpreter/Array.h"

#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>

namespace tenon {

//===----------------------------------------------------------------------------===//
// Element types
//===----------------------------------------------------------------------------===//

bool isFloat(DType dtype) { return dtype <= DType::BF16; }

static bool isUnsigned(DType dtype) { return dtype >= DType::U8 || dtype == DType::Bool; }

unsigned widthOf(DType dtype) { return dtype == DType::Bool ? 1 : unsigned(bytesOf(dtype)) * 8; }

size_t bytesOf(DType dtype) {
  switch (dtype) {
  case DType::Bool:
  case DType::I8:
  case DType::U8:
    return 1;
  case DType::F16:
  case DType::BF16:
  case DType::I16:
  case DType::U16:
    return 2;
  case DType::F32:
  case DType::I32:
  case DType::U32:
    return 4;
  case DType::F64:
  case DType::I64:
  case DType::U64:
    return 8;
  }
  return 0;
}

std::string toString(DType dtype) {
  static const char *const names[] = {"f64", "f32", "f16", "bf16", "i1",   "i8",  "i16",
                                      "i32", "i64", "ui8", "ui16", "ui32", "ui64"};
  return names[size_t(dtype)];
}

//===----------------------------------------------------------------------------===//
// Rounding
//===----------------------------------------------------------------------------===//

/// To `digits` binary digits, with subnormals below 2^minExponent and infinity above `largest`.
static double roundToFormat(double value, int digits, int minExponent, double largest) {
  if (!std::isfinite(value) || value == 0)
    return value;
  int exponent;
  std::frexp(value, &exponent);
  int last = std::max(exponent - digits, minExponent - digits + 1);
  double rounded = std::ldexp(std::nearbyint(std::ldexp(value, -last)), last);
  return std::fabs(rounded) > largest ? std::copysign(std::numeric_limits<double>::infinity(), value) : rounded;
}

double roundTo(DType dtype, double value) {
  switch (dtype) {
  case DType::F32:
    return double(float(value));
  case DType::F16:
    return roundToFormat(value, 11, -14, 65504.0);
  case DType::BF16:
    return roundToFormat(value, 8, -126, 0x1.fep127);
  default:
    return value;
  }
}

int64_t wrapTo(DType dtype, int64_t value) {
  unsigned width = widthOf(dtype);
  if (width == 64)
    return value;
  uint64_t low = uint64_t(value) << (64 - width);
  return isUnsigned(dtype) ? int64_t(low >> (64 - width)) : int64_t(low) >> (64 - width);
}

int64_t integerOf(DType dtype, double value) {
  if (std::isnan(value))
    return 0;
  double truncated = std::trunc(value);
  unsigned width = widthOf(dtype);
  if (dtype == DType::U64 && truncated >= 0x1p63)
    return truncated >= 0x1p64 ? -1 : int64_t(uint64_t(truncated));
  double low = isUnsigned(dtype) ? 0 : -std::ldexp(1.0, int(width) - 1);
  double high = std::ldexp(1.0, int(width) - (isUnsigned(dtype) ? 0 : 1));
  if (truncated < low)
    return int64_t(low);
  if (truncated >= high)
    return width == 64 ? std::numeric_limits<int64_t>::max() : int64_t(high - 1);
  return int64_t(truncated);
}

//===----------------------------------------------------------------------------===//
// Bytes
//===----------------------------------------------------------------------------===//

static double floatOfBits(DType dtype, uint64_t bits) {
  if (dtype == DType::F64) {
    double value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
  }
  if (dtype == DType::F32 || dtype == DType::BF16) {
    uint32_t word = dtype == DType::BF16 ? uint32_t(bits) << 16 : uint32_t(bits);
    float value;
    std::memcpy(&value, &word, sizeof value);
    return value;
  }
  int exponent = int(bits >> 10) & 31;
  double fraction = double(bits & 1023);
  double magnitude = exponent == 0    ? std::ldexp(fraction, -24)
                     : exponent == 31 ? (fraction == 0 ? HUGE_VAL : std::nan(""))
                                      : std::ldexp(1024 + fraction, exponent - 25);
  return bits & 0x8000 ? -magnitude : magnitude;
}

static uint64_t bitsOfHalf(double value) {
  uint64_t sign = std::signbit(value) ? 0x8000 : 0;
  double magnitude = std::fabs(roundTo(DType::F16, value));
  if (std::isnan(magnitude))
    return sign | 0x7e00;
  if (std::isinf(magnitude))
    return sign | 0x7c00;
  if (magnitude < 0x1p-14)
    return sign | uint64_t(std::ldexp(magnitude, 24));
  int exponent;
  double fraction = std::frexp(magnitude, &exponent); // in [1/2, 1)
  return sign | uint64_t(exponent + 14) << 10 | (uint64_t(std::ldexp(fraction, 11)) & 1023);
}

static uint64_t bitsOfFloat(DType dtype, double value) {
  if (dtype == DType::F16)
    return bitsOfHalf(value);
  if (dtype == DType::F64) {
    uint64_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return bits;
  }
  float narrow = float(roundTo(dtype, value));
  uint32_t bits;
  std::memcpy(&bits, &narrow, sizeof bits);
  return dtype == DType::BF16 ? bits >> 16 : bits;
}

Array Array::zeros(DType dtype, std::vector<int64_t> shape) {
  Array array;
  array.dtype = dtype;
  array.shape = std::move(shape);
  if (array.isFloat())
    array.floats.assign(array.count(), 0.0);
  else
    array.integers.assign(array.count(), 0);
  return array;
}

Array Array::fromBytes(DType dtype, std::vector<int64_t> shape, std::span<const std::byte> bytes) {
  Array array = zeros(dtype, std::move(shape));
  size_t size = bytesOf(dtype);
  for (int64_t n = 0, count = array.count(); n < count; ++n) {
    uint64_t bits = 0;
    std::memcpy(&bits, bytes.data() + n * size, size);
    if (array.isFloat())
      array.floats[n] = floatOfBits(dtype, bits);
    else
      array.integers[n] = dtype == DType::Bool ? bits != 0 : wrapTo(dtype, int64_t(bits));
  }
  return array;
}

std::vector<std::byte> Array::toBytes() const {
  size_t size = bytesOf(dtype);
  std::vector<std::byte> bytes(count() * size);
  for (int64_t n = 0; n < count(); ++n) {
    uint64_t bits = isFloat() ? bitsOfFloat(dtype, floats[n]) : uint64_t(integers[n]);
    std::memcpy(bytes.data() + n * size, &bits, size);
  }
  return bytes;
}

//===----------------------------------------------------------------------------===//
// Shapes and text
//===----------------------------------------------------------------------------===//

int64_t Array::count() const { return countOf(shape); }

int64_t countOf(std::span<const int64_t> shape) {
  int64_t count = 1;
  for (int64_t size : shape)
    count *= size;
  return count;
}

std::vector<int64_t> stridesOf(std::span<const int64_t> shape) {
  std::vector<int64_t> strides(shape.size(), 1);
  for (size_t d = shape.size(); d-- > 1;)
    strides[d - 1] = strides[d] * shape[d];
  return strides;
}

std::string toString(std::span<const int64_t> shape) {
  std::string text = "[";
  for (size_t d = 0; d < shape.size(); ++d)
    text += (d ? ", " : "") + std::to_string(shape[d]);
  return text + "]";
}

static std::string elementText(const Array &array, int64_t n, int digits) {
  if (!array.isFloat())
    return array.dtype == DType::Bool  ? (array.integers[n] ? "true" : "false")
           : array.dtype == DType::U64 ? std::to_string(uint64_t(array.integers[n]))
                                       : std::to_string(array.integers[n]);
  double value = array.floats[n];
  if (std::isnan(value))
    return "nan";
  char text[40];
  std::snprintf(text, sizeof text, "%.*g", digits, value);
  return text;
}

static void appendText(const Array &array, size_t dimension, int64_t &n, int digits, std::string &text) {
  if (dimension == array.shape.size()) {
    text += elementText(array, n++, digits);
    return;
  }
  text += "[";
  for (int64_t i = 0; i < array.shape[dimension]; ++i) {
    text += i ? ", " : "";
    appendText(array, dimension + 1, n, digits, text);
  }
  text += "]";
}

std::string toString(const Array &array, int digits) {
  std::string text;
  int64_t n = 0;
  appendText(array, 0, n, digits, text);
  return text;
}

} // namespace tenon
