//===- ChooseAttentionAlgorithm.cpp - how each attention is computed, and why ----------===//
#include "dialects/tenon/AttentionLayout.h"
#include "mlir/IR/Remarks.h"
#include "passes/Passes.h"
#include "passes/attention/RegionAnalysis.h"

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_CHOOSEATTENTIONALGORITHM
#include "passes/Passes.h.inc"

namespace {

/// Elements of a row lie side by side, rows a constant number of elements apart.
bool hasConstantRows(AttentionOp op, unsigned operand, Value tensor) {
  std::string error;
  std::optional<AttentionLayout> layout = AttentionLayout::parse(op.getLayout(operand), error);
  Shape shape = shapeOf(tensor);
  return layout->strideOf('n', shape).constant() && layout->strideOf('d', shape) == Dim(1) &&
         layout->sizeOf('d', shape).constant();
}

/// Empty where online softmax, a tile of keys at a time, computes the op.
StringRef whyNotFlash(AttentionOp op) {
  if (!elementOf(op.getQuery()).isF32())
    return "elements are not f32";
  if (op.getKeys().size() != 1)
    return "there is more than one source of keys";
  if (op.hasWeight() && !isNaNGuard(op.getWeight()))
    return "the weight region needs normalised weights, which exist only after the last key";
  if (op.getEmpty() == EmptyRow::IgnoreKeep)
    return "a row without live keys needs the scores of all keys";
  if (!hasConstantRows(op, 0, op.getQuery()) || !hasConstantRows(op, 1, op.getKeys()[0]) ||
      !hasConstantRows(op, 2, op.getValues()[0]) || !hasConstantRows(op, 3, op.getResult()))
    return "depth or the distance of rows is not a constant";
  return "";
}

struct ChooseAttentionAlgorithm : impl::ChooseAttentionAlgorithmBase<ChooseAttentionAlgorithm> {
  using ChooseAttentionAlgorithmBase::ChooseAttentionAlgorithmBase;

  void runOnOperation() override {
    if (!force.empty() && !symbolizeAttentionAlgorithm(force)) {
      getOperation().emitError("unknown attention algorithm '") << force << "', wanted flash or materialised";
      return signalPassFailure();
    }
    WalkResult walked = getOperation().walk([&](AttentionOp op) -> WalkResult { return choose(op); });
    if (walked.wasInterrupted())
      signalPassFailure();
  }

private:
  LogicalResult choose(AttentionOp op) {
    std::optional<AttentionAlgorithm> wanted = op.getAlgorithm();
    if (!wanted && !force.empty())
      wanted = symbolizeAttentionAlgorithm(force);
    StringRef problem = whyNotFlash(op);
    if (wanted == AttentionAlgorithm::Flash && !problem.empty())
      return op.emitOpError("cannot be computed by flash: ") << problem;
    bool forced = wanted.has_value();
    AttentionAlgorithm chosen = wanted.value_or(problem.empty() ? AttentionAlgorithm::Flash
                                                                : AttentionAlgorithm::Materialised);
    op.setAlgorithm(chosen);
    auto options = remark::RemarkOpts::name("algorithm").category("tenon-choose-attention-algorithm");
    if (chosen == AttentionAlgorithm::Flash)
      remark::passed(op.getLoc(), options) << remark::add("flash: keys are taken in tile by tile, no N x N scores");
    else
      remark::missed(op.getLoc(), options)
          << remark::reason("materialised: {0}", forced ? std::string("asked for") : problem.str());
    return success();
  }
};

} // namespace
} // namespace tenon
