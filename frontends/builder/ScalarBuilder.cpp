//===- ScalarBuilder.cpp - arithmetic inside the regions of tenon ops -------------===//
#include "frontends/builder/ScalarBuilder.h"

using namespace mlir;
using namespace tenon;

static bool isFloat(Value value) { return isa<FloatType>(value.getType()); }

Value ScalarBuilder::load(Value tensor, ValueRange indices) { return LoadOp::create(builder, loc, tensor, indices); }

Value ScalarBuilder::number(Type type, double value) {
  if (auto real = dyn_cast<FloatType>(type))
    return arith::ConstantOp::create(builder, loc, FloatAttr::get(real, value));
  return integer(type, static_cast<int64_t>(value));
}

Value ScalarBuilder::integer(Type type, int64_t value) {
  if (isa<FloatType>(type))
    return number(type, static_cast<double>(value));
  if (auto narrow = dyn_cast<IntegerType>(type))
    return arith::ConstantOp::create(
        builder, loc, IntegerAttr::get(type, APInt(64, static_cast<uint64_t>(value)).sextOrTrunc(narrow.getWidth())));
  return arith::ConstantOp::create(builder, loc, IntegerAttr::get(type, value));
}

Value ScalarBuilder::index(int64_t value) { return integer(builder.getIndexType(), value); }

Value ScalarBuilder::size(const Dim &dim) {
  if (std::optional<int64_t> value = dim.constant())
    return index(*value);
  return SizeOp::create(builder, loc, DimAttr::get(builder.getContext(), dim));
}

Value ScalarBuilder::add(Value a, Value b) {
  return isFloat(a) ? builder.createOrFold<arith::AddFOp>(loc, a, b) : builder.createOrFold<arith::AddIOp>(loc, a, b);
}

Value ScalarBuilder::sub(Value a, Value b) {
  return isFloat(a) ? builder.createOrFold<arith::SubFOp>(loc, a, b) : builder.createOrFold<arith::SubIOp>(loc, a, b);
}

Value ScalarBuilder::mul(Value a, Value b) {
  return isFloat(a) ? builder.createOrFold<arith::MulFOp>(loc, a, b) : builder.createOrFold<arith::MulIOp>(loc, a, b);
}

/// A divisor that cannot trap: where it is 0 (or, signed, -1) it becomes 1. A region may be
/// evaluated anywhere, so a division must not depend on who looks at its result.
static Value safeDivisor(ScalarBuilder &s, Value b, Sign sign) {
  APInt constant;
  if (matchPattern(b, m_ConstantInt(&constant)) && !constant.isZero() && !constant.isAllOnes())
    return b;
  Value traps = s.compare(Comparison::Equal, b, s.integer(b.getType(), 0));
  if (sign == Sign::Signed)
    traps = s.bitOr(traps, s.compare(Comparison::Equal, b, s.integer(b.getType(), -1)));
  return s.select(traps, s.integer(b.getType(), 1), b);
}

Value ScalarBuilder::div(Value a, Value b, Sign sign) {
  if (isFloat(a))
    return builder.createOrFold<arith::DivFOp>(loc, a, b);
  Value divisor = safeDivisor(*this, b, sign);
  if (sign == Sign::Unsigned)
    return builder.createOrFold<arith::DivUIOp>(loc, a, divisor);
  Value quotient = builder.createOrFold<arith::DivSIOp>(loc, a, divisor);
  if (divisor == b)
    return quotient;
  // The least integer by -1 wraps, as negation does.
  return select(compare(Comparison::Equal, b, integer(b.getType(), -1)), neg(a), quotient);
}

Value ScalarBuilder::rem(Value a, Value b, Sign sign) {
  if (isFloat(a))
    return builder.createOrFold<arith::RemFOp>(loc, a, b);
  Value divisor = safeDivisor(*this, b, sign); // A multiple of 1 and of -1 alike leaves 0.
  return sign == Sign::Unsigned ? builder.createOrFold<arith::RemUIOp>(loc, a, divisor)
                                : builder.createOrFold<arith::RemSIOp>(loc, a, divisor);
}

