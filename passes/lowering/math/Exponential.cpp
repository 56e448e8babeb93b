// exp, exp2, expm1, sinh, cosh in f32.
//
// exp(x) = 2^n exp(r) by ExponentReduction.h, exp(r) a polynomial. On a machine
// that executes one 16-lane fma a cycle the polynomial and the two products of
// the scaling are the cost of exp; the rest goes to other ports.

#include "passes/lowering/math/ExponentReduction.h"
#include "passes/lowering/math/Functions.h"

using namespace mlir;

namespace tenon {

// exp(r) = 1 + r P(r), |r| <= ln(2) / 2, error 0.04 ulp ("exp" in scripts/minimax.py).
static constexpr double expPolynomial[] = {1.0,           1.0,           0x1.fffffap-2, 0x1.555492p-3,
                                           0x1.555a00p-5, 0x1.123990p-7, 0x1.697a96p-10};

// The same with 1.07 ulp ("expFast").
static constexpr double expFastPolynomial[] = {1.0,           0x1.ffffeep-1, 0x1.fffdc2p-2,
                                               0x1.555d42p-3, 0x1.573b84p-5, 0x1.0ebc58p-7};

// 2^r = 1 + r P(r), |r| <= 1/2, error 0.04 ulp ("exp2").
static constexpr double exp2Polynomial[] = {1.0,           0x1.62e430p-1,  0x1.ebfbdap-3, 0x1.c6af7ap-5,
                                            0x1.3b2f1ap-7, 0x1.5f0960p-10, 0x1.40b270p-13};

// The same with 1.06 ulp ("exp2Fast").
static constexpr double exp2FastPolynomial[] = {1.0,           0x1.62e424p-1, 0x1.ebf9b4p-3,
                                                0x1.c6bac8p-5, 0x1.3cece2p-7, 0x1.5aa512p-10};

// exp(r) - 1 = r + r^2 P(r), relative error 2^-31.1 ("expm1").
static constexpr double expm1Polynomial[] = {0.5,           0x1.555554p-3,  0x1.5554f8p-5,
                                             0x1.1112dap-7, 0x1.6d3a3ap-10, 0x1.9e6ee4p-13};

// sinh(x) = x + x^3 P(x^2), |x| <= 1, relative error 2^-31.6 ("sinh").
static constexpr double sinhPolynomial[] = {0x1.555556p-3, 0x1.1110e0p-7, 0x1.a022bcp-13, 0x1.756c1ep-19};

// Above the first, exp overflows; below the second it rounds to zero.
static constexpr double expOverflow = 89.0, expUnderflow = -104.0;

Value expOfRemainder(const MathBuilder &m, Value r) { return m.polynomial(r, expPolynomial); }
Value expOfRemainderFast(const MathBuilder &m, Value r) { return m.polynomial(r, expFastPolynomial); }

ReducedExponent reduceExponent(const MathBuilder &m, Value x, int bias) {
  Value shift = m.constant(roundingShift + bias);
  Value sum = m.fma(x, log2OfE, shift);
  Value whole = m.sub(sum, shift);
  Value remainder = m.fma(whole, -ln2Low, m.fma(whole, -ln2High, x));
  return {whole, m.toBits(sum), remainder};
}

Value powerOfTwo(const MathBuilder &m, Value shifted) { return m.fromBits(m.shiftLeft(shifted, 23)); }

SplitPower splitPowerOfTwo(const MathBuilder &m, Value shifted) {
  Value half = m.shiftRight(shifted, 1);
  return {powerOfTwo(m, half), powerOfTwo(m, m.intSub(shifted, half))};
}

Value scaleByPower(const MathBuilder &m, Value p, Value shifted) {
  SplitPower power = splitPowerOfTwo(m, shifted);
  return m.mul(m.mul(p, power.low), power.high);
}

Value emitExp(const MathBuilder &m, Value x) {
  Value bounded = m.atLeast(m.atMost(x, expOverflow), expUnderflow);
  ReducedExponent reduced = reduceExponent(m, bounded, splitBias);
  return scaleByPower(m, expOfRemainder(m, reduced.remainder), reduced.shifted);
}

Value emitScaledExp(const MathBuilder &m, Value x, Value scale) {
  ReducedExponent reduced = reduceExponent(m, x, splitBias);
  return scaleByPower(m, m.mul(scale, expOfRemainder(m, reduced.remainder)), reduced.shifted);
}

Value emitExpNonPositive(const MathBuilder &m, Value x) {
  ReducedExponent reduced = reduceExponent(m, m.atLeast(x, -88.0), singleBias);
  return m.mul(expOfRemainderFast(m, reduced.remainder), powerOfTwo(m, reduced.shifted));
}

// x = n + r needs no constants: both steps are exact.
Value emitExp2(const MathBuilder &m, Value x) {
  Value bounded = m.atLeast(m.atMost(x, 129.0), -151.0);
  Value shift = m.constant(roundingShift + splitBias);
  Value sum = m.add(bounded, shift);
  Value remainder = m.sub(bounded, m.sub(sum, shift));
  return scaleByPower(m, m.polynomial(remainder, exp2Polynomial), m.toBits(sum));
}

Value emitExp2NonPositive(const MathBuilder &m, Value x) {
  Value bounded = m.atLeast(x, -127.0);
  Value shift = m.constant(roundingShift + singleBias);
  Value sum = m.add(bounded, shift);
  Value remainder = m.sub(bounded, m.sub(sum, shift));
  return m.mul(m.polynomial(remainder, exp2FastPolynomial), powerOfTwo(m, m.toBits(sum)));
}

// exp(x) - 1 = high * (low * q + (low - 1 / high)) with q = exp(r) - 1. The
// bracket's constant part is exact where cancellation could hurt: n = 0 gives q
// itself, so small x keep their relative precision.
Value emitExpm1(const MathBuilder &m, Value x) {
  Value bounded = m.atLeast(m.atMost(x, expOverflow), -18.0);
  ReducedExponent reduced = reduceExponent(m, bounded, splitBias);
  Value r = reduced.remainder;
  Value q = m.fma(m.mul(r, r), m.polynomial(r, expm1Polynomial), r);
  SplitPower power = splitPowerOfTwo(m, reduced.shifted);
  Value inverseHigh = m.fromBits(m.intSub(m.bits(int64_t(splitBias) << 23), m.toBits(power.high)));
  Value result = m.mul(m.fma(power.low, q, m.sub(power.low, inverseHigh)), power.high);
  return m.select(m.equal(x, 0.0), x, result); // keeps -0
}

// exp(a) / 2 without overflow where the half still fits: n is one less.
static Value emitHalfExp(const MathBuilder &m, Value a) {
  ReducedExponent reduced = reduceExponent(m, m.atMost(a, 90.0), splitBias);
  Value less = m.intSub(reduced.shifted, m.bits(1));
  return scaleByPower(m, expOfRemainder(m, reduced.remainder), less);
}

Value emitCosh(const MathBuilder &m, Value x) {
  Value half = emitHalfExp(m, m.abs(x));
  return m.add(half, m.div(m.constant(0.25), half));
}

Value emitSinh(const MathBuilder &m, Value x) {
  Value magnitude = m.abs(x), square = m.mul(x, x);
  Value half = emitHalfExp(m, magnitude);
  Value large = m.sub(half, m.div(m.constant(0.25), half));
  Value small = m.fma(m.mul(magnitude, square), m.polynomial(square, sinhPolynomial), magnitude);
  return m.copySign(m.select(m.less(magnitude, 1.0), small, large), x);
}

} // namespace tenon
