//===- KeepIntervals.cpp - a keep region evaluated over a block of keys ----------------===//
#include "passes/attention/KeepIntervals.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace tenon {

//===----------------------------------------------------------------------------===//
// Small words
//===----------------------------------------------------------------------------===//

Value KeepIntervals::less(Value a, Value b, bool orEqual) {
  auto predicate = orEqual ? arith::CmpIPredicate::sle : arith::CmpIPredicate::slt;
  if (a.getType().isInteger(1)) // as signed numbers, true would be -1
    predicate = orEqual ? arith::CmpIPredicate::ule : arith::CmpIPredicate::ult;
  return lowering.builder.createOrFold<arith::CmpIOp>(lowering.loc, predicate, a, b);
}

Value KeepIntervals::truth(bool value) {
  return arith::ConstantIntOp::create(lowering.builder, lowering.loc, value, 1);
}

Value KeepIntervals::isNot(Value condition) {
  return lowering.builder.createOrFold<arith::XOrIOp>(lowering.loc, condition, truth(true));
}
Value KeepIntervals::both(Value a, Value b) { return lowering.builder.createOrFold<arith::AndIOp>(lowering.loc, a, b); }
Value KeepIntervals::either(Value a, Value b) {
  return lowering.builder.createOrFold<arith::OrIOp>(lowering.loc, a, b);
}

Value KeepIntervals::least(Value a, Value b) {
  if (a.getType().isInteger(1))
    return both(a, b);
  return lowering.builder.createOrFold<arith::MinSIOp>(lowering.loc, a, b);
}
Value KeepIntervals::greatest(Value a, Value b) {
  if (a.getType().isInteger(1))
    return either(a, b);
  return lowering.builder.createOrFold<arith::MaxSIOp>(lowering.loc, a, b);
}

/// A condition nothing is known of is somewhere between false and true.
KeepIntervals::Interval KeepIntervals::booleanOr(Interval interval) {
  return interval.isKnown() ? interval : Interval{truth(false), truth(true)};
}

Value KeepIntervals::clone(Operation *op, ValueRange operands) {
  OperationState state(lowering.loc, op->getName(), operands, op->getResultTypes(), op->getAttrs());
  return lowering.builder.create(state)->getResult(0);
}

Value KeepIntervals::read(LoadOp load, ArrayRef<Value> indices) {
  RegionEmitter emitter(lowering.scope, 1, lowering.loc);
  unsigned number = cast<BlockArgument>(load.getTensor()).getArgNumber() - 4;
  TensorReader reader = lowering.reader(captures[number], emitter);
  SmallVector<LaneValue> at;
  for (auto [index, value] : llvm::zip(load.getIndices(), indices))
    at.push_back(LaneValue::uniform(value, analysis.dependsOnData(index)));
  return emitter.materialise(reader(at));
}

//===----------------------------------------------------------------------------===//
// Operations
//===----------------------------------------------------------------------------===//

KeepIntervals::Interval KeepIntervals::ofArithmetic(Operation *op) {
  if (isa<arith::MulIOp>(op))
    return ofProduct(op);
  if (isa<arith::RemSIOp, arith::RemUIOp>(op))
    return ofRemainder(op);
  Interval a = visit(op->getOperand(0)), b = visit(op->getOperand(1));
  if (isa<arith::SubIOp>(op))
    return {clone(op, {a.low, b.high}), clone(op, {a.high, b.low})};
  // Sums, minima, maxima, and quotients of a positive constant grow with each operand.
  return {clone(op, {a.low, b.low}), clone(op, {a.high, b.high})};
}

KeepIntervals::Interval KeepIntervals::ofProduct(Operation *op) {
  Interval a = visit(op->getOperand(0)), b = visit(op->getOperand(1));
  Interval result;
  for (Value x : {a.low, a.high})
    for (Value y : {b.low, b.high}) {
      Value product = clone(op, {x, y});
      result.low = result.low ? least(result.low, product) : product;
      result.high = result.high ? greatest(result.high, product) : product;
    }
  return result;
}

/// Of non-negative numbers with one quotient the remainders keep their order; else it is anything below the divisor.
KeepIntervals::Interval KeepIntervals::ofRemainder(Operation *op) {
  Interval a = visit(op->getOperand(0));
  Value divisor = visit(op->getOperand(1)).low;
  OpBuilder &builder = lowering.builder;
  Location loc = lowering.loc;
  Value zero = arith::ConstantOp::create(builder, loc, builder.getIntegerAttr(divisor.getType(), 0));
  Value one = arith::ConstantOp::create(builder, loc, builder.getIntegerAttr(divisor.getType(), 1));
  Value same = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq,
                                     arith::DivSIOp::create(builder, loc, a.low, divisor),
                                     arith::DivSIOp::create(builder, loc, a.high, divisor));
  Value ordered = both(same, less(zero, a.low, /*orEqual=*/true));
  Value most = arith::SubIOp::create(builder, loc, divisor, one);
  Value least = isa<arith::RemUIOp>(op) ? zero : arith::SubIOp::create(builder, loc, zero, most);
  return {arith::SelectOp::create(builder, loc, ordered, arith::RemSIOp::create(builder, loc, a.low, divisor), least),
          arith::SelectOp::create(builder, loc, ordered, arith::RemSIOp::create(builder, loc, a.high, divisor), most)};
}

KeepIntervals::Interval KeepIntervals::ofLogic(Operation *op) {
  Interval a = booleanOr(visit(op->getOperand(0))), b = booleanOr(visit(op->getOperand(1)));
  if (!isa<arith::XOrIOp>(op))
    return {clone(op, {a.low, b.low}), clone(op, {a.high, b.high})};
  // Exactly one of two: certain where both are.
  Value differ = either(both(a.low, isNot(b.high)), both(b.low, isNot(a.high)));
  Value agree = either(both(a.low, b.low), both(isNot(a.high), isNot(b.high)));
  return {differ, isNot(agree)};
}

