//===- ScalarBuilder.h - arithmetic inside the regions of tenon ops ---------------===//
//
// A map's body written in C++:
//
//     graph.map(f32, {b, s}, {x}, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
//       return s.mul(s.load(t[0], {at[0], at[1]}), s.number(f32, 0.5));
//     });
//
// Operations follow the type of their operands: floating point, integer or index.
// MLIR's integers carry no sign, so where the sign matters it is a parameter.
// Constants fold as they are built.
//
#ifndef TENON_FRONTENDS_BUILDER_SCALARBUILDER_H
#define TENON_FRONTENDS_BUILDER_SCALARBUILDER_H

#include "dialects/tenon/Tenon.h"

namespace tenon {

enum class Sign { Signed, Unsigned };
enum class Comparison { Equal, NotEqual, Less, LessEqual, Greater, GreaterEqual };

class ScalarBuilder {
public:
  using Value = mlir::Value;
  ScalarBuilder(mlir::OpBuilder &builder, mlir::Location loc) : builder(builder), loc(loc) {}

  Value load(Value tensor, mlir::ValueRange indices);

  /// A constant of a floating-point or integer type, rounded to it.
  Value number(mlir::Type type, double value);
  Value integer(mlir::Type type, int64_t value);
  Value index(int64_t value);
  /// The value of a dim expression, of type index.
  Value size(const Dim &dim);

  Value add(Value a, Value b);
  Value sub(Value a, Value b);
  Value mul(Value a, Value b);
  /// Integers round towards zero; by zero gives some value.
  Value div(Value a, Value b, Sign sign = Sign::Signed);
  /// The remainder with the sign of the dividend (C's %, fmod).
  Value rem(Value a, Value b, Sign sign = Sign::Signed);
  /// The remainder with the sign of the divisor (Python's %).
  Value mod(Value a, Value b, Sign sign = Sign::Signed);
  Value neg(Value a);
  Value abs(Value a);
  /// NaN if either is.
  Value min(Value a, Value b, Sign sign = Sign::Signed);
  Value max(Value a, Value b, Sign sign = Sign::Signed);

  Value compare(Comparison comparison, Value a, Value b, Sign sign = Sign::Signed);
  Value select(Value condition, Value a, Value b);
  Value bitAnd(Value a, Value b);
  Value bitOr(Value a, Value b);
  Value bitXor(Value a, Value b);
  Value bitNot(Value a);
  /// True for floating-point numbers that are not equal to themselves.
  Value isNaN(Value a);

  /// To another element type: to bool is "not zero", from float to integer
  /// drops the fraction, `sign` is that of the integer involved.
  Value cast(Value a, mlir::Type type, Sign sign = Sign::Signed);

  /// One of the math dialect's functions of one floating-point number.
  template <typename MathOp> Value math(Value a) { return builder.createOrFold<MathOp>(loc, a); }
  template <typename MathOp> Value math(Value a, Value b) { return builder.createOrFold<MathOp>(loc, a, b); }
  Value exp(Value a) { return math<mlir::math::ExpOp>(a); }
  Value log(Value a) { return math<mlir::math::LogOp>(a); }
  Value sqrt(Value a) { return math<mlir::math::SqrtOp>(a); }
  Value tanh(Value a) { return math<mlir::math::TanhOp>(a); }
  Value erf(Value a) { return math<mlir::math::ErfOp>(a); }
  /// 1 / a
  Value reciprocal(Value a) { return div(number(a.getType(), 1), a); }
  /// 1 / (1 + exp(-a))
  Value sigmoid(Value a);
  /// max(a, 0)
  Value relu(Value a) { return max(a, number(a.getType(), 0)); }
  /// a * (1 + erf(a / sqrt 2)) / 2
  Value gelu(Value a);
  /// a * (1 + tanh(sqrt(2 / pi) * (a + 0.044715 a^3))) / 2
  Value geluTanh(Value a);
  /// a * sigmoid(a)
  Value silu(Value a) { return mul(a, sigmoid(a)); }

  mlir::OpBuilder &builder;
  mlir::Location loc;
};

} // namespace tenon
#endif
