// powf and cbrt in f32. The logarithm inside pow needs some 2^-33 of precision,
// which f32 pairs would pay with three times the operations: it is done in f64.

#include "passes/lowering/math/Functions.h"

using namespace mlir;

namespace tenon {

// log(1 + f) = f + f^2 (-1/2 + f P(f)), 1 + f between sqrt(1/2) and sqrt(2), relative error 2^-46 ("log1pDouble").
static constexpr double log1pPolynomial[] = {-0.5,
                                             0x1.555555555f381p-2,
                                             -0x1.fffffffcfe560p-3,
                                             0x1.9999998009880p-3,
                                             -0x1.555557324a5fdp-3,
                                             0x1.2492540777879p-3,
                                             -0x1.ffff32e12fd2fp-4,
                                             0x1.c7181818a4c23p-4,
                                             -0x1.99ad43f1230e3p-4,
                                             0x1.74d1f3cb1ae56p-4,
                                             -0x1.548b305857945p-4,
                                             0x1.348dc40918ab8p-4,
                                             -0x1.24c6accae7af1p-4,
                                             0x1.3e0fea753634cp-4,
                                             -0x1.32d6c8ac5fdcdp-4,
                                             0x1.2adc9bd905367p-5};

// 2^r = 1 + r P(r), |r| <= 1/2, relative error 2^-40 ("exp2Double").
static constexpr double exp2Polynomial[] = {1.0,
                                            0x1.62e42fef89cc8p-1,
                                            0x1.ebfbdff8ee107p-3,
                                            0x1.c6b08dcee2338p-5,
                                            0x1.3b2ab5ed45fcbp-7,
                                            0x1.5d874cf456492p-10,
                                            0x1.430aa8abc6c5ep-13,
                                            0x1.00d860069853bp-16,
                                            0x1.61c4e59524487p-20};

static constexpr double log2OfE = 0x1.71547652b82fep+0;
static constexpr int64_t sqrtHalfBits = 0x3fe6a09e667f3bcd;

/// log2 of a positive f64 that was an f32, so normal; d is the f64 builder.
static Value log2Double(const MathBuilder &d, Value x) {
  Value bits = d.toBits(x);
  Value difference = d.intSub(bits, d.bits(sqrtHalfBits));
  // AVX2 has no signed 64-bit shift and no conversion from 64-bit integers: the
  // exponent field, made positive, becomes the low bits of a large float instead.
  Value field = d.shiftRight(d.intAdd(difference, d.bits(int64_t(1024) << 52)), 52);
  Value n = d.add(d.fromBits(d.intAdd(field, d.bits(0x4330000000000000))), -0x1p52 - 1024.0);
  Value power = d.shiftLeft(d.intSub(field, d.bits(1024)), 52);
  Value f = d.add(d.fromBits(d.intSub(bits, power)), -1.0);
  Value log1p = d.fma(d.mul(f, f), d.polynomial(f, log1pPolynomial), f);
  return d.fma(log1p, log2OfE, n);
}

/// 2^x in f64 for |x| <= 200.
static Value exp2Double(const MathBuilder &d, Value x) {
  Value shift = d.constant(0x1.8p52 + 1023);
  Value sum = d.add(x, shift);
  Value remainder = d.sub(x, d.sub(sum, shift));
  return d.mul(d.polynomial(remainder, exp2Polynomial), d.fromBits(d.shiftLeft(d.toBits(sum), 52)));
}

/// |base|^exponent in f32; zero and infinite bases come out right because their
/// logarithm is set to an infinity, whose product with 0 is the NaN overridden by the caller.
static Value powOfMagnitude(const MathBuilder &m, const MathBuilder &d, Value magnitude, Value exponent) {
  Value log = log2Double(d, d.extend(magnitude));
  log = d.select(m.equal(magnitude, 0.0), d.neg(d.infinity()), log);
  log = d.select(m.less(magnitude, m.infinity()), log, d.extend(magnitude)); // infinity and NaN
  Value scaled = d.mul(log, d.extend(exponent));
  Value bounded = d.atLeast(d.atMost(scaled, 200.0), -200.0);
  return m.truncate(exp2Double(d, bounded));
}

// The rules of IEEE 754 pow: 1 for exponent 0 and for base 1 whatever the other
// is, sign of the base for odd integer exponents, NaN for a negative finite base
// and a finite exponent that is not an integer, (-1)^(+-inf) = 1.
Value finishPow(const MathBuilder &m, Value base, Value exponent, Value result) {
  Value magnitude = m.abs(base), one = m.constant(1.0);
  // An odd integer is one whose half is not an integer; |exponent| of 2^24 (f64: 2^53) or more is even.
  Value half = m.mul(exponent, 0.5);
  Value isInteger = m.equal(m.trunc(exponent), exponent);
  Value halfIsInteger = m.equal(m.trunc(half), half);
  Value signedBase = m.copySign(one, base);
  Value oddSign = m.select(halfIsInteger, one, signedBase);
  result = m.copySign(result, m.select(isInteger, oddSign, one));
  Value finiteNegative = m.select(m.less(base, 0.0), magnitude, m.infinity());
  Value mayBeUndefined = m.select(isInteger, m.infinity(), finiteNegative);
  result = m.select(m.less(mayBeUndefined, m.infinity()), m.nan(), result);
  result = m.select(m.equal(exponent, 0.0), one, result);
  result = m.select(m.equal(base, 1.0), one, result);
  Value infinitePower = m.select(m.equal(m.abs(exponent), m.infinity()), magnitude, m.constant(0.0));
  return m.select(m.equal(infinitePower, 1.0), one, result);
}

Value emitPow(const MathBuilder &m, Value base, Value exponent) {
  MathBuilder d = m.as(Float64Type::get(m.type().getContext()));
  return finishPow(m, base, exponent, powOfMagnitude(m, d, m.abs(base), exponent));
}

// A third of the exponent by integer arithmetic gives 4 bits; each Halley step
// y (y^3 + 2 x) / (2 y^3 + x) cubes the error. Denormals are scaled by 2^24, and
// what 2 y^3 + x would overflow by 2^-24.
Value emitCbrt(const MathBuilder &m, Value x) {
  Value magnitude = m.abs(x);
  Value tiny = m.less(magnitude, 0x1p-126), huge = m.greater(magnitude, 0x1p120);
  Value one = m.constant(1.0);
  auto choose = [&](double ifTiny, double ifHuge) {
    return m.select(tiny, m.constant(ifTiny), m.select(huge, m.constant(ifHuge), one));
  };
  Value a = m.mul(magnitude, choose(0x1p24, 0x1p-24));
  Value third = m.mul(m.intToFloat(m.toBits(a)), 1.0 / 3);
  Value guess = m.add(third, m.constant(709921077.0));
  Value y = m.fromBits(m.floatToInt(guess));
  for (int step = 0; step < 2; ++step) {
    Value cube = m.mul(m.mul(y, y), y);
    Value difference = m.sub(cube, a);
    Value ratio = m.div(difference, m.fma(cube, 2.0, a));
    y = m.fma(m.neg(y), ratio, y);
  }
  Value result = m.mul(y, choose(0x1p-8, 0x1p8));
  // Zero, infinity and NaN are their own root.
  Value regular = m.select(m.less(magnitude, m.infinity()), magnitude, m.constant(0.0));
  return m.select(m.greater(regular, 0.0), m.copySign(result, x), x);
}

} // namespace tenon
