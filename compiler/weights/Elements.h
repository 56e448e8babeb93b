//===- Elements.h - elements of weights in memory, one at a time --------------------------===//
//
// Floats of every width as double and back, rounded once to nearest, ties to even.
// Bytes in memory are little-endian, as in every file of weights and as on every machine that
// compiles.
//
//===-----------------------------------------------------------------------------===//
#ifndef TENON_COMPILER_WEIGHTS_ELEMENTS_H
#define TENON_COMPILER_WEIGHTS_ELEMENTS_H

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace tenon {

template <typename T> T loadAs(const uint8_t *bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(T));
  return value;
}
template <typename T> void storeAs(uint8_t *bytes, T value) { std::memcpy(bytes, &value, sizeof(T)); }

/// A 16-bit float with this many bits of exponent and fraction: 5 and 10, or 8 and 7.
///
/// Encoding. The significand 1.f of a double is an integer of 53 bits; dropping its low
/// bits leaves `fractionBits` + 1, fewer below the least normal number. Adding the result to
/// (exponent - 1) << fractionBits puts the leading 1 into the exponent, and a carry from rounding too.
template <int exponentBits, int fractionBits> struct SmallFloat {
  static constexpr int bias = (1 << (exponentBits - 1)) - 1;
  static constexpr uint32_t infinity = ((1u << exponentBits) - 1) << fractionBits;

  static uint16_t encode(double value) {
    uint64_t bits = std::bit_cast<uint64_t>(value);
    uint32_t sign = uint32_t(bits >> 63) << 15;
    int exponent = int(bits >> 52 & 0x7ff) - 1023;
    if (std::isnan(value))
      return uint16_t(sign | infinity | 1u << (fractionBits - 1));
    if (exponent > bias)
      return uint16_t(sign | infinity);
    int least = 1 - bias, kept = exponent < least ? least : exponent;
    int shift = 52 - fractionBits + (kept - exponent);
    if (shift > 54)
      return uint16_t(sign);
    uint64_t significand = (bits & ((uint64_t(1) << 52) - 1)) | uint64_t(1) << 52;
    uint64_t quotient = significand >> shift, rest = significand & ((uint64_t(1) << shift) - 1);
    uint64_t half = uint64_t(1) << (shift - 1);
    quotient += rest > half || (rest == half && (quotient & 1));
    uint32_t encoded = (uint32_t(kept + bias - 1) << fractionBits) + uint32_t(quotient);
    return uint16_t(sign | (encoded < infinity ? encoded : infinity));
  }

  static double decode(uint16_t bits) {
    int exponent = bits >> fractionBits & ((1 << exponentBits) - 1);
    int fraction = bits & ((1 << fractionBits) - 1);
    double magnitude;
    if (exponent == (1 << exponentBits) - 1)
      magnitude = fraction ? std::nan("") : HUGE_VAL;
    else if (exponent == 0)
      magnitude = std::ldexp(fraction, 1 - bias - fractionBits);
    else
      magnitude = std::ldexp(fraction + (1 << fractionBits), exponent - bias - fractionBits);
    return bits >> 15 ? -magnitude : magnitude;
  }
};

using Half = SmallFloat<5, 10>;
using BFloat = SmallFloat<8, 7>;

} // namespace tenon
#endif
