// Remainders of floats and powers of integers: what would be calls of a library.

#include "passes/lowering/math/Functions.h"

using namespace mlir;

namespace tenon {

// Long division with digits of 2^52. With c = b 2^(52 k) and q = trunc(r / c) < 2^53, r - q c is a
// multiple of the unit of c and below c, so one fma gives it exactly; a quotient rounded up
// makes it negative by less than c, which is put back. k runs down to 0.
static Value remainderOfMagnitudes(const MathBuilder &m, Value a, Value b, int digits) {
  SmallVector<Value> multiples{b};
  for (int k = 1; k <= digits; ++k)
    multiples.push_back(m.mul(multiples.back(), 0x1p52));
  Value rest = a;
  for (Value multiple : llvm::reverse(multiples)) {
    Value isFinite = m.less(multiple, m.infinity());
    Value divisor = m.select(isFinite, multiple, m.constant(1.0));
    Value quotient = m.trunc(m.div(rest, divisor));
    Value next = m.fma(m.neg(quotient), divisor, rest);
    next = m.select(m.less(next, 0.0), m.add(next, divisor), next);
    rest = m.select(isFinite, next, rest);
  }
  return rest;
}

static Value remainderInDouble(const MathBuilder &m, Value a, Value b, int digits) {
  Value x = m.abs(a), y = m.abs(b);
  Value rest = m.copySign(remainderOfMagnitudes(m, x, y, digits), a);
  // b infinite: a. a infinite, b zero, either NaN: NaN.
  Value result = m.select(m.less(y, m.infinity()), rest, a);
  Value defined = m.select(m.less(x, m.infinity()), result, m.nan());
  defined = m.select(m.equal(y, 0.0), m.nan(), defined);
  return m.select(m.isNan(b), b, defined);
}

// Exponents of f64 differ by at most 2097, of f32 by 277.
Value emitRemainder(const MathBuilder &m, Value a, Value b) {
  if (m.isDouble())
    return remainderInDouble(m, a, b, 41);
  MathBuilder d = m.as(Float64Type::get(m.type().getContext()));
  return m.truncate(remainderInDouble(d, d.extend(a), d.extend(b), 6));
}

// Square and multiply over all bits of the exponent.
Value emitIntegerPower(const MathBuilder &m, Value base, Value exponent) {
  unsigned width = getElementTypeOrSelf(base.getType()).getIntOrFloatBitWidth();
  Value one = m.bits(1), zero = m.bits(0);
  Value result = one, power = base, rest = exponent;
  for (unsigned bit = 0; bit + 1 < width; ++bit) {
    Value isSet = m.intIsZero(m.intSub(m.intAnd(rest, one), one));
    result = m.select(isSet, m.intMul(result, power), result);
    power = m.intMul(power, power);
    rest = m.shiftRight(rest, 1);
  }
  // 1 / base^n: of 1 and -1 themselves or their square, of others 0.
  Value isNegative = m.intLess(exponent, zero), isEven = m.intIsZero(m.intAnd(exponent, one));
  Value isOne = m.intIsZero(m.intSub(base, one)), isMinusOne = m.intIsZero(m.intAdd(base, one));
  Value unit = m.select(isMinusOne, m.select(isEven, one, base), zero);
  return m.select(isNegative, m.select(isOne, one, unit), result);
}

} // namespace tenon
