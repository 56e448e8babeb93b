//===- ElementLoop.cpp - reading an unrolled loop over states whose elements do not meet --------===//
#include "passes/scan/ElementLoop.h"

using namespace mlir;

namespace tenon {

/// Two give the expressions, one confirms them; the first two start.
static constexpr int64_t leastSteps = 5;

std::optional<ElementLoop> ElementLoop::read(const UnrolledLoop &unrolled, StepTracer &tracer) {
  ElementLoop loop(unrolled, tracer);
  bool isRead = loop.findStates() && loop.readSteps() && loop.readStart() && loop.isOnlyRead();
  return isRead ? std::optional(loop) : std::nullopt;
}

SmallVector<Dim, 4> ElementLoop::indicesOf(ArrayRef<Dim> shape) {
  return llvm::map_to_vector<4>(
      shape, [&](const Dim &extent) { return extent == Dim(1) ? Dim(0) : tracer.domain.addIndex(extent); });
}

//===----------------------------------------------------------------------------===//
// The states
//===----------------------------------------------------------------------------===//

/// Of the first step, or read by more steps than its own and the next: what all of them share, and none hands on.
bool ElementLoop::isOfAll(Value value) const {
  std::optional<int64_t> number = value.getDefiningOp() ? loop.stepNumber(value.getDefiningOp()) : std::nullopt;
  return number.value_or(0) == 0 || llvm::any_of(value.getUsers(), [&](Operation *user) {
           return loop.stepNumber(user).value_or(0) > *number + 1;
         });
}

/// What step 3 takes over from step 2, but for what that made without step 1.
bool ElementLoop::findStates() {
  if (loop.steps() < leastSteps)
    return false;
  llvm::DenseMap<Operation *, bool> knows;
  std::function<bool(Operation *)> knowsStepOne = [&](Operation *op) {
    if (loop.stepNumber(op) != 2)
      return loop.stepNumber(op) == 1;
    if (auto it = knows.find(op); it != knows.end())
      return it->second;
    bool result = llvm::any_of(op->getOperands(), [&](Value operand) {
      Operation *source = operand.getDefiningOp();
      return source && !isOfAll(operand) && knowsStepOne(source);
    });
    return knows[op] = result;
  };
  llvm::SetVector<Value> carried;
  for (Operation *op : loop.operationsOf(3))
    for (Value operand : op->getOperands())
      if (Operation *source = operand.getDefiningOp(); source && loop.stepNumber(source) == 2 && knowsStepOne(source))
        carried.insert(operand);
  for (Value value : carried) {
    ElementState &state = states.emplace_back();
    if (value.getType() != carried.front().getType() || !isa<FloatType>(elementOf(value)))
      return false;
    state.values.push_back(Value());
    for (int64_t step = 1; step < loop.steps(); ++step) {
      Value there = loop.alike(value, step);
      if (!there || loop.isShared(there, step))
        return false;
      state.values.push_back(there);
    }
  }
  return !states.empty();
}

SmallVector<Value, 3> ElementLoop::valuesAt(int64_t step) const {
  return llvm::map_to_vector<3>(states, [&](const ElementState &state) { return state.values[step]; });
}

/// Nothing but its own step and the next reads a state before the last, so that none of them has to be there.
bool ElementLoop::isOnlyRead() const {
  for (const ElementState &state : states)
    for (int64_t step = 1; step + 1 < loop.steps(); ++step)
      for (Operation *user : state.values[step].getUsers()) {
        std::optional<int64_t> number = loop.stepNumber(user);
        if (number != step && number != step + 1)
          return false;
      }
  return true;
}

//===----------------------------------------------------------------------------===//
// The steps as expressions
//===----------------------------------------------------------------------------===//

/// The tree that the steps from the third on are instances of.
StepTree ElementLoop::common(function_ref<StepTree(int64_t)> trace) {
  StepTree second = trace(2), third = trace(3);
  StepTree general = second && third ? tracer.generalised(second, third, 2, step) : nullptr;
  for (int64_t number = 4; general && number < loop.steps(); ++number) {
    StepTree tree = trace(number);
    if (!tree || !tracer.isInstance(general, tree, step, number, [](StepTree, StepTree) { return false; }))
      return nullptr;
  }
  return general;
}

bool ElementLoop::readSteps() {
  step = tracer.domain.addIndex(Dim(loop.steps()));
  at = indicesOf(shape());
  outputAt = indicesOf(shapeOf(loop.parts.front()));
  auto isShared = [&](Value value) { return isOfAll(value); };
  for (ElementState &state : states) {
    state.next = common(
        [&](int64_t number) { return tracer.element(state.values[number], at, {valuesAt(number - 1), isShared}); });
    auto isElsewhere = [&](const StepNode &node) { return node.kind == StepNode::Carried && node.at != at; };
    if (!state.next || hasSum(state.next) || contains(state.next, isElsewhere))
      return false;
    collectTensors(state.next, shared);
  }
  output = common(
      [&](int64_t number) { return tracer.element(loop.parts[number], outputAt, {valuesAt(number), isShared}); });
  if (!output)
    return false;
  collectTensors(output, shared);
  return true;
}

//===----------------------------------------------------------------------------===//
// How it starts
//===----------------------------------------------------------------------------===//

/// An expression of the first two steps, down to the tensors that all share.
StepTree ElementLoop::first(Value tensor, ArrayRef<Dim> indices, ArrayRef<Value> carried) {
  return tracer.element(tensor, indices,
                        {SmallVector<Value, 3>(carried), [&](Value other) { return shared.contains(other); }});
}

/// The second step makes the states of the initial ones, which may be what the first makes of what stood before it.
bool ElementLoop::readStart() {
  for (ElementState &state : states) {
    StepTree tree = first(state.values[1], at, {});
    if (!tree || !isInstance(state.next, tree, 1, true))
      return false;
  }
  auto isKnown = [](const ElementState &state) { return state.initial && !hasSum(state.initial); };
  StepTree second = first(loop.parts[1], outputAt, valuesAt(1)), start = first(loop.parts[0], outputAt, {});
  return llvm::all_of(states, isKnown) && second && isInstance(output, second, 1, false) && start &&
         isInstance(output, start, 0, true);
}

static bool isCommutative(StepTree tree) {
  return tree->is<arith::AddFOp>() || tree->is<arith::MulFOp>() || tree->is<arith::MaximumFOp>() ||
         tree->is<arith::MinimumFOp>();
}

/// Whether `tree` is `general` at a step, with an initial state for each carried element if `findsInitial`. Constants
/// among those have gone to the right of their operations.
bool ElementLoop::isInstance(StepTree general, StepTree tree, int64_t number, bool findsInitial) {
  if (general->kind == StepNode::Carried && findsInitial) {
    StepTree &initial = states[general->state].initial;
    if (!initial && general->at == at)
      initial = tree;
    std::map<std::string, Dim, std::less<>> here;
    for (auto [index, place] : llvm::zip(at, general->at))
      if (index.asSymbol())
        here[std::string(*index.asSymbol())] = place;
    return initial && isEqual(tracer.substituted(initial, here), tree);
  }
  auto matches = [&](bool isTurned) {
    std::map<std::string, Dim, std::less<>> here{{std::string(*step.asSymbol()), Dim(number)}};
    if (!isAlike(general, tree))
      return false;
    for (auto [place, other] : llvm::zip(general->at, tree->at))
      if (!tracer.domain.isEqual(place.substitute(here), other))
        return false;
    for (auto [k, operand] : llvm::enumerate(general->operands))
      if (!isInstance(operand, tree->operands[isTurned ? 1 - k : k], number, findsInitial))
        return false;
    return true;
  };
  SmallVector<StepTree> known = llvm::map_to_vector(states, [](const ElementState &state) { return state.initial; });
  if (matches(false))
    return true;
  for (auto [state, initial] : llvm::zip(states, known))
    state.initial = initial;
  return findsInitial && isCommutative(general) && matches(true);
}

} // namespace tenon
