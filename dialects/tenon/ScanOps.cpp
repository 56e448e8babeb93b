//===- ScanOps.cpp - sizes and verification of linear recurrences ------------------===//
#include "dialects/tenon/AttentionRegions.h"

using namespace mlir;
using namespace tenon;

static constexpr StringLiteral inputNames[] = {"query", "key", "value", "decay", "rate"};

/// The name of input `number`: without a decay the rate is the fourth.
static StringRef nameOf(ScanOp op, unsigned number) {
  return inputNames[number == 3 && !op.getDecay() ? 4 : number];
}

static AttentionLayout parsed(StringRef text) {
  std::string error;
  return *AttentionLayout::parse(text, error, "");
}

/// The size of a role in input `number`.
static Dim sizeOf(ScanOp op, unsigned number, char role) {
  return parsed(op.getLayout(number)).sizeOf(role, shapeOf(op->getOperand(number)));
}

Type ScanOp::getStateType() { return scoreTypeOf(getValue().getType()); }

ScanOp::Sizes ScanOp::getSizes() {
  AttentionLayout out = parsed(getLayoutOfResult());
  Shape result = shapeOf(getResult());
  Dim states = sizeOf(*this, 1, 'h');
  for (unsigned number = 2; number < getInputs().size(); ++number) {
    Dim heads = sizeOf(*this, number, 'h');
    // A size that is an expression is one that the operand has by itself.
    bool isMore = states.constant() && (!heads.constant() || *heads.constant() > *states.constant());
    states = isMore ? heads : states;
  }
  return {out.sizeOf('b', result), out.sizeOf('h', result), states, out.sizeOf('n', result), sizeOf(*this, 1, 'd'),
          out.sizeOf('d', result)};
}

//===----------------------------------------------------------------------------===//
// Verification
//===----------------------------------------------------------------------------===//

/// `heads` of the whole are shared out evenly among `found`.
static LogicalResult verifyShare(ScanOp op, StringRef what, const Dim &heads, const Dim &found) {
  std::optional<int64_t> all = heads.constant(), some = found.constant();
  if (heads == found || (some == 1) || (all && some && *some > 0 && *all % *some == 0))
    return success();
  return op.emitOpError("wants ") << heads.str() << " heads to be a multiple of those of the " << what << ", found "
                                  << found.str();
}

static LogicalResult verifyInput(ScanOp op, unsigned number, const ScanOp::Sizes &sizes) {
  StringRef what = nameOf(op, number);
  AttentionLayout layout = parsed(op.getLayout(number));
  Shape shape = shapeOf(op->getOperand(number));
  if (!isa<FloatType>(elementOf(op->getOperand(number))))
    return op.emitOpError("wants a ") << what << " of floating-point elements, found "
                                      << elementOf(op->getOperand(number));
  if (what == "rate" && llvm::is_contained(layout.roles, 'd'))
    return op.emitOpError("wants one rate for a key, found d in its layout \"") << op.getLayout(number) << "\"";
  std::pair<char, Dim> wanted[] = {
      {'b', sizes.batch}, {'n', sizes.steps}, {'d', what == "value" ? sizes.valueDepth : sizes.depth}};
  for (const auto &[role, size] : wanted) {
    bool isDepth = role == 'd' && what != "rate" && what != "decay";
    if ((isDepth || llvm::is_contained(layout.roles, role)) && layout.sizeOf(role, shape) != size)
      return op.emitOpError("wants a ") << what << " with " << size.str() << " for '" << std::string(1, role)
                                        << "', found " << layout.sizeOf(role, shape).str();
  }
  return verifyShare(op, what, what == "query" ? sizes.heads : sizes.states, layout.sizeOf('h', shape));
}