Value ScalarBuilder::mod(Value a, Value b, Sign sign) {
  Value remainder = rem(a, b, sign);
  if (sign == Sign::Unsigned)
    return remainder;
  // The remainder has the dividend's sign: where that is the wrong one, one divisor more.
  Value zero = number(a.getType(), 0);
  Value opposite =
      compare(Comparison::NotEqual, compare(Comparison::Less, remainder, zero), compare(Comparison::Less, b, zero));
  Value inexact = compare(Comparison::NotEqual, remainder, zero);
  Value result = select(bitAnd(opposite, inexact), add(remainder, b), remainder);
  if (!isFloat(a))
    return result;
  // A zero has the divisor's sign too.
  return select(compare(Comparison::Equal, remainder, zero), math<math::CopySignOp>(zero, b), result);
}

Value ScalarBuilder::neg(Value a) {
  if (isFloat(a))
    return builder.createOrFold<arith::NegFOp>(loc, a);
  return sub(integer(a.getType(), 0), a);
}

Value ScalarBuilder::abs(Value a) {
  if (isFloat(a))
    return math<math::AbsFOp>(a);
  return max(a, neg(a));
}

Value ScalarBuilder::min(Value a, Value b, Sign sign) {
  if (isFloat(a))
    return builder.createOrFold<arith::MinimumFOp>(loc, a, b);
  return sign == Sign::Unsigned ? builder.createOrFold<arith::MinUIOp>(loc, a, b)
                                : builder.createOrFold<arith::MinSIOp>(loc, a, b);
}

Value ScalarBuilder::max(Value a, Value b, Sign sign) {
  if (isFloat(a))
    return builder.createOrFold<arith::MaximumFOp>(loc, a, b);
  return sign == Sign::Unsigned ? builder.createOrFold<arith::MaxUIOp>(loc, a, b)
                                : builder.createOrFold<arith::MaxSIOp>(loc, a, b);
}

static arith::CmpFPredicate realPredicate(Comparison comparison) {
  switch (comparison) {
  case Comparison::Equal:
    return arith::CmpFPredicate::OEQ;
  case Comparison::NotEqual:
    return arith::CmpFPredicate::UNE;
  case Comparison::Less:
    return arith::CmpFPredicate::OLT;
  case Comparison::LessEqual:
    return arith::CmpFPredicate::OLE;
  case Comparison::Greater:
    return arith::CmpFPredicate::OGT;
  case Comparison::GreaterEqual:
    return arith::CmpFPredicate::OGE;
  }
  llvm_unreachable("all comparisons are listed");
}

static arith::CmpIPredicate integerPredicate(Comparison comparison, bool isUnsigned) {
  switch (comparison) {
  case Comparison::Equal:
    return arith::CmpIPredicate::eq;
  case Comparison::NotEqual:
    return arith::CmpIPredicate::ne;
  case Comparison::Less:
    return isUnsigned ? arith::CmpIPredicate::ult : arith::CmpIPredicate::slt;
  case Comparison::LessEqual:
    return isUnsigned ? arith::CmpIPredicate::ule : arith::CmpIPredicate::sle;
  case Comparison::Greater:
    return isUnsigned ? arith::CmpIPredicate::ugt : arith::CmpIPredicate::sgt;
  case Comparison::GreaterEqual:
    return isUnsigned ? arith::CmpIPredicate::uge : arith::CmpIPredicate::sge;
  }
  llvm_unreachable("all comparisons are listed");
}

Value ScalarBuilder::compare(Comparison comparison, Value a, Value b, Sign sign) {
  if (isFloat(a))
    return builder.createOrFold<arith::CmpFOp>(loc, realPredicate(comparison), a, b);
  // A bool is one bit: as a signed number it would be -1.
  bool isUnsigned = sign == Sign::Unsigned || a.getType().isInteger(1);
  return builder.createOrFold<arith::CmpIOp>(loc, integerPredicate(comparison, isUnsigned), a, b);
}

Value ScalarBuilder::select(Value condition, Value a, Value b) {
  return builder.createOrFold<arith::SelectOp>(loc, condition, a, b);
}

