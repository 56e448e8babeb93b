// erf and erfc in f64.

#include "passes/lowering/math/Functions.h"

using namespace mlir;

namespace tenon {

// erf(x) = x + x P(x^2), |x| <= 1, relative error 2^-56.3 ("erfSmallDouble").
static constexpr double erfSmallPolynomial[] = {
    0x1.06eba8214db69p-3,  -0x1.812746b0379fdp-2,  0x1.ce2f21a043610p-4,  -0x1.b82ce312ab112p-6, 0x1.565bcd126ea5dp-8,
    -0x1.c02db49264e2bp-11, 0x1.f9a3342835808p-14, -0x1.f4d31e0a303a4p-17, 0x1.b9ed788dd251ap-20,
    -0x1.5f8e83f2b52d0p-23, 0x1.fc0f9d9334b85p-27, -0x1.453194477d833p-30, 0x1.25fe3174fad82p-34};

// exp(a^2) erfc(a) = t P(y), t = 1 / (a + 2), 1/2 <= a <= 27.3, y = fma(t, slope, offset) in [-1, 1], relative error
// 2^-53.3 ("erfcxDouble").
static constexpr double erfcxSlope = 0x1.5dd9cap+2, erfcxOffset = -0x1.2fc2dep+0;
static constexpr double erfcxPolynomial[] = {
    0x1.df235b7ad632dp-1,   0x1.cd46f155a50c6p-2,   0x1.206497b08ced9p-3,  0x1.2aa42353b2068p-6, -0x1.36605e0de6f7bp-8,
    -0x1.d56109b024f79p-10, 0x1.43f2e22b4be5bp-12,  0x1.5adf262ec167bp-13, -0x1.5937d42aea6c0p-15,
    -0x1.ea4895bf62a7ap-17, 0x1.d4df340bf9de0p-18,  0x1.6c78f4dd9a261p-21, -0x1.24da9ab3f3739p-20,
    0x1.55eef0d29d623p-23,  0x1.06a458145e97fp-23,  -0x1.01031a7095041p-24, -0x1.530ddee63924ep-29,
    0x1.6c839601287d7p-27,  -0x1.3d4e9877b214dp-29, -0x1.f745d948d56dap-31, 0x1.93ac02d158776p-32};

static Value erfOfSmall(const MathBuilder &m, Value x) {
  return m.fma(x, m.polynomial(m.mul(x, x), erfSmallPolynomial), x);
}

/// Of 3/4 <= a <= 27.3. The square is split into its rounded value and the rest, or exp would lose a^2 units.
static Value erfcOfLarge(const MathBuilder &m, Value a) {
  // t with what its sum and its quotient lose.
  Value one = m.constant(1.0), sum = m.add(a, 2.0), t = m.div(one, sum), lost = m.sub(a, m.add(sum, -2.0));
  Value tLow = m.mul(t, m.fma(m.neg(t), lost, m.fma(m.neg(t), sum, one)));
  Value y = m.fma(tLow, erfcxSlope, m.fma(t, erfcxSlope, m.constant(erfcxOffset)));
  Value p = m.polynomial(y, erfcxPolynomial);
  Value scaled = m.fma(t, p, m.mul(tLow, p));
  Value square = m.fma(a, a, m.constant(-0.0)), rest = m.fma(a, a, m.neg(square));
  return emitDoubleScaledExp(m, m.neg(square), m.fma(m.neg(scaled), rest, scaled));
}

Value emitDoubleErf(const MathBuilder &m, Value x) {
  Value a = m.abs(x);
  Value tail = erfcOfLarge(m, m.atMost(m.atLeast(a, 1.0), 27.3));
  Value large = m.copySign(m.sub(m.constant(1.0), tail), x);
  return m.select(m.less(a, 1.0), erfOfSmall(m, x), m.select(m.isNan(x), x, large));
}

Value emitDoubleErfc(const MathBuilder &m, Value x) {
  Value a = m.abs(x);
  Value tail = erfcOfLarge(m, m.atMost(m.atLeast(a, 0.75), 27.3));
  Value large = m.select(m.less(x, 0.0), m.sub(m.constant(2.0), tail), tail);
  Value result = m.select(m.less(a, 0.75), m.sub(m.constant(1.0), erfOfSmall(m, x)), large);
  return m.select(m.isNan(x), x, result);
}

} // namespace tenon
