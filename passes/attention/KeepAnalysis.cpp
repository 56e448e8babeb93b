//===- KeepAnalysis.cpp - what a keep region says about a whole block of keys ----------===//
#include "passes/attention/KeepAnalysis.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace tenon {

KeepAnalysis::KeepAnalysis(Region &keep) : region(keep), yielded(region.front().getTerminator()->getOperand(0)) {}

const KeepAnalysis::Fact &KeepAnalysis::factOf(Value value) {
  if (auto it = facts.find(value); it != facts.end())
    return it->second;
  Fact fact = computeFact(value);
  return facts[value] = fact;
}

/// The steps of a sum, difference or product of affine values.
static std::optional<int64_t> stepOf(Operation *op, std::optional<int64_t> a, std::optional<int64_t> b) {
  if (!a || !b)
    return std::nullopt;
  if (isa<arith::AddIOp>(op))
    return *a + *b;
  if (isa<arith::SubIOp>(op))
    return *a - *b;
  if (*a == 0 && *b == 0)
    return 0;
  return std::nullopt;
}

/// Integer arithmetic whose range follows from its operands'. Index and i64 are read as integers: positions and
/// lengths never come near their ends.
static bool isRangeArithmetic(Operation *op) {
  Type type = op->getResult(0).getType();
  if (!type.isIndex() && !type.isInteger(64))
    return false;
  if (isa<arith::AddIOp, arith::SubIOp, arith::MulIOp, arith::MinSIOp, arith::MaxSIOp>(op))
    return true;
  APInt divisor;
  return isa<arith::DivSIOp, arith::FloorDivSIOp, arith::DivUIOp, arith::RemSIOp, arith::RemUIOp>(op) &&
         matchPattern(op->getOperand(1), m_ConstantInt(&divisor)) && divisor.isStrictlyPositive();
}

static bool isSigned(arith::CmpIPredicate predicate) {
  using enum arith::CmpIPredicate;
  return llvm::is_contained({eq, ne, slt, sle, sgt, sge}, predicate);
}

/// What keeps order, so that ranges of data pass through as well.
static bool keepsOrder(Operation *op) {
  if (isa<arith::IndexCastOp, arith::ExtSIOp>(op))
    return true;
  if (isa<arith::ExtUIOp>(op))
    return op->getOperand(0).getType().isInteger(1);
  if (isa<arith::AndIOp, arith::OrIOp, arith::XOrIOp>(op))
    return op->getResult(0).getType().isInteger(1);
  if (auto compare = dyn_cast<arith::CmpIOp>(op))
    return isSigned(compare.getPredicate());
  return isa<arith::SelectOp>(op);
}

KeepAnalysis::Fact KeepAnalysis::computeFact(Value value) {
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    unsigned number = argument.getArgNumber();
    bool query = number == 2, key = number == 3;
    return {query || key ? Kind::Range : Kind::Point, query, key, false, int64_t(query), int64_t(key)};
  }
  Operation *op = value.getDefiningOp();
  if (auto load = dyn_cast<LoadOp>(op))
    return factOfLoad(load);
  Fact fact{Kind::Point, false, false, false, 0, 0};
  bool anyUnknown = false;
  SmallVector<Fact> operands;
  for (Value operand : op->getOperands()) {
    operands.push_back(factOf(operand));
    const Fact &other = operands.back();
    anyUnknown |= other.kind == Kind::Unknown;
    fact.query |= other.query;
    fact.key |= other.key;
    fact.data |= other.data;
  }
  if (!fact.query && !fact.key && !anyUnknown)
    return fact;
  fact.queryStep = fact.keyStep = std::nullopt;
  bool isBoolean = value.getType().isInteger(1);
  bool known = value.getType().isIntOrIndex() && (isRangeArithmetic(op) || keepsOrder(op));
  // A conjunction is decided where one side is; a comparison needs both.
  if (anyUnknown)
    known = isBoolean && isa<arith::AndIOp, arith::OrIOp>(op) &&
            llvm::any_of(operands, [](const Fact &other) { return other.kind != Kind::Unknown; });
  fact.kind = known ? Kind::Range : Kind::Unknown;
  if (known && operands.size() == 2 && isa<arith::AddIOp, arith::SubIOp>(op)) {
    fact.queryStep = stepOf(op, operands[0].queryStep, operands[1].queryStep);
    fact.keyStep = stepOf(op, operands[0].keyStep, operands[1].keyStep);
  } else if (known && isa<arith::IndexCastOp, arith::ExtSIOp>(op)) {
    fact.queryStep = operands[0].queryStep;
    fact.keyStep = operands[0].keyStep;
  }
  return fact;
}

KeepAnalysis::Fact KeepAnalysis::factOfLoad(LoadOp load) {
  Fact fact{Kind::Point, false, false, true, std::nullopt, std::nullopt};
  unsigned running = 0;
  bool isUnit = true;
  for (Value index : load.getIndices()) {
    const Fact &at = factOf(index);
    fact.query |= at.query;
    fact.key |= at.key;
    if (at.kind == Kind::Point)
      continue;
    ++running;
    isUnit &= at.kind == Kind::Range && !at.data &&
              ((at.queryStep == 1 && at.keyStep == 0) || (at.queryStep == 0 && at.keyStep == 1));
  }
  if (running == 0)
    return fact;
  fact.kind = running == 1 && isUnit && load.getType().isIntOrIndex() ? Kind::Scan : Kind::Unknown;
  return fact;
}

unsigned KeepAnalysis::scannedIndex(LoadOp load) {
  for (auto [number, index] : llvm::enumerate(load.getIndices()))
    if (factOf(index).kind != Kind::Point)
      return number;
  return 0;
}

std::string KeepAnalysis::summary() {
  unsigned positions = 0, data = 0, undecided = 0;
  for (Operation &op : region.front()) {
    bool isLeaf = isa<arith::CmpIOp, arith::CmpFOp>(op) || (isa<LoadOp>(op) && op.getResult(0).getType().isInteger(1));
    if (!isLeaf)
      continue;
    const Fact &fact = factOf(op.getResult(0));
    if (fact.kind == Kind::Point)
      continue;
    ++(fact.kind == Kind::Unknown ? undecided : fact.data ? data : positions);
  }
  std::string text;
  auto say = [&](unsigned count, StringRef what) {
    if (count)
      text += (text.empty() ? "" : ", ") + std::to_string(count) + " " + what.str();
  };
  say(positions, "by positions");
  say(data, "by least and greatest of data");
  say(undecided, "undecided");
  return text.empty() ? "none" : text;
}

} // namespace tenon
