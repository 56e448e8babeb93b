// Floating-point arithmetic on one shape, scalar or vector, written as IR.
//
// The functions of this folder are straight-line code over f32 or f64 values
// and integers of the same width. This class holds what they share: the
// builder, the location and the shape. Every multiplication and addition
// carries `contract` and no other fast-math flag (design 4.13). Algorithms
// whose exactness depends on a separate rounding use fma() and additions only,
// which `contract` cannot change.

#pragma once

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/ArrayRef.h"

namespace tenon {

class MathBuilder {
public:
  /// `shape` is f32, f64 or a vector of either, scalable vectors too; or an integer type, for the
  /// methods on bit patterns alone.
  MathBuilder(mlir::OpBuilder &builder, mlir::Location loc, mlir::Type shape);

  /// The same shape with another element type.
  MathBuilder as(mlir::Type element) const;

  mlir::Type type() const { return floatType; }
  bool isDouble() const { return width == 64; }

  mlir::Value constant(double value) const;
  mlir::Value bits(int64_t value) const; // an integer constant of the value's width
  mlir::Value infinity() const;
  mlir::Value nan() const;

  mlir::Value add(mlir::Value a, mlir::Value b) const;
  mlir::Value sub(mlir::Value a, mlir::Value b) const;
  mlir::Value mul(mlir::Value a, mlir::Value b) const;
  mlir::Value div(mlir::Value a, mlir::Value b) const;
  mlir::Value neg(mlir::Value a) const;
  mlir::Value fma(mlir::Value a, mlir::Value b, mlir::Value c) const; // one rounding
  mlir::Value sqrt(mlir::Value a) const;
  mlir::Value abs(mlir::Value a) const;
  mlir::Value roundEven(mlir::Value a) const;
  mlir::Value trunc(mlir::Value a) const;
  mlir::Value copySign(mlir::Value magnitude, mlir::Value sign) const;

  mlir::Value add(mlir::Value a, double b) const { return add(a, constant(b)); }
  mlir::Value mul(mlir::Value a, double b) const { return mul(a, constant(b)); }
  mlir::Value fma(mlir::Value a, double b, mlir::Value c) const { return fma(a, constant(b), c); }

  /// Ordered comparisons: false where an operand is NaN.
  mlir::Value less(mlir::Value a, mlir::Value b) const;
  mlir::Value less(mlir::Value a, double b) const { return less(a, constant(b)); }
  mlir::Value greater(mlir::Value a, mlir::Value b) const { return less(b, a); }
  mlir::Value greater(mlir::Value a, double b) const { return less(constant(b), a); }
  mlir::Value equal(mlir::Value a, mlir::Value b) const;
  mlir::Value equal(mlir::Value a, double b) const { return equal(a, constant(b)); }
  mlir::Value isNan(mlir::Value a) const;
  mlir::Value select(mlir::Value condition, mlir::Value yes, mlir::Value no) const;

  /// The smaller, the larger of `bound` and `a`; `a` where it is NaN. One
  /// instruction on x86 (the second operand of minps is returned for NaN).
  mlir::Value atMost(mlir::Value a, mlir::Value bound) const;
  mlir::Value atLeast(mlir::Value a, mlir::Value bound) const;
  mlir::Value atMost(mlir::Value a, double bound) const { return atMost(a, constant(bound)); }
  mlir::Value atLeast(mlir::Value a, double bound) const { return atLeast(a, constant(bound)); }

  /// Bit patterns. Integers have the width of the floats.
  mlir::Value toBits(mlir::Value a) const;
  mlir::Value fromBits(mlir::Value a) const;
  mlir::Value intAdd(mlir::Value a, mlir::Value b) const;
  mlir::Value intSub(mlir::Value a, mlir::Value b) const;
  mlir::Value intMul(mlir::Value a, mlir::Value b) const;
  mlir::Value intLess(mlir::Value a, mlir::Value b) const; // signed
  mlir::Value intAnd(mlir::Value a, mlir::Value b) const;
  mlir::Value intOr(mlir::Value a, mlir::Value b) const;
  mlir::Value intXor(mlir::Value a, mlir::Value b) const;
  mlir::Value shiftLeft(mlir::Value a, mlir::Value count) const;
  mlir::Value shiftRight(mlir::Value a, mlir::Value count) const; // logical
  mlir::Value shiftLeft(mlir::Value a, int64_t count) const;
  mlir::Value shiftRight(mlir::Value a, int64_t count) const; // logical
  mlir::Value shiftRightSigned(mlir::Value a, int64_t count) const;
  mlir::Value intIsZero(mlir::Value a) const;
  mlir::Value intToFloat(mlir::Value a) const; // signed
  mlir::Value floatToInt(mlir::Value a) const; // signed, towards zero; of values that fit

  /// f32 to f64 and back, and integers between the same widths.
  mlir::Value extend(mlir::Value a) const;   // to this builder's float type
  mlir::Value truncate(mlir::Value a) const; // to this builder's float type
  mlir::Value truncateBits(mlir::Value a) const;
  mlir::Value extendBits(mlir::Value a) const; // with zeros

  /// c0 + c1 x + c2 x^2 + ..., Horner, one fma a degree.
  mlir::Value polynomial(mlir::Value x, llvm::ArrayRef<double> coefficients) const;

  /// The same as even and odd half in x^2: one multiplication more, half the
  /// latency. For degrees whose chain would not be hidden.
  mlir::Value polynomialInHalves(mlir::Value x, llvm::ArrayRef<double> coefficients) const;

private:
  mlir::Value compare(mlir::arith::CmpFPredicate predicate, mlir::Value a, mlir::Value b) const;
  mlir::Value splat(mlir::Type type, mlir::TypedAttr element) const;

  mlir::OpBuilder &builder;
  mlir::Location loc;
  mlir::Type floatType, intType;
  unsigned width;
};

} // namespace tenon