KeepIntervals::Interval KeepIntervals::ofComparison(arith::CmpIOp compare) {
  using enum arith::CmpIPredicate;
  Interval a = visit(compare.getLhs()), b = visit(compare.getRhs());
  switch (compare.getPredicate()) {
  case slt:
    return {less(a.high, b.low, false), less(a.low, b.high, false)};
  case sle:
    return {less(a.high, b.low, true), less(a.low, b.high, true)};
  case sgt:
    return {less(b.high, a.low, false), less(b.low, a.high, false)};
  case sge:
    return {less(b.high, a.low, true), less(b.low, a.high, true)};
  default:
    break;
  }
  Value mayBeEqual = both(less(a.low, b.high, true), less(b.low, a.high, true));
  Value areEqual = both(less(a.high, b.low, true), less(b.high, a.low, true));
  if (compare.getPredicate() == eq)
    return {areEqual, mayBeEqual};
  return {isNot(mayBeEqual), isNot(areEqual)};
}

KeepIntervals::Interval KeepIntervals::ofSelect(arith::SelectOp select) {
  Interval c = visit(select.getCondition()), a = visit(select.getTrueValue()), b = visit(select.getFalseValue());
  OpBuilder &builder = lowering.builder;
  auto choose = [&](Value yes, Value no, Value between) -> Value {
    Value known = arith::SelectOp::create(builder, lowering.loc, c.low, yes, between);
    return arith::SelectOp::create(builder, lowering.loc, c.high, known, no);
  };
  return {choose(a.low, b.low, least(a.low, b.low)), choose(a.high, b.high, greatest(a.high, b.high))};
}

/// The least and the greatest of the elements the box reads.
KeepIntervals::Interval KeepIntervals::scan(LoadOp load) {
  unsigned running = analysis.scannedIndex(load);
  SmallVector<Value> at;
  for (Value index : load.getIndices())
    at.push_back(visit(index).low);
  Interval positions = visit(load.getIndices()[running]);
  OpBuilder &builder = lowering.builder;
  Location loc = lowering.loc;
  auto asIndex = [&](Value value) {
    return value.getType().isIndex() ? value : arith::IndexCastOp::create(builder, loc, builder.getIndexType(), value);
  };
  Value first = read(load, at), one = lowering.scope.index(1, loc);
  Value begin = lowering.scope.add(asIndex(positions.low), one, loc);
  Value end = lowering.scope.add(asIndex(positions.high), one, loc);
  auto loop = scf::ForOp::create(builder, loc, begin, end, one, ValueRange{first, first});
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  Value position = loop.getInductionVar();
  if (!at[running].getType().isIndex())
    position = arith::IndexCastOp::create(builder, loc, at[running].getType(), position);
  at[running] = position;
  Value element = read(load, at);
  scf::YieldOp::create(builder, loc, ValueRange{least(loop.getRegionIterArg(0), element),
                                                greatest(loop.getRegionIterArg(1), element)});
  return {loop.getResult(0), loop.getResult(1)};
}

//===----------------------------------------------------------------------------===//
// The walk
//===----------------------------------------------------------------------------===//

KeepIntervals::Interval KeepIntervals::compute(Value value) {
  Operation *op = value.getDefiningOp();
  KeepAnalysis::Kind kind = analysis.kindOf(value);
  if (kind == KeepAnalysis::Kind::Unknown)
    return {};
  auto load = dyn_cast<LoadOp>(op);
  if (kind == KeepAnalysis::Kind::Scan)
    return scan(load);
  if (kind == KeepAnalysis::Kind::Point) {
    auto operands = llvm::map_to_vector(load ? ValueRange(load.getIndices()) : ValueRange(op->getOperands()),
                                        [&](Value operand) { return visit(operand).low; });
    if (auto size = dyn_cast<SizeOp>(op)) {
      Value dim = lowering.scope.dim(size.getDim().getValue(), lowering.loc);
      return {dim, dim};
    }
    Value point = load ? read(load, operands) : clone(op, operands);
    return {point, point};
  }
  if (auto compare = dyn_cast<arith::CmpIOp>(op))
    return ofComparison(compare);
  if (auto select = dyn_cast<arith::SelectOp>(op))
    return ofSelect(select);
  if (isa<arith::AndIOp, arith::OrIOp, arith::XOrIOp>(op))
    return ofLogic(op);
  if (isa<arith::IndexCastOp, arith::ExtSIOp, arith::ExtUIOp>(op)) {
    Interval a = visit(op->getOperand(0));
    // Sign extension makes true the lesser of both.
    bool turns = isa<arith::ExtSIOp>(op) && op->getOperand(0).getType().isInteger(1);
    return {clone(op, {turns ? a.high : a.low}), clone(op, {turns ? a.low : a.high})};
  }
  return ofArithmetic(op);
}

KeepIntervals::Interval KeepIntervals::visit(Value value) {
  if (auto it = intervals.find(value); it != intervals.end())
    return it->second;
  Interval interval = compute(value);
  return intervals[value] = interval;
}

KeepTruth KeepIntervals::evaluate(const AttentionBox &box) {
  intervals.clear();
  Block &block = keep.front();
  intervals[block.getArgument(0)] = {box.batch, box.batch};
  intervals[block.getArgument(1)] = {box.head, box.head};
  intervals[block.getArgument(2)] = {box.firstQuery, box.lastQuery};
  intervals[block.getArgument(3)] = {box.firstKey, box.lastKey};
  Interval result = booleanOr(visit(block.getTerminator()->getOperand(0)));
  return {result.high, result.low};
}

} // namespace tenon
