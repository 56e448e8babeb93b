// From the table of functions to the expansions under math/.

#include "passes/lowering/VectorMath.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "passes/lowering/math/Functions.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;

namespace tenon {

static constexpr MathFunctionInfo functionTable[] = {
#define TENON_MATH_FUNCTION(name, arity) {MathFunction::name, #name, arity},
#include "passes/lowering/VectorMath.def"
};

ArrayRef<MathFunctionInfo> allMathFunctions() { return functionTable; }

static Value emitRsqrt(const MathBuilder &m, Value x) { return m.div(m.constant(1.0), m.sqrt(x)); }

using Unary = Value (*)(const MathBuilder &, Value);
using Binary = Value (*)(const MathBuilder &, Value, Value);
static Value call(Unary emit, const MathBuilder &m, ArrayRef<Value> args) { return emit(m, args[0]); }
static Value call(Binary emit, const MathBuilder &m, ArrayRef<Value> args) { return emit(m, args[0], args[1]); }

static Value emitSingle(const MathBuilder &m, MathFunction function, ArrayRef<Value> args) {
  switch (function) {
#define TENON_MATH_FUNCTION(name, arity)                                                                               \
  case MathFunction::name:                                                                                             \
    return call(emit##name, m, args);
#include "passes/lowering/VectorMath.def"
  }
  return Value();
}

/// Null for the activations, which are raised in f32 only.
static Value emitDouble(const MathBuilder &m, MathFunction function, ArrayRef<Value> args) {
  switch (function) {
  case MathFunction::Exp:
    return emitDoubleExp(m, args[0]);
  case MathFunction::Exp2:
    return emitDoubleExp2(m, args[0]);
  case MathFunction::Expm1:
    return emitDoubleExpm1(m, args[0]);
  case MathFunction::Log:
    return emitDoubleLog(m, args[0]);
  case MathFunction::Log1p:
    return emitDoubleLog1p(m, args[0]);
  case MathFunction::Log2:
    return emitDoubleLog2(m, args[0]);
  case MathFunction::Log10:
    return emitDoubleLog10(m, args[0]);
  case MathFunction::Tanh:
    return emitDoubleTanh(m, args[0]);
  case MathFunction::Sinh:
    return emitDoubleSinh(m, args[0]);
  case MathFunction::Cosh:
    return emitDoubleCosh(m, args[0]);
  case MathFunction::Asinh:
    return emitDoubleAsinh(m, args[0]);
  case MathFunction::Acosh:
    return emitDoubleAcosh(m, args[0]);
  case MathFunction::Atanh:
    return emitDoubleAtanh(m, args[0]);
  case MathFunction::Pow:
    return emitDoublePow(m, args[0], args[1]);
  case MathFunction::Cbrt:
    return emitDoubleCbrt(m, args[0]);
  case MathFunction::Erf:
    return emitDoubleErf(m, args[0]);
  case MathFunction::Erfc:
    return emitDoubleErfc(m, args[0]);
  case MathFunction::Sin:
    return emitDoubleSin(m, args[0]);
  case MathFunction::Cos:
    return emitDoubleCos(m, args[0]);
  case MathFunction::Tan:
    return emitDoubleTan(m, args[0]);
  case MathFunction::Asin:
    return emitDoubleAsin(m, args[0]);
  case MathFunction::Acos:
    return emitDoubleAcos(m, args[0]);
  case MathFunction::Atan:
    return emitDoubleAtan(m, args[0]);
  case MathFunction::Atan2:
    return emitDoubleAtan2(m, args[0], args[1]);
  case MathFunction::Rsqrt:
    return emitRsqrt(m, args[0]);
  default:
    return Value();
  }
}

// The f32 below the exact value or above it, whichever has an odd last bit where neither is exact:
// rounding that once more, to a type of at most 22 bits, is as rounding once.
Value emitTruncationFromDouble(OpBuilder &builder, Location loc, Value value, Type element) {
  MathBuilder d(builder, loc, value.getType());
  MathBuilder m = d.as(builder.getF32Type()), narrow = d.as(element);
  Value nearest = m.truncate(value), back = d.extend(nearest);
  Value isExact = d.equal(back, value), isAbove = d.less(d.abs(value), d.abs(back));
  Value bits = m.toBits(nearest);
  Value below = m.select(isAbove, m.intSub(bits, m.bits(1)), bits);
  Value keepsNearest = m.select(d.isNan(value), d.isNan(value), isExact);
  Value odd = m.fromBits(m.select(keepsNearest, bits, m.intOr(below, m.bits(1))));
  return element.isBF16() ? emitTruncationToBFloat16(builder, loc, odd) : narrow.truncate(odd);
}

Value emitMath(OpBuilder &builder, Location loc, MathFunction function, ValueRange args) {
  Type type = args.front().getType(), element = getElementTypeOrSelf(type);
  SmallVector<Value> values(args);
  if (element.isF32())
    return emitSingle(MathBuilder(builder, loc, type), function, values);
  if (element.isF64())
    return emitDouble(MathBuilder(builder, loc, type), function, values);
  if (!element.isF16() && !element.isBF16())
    return Value();
  MathBuilder narrow(builder, loc, type), m = narrow.as(builder.getF32Type());
  for (Value &value : values)
    value = element.isBF16() ? emitExtensionFromBFloat16(builder, loc, value) : m.extend(value);
  Value result = emitSingle(m, function, values);
  return element.isBF16() ? emitTruncationToBFloat16(builder, loc, result) : narrow.truncate(result);
}

Value emitExtensionFromBFloat16(OpBuilder &builder, Location loc, Value value) {
  MathBuilder narrow(builder, loc, value.getType());
  MathBuilder m = narrow.as(builder.getF32Type());
  return m.fromBits(m.shiftLeft(m.extendBits(narrow.toBits(value)), 16));
}

// Adding 0x7fff, and the lowest bit that stays, carries into it exactly when
// rounding to nearest even does. NaN must not round to infinity: it is made
// quiet instead.
Value emitTruncationToBFloat16(OpBuilder &builder, Location loc, Value value) {
  MathBuilder m(builder, loc, value.getType());
  MathBuilder narrow = m.as(builder.getBF16Type());
  Value bits = m.toBits(value);
  Value lowest = m.intAnd(m.shiftRight(bits, 16), m.bits(1));
  Value rounded = m.intAdd(m.intAdd(bits, m.bits(0x7fff)), lowest);
  Value quiet = m.intOr(bits, m.bits(0x400000));
  Value chosen = m.shiftRight(m.select(m.isNan(value), quiet, rounded), 16);
  return narrow.fromBits(narrow.truncateBits(chosen));
}

} // namespace tenon
