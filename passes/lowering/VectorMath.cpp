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

Value emitMath(OpBuilder &builder, Location loc, MathFunction function, ValueRange args) {
  Type type = args.front().getType(), element = getElementTypeOrSelf(type);
  SmallVector<Value> values(args);
  if (element.isF32())
    return emitSingle(MathBuilder(builder, loc, type), function, values);
  if (!element.isF16() && !element.isBF16())
    return Value();
  MathBuilder narrow(builder, loc, type), m = narrow.as(builder.getF32Type());
  for (Value &value : values)
    value = m.extend(value);
  return narrow.truncate(emitSingle(m, function, values));
}

} // namespace tenon
