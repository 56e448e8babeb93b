//===- StateOps.cpp - verification of what a session remembers -------------------===//
#include "dialects/tenon/Tenon.h"

using namespace mlir;
using namespace tenon;

LogicalResult StateOp::verify() {
  if (cast<RankedTensorType>(getType()).getRank() == 0)
    return emitOpError("wants rows, found a tensor of rank 0");
  return success();
}

LogicalResult StateOp::verifySymbolUses(SymbolTableCollection &symbols) {
  if (!getInitialAttr())
    return success();
  auto weight = symbols.lookupNearestSymbolFrom<WeightOp>(*this, getInitialAttr());
  if (!weight)
    return emitOpError("starts as ") << getInitialAttr() << ", which no tenon.weight declares";
  if (weight.getType() != getType())
    return emitOpError("starts as ") << getInitialAttr() << ", a " << weight.getType() << ", and is a " << getType();
  return success();
}

/// `found` is rows of the state that `op` names.
static LogicalResult verifyRows(Operation *op, FlatSymbolRefAttr name, StringRef verb, Type found,
                                SymbolTableCollection &symbols) {
  auto state = symbols.lookupNearestSymbolFrom<StateOp>(op, name);
  if (!state)
    return op->emitOpError(verb) << " " << name << ", which no tenon.state declares";
  Shape wanted = shapeOf(state.getType()), rows = shapeOf(found);
  Type element = cast<RankedTensorType>(found).getElementType();
  bool isSame = element == cast<RankedTensorType>(state.getType()).getElementType() && rows.size() == wanted.size() &&
                ArrayRef<Dim>(rows).drop_front() == ArrayRef<Dim>(wanted).drop_front();
  if (!isSame)
    return op->emitOpError(verb) << " " << name << " as " << found << ", it is rows of " << state.getType()
                                 << ": all dimensions but the first are equal";
  if (std::optional<int64_t> count = rows[0].constant(); count && *count > *wanted[0].constant())
    return op->emitOpError(verb) << " " << *count << " rows of " << name << ", which has " << wanted[0].str();
  return success();
}

LogicalResult StateGetOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return verifyRows(*this, getStateAttr(), "reads", getType(), symbols);
}

/// The first operation of this kind in the same function that names `symbol`.
template <typename Op> static Op firstThatNames(Op op, function_ref<FlatSymbolRefAttr(Op)> named) {
  for (Op other : op->getBlock()->template getOps<Op>())
    if (named(other) == named(op))
      return other;
  return op;
}

LogicalResult StateSetOp::verifySymbolUses(SymbolTableCollection &symbols) {
  if (firstThatNames<StateSetOp>(*this, [](StateSetOp op) { return op.getStateAttr(); }) != *this)
    return emitOpError("sets ") << getStateAttr() << " a second time in this function";
  return verifyRows(*this, getStateAttr(), "sets", getValue().getType(), symbols);
}

LogicalResult AppendOp::verify() {
  Shape rows = shapeOf(getRows()), to = shapeOf(getTo()), result = shapeOf(getResult());
  if (rows.empty() || rows.size() != to.size() || elementOf(getRows()) != elementOf(getTo()) ||
      ArrayRef<Dim>(rows).drop_front() != ArrayRef<Dim>(to).drop_front())
    return emitOpError("wants rows like those of ") << getTo().getType() << ", found " << getRows().getType();
  Shape wanted = to;
  wanted[0] = to[0] + rows[0];
  if (elementOf(getResult()) != elementOf(getTo()) || result != wanted)
    return emitOpError("wants a result of ") << toString(wanted) << ", found " << getType();
  return success();
}

LogicalResult AdvanceOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto symbol = symbols.lookupNearestSymbolFrom<SymbolOp>(*this, getSymbolAttr());
  if (!symbol)
    return emitOpError("advances ") << getSymbolAttr() << ", which no tenon.symbol declares";
  if (!symbol.getKept())
    return emitOpError("advances ") << getSymbolAttr() << ", which is not declared as kept";
  if (firstThatNames<AdvanceOp>(*this, [](AdvanceOp op) { return op.getSymbolAttr(); }) != *this)
    return emitOpError("advances ") << getSymbolAttr() << " a second time in this function";
  return success();
}
