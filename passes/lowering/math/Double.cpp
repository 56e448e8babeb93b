// Exponentials, logarithms and powers in f64.
//
// The same reductions as in f32, with polynomials that are the series themselves:
// at 53 bits their length is decided by the interval, and a minimax polynomial
// saves one term at most. A rounded product that must stay one is an fma with -0,
// which carries no `contract`.

#include "passes/lowering/math/Functions.h"

using namespace mlir;

namespace tenon {

static constexpr double log2OfE = 0x1.71547652b82fep+0;
static constexpr double ln2High = 0x1.62e42fefa39efp-1, ln2Low = 0x1.abc9e3b39803fp-56;
// ln 2 with 42 bits, so that n times it is exact, and the rest.
static constexpr double ln2Short = 0x1.62e42fefa3800p-1, ln2Rest = 0x1.ef35793c76730p-45;
static constexpr double log10OfE = 0x1.bcb7b1526e50ep-2, log10OfELow = 0x1.95355baaafad3p-57;
static constexpr double log10Of2 = 0x1.34413509f79ffp-2, log10Of2Low = -0x1.9dc1da994fd21p-59;
static constexpr double log2OfELow = 0x1.777d0ffda0d24p-56;
static constexpr double roundingShift = 0x1.8p52;
static constexpr int splitBias = 2046;
static constexpr int64_t oneBits = int64_t(0x3ff) << 52, sqrtHalfBits = 0x3fe6a09e667f3bcd;

//===----------------------------------------------------------------------===//
// Exponentials
//===----------------------------------------------------------------------===//

// exp(r) = sum of r^k / k!, |r| <= ln(2) / 2: the first term left out is 2^-57.
static constexpr double expSeries[] = {1.0,
                                       1.0,
                                       1.0 / 2,
                                       1.0 / 6,
                                       1.0 / 24,
                                       1.0 / 120,
                                       1.0 / 720,
                                       1.0 / 5040,
                                       1.0 / 40320,
                                       1.0 / 362880,
                                       1.0 / 3628800,
                                       1.0 / 39916800,
                                       1.0 / 479001600,
                                       1.0 / 6227020800.0};

// (exp(r) - 1 - r) / r^2.
static constexpr double expm1Series[] = {
    1.0 / 2,      1.0 / 6,       1.0 / 24,       1.0 / 120,       1.0 / 720,          1.0 / 5040,         1.0 / 40320,
    1.0 / 362880, 1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800.0, 1.0 / 87178291200.0};

namespace {
/// x = n ln 2 + remainder; the low bits of `shifted` are n + splitBias.
struct Reduced {
  Value shifted, remainder;
};
struct SplitPower {
  Value low, high;
};
} // namespace

static Reduced reduce(const MathBuilder &m, Value x) {
  Value shift = m.constant(roundingShift + splitBias);
  Value sum = m.fma(x, log2OfE, shift);
  Value n = m.sub(sum, shift);
  return {m.toBits(sum), m.fma(n, -ln2Low, m.fma(n, -ln2High, x))};
}

/// 2^n as two factors, both normal, so that their product rounds once.
static SplitPower splitPower(const MathBuilder &m, Value shifted) {
  Value half = m.shiftRight(shifted, 1);
  return {m.fromBits(m.shiftLeft(half, 52)), m.fromBits(m.shiftLeft(m.intSub(shifted, half), 52))};
}

static Value scale(const MathBuilder &m, Value p, Value shifted) {
  SplitPower power = splitPower(m, shifted);
  return m.mul(m.mul(p, power.low), power.high);
}

static Value bounded(const MathBuilder &m, Value x, double low, double high) {
  return m.atLeast(m.atMost(x, high), low);
}

Value emitDoubleExp(const MathBuilder &m, Value x) {
  Reduced r = reduce(m, bounded(m, x, -746.0, 710.0));
  return scale(m, m.polynomial(r.remainder, expSeries), r.shifted);
}

// factor (1 + r) + factor r^2 (...): what is small is rounded last.
Value emitDoubleScaledExp(const MathBuilder &m, Value x, Value factor) {
  Reduced reduced = reduce(m, bounded(m, x, -746.0, 710.0));
  Value r = reduced.remainder;
  Value rest = m.fma(m.mul(r, r), m.polynomial(r, expm1Series), r);
  return scale(m, m.fma(factor, rest, factor), reduced.shifted);
}

// 2^x = 2^n exp(r ln 2), where x = n + r is exact.
Value emitDoubleExp2(const MathBuilder &m, Value x) {
  Value inRange = bounded(m, x, -1076.0, 1025.0), shift = m.constant(roundingShift + splitBias);
  Value sum = m.add(inRange, shift), r = m.sub(inRange, m.sub(sum, shift));
  Value scaled = m.fma(r, ln2High, m.mul(r, ln2Low));
  return scale(m, m.polynomial(scaled, expSeries), m.toBits(sum));
}

// exp(x) - 1 = high (low q + (low - 1 / high)) with q = exp(r) - 1: as in f32.
Value emitDoubleExpm1(const MathBuilder &m, Value x) {
  Reduced reduced = reduce(m, bounded(m, x, -38.0, 710.0));
  Value r = reduced.remainder;
  Value q = m.fma(m.mul(r, r), m.polynomial(r, expm1Series), r);
  SplitPower power = splitPower(m, reduced.shifted);
  Value inverseHigh = m.fromBits(m.intSub(m.bits(int64_t(splitBias) << 52), m.toBits(power.high)));
  Value result = m.mul(m.fma(power.low, q, m.sub(power.low, inverseHigh)), power.high);
  return m.select(m.equal(x, 0.0), x, result); // keeps -0
}

/// exp(a) / 2 for a >= 0 without overflow where the half still fits.
static Value halfExp(const MathBuilder &m, Value a) {
  Reduced r = reduce(m, m.atMost(a, 711.0));
  return scale(m, m.polynomial(r.remainder, expSeries), m.intSub(r.shifted, m.bits(1)));
}

Value emitDoubleCosh(const MathBuilder &m, Value x) {
  Value half = halfExp(m, m.abs(x));
  return m.add(half, m.div(m.constant(0.25), half));
}

// With t = exp(a) - 1: sinh = (t + t / (t + 1)) / 2, tanh = (exp(2 a) - 1) / (exp(2 a) + 1).
Value emitDoubleSinh(const MathBuilder &m, Value x) {
  Value a = m.abs(x), half = halfExp(m, a);
  Value t = emitDoubleExpm1(m, m.atMost(a, 30.0));
  Value small = m.mul(m.add(t, m.div(t, m.add(t, 1.0))), 0.5);
  return m.copySign(m.select(m.less(a, 20.0), small, m.select(m.isNan(x), x, half)), x);
}

Value emitDoubleTanh(const MathBuilder &m, Value x) {
  Value t = emitDoubleExpm1(m, m.atMost(m.mul(m.abs(x), 2.0), 44.0));
  return m.copySign(m.div(t, m.add(t, 2.0)), x);
}

//===----------------------------------------------------------------------===//
// Logarithms
//===----------------------------------------------------------------------===//

// With s = f / (2 + f): log(1 + f) = 2 s + s (2/3 s^2 + 2/5 s^4 + ...), s^2 < 0.0295.
static constexpr double logSeries[] = {2.0 / 3,  2.0 / 5,  2.0 / 7,  2.0 / 9,  2.0 / 11, 2.0 / 13,
                                       2.0 / 15, 2.0 / 17, 2.0 / 19, 2.0 / 21, 2.0 / 23};

namespace {
/// x = 2^n (1 + f), 1 + f between sqrt(1/2) and sqrt(2).
struct Decomposed {
  Value exponentBits, n, f;
};
} // namespace

/// Of a positive normal x.
static Decomposed decompose(const MathBuilder &m, Value x) {
  Value bits = m.toBits(x);
  Value n = m.shiftRightSigned(m.intSub(bits, m.bits(sqrtHalfBits)), 52);
  Value exponentBits = m.shiftLeft(n, 52);
  return {exponentBits, m.intToFloat(n), m.add(m.fromBits(m.intSub(bits, exponentBits)), -1.0)};
}

/// Of any positive x: denormals are scaled by 2^54 first.
static Decomposed decomposeAny(const MathBuilder &m, Value x) {
  Value tiny = m.less(x, 0x1p-1022);
  Decomposed d = decompose(m, m.select(tiny, m.mul(x, 0x1p54), x));
  d.n = m.select(tiny, m.add(d.n, -54.0), d.n);
  return d;
}

/// log(1 + f) as f - s (f - s^2 (2/3 + ...)): the first term is exact.
static Value logOfFraction(const MathBuilder &m, Value f) {
  Value s = m.div(f, m.add(f, 2.0)), square = m.mul(s, s);
  Value rest = m.mul(square, m.polynomial(square, logSeries));
  return m.fma(m.neg(s), m.sub(f, rest), f);
}

static Value withSpecialValues(const MathBuilder &m, Value x, Value result) {
  result = m.select(m.less(x, m.infinity()), result, x); // infinity and NaN are their own logarithm
  result = m.select(m.less(x, 0.0), m.nan(), result);
  return m.select(m.equal(x, 0.0), m.neg(m.infinity()), result);
}

static Value naturalLog(const MathBuilder &m, Value n, Value f) {
  return m.fma(n, ln2High, m.fma(n, ln2Low, logOfFraction(m, f)));
}

Value emitDoubleLog(const MathBuilder &m, Value x) {
  Decomposed d = decomposeAny(m, x);
  return withSpecialValues(m, x, naturalLog(m, d.n, d.f));
}

Value emitDoubleLog2(const MathBuilder &m, Value x) {
  Decomposed d = decomposeAny(m, x);
  Value log = logOfFraction(m, d.f);
  return withSpecialValues(m, x, m.add(d.n, m.fma(log, log2OfE, m.mul(log, log2OfELow))));
}

Value emitDoubleLog10(const MathBuilder &m, Value x) {
  Decomposed d = decomposeAny(m, x);
  Value log = logOfFraction(m, d.f);
  Value fraction = m.fma(log, log10OfE, m.mul(log, log10OfELow));
  return withSpecialValues(m, x, m.fma(d.n, log10Of2, m.fma(d.n, log10Of2Low, fraction)));
}

// 1 + x rounded is `sum`; what the rounding lost goes into f.
Value emitDoubleLog1p(const MathBuilder &m, Value x) {
  Value one = m.constant(1.0), sum = m.add(x, one), other = m.sub(sum, x);
  Value lost = m.add(m.sub(x, m.sub(sum, other)), m.sub(one, other));
  Decomposed d = decompose(m, sum);
  Value inverse = m.fromBits(m.intSub(m.bits(oneBits), d.exponentBits));
  inverse = m.select(m.less(x, 0x1p100), inverse, m.constant(0.0));
  Value result = naturalLog(m, d.n, m.fma(lost, inverse, d.f));
  result = m.select(m.less(x, m.infinity()), result, x);
  result = m.select(m.less(x, -1.0), m.nan(), result);
  result = m.select(m.equal(x, -1.0), m.neg(m.infinity()), result);
  return m.select(m.less(m.abs(x), 0x1p-60), x, result); // keeps -0 and denormals
}

// Beyond `large` both inverse functions are log(2 a), as in f32.
static constexpr double large = 0x1p60;

static Value logOfDoubled(const MathBuilder &m, Value isLarge, Value a, Value otherwise) {
  Value log = emitDoubleLog1p(m, m.select(isLarge, a, otherwise));
  return m.add(log, m.select(isLarge, m.constant(ln2High), m.constant(0.0)));
}

// log(a + sqrt(a^2 + 1)) as log1p(a + a^2 / (1 + sqrt(a^2 + 1))).
Value emitDoubleAsinh(const MathBuilder &m, Value x) {
  Value a = m.abs(x), isLarge = m.greater(a, large), inside = m.atMost(a, large);
  Value square = m.mul(inside, inside);
  Value fraction = m.div(square, m.add(m.sqrt(m.add(square, 1.0)), 1.0));
  return m.copySign(logOfDoubled(m, isLarge, a, m.add(inside, fraction)), x);
}

// log(x + sqrt(x^2 - 1)) as log1p(t + sqrt(2 t + t^2)), t = x - 1.
Value emitDoubleAcosh(const MathBuilder &m, Value x) {
  Value isLarge = m.greater(x, large), t = m.add(m.atMost(x, large), -1.0);
  Value result = logOfDoubled(m, isLarge, x, m.add(t, m.sqrt(m.fma(t, t, m.add(t, t)))));
  return m.select(m.less(x, 1.0), m.nan(), result);
}

// log((1 + a) / (1 - a)) / 2.
Value emitDoubleAtanh(const MathBuilder &m, Value x) {
  Value a = m.abs(x), ratio = m.div(m.add(a, a), m.sub(m.constant(1.0), a));
  return m.copySign(m.mul(emitDoubleLog1p(m, ratio), 0.5), x);
}

//===----------------------------------------------------------------------===//
// Power
//===----------------------------------------------------------------------===//

namespace {
/// A number as the sum of two, the second below half a unit of the first.
struct Pair {
  Value high, low;
};
} // namespace

/// a b, exactly.
static Pair exactProduct(const MathBuilder &m, Value a, Value b) {
  Value high = m.fma(a, b, m.constant(-0.0));
  return {high, m.fma(a, b, m.neg(high))};
}

/// log(x) of a positive finite x to some 2^-63: s and s^3 as pairs, the rest of the series plain.
static Pair logExtended(const MathBuilder &m, Value x) {
  Decomposed d = decomposeAny(m, x);
  Value f = d.f, bottom = m.add(f, 2.0), bottomLow = m.sub(f, m.sub(bottom, m.constant(2.0)));
  Value s = m.div(f, bottom);
  Value rest = m.fma(m.neg(s), bottomLow, m.fma(m.neg(s), bottom, f));
  Value sLow = m.div(rest, bottom);
  Pair square = exactProduct(m, s, s);
  square.low = m.fma(m.mul(s, 2.0), sLow, square.low);
  Pair cube = exactProduct(m, s, square.high);
  cube.low = m.fma(s, square.low, m.fma(sLow, square.high, cube.low));
  Value third = m.constant(2.0 / 3);
  Pair term = exactProduct(m, cube.high, third);
  term.low = m.fma(cube.high, 0x1.5555555555555p-55, m.fma(cube.low, third, term.low));
  Value tail = m.mul(m.mul(cube.high, square.high), m.polynomial(square.high, ArrayRef(logSeries).drop_front()));
  // 2 s + 2/3 s^3 + tail, then n ln 2; the larger is first in each sum.
  Value twice = m.add(s, s), sum = m.add(twice, term.high);
  Value low = m.add(m.add(m.sub(twice, sum), term.high), m.add(m.add(m.add(sLow, sLow), term.low), tail));
  Value whole = m.fma(d.n, ln2Short, m.constant(-0.0));
  Value high = m.add(whole, sum);
  Value lost = m.add(m.sub(whole, high), sum);
  return {high, m.add(m.fma(d.n, ln2Rest, low), lost)};
}

Value emitDoublePow(const MathBuilder &m, Value base, Value exponent) {
  Value magnitude = m.abs(base);
  Value regular = m.select(m.less(magnitude, m.infinity()), magnitude, m.constant(1.0));
  regular = m.select(m.equal(regular, 0.0), m.constant(1.0), regular);
  Pair log = logExtended(m, regular);
  log.high = m.select(m.equal(magnitude, 0.0), m.neg(m.infinity()), log.high);
  log.high = m.select(m.less(magnitude, m.infinity()), log.high, magnitude);
  Pair product = exactProduct(m, log.high, exponent);
  Value low = m.fma(log.low, exponent, product.low);
  low = m.select(m.less(m.abs(product.high), 800.0), low, m.constant(0.0));
  Reduced r = reduce(m, bounded(m, product.high, -746.0, 710.0));
  Value result = scale(m, m.polynomial(m.add(r.remainder, low), expSeries), r.shifted);
  return finishPow(m, base, exponent, result);
}

// exp2(log2(a) / 3), made exact by one step of Newton's method on t^3 = a.
Value emitDoubleCbrt(const MathBuilder &m, Value x) {
  Value a = m.abs(x), tiny = m.less(a, 0x1p-900);
  Value scaled = m.select(tiny, m.mul(a, 0x1p162), a);
  Value t = emitDoubleExp2(m, m.mul(emitDoubleLog2(m, scaled), 1.0 / 3));
  Value square = m.mul(t, t);
  t = m.fma(m.div(m.fma(square, t, m.neg(scaled)), square), -1.0 / 3, t);
  t = m.select(tiny, m.mul(t, 0x1p-54), t);
  Value regular = m.select(m.equal(a, 0.0), a, m.select(m.less(a, m.infinity()), t, a));
  return m.copySign(regular, x);
}

} // namespace tenon
