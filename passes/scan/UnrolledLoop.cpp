//===- UnrolledLoop.cpp - the steps of a loop over time that an exporter unrolled --------------===//
#include "passes/scan/UnrolledLoop.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace tenon {

/// Two give the expression, a third and the first confirm it.
static constexpr int64_t leastSteps = 4;

std::optional<UnrolledLoop> UnrolledLoop::match(MapOp collect) {
  std::optional<UnrolledLoop> loop = matchParts(collect);
  bool isLoop = loop && loop->followStates() && loop->isOnlyRead();
  return isLoop ? loop : std::nullopt;
}

std::optional<UnrolledLoop> UnrolledLoop::matchParts(MapOp collect) {
  UnrolledLoop loop;
  loop.collect = collect;
  if (!loop.readParts())
    return std::nullopt;
  loop.number();
  return loop;
}

//===----------------------------------------------------------------------------===//
// Parts, and what computes them
//===----------------------------------------------------------------------------===//

/// `i < 1 ? y_0 : i < 2 ? y_1 : … y_T`, every part one element long.
bool UnrolledLoop::readParts() {
  if (int64_t(collect.getInputs().size()) < leastSteps)
    return false;
  Value rest = collect.getYielded(), index;
  auto add = [&](LoadOp load) {
    Value part = collect.getInputs()[cast<BlockArgument>(load.getTensor()).getArgNumber()];
    for (auto [position, place] : llvm::enumerate(load.getIndices()))
      if (int64_t(position) != axis && place != collect.getIndices()[position])
        return false;
    parts.push_back(part);
    return part.getType() == parts.front().getType() && shapeOf(part)[axis] == Dim(1);
  };
  while (auto select = rest.getDefiningOp<arith::SelectOp>()) {
    auto compare = select.getCondition().getDefiningOp<arith::CmpIOp>();
    auto load = select.getTrueValue().getDefiningOp<LoadOp>();
    IntegerAttr bound;
    if (!compare || !load || compare.getPredicate() != arith::CmpIPredicate::slt ||
        !matchPattern(compare.getRhs(), m_Constant(&bound)) || bound.getInt() != steps() + 1)
      return false;
    if (!index) {
      index = compare.getLhs();
      axis = llvm::find(collect.getIndices(), index) - collect.getIndices().begin();
    }
    if (compare.getLhs() != index || axis == int64_t(collect.getIndices().size()) || !add(load))
      return false;
    rest = select.getFalseValue();
  }
  auto last = rest.getDefiningOp<LoadOp>();
  return last && index && add(last) && shapeOf(collect.getResult())[axis] == Dim(steps()) && steps() >= leastSteps;
}

/// Gives every operation the first step that needs it.
void UnrolledLoop::number() {
  operations.resize(steps());
  for (int64_t step = 0; step < steps(); ++step) {
    SmallVector<Operation *> open;
    auto visit = [&](Value value) {
      if (Operation *op = value.getDefiningOp(); op && stepOf.try_emplace(op, step).second) {
        operations[step].push_back(op);
        open.push_back(op);
      }
    };
    visit(parts[step]);
    while (!open.empty())
      for (Value operand : open.pop_back_val()->getOperands())
        visit(operand);
  }
}

std::optional<int64_t> UnrolledLoop::stepNumber(Operation *op) const {
  auto it = stepOf.find(op);
  return it == stepOf.end() ? std::nullopt : std::optional(it->second);
}

bool UnrolledLoop::isShared(Value tensor, int64_t step) const {
  Operation *op = tensor.getDefiningOp();
  return !op || stepOf.lookup(op) != step;
}

//===----------------------------------------------------------------------------===//
// States
//===----------------------------------------------------------------------------===//

/// The one value that operations of `step` read from those of the step before; null where there are none or several.
Value UnrolledLoop::carriedInto(int64_t step) const {
  Value carried;
  for (Operation *op : operations[step])
    for (Value operand : op->getOperands()) {
      Operation *source = operand.getDefiningOp();
      if (!source || stepOf.lookup(source) != step - 1 || operand == carried)
        continue;
      if (carried)
        return {};
      carried = operand;
    }
  return carried;
}

/// Operand numbers from `from` back to `to` through operations of one step; the reverse order of the walk.
static bool pathTo(Value from, Value to, function_ref<bool(Value)> isInside, SmallVectorImpl<unsigned> &path,
                   llvm::SmallPtrSetImpl<Operation *> &seen) {
  if (from == to)
    return true;
  Operation *op = from.getDefiningOp();
  if (!op || !isInside(from) || !seen.insert(op).second)
    return false;
  for (auto [number, operand] : llvm::enumerate(op->getOperands()))
    if (pathTo(operand, to, isInside, path, seen)) {
      path.push_back(number);
      return true;
    }
  return false;
}

/// Where the path leads, null where operations have no such operands; `read` is the one on it that is no map or
/// reshape.
Value UnrolledLoop::along(Value from, ArrayRef<unsigned> path, Operation **read) const {
  for (unsigned number : llvm::reverse(path)) {
    Operation *op = from.getDefiningOp();
    if (!op || number >= op->getNumOperands())
      return {};
    if (!isa<MapOp, ReshapeOp>(op)) {
      if (!read || *read)
        return {};
      *read = op;
    }
    from = op->getOperand(number);
  }
  return from;
}

Value UnrolledLoop::alike(Value state, int64_t step) const {
  SmallVector<unsigned> path;
  llvm::SmallPtrSet<Operation *, 16> seen;
  auto isOfSecond = [&](Value value) { return !isShared(value, 2); };
  if (!pathTo(parts[2], state, isOfSecond, path, seen))
    return {};
  Operation *read = nullptr;
  Value found = along(parts[step], path, &read);
  return found && found.getType() == state.getType() ? found : Value();
}

bool UnrolledLoop::followStates() {
  Value state = carriedInto(2); // state_1
  SmallVector<unsigned> path, back;
  auto isOfStep = [&](int64_t step) { return [this, step](Value value) { return !isShared(value, step); }; };
  llvm::SmallPtrSet<Operation *, 16> seen, seenBack;
  if (!state || !pathTo(parts[1], state, isOfStep(1), path, seen))
    return false;
  for (int64_t step = 0; step < steps(); ++step) {
    Operation *read = nullptr;
    Value at = along(parts[step], path, &read);
    if (!at || at.getType() != state.getType() || (step > 0 && isShared(at, step)) ||
        (step > 1 && carriedInto(step) != states[step - 1]))
      return false;
    states.push_back(at);
    reads.push_back(read);
  }
  if (!pathTo(states[2], state, isOfStep(2), back, seenBack))
    return false;
  Operation *mixed = nullptr; // by a matrix of the rows, or what the delta rule finds
  initial = along(states[0], back, &mixed);
  if (initial && initial.getType() != state.getType())
    initial = {};
  return true;
}

/// Nothing but the next step reads a state, so that none of them has to be there.
bool UnrolledLoop::isOnlyRead() const {
  for (int64_t step = 0; step + 1 < steps(); ++step)
    for (Operation *user : states[step].getUsers()) {
      auto it = stepOf.find(user);
      bool isOfStep = it != stepOf.end() && (it->second == step || it->second == step + 1);
      if (!isOfStep && user != collect)
        return false;
    }
  return true;
}

Value UnrolledLoop::finalState() const {
  bool isRead = llvm::any_of(states.back().getUsers(), [&](Operation *user) { return !isOfSteps(user); });
  return isRead ? states.back() : Value();
}

} // namespace tenon
