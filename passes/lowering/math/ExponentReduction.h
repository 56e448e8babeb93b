// The step every exponential starts with: x = n ln 2 + r with |r| <= ln(2) / 2,
// by one rounding. Adding `roundingShift + bias` to x log2(e) in one fma rounds
// it to an integer and leaves n + bias in the low bits of the sum, so the powers
// of two are built by shifts, without converting to an integer.

#pragma once

#include "passes/lowering/math/MathBuilder.h"

namespace tenon {

inline constexpr double log2OfE = 0x1.715476p+0;
inline constexpr double ln2High = 0x1.62e430p-1; // f32(ln 2)
inline constexpr double ln2Low = -0x1.05c610p-29;
inline constexpr double roundingShift = 0x1.8p23;

/// Bias of a power of two taken in one step, n in [-127, 128]: below 2^-126 it
/// is 0, at 128 it is infinity.
inline constexpr int singleBias = 127;
/// Bias of a power of two taken as two factors, n in [-151, 256].
inline constexpr int splitBias = 254;

struct ReducedExponent {
  mlir::Value whole;     // n, a float
  mlir::Value shifted;   // bits whose lowest nine are n + bias
  mlir::Value remainder; // r
};

/// n and r of base-e x, with ln 2 in two parts; |x| at most 105.
ReducedExponent reduceExponent(const MathBuilder &m, mlir::Value x, int bias);

/// 2^n from `shifted` of singleBias.
mlir::Value powerOfTwo(const MathBuilder &m, mlir::Value shifted);

/// 2^n as 2^floor(n/2) * 2^ceil(n/2) from `shifted` of splitBias: both normal,
/// so p * low * high overflows and becomes denormal as IEEE, rounding once.
struct SplitPower {
  mlir::Value low, high;
};
SplitPower splitPowerOfTwo(const MathBuilder &m, mlir::Value shifted);
mlir::Value scaleByPower(const MathBuilder &m, mlir::Value p, mlir::Value shifted);

/// exp(r) to 0.04 ulp before rounding: 1 + r P(r) of degree 6.
mlir::Value expOfRemainder(const MathBuilder &m, mlir::Value r);
/// exp(r) to 1.07 ulp: degree 5.
mlir::Value expOfRemainderFast(const MathBuilder &m, mlir::Value r);

} // namespace tenon
