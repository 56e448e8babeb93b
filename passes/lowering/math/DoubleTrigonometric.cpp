// Trigonometric functions and their inverses in f64.
//
// Angles are reduced in integers, whatever their size (M. Payne and R. Hanek, "Radian reduction for trigonometric
// functions", SIGNUM Newsletter 18, 1983): of x = M 2^e only those 192 bits of 2/pi count that neither give multiples
// of four quadrants nor fall below the last bit wanted.

#include "passes/lowering/math/ArcSine.h"
#include "passes/lowering/math/Functions.h"

#include <array>

using namespace mlir;

namespace tenon {

// sin(r) = r - r^3 / 6 + r^5 (1/5! - r^2/7! + ...), |r| <= pi / 4: the first term left out is 2^-63 of r.
static constexpr double sinSeries[] = {-1.0 / 6,           1.0 / 120,        -1.0 / 5040,          1.0 / 362880,
                                       -1.0 / 39916800,    1.0 / 6227020800, -1.0 / 1307674368000,
                                       1.0 / 355687428096000};
// cos(r) = 1 - r^2 / 2 + r^4 (1/4! - r^2/6! + ...): 2^-58.
static constexpr double cosSeries[] = {1.0 / 24,         -1.0 / 720,         1.0 / 40320,         -1.0 / 3628800,
                                       1.0 / 479001600,  -1.0 / 87178291200, 1.0 / 20922789888000};

// atan(x) = x + x^3 P(x^2), |x| <= tan(pi / 8), relative error 2^-63.8 ("atanDouble").
static constexpr double atanPolynomial[] = {
    -0x1.5555555555554p-2, 0x1.9999999999588p-3,  -0x1.249249246f88bp-3, 0x1.c71c71b474ddbp-4,
    -0x1.745d1454a8ecdp-4, 0x1.3b1365599c4dfp-4,  -0x1.110bf1cd9ddf5p-4, 0x1.e1683b119fee1p-5,
    -0x1.ab3f399c8c23bp-5, 0x1.6ff26c8639879p-5,  -0x1.0ff5029bbb456p-5, 0x1.e8ce37605c6bfp-7};

// asin(x) = x + x^3 P(x^2), |x| <= 1/2, relative error 2^-55.9 ("asinDouble").
static constexpr double asinPolynomial[] = {
    0x1.5555555555390p-3, 0x1.333333336e810p-4, 0x1.6db6db427a88bp-5,  0x1.f1c72c38d5935p-6,
    0x1.6e89f444fc4a0p-6, 0x1.1c6be14dbe5a5p-6, 0x1.c6fdc95e6d03cp-7,  0x1.8ec2c6066f456p-7,
    0x1.abd14e69f0dccp-8, 0x1.3ff3492ab1644p-6, -0x1.09d0f2b5461aep-6, 0x1.056ca819244ecp-5};

static constexpr double pi = 0x1.921fb54442d18p+1, piLow = 0x1.1a62633145c07p-53; // pi in two f64
static constexpr double halfPi = 0x1.921fb54442d18p+0, halfPiLow = 0x1.1a62633145c07p-54;
static constexpr double quarterPi = 0x1.921fb54442d18p-1, quarterPiLow = 0x1.1a62633145c07p-55;
static constexpr double tanOfEighthPi = 0x1.a827999fcef32p-2;
static constexpr uint64_t signBit = uint64_t(1) << 63;

// 2/pi after 64 zeros: enough for exponents from -1 to 1023.
static constexpr uint64_t twoOverPi[] = {
    0x0000000000000000, 0xa2f9836e4e441529, 0xfc2757d1f534ddc0, 0xdb6295993c439041, 0xfe5163abdebbc561,
    0xb7246e3a424dd2e0, 0x06492eea09d1921c, 0xfe1deb1cb129a73e, 0xe88235f52ebb4484, 0xe99c7026b45f7e41,
    0x3991d639835339f4, 0x9c845f8bbdf9283b, 0x1ff897ffde05980f, 0xef2f118b5a0a6d1f, 0x6d367ecf27cb09b7,
    0x4f463f669e5fea2d, 0x7527bac7ebe5f17b, 0x3d0739f78a5292ea, 0x6bfb5fb11f8d5d08, 0x56033046fc7b6bab};

namespace {
/// a = quadrant pi / 2 + r + tail.
struct Angle {
  Value quadrant; // integer whose two lowest bits count
  Value r, tail;  // |r| <= pi / 4, tail below half a unit of r
};
} // namespace

/// The upper 64 bits of the product of two unsigned integers.
static Value multiplyHigh(const MathBuilder &m, Value a, Value b) {
  Value mask = m.bits(0xffffffff);
  Value aLow = m.intAnd(a, mask), aHigh = m.shiftRight(a, 32), bLow = m.intAnd(b, mask), bHigh = m.shiftRight(b, 32);
  Value crossed = m.intAdd(m.intMul(aHigh, bLow), m.shiftRight(m.intMul(aLow, bLow), 32));
  Value middle = m.intAdd(m.intMul(aLow, bHigh), m.intAnd(crossed, mask));
  return m.intAdd(m.intMul(aHigh, bHigh), m.intAdd(m.shiftRight(crossed, 32), m.shiftRight(middle, 32)));
}

/// 1 where the unsigned sum, which is a + b, has overflowed.
static Value carryOf(const MathBuilder &m, Value sum, Value a) {
  Value flipped = m.bits(signBit);
  Value isLess = m.intLess(m.intXor(sum, flipped), m.intXor(a, flipped));
  return m.select(isLess, m.bits(1), m.bits(0));
}

/// Four words of 2/pi, those from word `number` on.
static std::array<Value, 4> wordsFrom(const MathBuilder &m, Value number) {
  constexpr int last = std::size(twoOverPi) - 4;
  std::array<Value, 4> words;
  for (int j = 0; j < 4; ++j)
    words[j] = m.bits(twoOverPi[last + j]);
  for (int k = last - 1; k >= 0; --k) {
    Value isBelow = m.intLess(number, m.bits(k + 1));
    for (int j = 0; j < 4; ++j)
      words[j] = m.select(isBelow, m.bits(twoOverPi[k + j]), words[j]);
  }
  return words;
}

static Angle reduceAngle(const MathBuilder &m, Value a) {
  Value bits = m.toBits(m.atLeast(a, 0.5));
  Value integer = m.intOr(m.intAnd(bits, m.bits((int64_t(1) << 52) - 1)), m.bits(int64_t(1) << 52));
  // a = integer 2^e. The window's first bit is worth two quadrants: 2/pi's bit e - 1 behind the point.
  Value position = m.intSub(m.shiftRight(bits, 52), m.bits(1013));
  std::array<Value, 4> words = wordsFrom(m, m.shiftRight(position, 6));
  Value shift = m.intAnd(position, m.bits(63)), opposite = m.intSub(m.bits(63), shift);
  auto window = [&](int j) {
    return m.intOr(m.shiftLeft(words[j], shift), m.shiftRight(m.shiftRight(words[j + 1], 1), opposite));
  };
  Value middle = m.intMul(integer, window(1)), carried = multiplyHigh(m, integer, window(2));
  Value low = m.intAdd(middle, carried);
  Value high = m.intAdd(m.intAdd(m.intMul(integer, window(0)), multiplyHigh(m, integer, window(1))),
                        carryOf(m, low, middle));
  // Two bits of quadrants, then 126 of a fraction, as one from -1/2 to 1/2.
  Value fraction = m.intOr(m.shiftLeft(high, 2), m.shiftRight(low, 62)), rest = m.shiftLeft(low, 2);
  Value quadrant = m.intAdd(m.shiftRight(high, 62), m.shiftRight(fraction, 63));
  constexpr int64_t exact = ~int64_t(0x7ff);
  Value upper = m.intToFloat(m.intAnd(fraction, m.bits(exact)));
  Value lower = m.fma(m.intToFloat(m.shiftRight(rest, 1)), 0x1p-63, m.intToFloat(m.intAnd(fraction, m.bits(~exact))));
  Value sum = m.add(upper, lower), lost = m.add(m.sub(upper, sum), lower);
  constexpr double unit = halfPi * 0x1p-64, unitLow = halfPiLow * 0x1p-64;
  Value product = m.fma(sum, unit, m.constant(-0.0));
  Value error = m.fma(sum, unit, m.neg(product));
  Value r = product, tail = m.fma(sum, unitLow, m.fma(lost, unit, error));
  Value isSmall = m.less(a, quarterPi), zero = m.constant(0.0);
  return {m.select(isSmall, m.bits(0), quadrant), m.select(isSmall, a, r), m.select(isSmall, zero, tail)};
}

static Value sinOfReduced(const MathBuilder &m, const Angle &angle, Value square) {
  Value cube = m.mul(angle.r, square);
  Value tail = m.fma(m.mul(square, angle.tail), -0.5, angle.tail);
  return m.add(angle.r, m.fma(cube, m.polynomial(square, sinSeries), tail));
}

static Value cosOfReduced(const MathBuilder &m, const Angle &angle, Value square) {
  Value one = m.constant(1.0), half = m.mul(square, 0.5), near = m.sub(one, half);
  Value lost = m.sub(m.sub(one, near), half);
  Value higher = m.mul(m.mul(square, square), m.polynomial(square, cosSeries));
  return m.add(near, m.add(lost, m.fma(m.neg(angle.r), angle.tail, higher)));
}

/// value with its sign flipped where the bit of `mask` in `quadrant` is set.
static Value flipSign(const MathBuilder &m, Value value, Value quadrant, int bit) {
  Value sign = m.intAnd(m.shiftLeft(quadrant, 63 - bit), m.bits(signBit));
  return m.fromBits(m.intXor(m.toBits(value), sign));
}

/// The sign of `x` times `value`, and NaN for what is no angle.
static Value ofAngle(const MathBuilder &m, Value x, Value value) {
  Value sign = m.intAnd(m.toBits(x), m.bits(signBit));
  Value result = m.fromBits(m.intXor(m.toBits(value), sign));
  return m.select(m.less(m.abs(x), m.infinity()), result, m.sub(x, x));
}

/// sin(a + offset pi / 2) for a >= 0.
static Value sinOfMagnitude(const MathBuilder &m, Value a, int offset) {
  Angle angle = reduceAngle(m, a);
  Value quadrant = offset ? m.intAdd(angle.quadrant, m.bits(offset)) : angle.quadrant;
  Value square = m.mul(angle.r, angle.r);
  Value isSine = m.intIsZero(m.intAnd(quadrant, m.bits(1)));
  Value value = m.select(isSine, sinOfReduced(m, angle, square), cosOfReduced(m, angle, square));
  return flipSign(m, value, quadrant, 1);
}

Value emitDoubleSin(const MathBuilder &m, Value x) { return ofAngle(m, x, sinOfMagnitude(m, m.abs(x), 0)); }

Value emitDoubleCos(const MathBuilder &m, Value x) {
  Value a = m.abs(x);
  return ofAngle(m, a, sinOfMagnitude(m, a, 1));
}

Value emitDoubleTan(const MathBuilder &m, Value x) {
  Angle angle = reduceAngle(m, m.abs(x));
  Value square = m.mul(angle.r, angle.r);
  Value sine = sinOfReduced(m, angle, square), cosine = cosOfReduced(m, angle, square);
  Value even = m.intIsZero(m.intAnd(angle.quadrant, m.bits(1)));
  Value ratio = m.div(m.select(even, sine, cosine), m.select(even, cosine, sine));
  return ofAngle(m, x, flipSign(m, ratio, angle.quadrant, 0));
}

//===----------------------------------------------------------------------===//
// Inverses
//===----------------------------------------------------------------------===//

static const ArcSine arcSine = {halfPi, halfPiLow, asinPolynomial};
Value emitDoubleAsin(const MathBuilder &m, Value x) { return emitArcSine(m, x, arcSine); }
Value emitDoubleAcos(const MathBuilder &m, Value x) { return emitArcCosine(m, x, arcSine); }

/// The angle whose tangent is smaller / larger, 0 <= smaller <= larger. Above tan(pi / 8) it is measured from pi / 4.
static Value angleOf(const MathBuilder &m, Value smaller, Value larger) {
  Value isNear = m.less(m.mul(larger, tanOfEighthPi), smaller), zero = m.constant(0.0);
  Value top = m.select(isNear, m.sub(smaller, larger), smaller);
  Value bottom = m.select(isNear, m.add(smaller, larger), larger);
  Value q = m.div(top, bottom), square = m.mul(q, q);
  Value rest = m.mul(m.mul(q, square), m.polynomialInHalves(square, atanPolynomial));
  rest = m.add(rest, m.select(isNear, m.constant(quarterPiLow), zero));
  return m.add(m.select(isNear, m.constant(quarterPi), zero), m.add(q, rest));
}

static Value complementOfHalfPi(const MathBuilder &m, Value angle) {
  return m.sub(m.constant(halfPi), m.sub(angle, m.constant(halfPiLow)));
}

Value emitDoubleAtan(const MathBuilder &m, Value x) {
  Value a = m.abs(x), one = m.constant(1.0);
  Value inverted = m.greater(a, 1.0), isFinite = m.less(a, 0x1p60);
  Value angle =
      angleOf(m, m.select(inverted, one, a), m.select(inverted, m.select(isFinite, a, m.constant(0x1p60)), one));
  angle = m.select(inverted, complementOfHalfPi(m, angle), angle);
  return m.copySign(m.select(m.isNan(x), x, angle), x);
}

// The octant's angle, reflected. 0 / 0 counts as 0 and inf / inf as 1, as in f32; of large numbers a quarter is taken,
// whose sum is finite.
Value emitDoubleAtan2(const MathBuilder &m, Value y, Value x) {
  Value ax = m.abs(x), ay = m.abs(y), one = m.constant(1.0);
  Value steep = m.less(ax, ay);
  Value smaller = m.select(steep, ax, ay), larger = m.select(steep, ay, ax);
  Value factor = m.select(m.greater(larger, 0x1p1000), m.constant(0.25), one);
  Value isEqual = m.equal(ax, ay), isZero = m.equal(m.add(ax, ay), 0.0);
  smaller = m.select(isEqual, m.select(isZero, m.constant(0.0), one), m.mul(smaller, factor));
  larger = m.select(isEqual, one, m.mul(larger, factor));
  Value angle = angleOf(m, smaller, larger);
  angle = m.select(steep, complementOfHalfPi(m, angle), angle);
  Value reflected = m.sub(m.constant(pi), m.sub(angle, m.constant(piLow)));
  Value leftward = m.less(m.copySign(one, x), 0.0);
  return m.copySign(m.select(leftward, reflected, angle), y);
}

} // namespace tenon
