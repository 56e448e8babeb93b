// Each method is one operation; only constants and shapes need thought.

#include "passes/lowering/math/MathBuilder.h"

#include <limits>

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"

using namespace mlir;

namespace tenon {

constexpr arith::FastMathFlags contract = arith::FastMathFlags::contract;

static Type withElement(Type shape, Type element) {
  if (auto vector = dyn_cast<VectorType>(shape))
    return vector.clone(element);
  return element;
}

MathBuilder::MathBuilder(OpBuilder &builder, Location loc, Type shape)
    : builder(builder), loc(loc), floatType(shape), width(getElementTypeOrSelf(shape).getIntOrFloatBitWidth()) {
  intType = withElement(shape, builder.getIntegerType(width));
}

MathBuilder MathBuilder::as(Type element) const { return MathBuilder(builder, loc, withElement(floatType, element)); }

Value MathBuilder::splat(Type type, TypedAttr element) const {
  if (auto shaped = dyn_cast<ShapedType>(type))
    return arith::ConstantOp::create(builder, loc, DenseElementsAttr::get(shaped, Attribute(element)));
  return arith::ConstantOp::create(builder, loc, element);
}

Value MathBuilder::constant(double value) const {
  return splat(floatType, FloatAttr::get(getElementTypeOrSelf(floatType), value));
}

Value MathBuilder::bits(int64_t value) const {
  return splat(intType, IntegerAttr::get(getElementTypeOrSelf(intType), APInt(64, value, true).trunc(width)));
}

Value MathBuilder::infinity() const { return constant(std::numeric_limits<double>::infinity()); }
Value MathBuilder::nan() const { return constant(std::numeric_limits<double>::quiet_NaN()); }

Value MathBuilder::add(Value a, Value b) const { return arith::AddFOp::create(builder, loc, a, b, contract); }
Value MathBuilder::sub(Value a, Value b) const { return arith::SubFOp::create(builder, loc, a, b, contract); }
Value MathBuilder::mul(Value a, Value b) const { return arith::MulFOp::create(builder, loc, a, b, contract); }
Value MathBuilder::div(Value a, Value b) const { return arith::DivFOp::create(builder, loc, a, b, contract); }
Value MathBuilder::neg(Value a) const { return arith::NegFOp::create(builder, loc, a); }
Value MathBuilder::fma(Value a, Value b, Value c) const { return math::FmaOp::create(builder, loc, a, b, c); }
Value MathBuilder::sqrt(Value a) const { return math::SqrtOp::create(builder, loc, a); }
Value MathBuilder::abs(Value a) const { return math::AbsFOp::create(builder, loc, a); }
Value MathBuilder::roundEven(Value a) const { return math::RoundEvenOp::create(builder, loc, a); }
Value MathBuilder::trunc(Value a) const { return math::TruncOp::create(builder, loc, a); }
Value MathBuilder::copySign(Value magnitude, Value sign) const {
  return math::CopySignOp::create(builder, loc, magnitude, sign);
}

Value MathBuilder::compare(arith::CmpFPredicate predicate, Value a, Value b) const {
  return arith::CmpFOp::create(builder, loc, predicate, a, b);
}
Value MathBuilder::less(Value a, Value b) const { return compare(arith::CmpFPredicate::OLT, a, b); }
Value MathBuilder::equal(Value a, Value b) const { return compare(arith::CmpFPredicate::OEQ, a, b); }
Value MathBuilder::isNan(Value a) const { return compare(arith::CmpFPredicate::UNO, a, a); }
Value MathBuilder::select(Value condition, Value yes, Value no) const {
  return arith::SelectOp::create(builder, loc, condition, yes, no);
}
Value MathBuilder::atMost(Value a, Value bound) const { return select(less(bound, a), bound, a); }
Value MathBuilder::atLeast(Value a, Value bound) const { return select(less(a, bound), bound, a); }

Value MathBuilder::toBits(Value a) const { return arith::BitcastOp::create(builder, loc, intType, a); }
Value MathBuilder::fromBits(Value a) const { return arith::BitcastOp::create(builder, loc, floatType, a); }
Value MathBuilder::intAdd(Value a, Value b) const { return arith::AddIOp::create(builder, loc, a, b); }
Value MathBuilder::intSub(Value a, Value b) const { return arith::SubIOp::create(builder, loc, a, b); }
Value MathBuilder::intMul(Value a, Value b) const { return arith::MulIOp::create(builder, loc, a, b); }
Value MathBuilder::intLess(Value a, Value b) const {
  return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::slt, a, b);
}
Value MathBuilder::intAnd(Value a, Value b) const { return arith::AndIOp::create(builder, loc, a, b); }
Value MathBuilder::intOr(Value a, Value b) const { return arith::OrIOp::create(builder, loc, a, b); }
Value MathBuilder::intXor(Value a, Value b) const { return arith::XOrIOp::create(builder, loc, a, b); }
Value MathBuilder::shiftLeft(Value a, Value count) const { return arith::ShLIOp::create(builder, loc, a, count); }
Value MathBuilder::shiftRight(Value a, Value count) const { return arith::ShRUIOp::create(builder, loc, a, count); }
Value MathBuilder::shiftLeft(Value a, int64_t count) const {
  return arith::ShLIOp::create(builder, loc, a, bits(count));
}
Value MathBuilder::shiftRight(Value a, int64_t count) const {
  return arith::ShRUIOp::create(builder, loc, a, bits(count));
}
Value MathBuilder::shiftRightSigned(Value a, int64_t count) const {
  return arith::ShRSIOp::create(builder, loc, a, bits(count));
}
Value MathBuilder::intIsZero(Value a) const {
  return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, a, bits(0));
}
Value MathBuilder::intToFloat(Value a) const { return arith::SIToFPOp::create(builder, loc, floatType, a); }
Value MathBuilder::floatToInt(Value a) const { return arith::FPToSIOp::create(builder, loc, intType, a); }

Value MathBuilder::extend(Value a) const { return arith::ExtFOp::create(builder, loc, floatType, a); }
Value MathBuilder::truncate(Value a) const { return arith::TruncFOp::create(builder, loc, floatType, a); }
Value MathBuilder::extendBits(Value a) const { return arith::ExtUIOp::create(builder, loc, intType, a); }
Value MathBuilder::truncateBits(Value a) const { return arith::TruncIOp::create(builder, loc, intType, a); }

Value MathBuilder::polynomial(Value x, ArrayRef<double> coefficients) const {
  Value sum = constant(coefficients.back());
  for (double coefficient : llvm::reverse(coefficients.drop_back()))
    sum = fma(sum, x, constant(coefficient));
  return sum;
}

Value MathBuilder::polynomialInHalves(Value x, ArrayRef<double> coefficients) const {
  SmallVector<double> even, odd;
  for (auto [index, coefficient] : llvm::enumerate(coefficients))
    (index % 2 ? odd : even).push_back(coefficient);
  Value square = mul(x, x);
  return fma(polynomial(square, odd), x, polynomial(square, even));
}

} // namespace tenon
