// ExpandMath: math operations that would become calls, to straight-line code.
// Linear in the operations; each is replaced where it stands.

#include "passes/lowering/RaiseActivations.h"
#include "passes/lowering/VectorMath.h"
#include "passes/lowering/math/Functions.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Pass/Pass.h"
#include "llvm/ADT/TypeSwitch.h"

namespace tenon {
#define GEN_PASS_DEF_EXPANDMATH
#include "passes/Passes.h.inc"
} // namespace tenon

using namespace mlir;

namespace tenon {

static std::optional<MathFunction> functionOf(Operation *op) {
  using Result = std::optional<MathFunction>;
  return llvm::TypeSwitch<Operation *, Result>(op)
      .Case([](math::ExpOp) { return MathFunction::Exp; })
      .Case([](math::Exp2Op) { return MathFunction::Exp2; })
      .Case([](math::ExpM1Op) { return MathFunction::Expm1; })
      .Case([](math::LogOp) { return MathFunction::Log; })
      .Case([](math::Log2Op) { return MathFunction::Log2; })
      .Case([](math::Log10Op) { return MathFunction::Log10; })
      .Case([](math::Log1pOp) { return MathFunction::Log1p; })
      .Case([](math::TanhOp) { return MathFunction::Tanh; })
      .Case([](math::ErfOp) { return MathFunction::Erf; })
      .Case([](math::ErfcOp) { return MathFunction::Erfc; })
      .Case([](math::SinOp) { return MathFunction::Sin; })
      .Case([](math::CosOp) { return MathFunction::Cos; })
      .Case([](math::TanOp) { return MathFunction::Tan; })
      .Case([](math::AsinOp) { return MathFunction::Asin; })
      .Case([](math::AcosOp) { return MathFunction::Acos; })
      .Case([](math::AtanOp) { return MathFunction::Atan; })
      .Case([](math::Atan2Op) { return MathFunction::Atan2; })
      .Case([](math::SinhOp) { return MathFunction::Sinh; })
      .Case([](math::CoshOp) { return MathFunction::Cosh; })
      .Case([](math::AsinhOp) { return MathFunction::Asinh; })
      .Case([](math::AcoshOp) { return MathFunction::Acosh; })
      .Case([](math::AtanhOp) { return MathFunction::Atanh; })
      .Case([](math::CbrtOp) { return MathFunction::Cbrt; })
      .Case([](math::RsqrtOp) { return MathFunction::Rsqrt; })
      .Case([](math::PowFOp) { return MathFunction::Pow; })
      .Default([](Operation *) { return Result(); });
}

/// x^exponent for the constants models contain, as products; null for others.
static Value emitConstantPower(OpBuilder &builder, math::PowFOp op) {
  llvm::APFloat exponent(0.0f);
  if (!matchPattern(op.getRhs(), m_ConstantFloat(&exponent)))
    return Value();
  Location loc = op.getLoc();
  Value x = op.getLhs();
  auto times = [&](Value a, Value b) {
    return Value(arith::MulFOp::create(builder, loc, a, b, arith::FastMathFlags::contract));
  };
  if (exponent.isExactlyValue(1.0))
    return x;
  if (exponent.isExactlyValue(2.0))
    return times(x, x);
  if (exponent.isExactlyValue(3.0))
    return times(times(x, x), x);
  return Value();
}

/// math.sincos has two results, each a function of its own.
static LogicalResult expandSincos(OpBuilder &builder, math::SincosOp op) {
  Value sine = emitMath(builder, op.getLoc(), MathFunction::Sin, op.getOperand());
  Value cosine = emitMath(builder, op.getLoc(), MathFunction::Cos, op.getOperand());
  if (!sine || !cosine)
    return failure();
  op->replaceAllUsesWith(ValueRange{sine, cosine});
  return success();
}

/// An integer power as a power of the float of the same value.
static Value emitIntegerPower(OpBuilder &builder, math::FPowIOp op) {
  Value exponent = arith::SIToFPOp::create(builder, op.getLoc(), op.getLhs().getType(), op.getRhs());
  return emitMath(builder, op.getLoc(), MathFunction::Pow, {op.getLhs(), exponent});
}

/// A conversion from `from` to `to`, scalars or vectors.
static bool converts(Operation *op, bool (Type::*from)() const, bool (Type::*to)() const) {
  return (getElementTypeOrSelf(op->getOperand(0).getType()).*from)() &&
         (getElementTypeOrSelf(op->getResult(0).getType()).*to)();
}

static bool truncatesToBFloat16(Operation *op) {
  return isa<arith::TruncFOp>(op) && converts(op, &Type::isF32, &Type::isBF16);
}

static bool extendsFromBFloat16(Operation *op) {
  return isa<arith::ExtFOp>(op) && converts(op, &Type::isBF16, &Type::isF32);
}

static bool truncatesFromDouble(Operation *op) {
  return isa<arith::TruncFOp>(op) &&
         (converts(op, &Type::isF64, &Type::isF16) || converts(op, &Type::isF64, &Type::isBF16));
}

/// C's fmod; narrow floats by way of f32, which holds theirs.
static Value expandRemainder(OpBuilder &builder, arith::RemFOp op) {
  Location loc = op.getLoc();
  MathBuilder own(builder, loc, op.getType());
  Type element = getElementTypeOrSelf(op.getType());
  if (element.getIntOrFloatBitWidth() >= 32)
    return emitRemainder(own, op.getLhs(), op.getRhs());
  MathBuilder m = own.as(builder.getF32Type());
  auto widen = [&](Value value) {
    return element.isBF16() ? emitExtensionFromBFloat16(builder, loc, value) : m.extend(value);
  };
  Value rest = emitRemainder(m, widen(op.getLhs()), widen(op.getRhs()));
  return element.isBF16() ? emitTruncationToBFloat16(builder, loc, rest) : own.truncate(rest);
}

/// The shape of an integer operation as that of floats as wide, which MathBuilder wants.
static Value expandIntegerPower(OpBuilder &builder, math::IPowIOp op) {
  Type type = op.getType();
  return emitIntegerPower(MathBuilder(builder, op.getLoc(), type), op.getLhs(), op.getRhs());
}

static bool becomesCall(Operation *op) {
  return isa<math::SincosOp, math::FPowIOp, math::IPowIOp, arith::RemFOp>(op) || truncatesFromDouble(op) ||
         truncatesToBFloat16(op) || extendsFromBFloat16(op) || functionOf(op);
}

static LogicalResult expandOne(Operation *op) {
  OpBuilder builder(op);
  if (auto sincos = dyn_cast<math::SincosOp>(op))
    return expandSincos(builder, sincos);
  Value value;
  if (auto power = dyn_cast<math::PowFOp>(op))
    value = emitConstantPower(builder, power);
  if (auto power = dyn_cast<math::FPowIOp>(op))
    value = emitIntegerPower(builder, power);
  else if (auto power = dyn_cast<math::IPowIOp>(op))
    value = expandIntegerPower(builder, power);
  else if (auto remainder = dyn_cast<arith::RemFOp>(op))
    value = expandRemainder(builder, remainder);
  else if (truncatesFromDouble(op))
    value = emitTruncationFromDouble(builder, op->getLoc(), op->getOperand(0),
                                     getElementTypeOrSelf(op->getResult(0).getType()));
  else if (isa<arith::TruncFOp>(op))
    value = emitTruncationToBFloat16(builder, op->getLoc(), op->getOperand(0));
  else if (isa<arith::ExtFOp>(op))
    value = emitExtensionFromBFloat16(builder, op->getLoc(), op->getOperand(0));
  else if (!value)
    value = emitMath(builder, op->getLoc(), *functionOf(op), op->getOperands());
  if (!value)
    return failure();
  op->getResult(0).replaceAllUsesWith(value);
  return success();
}

LogicalResult expandMath(Operation *root) {
  raiseActivations(root);
  SmallVector<Operation *> calls;
  root->walk([&](Operation *op) {
    if (becomesCall(op))
      calls.push_back(op);
  });
  for (Operation *op : calls) {
    if (failed(expandOne(op)))
      return op->emitOpError("has no expansion for ")
             << op->getResult(0).getType() << "; wanted f32, f64, f16, bf16 or a vector of them";
    op->erase();
  }
  return success();
}

namespace {
struct ExpandMath : impl::ExpandMathBase<ExpandMath> {
  void runOnOperation() override {
    if (failed(expandMath(getOperation())))
      signalPassFailure();
  }
};
} // namespace

} // namespace tenon
