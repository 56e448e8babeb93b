// Starts at each erf, tanh or exp and climbs: through the 1 that is added, then
// through factors, as long as the value has one user. The match is complete when
// the argument, as a polynomial in a factor met on the way, is the activation's
// and the constant factors multiply to its constant. Linear in the operations.

#include "passes/lowering/RaiseActivations.h"

#include <array>
#include <cmath>
#include <optional>

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "passes/lowering/VectorMath.h"

using namespace mlir;

namespace tenon {

/// c0 + c1 x + c2 x^2 + c3 x^3.
using Cubic = std::array<double, 4>;

/// Model files hold constants rounded to f32, and products of such.
static bool isClose(double a, double b) { return std::fabs(a - b) <= 2e-6 * std::fabs(b); }

static bool isClose(const Cubic &a, const Cubic &b) {
  return isClose(a[0], b[0]) && isClose(a[1], b[1]) && isClose(a[2], b[2]) && isClose(a[3], b[3]);
}

static std::optional<double> constantOf(Value value) {
  llvm::APFloat constant(0.0f);
  if (!matchPattern(value, m_ConstantFloat(&constant)))
    return std::nullopt;
  return constant.convertToDouble();
}

static std::optional<Cubic> product(const Cubic &a, const Cubic &b) {
  Cubic result = {};
  for (int i = 0; i < 4; ++i)
    for (int j = 0; j < 4; ++j) {
      if (i + j > 3 && a[i] * b[j] != 0)
        return std::nullopt;
      if (i + j <= 3)
        result[i + j] += a[i] * b[j];
    }
  return result;
}

static Cubic combination(const Cubic &a, double factor, const Cubic &b) {
  Cubic result;
  for (int i = 0; i < 4; ++i)
    result[i] = a[i] + factor * b[i];
  return result;
}

static std::optional<Cubic> cubicIn(Value value, Value x, int depth);

static std::optional<Cubic> cubicOfPower(math::PowFOp power, Value x, int depth) {
  auto base = cubicIn(power.getLhs(), x, depth);
  auto exponent = constantOf(power.getRhs());
  if (!base || !exponent || (*exponent != 2 && *exponent != 3))
    return std::nullopt;
  auto square = product(*base, *base);
  return *exponent == 2 || !square ? square : product(*square, *base);
}

static std::optional<Cubic> cubicOfQuotient(arith::DivFOp quotient, Value x, int depth) {
  auto numerator = cubicIn(quotient.getLhs(), x, depth);
  auto divisor = constantOf(quotient.getRhs());
  if (!numerator || !divisor || *divisor == 0)
    return std::nullopt;
  return combination({}, 1 / *divisor, *numerator);
}

/// `value` as a polynomial in `x`, if it is one of degree 3 at most.
static std::optional<Cubic> cubicIn(Value value, Value x, int depth = 0) {
  if (value == x)
    return Cubic{0, 1, 0, 0};
  if (auto constant = constantOf(value))
    return Cubic{*constant, 0, 0, 0};
  Operation *op = value.getDefiningOp();
  if (!op || depth > 12)
    return std::nullopt;
  if (auto power = dyn_cast<math::PowFOp>(op))
    return cubicOfPower(power, x, depth + 1);
  if (auto quotient = dyn_cast<arith::DivFOp>(op))
    return cubicOfQuotient(quotient, x, depth + 1);
  if (!isa<arith::AddFOp, arith::SubFOp, arith::MulFOp, arith::NegFOp, math::FmaOp>(op))
    return std::nullopt;
  SmallVector<Cubic> operands;
  for (Value operand : op->getOperands()) {
    auto cubic = cubicIn(operand, x, depth + 1);
    if (!cubic)
      return std::nullopt;
    operands.push_back(*cubic);
  }
  if (isa<arith::NegFOp>(op))
    return combination({}, -1, operands[0]);
  if (isa<arith::AddFOp, arith::SubFOp>(op))
    return combination(operands[0], isa<arith::AddFOp>(op) ? 1 : -1, operands[1]);
  auto factors = product(operands[0], operands[1]);
  if (!factors || isa<arith::MulFOp>(op))
    return factors;
  return combination(*factors, 1, operands[2]);
}

namespace {
/// x * constant * (1 + inner(argument)), the argument a polynomial in x.
struct Activation {
  MathFunction function;
  double constant;
  Cubic argument;
};

/// What the climb has passed so far.
struct Climb {
  double constant = 1;
  Value x; // the factor the argument is a polynomial in; null until met
};
} // namespace

static constexpr double sqrtHalf = 0.70710678118654752, sqrtTwoOverPi = 0.79788456080286536;
static constexpr Activation geluForm = {MathFunction::Gelu, 0.5, {0, sqrtHalf, 0, 0}};
static constexpr Activation geluTanhForm = {
    MathFunction::GeluTanh, 0.5, {0, sqrtTwoOverPi, 0, sqrtTwoOverPi * 0.044715}};

/// The only user of `value`, or null.
static Operation *onlyUser(Value value) { return value.hasOneUse() ? *value.user_begin() : nullptr; }

static Value otherOperand(Operation *op, Value value) {
  return op->getOperand(0) == value ? op->getOperand(1) : op->getOperand(0);
}

/// `value + 1`, the next step from erf, tanh or exp.
static Value plusOne(Value value) {
  auto add = dyn_cast_or_null<arith::AddFOp>(onlyUser(value));
  if (!add || constantOf(otherOperand(add, value)) != 1.0)
    return Value();
  return add.getResult();
}

/// Takes `factor` into the climb: a constant, or x times one.
static bool takeFactor(Climb &climb, Value factor, Value argument, const Activation &form) {
  if (auto constant = constantOf(factor)) {
    climb.constant *= *constant;
    return true;
  }
  double scale = 1;
  while (!climb.x) {
    auto cubic = cubicIn(argument, factor);
    if (cubic && isClose(*cubic, form.argument)) {
      climb.x = factor;
      climb.constant *= scale;
      return true;
    }
    auto product = factor.getDefiningOp<arith::MulFOp>();
    auto right = product ? constantOf(product.getRhs()) : std::nullopt;
    auto left = product ? constantOf(product.getLhs()) : std::nullopt;
    if (!right && !left)
      return false;
    scale *= right ? *right : *left;
    factor = right ? product.getLhs() : product.getRhs();
  }
  return false;
}

/// Climbs from 1 + inner(argument) through products; the last one completes the form.
static Operation *completeProduct(Value value, Value argument, const Activation &form, Climb &climb) {
  while (Operation *user = onlyUser(value)) {
    auto quotient = dyn_cast<arith::DivFOp>(user);
    if (quotient && quotient.getLhs() == value) {
      auto divisor = constantOf(quotient.getRhs());
      if (!divisor || *divisor == 0)
        return nullptr;
      climb.constant /= *divisor;
    } else if (!isa<arith::MulFOp>(user) || !takeFactor(climb, otherOperand(user, value), argument, form)) {
      return nullptr;
    }
    value = user->getResult(0);
    if (climb.x && isClose(climb.constant, form.constant))
      return user;
  }
  return nullptr;
}

static void eraseWithDeadOperands(Operation *op) {
  SmallVector<Operation *> dead = {op};
  while (!dead.empty()) {
    Operation *last = dead.pop_back_val();
    SmallVector<Operation *> sources;
    for (Value operand : last->getOperands())
      if (Operation *source = operand.getDefiningOp(); source && !llvm::is_contained(sources, source))
        sources.push_back(source);
    last->erase();
    for (Operation *source : sources)
      if (source->use_empty() && isMemoryEffectFree(source) && !llvm::is_contained(dead, source))
        dead.push_back(source);
  }
}

static void replace(Operation *op, MathFunction function, Value x) {
  OpBuilder builder(op);
  if (Value value = emitMath(builder, op->getLoc(), function, x)) {
    op->getResult(0).replaceAllUsesWith(value);
    eraseWithDeadOperands(op);
  }
}

static void raiseGelu(Operation *inner, const Activation &form) {
  Climb climb;
  if (Value sum = plusOne(inner->getResult(0)))
    if (Operation *last = completeProduct(sum, inner->getOperand(0), form, climb))
      replace(last, form.function, climb.x);
}

/// -argument, if it is written as a negation.
static Value negated(Value argument) {
  if (auto neg = argument.getDefiningOp<arith::NegFOp>())
    return neg.getOperand();
  if (auto product = argument.getDefiningOp<arith::MulFOp>(); product && constantOf(product.getRhs()) == -1.0)
    return product.getLhs();
  if (auto difference = argument.getDefiningOp<arith::SubFOp>(); difference && constantOf(difference.getLhs()) == 0.0)
    return difference.getRhs();
  return Value();
}

static void raiseLogistic(Operation *exponential) {
  Value argument = exponential->getOperand(0), sum = plusOne(exponential->getResult(0));
  auto quotient = sum ? dyn_cast_or_null<arith::DivFOp>(onlyUser(sum)) : nullptr;
  Value x = negated(argument);
  if (!quotient || quotient.getRhs() != sum || !x)
    return;
  Value numerator = quotient.getLhs();
  if (numerator == x)
    return replace(quotient, MathFunction::Silu, x);
  if (constantOf(numerator) != 1.0)
    return;
  auto times = dyn_cast_or_null<arith::MulFOp>(onlyUser(quotient.getResult()));
  if (times && otherOperand(times, quotient.getResult()) == x)
    return replace(times, MathFunction::Silu, x);
  replace(quotient, MathFunction::Sigmoid, x);
}

void raiseActivations(Operation *root) {
  SmallVector<Operation *> inner;
  root->walk([&](Operation *op) {
    if (isa<math::ErfOp, math::TanhOp, math::ExpOp>(op))
      inner.push_back(op);
  });
  // Later ones first: replacing one erases only operations before its last.
  for (Operation *op : llvm::reverse(inner)) {
    if (isa<math::ErfOp>(op))
      raiseGelu(op, geluForm);
    else if (isa<math::TanhOp>(op))
      raiseGelu(op, geluTanhForm);
    else
      raiseLogistic(op);
  }
}

} // namespace tenon
