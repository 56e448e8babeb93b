// erf and erfc in f32.

#include "passes/lowering/math/ExponentReduction.h"
#include "passes/lowering/math/Functions.h"

using namespace mlir;

namespace tenon {

// erf(x) = x + x P(x^2), |x| <= 1, relative error 2^-29.4 ("erfSmall").
static constexpr double erfSmallPolynomial[] = {0x1.06eba8p-3, -0x1.81273ep-2,  0x1.ce2ce6p-4, -0x1.b7f71ap-6,
                                                0x1.53f224p-8, -0x1.a3515ep-11, 0x1.4771fep-14};

// erf(t) = P(y), 1 <= t <= 3.92, y = fma(t, slope, offset) in [-1, 1], absolute error 2^-26.9
// ("erfLarge"). At 3.92 it evaluates to 1.
static constexpr double erfClamp = 3.92, erfSlope = 0x1.5eaf58p-1, erfOffset = -0x1.af57acp+0;
static constexpr double erfLargePolynomial[] = {0x1.ffbe06p-1,   0x1.fc5266p-9,  -0x1.c86b22p-7, 0x1.f55276p-6,
                                                -0x1.710a6ap-5,  0x1.719bc8p-5,  -0x1.d1fb90p-6, 0x1.a76dfap-8,
                                                0x1.e0b354p-8,   -0x1.2635b2p-7, 0x1.b73628p-9,  0x1.95c3cep-10,
                                                -0x1.ac4050p-10, 0x1.9c7120p-16, 0x1.ce9baep-13};

// exp(a^2) erfc(a) = t P(y), t = 1 / (a + 2), 3/4 <= a <= 10.1, y = fma(t, slope, offset) in [-1, 1],
// relative error 2^-26.5 ("erfcx").
static constexpr double erfcxSlope = 0x1.c78788p+2, erfcxOffset = -0x1.969696p+0;
static constexpr double erfcxPolynomial[] = {0x1.e6e0c0p-1,   0x1.69ab00p-2,   0x1.58859ap-4,  0x1.04f144p-7,
                                             -0x1.caed66p-10, -0x1.e3cc8ep-12, 0x1.31683ap-14, 0x1.a2f448p-16,
                                             -0x1.7f35e4p-18, -0x1.8fa500p-20};

static Value erfOfSmall(const MathBuilder &m, Value x) {
  return m.fma(x, m.polynomial(m.mul(x, x), erfSmallPolynomial), x);
}

// Two polynomials and a select cost less than one polynomial inside an exp.
Value emitErf(const MathBuilder &m, Value x) {
  Value magnitude = m.abs(x);
  Value bounded = m.atMost(magnitude, erfClamp);
  Value y = m.fma(bounded, erfSlope, m.constant(erfOffset));
  Value large = m.copySign(m.polynomial(y, erfLargePolynomial), x);
  return m.select(m.less(magnitude, 1.0), erfOfSmall(m, x), large);
}

// Beyond 3/4: exp(-a^2) times erfcx(a). The square is split into its rounded
// value and the rest, or exp would lose a^2 ulp; erfcx and the rest are done in
// f64, whose roundings do not add to those of exp.
static Value erfcOfLarge(const MathBuilder &m, Value a) {
  MathBuilder d = m.as(Float64Type::get(m.type().getContext()));
  Value wide = d.extend(a);
  Value t = d.div(d.constant(1.0), d.add(wide, 2.0));
  Value y = d.fma(t, erfcxSlope, d.constant(erfcxOffset));
  Value scaled = d.mul(t, d.polynomial(y, erfcxPolynomial));
  Value minusSquare = m.neg(m.mul(a, a));
  Value rest = d.fma(wide, wide, d.extend(minusSquare));
  return emitScaledExp(m, m.atLeast(minusSquare, -104.0), m.truncate(d.fma(d.neg(scaled), rest, scaled)));
}

Value emitErfc(const MathBuilder &m, Value x) {
  Value magnitude = m.abs(x);
  Value tail = erfcOfLarge(m, m.atMost(magnitude, 10.1));
  Value large = m.select(m.less(x, 0.0), m.sub(m.constant(2.0), tail), tail);
  Value small = m.sub(m.constant(1.0), erfOfSmall(m, x));
  return m.select(m.less(magnitude, 0.75), small, large);
}

} // namespace tenon
