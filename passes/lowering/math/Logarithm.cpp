// Logarithms and the inverse hyperbolic functions in f32.
//
// x = 2^n (1 + f) with 1 + f between sqrt(1/2) and sqrt(2); log(1 + f) is
// f - f^2 / 2 + f^3 P(f), whose first term is exact, so results near zero keep
// their relative precision.

#include "passes/lowering/math/ExponentReduction.h"
#include "passes/lowering/math/Functions.h"

using namespace mlir;

namespace tenon {

// -1/2 and P of log(1 + f) = f + f^2 (-1/2 + f P(f)), relative error 2^-27.4 ("log1p").
static constexpr double log1pPolynomial[] = {-0.5,           0x1.555554p-2,  -0x1.000226p-2,
                                             0x1.99a01cp-3,  -0x1.54728ap-3, 0x1.22d92ep-3,
                                             -0x1.0d8242p-3, 0x1.055ec6p-3,  -0x1.38c9dep-4};

static constexpr double log2OfELow = 0x1.4ae0c0p-26;
static constexpr double log10OfE = 0x1.bcb7b2p-2, log10OfELow = -0x1.5b235ep-27;
static constexpr double log10Of2 = 0x1.344136p-2;
static constexpr int64_t sqrtHalfBits = 0x3f3504f3;

namespace {
/// x = 2^n (1 + f); log(1 + f) = f + tail.
struct Decomposed {
  Value exponentBits; // n << 23
  Value n, f;
};
} // namespace

/// Of a positive normal x.
static Decomposed decompose(const MathBuilder &m, Value x) {
  Value bits = m.toBits(x);
  Value n = m.shiftRightSigned(m.intSub(bits, m.bits(sqrtHalfBits)), 23);
  Value exponentBits = m.shiftLeft(n, 23);
  Value f = m.add(m.fromBits(m.intSub(bits, exponentBits)), -1.0);
  return {exponentBits, m.intToFloat(n), f};
}

/// Of any positive x: denormals are scaled by 2^23 first.
static Decomposed decomposeAny(const MathBuilder &m, Value x) {
  Value tiny = m.less(x, 0x1p-126);
  Decomposed result = decompose(m, m.select(tiny, m.mul(x, 0x1p23), x));
  result.n = m.select(tiny, m.add(result.n, -23.0), result.n);
  return result;
}

/// log(1 + f) - f.
static Value log1pTail(const MathBuilder &m, Value f) { return m.mul(m.mul(f, f), m.polynomial(f, log1pPolynomial)); }

/// n ln 2 + log(1 + f).
static Value naturalLog(const MathBuilder &m, Value n, Value f) {
  Value square = m.mul(f, f);
  Value log1p = m.fma(square, m.polynomial(f, log1pPolynomial), f);
  return m.fma(n, ln2High, m.fma(n, ln2Low, log1p));
}

/// The result for every x, given that for positive finite x.
static Value withSpecialValues(const MathBuilder &m, Value x, Value result) {
  result = m.select(m.less(x, m.infinity()), result, x); // infinity and NaN are their own logarithm
  result = m.select(m.less(x, 0.0), m.nan(), result);
  return m.select(m.equal(x, 0.0), m.neg(m.infinity()), result);
}

Value emitLog(const MathBuilder &m, Value x) {
  Decomposed d = decomposeAny(m, x);
  return withSpecialValues(m, x, naturalLog(m, d.n, d.f));
}

/// (f + tail) * factor, factor in two parts.
static Value inBase(const MathBuilder &m, Value f, double factor, double factorLow) {
  return m.fma(f, factor, m.fma(f, factorLow, m.mul(log1pTail(m, f), factor)));
}

Value emitLog2(const MathBuilder &m, Value x) {
  Decomposed d = decomposeAny(m, x);
  return withSpecialValues(m, x, m.add(d.n, inBase(m, d.f, log2OfE, log2OfELow)));
}

Value emitLog10(const MathBuilder &m, Value x) {
  Decomposed d = decomposeAny(m, x);
  return withSpecialValues(m, x, m.fma(d.n, log10Of2, inBase(m, d.f, log10OfE, log10OfELow)));
}

// 1 + x rounded is `sum`; what the rounding lost goes into f, scaled by the power of two taken out.
static Value log1pOfFinite(const MathBuilder &m, Value x) {
  Value one = m.constant(1.0);
  Value sum = m.add(x, one);
  Value other = m.sub(sum, x);
  Value lost = m.add(m.sub(x, m.sub(sum, other)), m.sub(one, other));
  Decomposed d = decompose(m, sum);
  Value inverse = m.fromBits(m.intSub(m.bits(0x3f800000), d.exponentBits));
  inverse = m.select(m.less(x, 0x1p60), inverse, m.constant(0.0)); // 2^-128 has no such pattern
  return naturalLog(m, d.n, m.fma(lost, inverse, d.f));
}

Value emitLog1p(const MathBuilder &m, Value x) {
  Value result = log1pOfFinite(m, x);
  result = m.select(m.less(x, m.infinity()), result, x);
  result = m.select(m.less(x, -1.0), m.nan(), result);
  result = m.select(m.equal(x, -1.0), m.neg(m.infinity()), result);
  return m.select(m.less(m.abs(x), 0x1p-40), x, result); // keeps -0 and denormals
}

// Beyond `hyperbolicLarge` both inverse functions are log(2 a): a itself goes
// into log1p and ln 2 is added, so that nothing overflows.
static constexpr double hyperbolicLarge = 0x1p30;

static Value logOfDoubled(const MathBuilder &m, Value large, Value a, Value otherwise) {
  Value log = emitLog1p(m, m.select(large, a, otherwise));
  return m.add(log, m.select(large, m.constant(ln2High), m.constant(0.0)));
}

// log(a + sqrt(a^2 + 1)) as log1p(a + a^2 / (1 + sqrt(a^2 + 1))).
Value emitAsinh(const MathBuilder &m, Value x) {
  Value a = m.abs(x), square = m.mul(a, a);
  Value large = m.greater(a, hyperbolicLarge);
  Value fraction = m.div(square, m.add(m.sqrt(m.add(square, 1.0)), 1.0));
  return m.copySign(logOfDoubled(m, large, a, m.add(a, fraction)), x);
}

// log(x + sqrt(x^2 - 1)) as log1p(t + sqrt(2 t + t^2)), t = x - 1.
Value emitAcosh(const MathBuilder &m, Value x) {
  Value t = m.add(x, -1.0);
  Value large = m.greater(x, hyperbolicLarge);
  Value result = logOfDoubled(m, large, x, m.add(t, m.sqrt(m.fma(t, t, m.add(t, t)))));
  return m.select(m.less(x, 1.0), m.nan(), result);
}

// log((1 + a) / (1 - a)) / 2.
Value emitAtanh(const MathBuilder &m, Value x) {
  Value a = m.abs(x);
  Value ratio = m.div(m.add(a, a), m.sub(m.constant(1.0), a));
  return m.copySign(m.mul(emitLog1p(m, ratio), 0.5), x);
}

} // namespace tenon
