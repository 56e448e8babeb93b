// tanh, sigmoid, SiLU and both forms of GELU in f32.
//
// GELU is not computed from erf. Its error is measured against |x|, so the
// Gaussian's distribution function is needed to 2^-24 absolutely and not
// relatively, and one polynomial in x^2 does: 21 instructions instead of 35.

#include "passes/lowering/math/ExponentReduction.h"
#include "passes/lowering/math/Functions.h"

using namespace mlir;

namespace tenon {

// tanh(x) = x + x^3 P(x^2), |x| <= 0.55, relative error 2^-29.7 ("tanh").
static constexpr double tanhSmall = 0.55;
static constexpr double tanhPolynomial[] = {-0x1.55554ap-2, 0x1.110cf0p-3, -0x1.b91f20p-5, 0x1.58ec78p-6,
                                            -0x1.99565ep-8};

// (Phi(x) - 1/2) / x in y = slope x^2 - 1, |x| <= 5.3; absolute error of Phi 2^-25.5 ("gelu").
static constexpr double geluSlope = 0x1.23a250p-4;
static constexpr double geluPolynomial[] = {0x1.11301ep-3,  -0x1.1075acp-4,  0x1.9392bcp-5, -0x1.445196p-5,
                                            0x1.06c946p-5,  -0x1.9e6676p-6,  0x1.3623e0p-6, -0x1.b09f6cp-7,
                                            0x1.211fbcp-7,  -0x1.7d8a36p-8,  0x1.9b0e0cp-9, -0x1.250d02p-10,
                                            0x1.812b1cp-11, -0x1.8d4db0p-11, 0x1.27c36cp-12};

// 2 sqrt(2/pi) and 0.044715 times it.
static constexpr double geluTanhLinear = 0x1.988454p+0, geluTanhCubic = 0x1.2444f2p-4;

// Beyond 0.55, 1 - 2 / (exp(2|x|) + 1): the quotient is below 1/2 and shrinks,
// so its error hardly counts, degree 5 and one part of ln 2 suffice, and from
// 9.02 on the result is 1. E / (E + 2) with E = expm1 would serve all x with
// fewer operations but reaches 2.4 ulp.
Value emitTanh(const MathBuilder &m, Value x) {
  Value magnitude = m.abs(x), square = m.mul(x, x);
  Value bounded = m.atMost(m.add(magnitude, magnitude), 18.04);
  Value shift = m.constant(roundingShift + singleBias);
  Value sum = m.fma(bounded, log2OfE, shift);
  Value r = m.fma(m.sub(sum, shift), -ln2High, bounded);
  Value denominator = m.fma(expOfRemainderFast(m, r), powerOfTwo(m, m.toBits(sum)), m.constant(1.0));
  Value large = m.sub(m.constant(1.0), m.div(m.constant(2.0), denominator));
  Value small = m.fma(m.mul(magnitude, square), m.polynomial(square, tanhPolynomial), magnitude);
  return m.copySign(m.select(m.less(magnitude, tanhSmall), small, large), x);
}

// z = exp(-|x|) never overflows: 1 / (1 + z) for positive x, z / (1 + z) for
// negative, whose tail then has the relative precision of z. The quotient is
// corrected by its remainder, which also accounts for what 1 + z lost by
// rounding; three plain roundings in a row reach 2.08 ulp.
Value emitSigmoid(const MathBuilder &m, Value x) {
  Value bounded = m.neg(m.atMost(m.abs(x), 104.0));
  ReducedExponent reduced = reduceExponent(m, bounded, splitBias);
  Value z = scaleByPower(m, expOfRemainder(m, reduced.remainder), reduced.shifted);
  Value numerator = m.select(m.less(x, 0.0), z, m.constant(1.0));
  Value denominator = m.add(z, 1.0);
  Value lost = m.sub(z, m.add(denominator, -1.0));
  Value inverse = m.div(m.constant(1.0), denominator);
  Value minusQuotient = m.neg(m.mul(numerator, inverse));
  Value remainder = m.fma(minusQuotient, lost, m.fma(minusQuotient, denominator, numerator));
  return m.fma(remainder, inverse, m.neg(minusQuotient));
}

// x / (1 + exp(-u)). Only the absolute error of the quotient's factor counts, so
// one part of ln 2 and degree 5 suffice, and exp may overflow to infinity and
// vanish early.
static Value timesSigmoid(const MathBuilder &m, Value x, Value u) {
  Value bounded = m.atLeast(m.atMost(u, 88.0), -89.0);
  Value shift = m.constant(roundingShift + singleBias);
  Value sum = m.fma(bounded, -log2OfE, shift);
  Value r = m.neg(m.fma(m.sub(sum, shift), ln2High, bounded));
  Value denominator = m.fma(expOfRemainderFast(m, r), powerOfTwo(m, m.toBits(sum)), m.constant(1.0));
  return m.div(x, denominator);
}

Value emitSilu(const MathBuilder &m, Value x) { return timesSigmoid(m, x, x); }

// (1 + tanh(v)) / 2 is the logistic function of 2 v. The poles of tanh make a
// polynomial as for Gelu longer than this.
Value emitGeluTanh(const MathBuilder &m, Value x) {
  Value square = m.mul(x, x);
  Value slope = m.fma(square, geluTanhCubic, m.constant(geluTanhLinear));
  return timesSigmoid(m, x, m.mul(x, slope));
}

// x Phi(x) = x / 2 + |x| h with h = |Phi(x) - 1/2| = |x| P. Beyond the clamp h
// is cut to 1/2, which gives exactly x and 0.
Value emitGelu(const MathBuilder &m, Value x) {
  Value magnitude = m.abs(x);
  Value y = m.atMost(m.fma(m.mul(x, x), geluSlope, m.constant(-1.0)), 1.0);
  Value h = m.atMost(m.mul(magnitude, m.polynomial(y, geluPolynomial)), 0.5);
  return m.fma(magnitude, h, m.mul(x, 0.5));
}

} // namespace tenon