Value ScalarBuilder::bitAnd(Value a, Value b) { return builder.createOrFold<arith::AndIOp>(loc, a, b); }
Value ScalarBuilder::bitOr(Value a, Value b) { return builder.createOrFold<arith::OrIOp>(loc, a, b); }
Value ScalarBuilder::bitXor(Value a, Value b) { return builder.createOrFold<arith::XOrIOp>(loc, a, b); }
Value ScalarBuilder::bitNot(Value a) { return bitXor(a, integer(a.getType(), -1)); }

Value ScalarBuilder::isNaN(Value a) {
  return builder.createOrFold<arith::CmpFOp>(loc, arith::CmpFPredicate::UNO, a, a);
}

//===----------------------------------------------------------------------------===//
// Casts
//===----------------------------------------------------------------------------===//

static Value castBetweenReals(ScalarBuilder &s, Value a, FloatType type) {
  unsigned from = a.getType().getIntOrFloatBitWidth(), to = type.getWidth();
  if (from == to) // f16 and bf16: through a type that holds both.
    return castBetweenReals(s, castBetweenReals(s, a, s.builder.getF32Type()), type);
  return from < to ? s.builder.createOrFold<arith::ExtFOp>(s.loc, type, a)
                   : s.builder.createOrFold<arith::TruncFOp>(s.loc, type, a);
}

static Value castBetweenIntegers(ScalarBuilder &s, Value a, Type type, bool isUnsigned) {
  if (isa<IndexType>(a.getType()) || isa<IndexType>(type))
    return isUnsigned ? s.builder.createOrFold<arith::IndexCastUIOp>(s.loc, type, a)
                      : s.builder.createOrFold<arith::IndexCastOp>(s.loc, type, a);
  unsigned from = a.getType().getIntOrFloatBitWidth(), to = type.getIntOrFloatBitWidth();
  if (from == to)
    return a;
  if (from > to)
    return s.builder.createOrFold<arith::TruncIOp>(s.loc, type, a);
  return isUnsigned ? s.builder.createOrFold<arith::ExtUIOp>(s.loc, type, a)
                    : s.builder.createOrFold<arith::ExtSIOp>(s.loc, type, a);
}

Value ScalarBuilder::cast(Value a, Type type, Sign sign) {
  Type from = a.getType();
  if (from == type)
    return a;
  if (type.isInteger(1))
    return compare(Comparison::NotEqual, a, number(from, 0));
  bool isUnsigned = sign == Sign::Unsigned || from.isInteger(1);
  if (auto real = dyn_cast<FloatType>(type)) {
    if (isFloat(a))
      return castBetweenReals(*this, a, real);
    if (isa<IndexType>(from))
      a = cast(a, builder.getI64Type());
    return isUnsigned ? builder.createOrFold<arith::UIToFPOp>(loc, type, a)
                      : builder.createOrFold<arith::SIToFPOp>(loc, type, a);
  }
  if (!isFloat(a))
    return castBetweenIntegers(*this, a, type, isUnsigned);
  if (isa<IndexType>(type))
    return cast(cast(a, builder.getI64Type()), type);
  return isUnsigned ? builder.createOrFold<arith::FPToUIOp>(loc, type, a)
                    : builder.createOrFold<arith::FPToSIOp>(loc, type, a);
}

//===----------------------------------------------------------------------------===//
// Activations
//===----------------------------------------------------------------------------===//

Value ScalarBuilder::sigmoid(Value a) { return reciprocal(add(number(a.getType(), 1), exp(neg(a)))); }

Value ScalarBuilder::gelu(Value a) {
  Type type = a.getType();
  Value half = mul(a, number(type, 0.5));
  return mul(half, add(erf(mul(a, number(type, 0.70710678118654752))), number(type, 1)));
}

Value ScalarBuilder::geluTanh(Value a) {
  Type type = a.getType();
  Value cube = mul(mul(a, a), a);
  Value inner = mul(add(a, mul(cube, number(type, 0.044715))), number(type, 0.79788456080286536));
  return mul(mul(a, number(type, 0.5)), add(tanh(inner), number(type, 1)));
}