static LogicalResult verifyState(ScanOp op, StringRef what, Value state, const ScanOp::Sizes &sizes) {
  if (!state)
    return success();
  Shape wanted{sizes.batch, sizes.states, sizes.depth, sizes.valueDepth};
  if (shapeOf(state) != ArrayRef<Dim>(wanted) || !isa<FloatType>(elementOf(state)))
    return op.emitOpError("wants the ") << what << " state [batch, heads, depth, value depth] = " << toString(wanted)
                                        << ", found " << state.getType();
  return success();
}

/// A matrix of all states, or of each; nothing else decays them.
static LogicalResult verifyTransition(ScanOp op, const ScanOp::Sizes &sizes) {
  Value transition = op.getTransition();
  if (!transition)
    return success();
  if (op.getDecay() || op.getRate())
    return op.emitOpError("wants a transition alone, found a ") << (op.getDecay() ? "decay" : "rate") << " beside it";
  Shape one{sizes.depth, sizes.depth}, each{sizes.states, sizes.depth, sizes.depth};
  Shape found = shapeOf(transition);
  if ((found != one && found != each) || !isa<FloatType>(elementOf(transition)))
    return op.emitOpError("wants a transition [depth, depth] = ")
           << toString(one) << " or [states, depth, depth] = " << toString(each) << ", found " << transition.getType();
  return success();
}

LogicalResult ScanOp::verify() {
  ValueRange inputs = getInputs();
  if (getLayouts().size() != inputs.size() + 1)
    return emitOpError("wants ") << inputs.size() + 1 << " layouts (of its operands and the result), found "
                                 << getLayouts().size();
  for (unsigned number = 0; number < inputs.size(); ++number)
    if (failed(verifyLayout(*this, getLayout(number), nameOf(*this, number), inputs[number], "")))
      return failure();
  if (failed(verifyLayout(*this, getLayoutOfResult(), "result", getResult(), "n")))
    return failure();
  if (llvm::is_contained(parsed(getLayoutOfResult()).roles, '#'))
    return emitOpError("wants a layout that names every dimension of the result, found \"")
           << getLayoutOfResult() << "\"";
  if (!isa<FloatType>(elementOf(getResult())))
    return emitOpError("wants a result of floating-point elements, found ") << elementOf(getResult());
  Sizes sizes = getSizes();
  for (unsigned number = 0; number < inputs.size(); ++number)
    if (failed(verifyInput(*this, number, sizes)))
      return failure();
  if (failed(verifyTransition(*this, sizes)) || failed(verifyShare(*this, "state", sizes.heads, sizes.states)) ||
      failed(verifyState(*this, "initial", getInitial(), sizes)))
    return failure();
  return verifyState(*this, "final", getFinal(), sizes);
}

//===----------------------------------------------------------------------------===//
// As the root of a kernel
//===----------------------------------------------------------------------------===//

/// Two for each element of a state that is written, read, and looked up by the delta rule; one where it decays, two for each row
/// of a transition.
Dim ScanOp::countOperations() {
  Sizes sizes = getSizes();
  Dim elements = sizes.batch * sizes.steps * sizes.depth * sizes.valueDepth;
  if (getTransition())
    return elements * (sizes.states * (sizes.depth * Dim(2) + Dim(2)) + sizes.heads * Dim(2));
  int64_t perElement = 4 + (getDecay() ? 1 : 0) + (getRate() ? 2 : 0);
  return elements * sizes.heads * Dim(perElement);
}

llvm::SmallVector<std::pair<Value, Dim>> ScanOp::countReads() {
  llvm::SmallVector<std::pair<Value, Dim>> reads;
  for (Value operand : getOperands())
    reads.push_back({operand, countOf(shapeOf(operand))});
  return reads;
}

std::string ScanOp::describe() {
  std::string text = getRate() ? "scan, delta rule" : "scan";
  if (getTransition())
    text += ", dense transition";
  if (getDecay())
    text += hasDiagonalDecay() ? ", decay of rows" : ", decay";
  if (auto form = (*this)->getAttrOfType<StringAttr>("tenon.form"))
    text += form.getValue() == "chunks" ? ", in chunks" : ", by steps";
  return text;
}
