// Trigonometric functions and their inverses in f32.

#include "passes/lowering/math/ArcSine.h"
#include "passes/lowering/math/Functions.h"

using namespace mlir;

namespace tenon {

// sin(r) = r + r^3 P(r^2), |r| <= 0.81, relative error 2^-32.4 ("sin").
static constexpr double sinPolynomial[] = {-0x1.555556p-3, 0x1.11116ep-7, -0x1.a05130p-13, 0x1.79ae1cp-19};

// cos(r) = 1 - r^2 / 2 + r^4 P(r^2), |r| <= 0.81, relative error 2^-32.5 ("cos").
static constexpr double cosPolynomial[] = {1.0, -0.5, 0x1.555548p-5, -0x1.6c0aecp-10, 0x1.998d66p-16};

// atan(x) = x + x^3 P(x^2), |x| <= 1, relative error 2^-28.5 ("atan").
static constexpr double atanPolynomial[] = {-0x1.55553ep-2, 0x1.9991e6p-3,  -0x1.2420b6p-3,
                                            0x1.c08f64p-4,  -0x1.58155cp-4, 0x1.da5ebep-5,
                                            -0x1.fdfbc4p-6, 0x1.64c134p-7,  -0x1.d496bap-10};

// asin(x) = x + x^3 P(x^2), |x| <= 1/2, relative error 2^-27.6 ("asin").
static constexpr double asinPolynomial[] = {0x1.5555c8p-3, 0x1.330204p-4, 0x1.747bbap-5, 0x1.8c3e2ap-6, 0x1.595c8cp-5};

static constexpr double pi = 0x1.921fb6p+1, piLow = -0x1.777a5cp-24; // pi in two f32
static constexpr double halfPi = 0x1.921fb6p+0, halfPiLow = -0x1.777a5cp-25;

namespace {
/// a = quadrant * pi / 2 + r.
struct Angle {
  Value quadrant; // integer whose two lowest bits count
  Value r;        // f32, |r| <= 0.81
};

/// Above `from` an angle is x = y 2^exponent, y an integer below 2^45, and
/// 2^exponent may be replaced by its remainder modulo 2 pi.
struct AngleRange {
  double from, scale, remainder, remainderLow;
};
} // namespace

static constexpr AngleRange angleRanges[] = {
    {0x1p45, 0x1p-22, 0x1.58e8ec12c0aa8p+0, 0x1.95c955afd3e7bp-54},
    {0x1p67, 0x1p-44, 0x1.9a6f58862bf99p-2, 0x1.7e60254ee49ebp-56},
    {0x1p89, 0x1p-66, -0x1.82ac8377ff216p-4, 0x1.17955574142a1p-59},
    {0x1p111, 0x1p-88, -0x1.214a9b91233b2p-2, 0x1.45f5262caae07p-57},
};

// The reduction holds for every finite angle. In f64, n pi/2 is taken off in two
// parts; the first product's difference is exact because everything in it is a
// multiple of 2^-52 below 2. The angle itself is y times a pair that is 1 below
// 2^45 and 2^exponent mod 2 pi above; |y * pair| < 2^47.
static Angle reduceAngle(const MathBuilder &m, Value a) {
  MathBuilder d = m.as(Float64Type::get(m.type().getContext()));
  Value scale = m.constant(1.0), high = d.constant(1.0), low = d.constant(0.0);
  for (const AngleRange &range : angleRanges) {
    Value above = m.less(m.constant(range.from), a);
    scale = m.select(above, m.constant(range.scale), scale);
    high = d.select(above, d.constant(range.remainder), high);
    low = d.select(above, d.constant(range.remainderLow), low);
  }
  Value y = d.extend(m.mul(a, scale));
  Value product = d.mul(y, high);
  Value rest = d.fma(y, low, d.fma(y, high, d.neg(product)));
  Value shift = d.constant(0x1.8p52);
  Value sum = d.fma(product, 0x1.45f306dc9c883p-1, shift);
  Value n = d.sub(sum, shift);
  Value r = d.fma(n, -0x1.921fb54442d18p+0, product);
  r = d.add(r, d.fma(n, -0x1.1a62633145c07p-54, rest));
  return {m.truncateBits(d.toBits(sum)), m.truncate(r)};
}

static Value sinOfReduced(const MathBuilder &m, Value r, Value square) {
  return m.fma(m.mul(r, square), m.polynomial(square, sinPolynomial), r);
}

/// value with its sign flipped where the bit of `mask` in `quadrant` is set.
static Value flipSign(const MathBuilder &m, Value value, Value quadrant, int bit) {
  Value sign = m.intAnd(m.shiftLeft(quadrant, 31 - bit), m.bits(int64_t(1) << 31));
  return m.fromBits(m.intXor(m.toBits(value), sign));
}

/// sin(a + offset pi / 2) for a >= 0.
static Value sinOfMagnitude(const MathBuilder &m, Value a, int offset) {
  Angle angle = reduceAngle(m, a);
  Value quadrant = offset ? m.intAdd(angle.quadrant, m.bits(offset)) : angle.quadrant;
  Value square = m.mul(angle.r, angle.r);
  Value isSine = m.intIsZero(m.intAnd(quadrant, m.bits(1)));
  Value value = m.select(isSine, sinOfReduced(m, angle.r, square), m.polynomial(square, cosPolynomial));
  return flipSign(m, value, quadrant, 1);
}

Value emitSin(const MathBuilder &m, Value x) {
  Value sign = m.intAnd(m.toBits(x), m.bits(int64_t(1) << 31));
  return m.fromBits(m.intXor(m.toBits(sinOfMagnitude(m, m.abs(x), 0)), sign));
}

Value emitCos(const MathBuilder &m, Value x) { return sinOfMagnitude(m, m.abs(x), 1); }

Value emitTan(const MathBuilder &m, Value x) {
  Angle angle = reduceAngle(m, m.abs(x));
  Value square = m.mul(angle.r, angle.r);
  Value sine = sinOfReduced(m, angle.r, square), cosine = m.polynomial(square, cosPolynomial);
  Value even = m.intIsZero(m.intAnd(angle.quadrant, m.bits(1)));
  Value ratio = m.div(m.select(even, sine, cosine), m.select(even, cosine, sine));
  Value sign = m.intAnd(m.toBits(x), m.bits(int64_t(1) << 31));
  return m.fromBits(m.intXor(m.toBits(flipSign(m, ratio, angle.quadrant, 0)), sign));
}

namespace {
/// asin of the magnitude, halved where it is above 1/2: asin(a) = pi/2 - 2 asin(sqrt((1 - a) / 2)).
struct HalvedArcSine {
  Value isLarge, value;
};
} // namespace

static HalvedArcSine halvedArcSine(const MathBuilder &m, Value a, ArrayRef<double> polynomial) {
  Value isLarge = m.greater(a, 0.5);
  Value square = m.select(isLarge, m.fma(a, -0.5, m.constant(0.5)), m.mul(a, a));
  Value root = m.select(isLarge, m.sqrt(square), a);
  return {isLarge, m.fma(m.mul(root, square), m.polynomial(square, polynomial), root)};
}

Value emitArcSine(const MathBuilder &m, Value x, const ArcSine &c) {
  HalvedArcSine half = halvedArcSine(m, m.abs(x), c.polynomial);
  Value large = m.sub(m.constant(c.halfPi), m.sub(m.add(half.value, half.value), m.constant(c.halfPiLow)));
  return m.copySign(m.select(half.isLarge, large, half.value), x);
}

Value emitArcCosine(const MathBuilder &m, Value x, const ArcSine &c) {
  HalvedArcSine half = halvedArcSine(m, m.abs(x), c.polynomial);
  Value doubled = m.add(half.value, half.value);
  Value negative = m.sub(m.constant(2 * c.halfPi), m.sub(doubled, m.constant(2 * c.halfPiLow)));
  Value large = m.select(m.less(x, 0.0), negative, doubled);
  Value small = m.sub(m.constant(c.halfPi), m.sub(m.copySign(half.value, x), m.constant(c.halfPiLow)));
  return m.select(half.isLarge, large, small);
}

static const ArcSine arcSine = {halfPi, halfPiLow, asinPolynomial};
Value emitAsin(const MathBuilder &m, Value x) { return emitArcSine(m, x, arcSine); }
Value emitAcos(const MathBuilder &m, Value x) { return emitArcCosine(m, x, arcSine); }

/// atan of 0 <= q <= 1.
static Value atanOfUnit(const MathBuilder &m, Value q) {
  Value square = m.mul(q, q);
  return m.fma(m.mul(q, square), m.polynomialInHalves(square, atanPolynomial), q);
}

static Value complementOfHalfPi(const MathBuilder &m, Value angle) {
  return m.sub(m.constant(halfPi), m.sub(angle, m.constant(halfPiLow)));
}

Value emitAtan(const MathBuilder &m, Value x) {
  Value a = m.abs(x);
  Value inverted = m.greater(a, 1.0);
  Value angle = atanOfUnit(m, m.select(inverted, m.div(m.constant(1.0), a), a));
  return m.copySign(m.select(inverted, complementOfHalfPi(m, angle), angle), x);
}

// The angle of the smaller over the larger magnitude, then reflected into its
// octant. 0 / 0 counts as 0 and inf / inf as 1, which gives C's results for
// atan2(+-0, +-0) and atan2(+-inf, +-inf).
Value emitAtan2(const MathBuilder &m, Value y, Value x) {
  Value ax = m.abs(x), ay = m.abs(y);
  Value steep = m.less(ax, ay);
  Value smaller = m.select(m.less(ay, ax), ay, ax), larger = m.select(m.less(ay, ax), ax, ay);
  Value q = m.div(smaller, larger);
  q = m.select(m.equal(ax, ay), m.constant(1.0), q);
  q = m.select(m.equal(m.add(ax, ay), 0.0), m.constant(0.0), q);
  Value angle = atanOfUnit(m, q);
  angle = m.select(steep, complementOfHalfPi(m, angle), angle);
  Value reflected = m.sub(m.constant(pi), m.sub(angle, m.constant(piLow)));
  Value leftward = m.less(m.copySign(m.constant(1.0), x), 0.0);
  return m.copySign(m.select(leftward, reflected, angle), y);
}

} // namespace tenon
