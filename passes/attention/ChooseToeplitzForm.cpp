//===- ChooseToeplitzForm.cpp - whether a Toeplitz product goes through the Fourier transform -===//
#include "mlir/IR/Remarks.h"
#include "passes/Passes.h"
#include "passes/attention/ToeplitzAttention.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_CHOOSETOEPLITZFORM
#include "passes/Passes.h.inc"

namespace {

std::string explained(const ToeplitzSizes &sizes, const ToeplitzCost &cost) {
  std::string text = llvm::formatv(
      "{0} x {1}{2}, {3} features, {4} channels: {5:F1} us a head by transforms of {6} points, {7:F1} us directly",
      sizes.rows, sizes.columns, sizes.causal ? " causal" : "", sizes.features, sizes.channels, cost.fft / 1000,
      cost.period, cost.direct / 1000);
  if (cost.block)
    text += llvm::formatv(", {0:F1} us in blocks of {1} rows by transforms of {2} points", cost.blocks / 1000,
                          cost.block, cost.blockPeriod);
  return text;
}

struct ChooseToeplitzForm : impl::ChooseToeplitzFormBase<ChooseToeplitzForm> {
  using ChooseToeplitzFormBase::ChooseToeplitzFormBase;

  void runOnOperation() override {
    if (!force.empty() && !symbolizeToeplitzForm(force)) {
      getOperation().emitError("unknown form '")
          << force << "' of a Toeplitz product, wanted direct, fft or fft_blocks";
      return signalPassFailure();
    }
    if (auto target = getOperation()->getAttrOfType<TargetAttr>("tenon.target"))
      level = target.getLevel();
    WalkResult walked = getOperation().walk([&](Operation *op) -> WalkResult {
      if (auto attention = dyn_cast<AttentionOp>(op))
        return choose(attention);
      if (auto toeplitz = dyn_cast<ToeplitzOp>(op))
        return choose(toeplitz);
      return success();
    });
    if (walked.wasInterrupted())
      signalPassFailure();
  }

private:
  StringRef level; ///< that the program is for alone; empty: CPUs

  /// The form asked for, or the cheapest one; says why.
  ToeplitzForm decide(Operation *op, const ToeplitzSizes &sizes) {
    ToeplitzCost cost = costOf(sizes, level);
    ToeplitzForm cheapest = cost.isBestInBlocks()      ? ToeplitzForm::FFTBlocks
                            : cost.fft < cost.direct ? ToeplitzForm::FFT
                                                     : ToeplitzForm::Direct;
    std::optional<ToeplitzForm> forced = force.empty() ? std::nullopt : symbolizeToeplitzForm(force);
    if (forced == ToeplitzForm::FFTBlocks && !cost.block)
      forced = std::nullopt;
    ToeplitzForm form = forced.value_or(cheapest);
    auto options = remark::RemarkOpts::name("toeplitz").category(getArgument());
    std::string why = explained(sizes, cost) + (forced ? ", asked for" : "");
    if (form == ToeplitzForm::Direct)
      remark::missed(op->getLoc(), options) << remark::reason("direct: {0}", why);
    else
      remark::passed(op->getLoc(), options) << remark::add("{0}: {1}", stringifyToeplitzForm(form), why);
    return form;
  }

  /// Writes how many rows a block has, unless that is given; an error where there can be none.
  LogicalResult setBlock(Operation *op, const ToeplitzSizes &sizes) {
    int64_t longest = std::max(sizes.rows, sizes.columns);
    if (Attribute given = op->getAttr(toeplitzBlockName)) {
      auto rows = dyn_cast<IntegerAttr>(given);
      if (!rows || rows.getInt() < 1 || rows.getInt() > longest)
        return op->emitOpError("wants ") << toeplitzBlockName << " to be from 1 to " << longest << ", found " << given;
      return success();
    }
    // One that is too short to be worth it is a single block.
    int64_t block = costOf(sizes).block;
    op->setAttr(toeplitzBlockName, IntegerAttr::get(IntegerType::get(op->getContext(), 64), block ? block : longest));
    return success();
  }

  LogicalResult choose(AttentionOp op) {
    StringRef reason = whyNotToeplitz(op);
    if (op.getAlgorithm()) {
      if (isByTransforms(op) && !reason.empty())
        return op.emitOpError("cannot be computed by Fourier transforms: ") << reason;
    } else if (reason.empty()) {
      ToeplitzForm form = decide(op, toeplitzSizesOf(op));
      if (form != ToeplitzForm::Direct)
        op.setAlgorithm(form == ToeplitzForm::FFT ? AttentionAlgorithm::FFT : AttentionAlgorithm::FFTBlocks);
    }
    return op.getAlgorithm() == AttentionAlgorithm::FFTBlocks ? setBlock(op, toeplitzSizesOf(op)) : success();
  }

  LogicalResult choose(ToeplitzOp op) {
    std::optional<ToeplitzSizes> sizes = toeplitzSizesOf(op);
    bool isPossible = sizes && sizes->rows > 0 && sizes->columns > 0 && elementOf(op.getInput()).isF32();
    if (op.getForm().value_or(ToeplitzForm::Direct) != ToeplitzForm::Direct && !isPossible)
      return op.emitOpError("cannot be computed by Fourier transforms: wants f32 and constant sizes");
    if (op.getForm() == ToeplitzForm::FFTBlocks && sizes->perChannel)
      return op.emitOpError("cannot be computed in blocks: each channel has diagonals of its own");
    if (!op.getForm())
      op.setForm(isPossible ? decide(op, *sizes) : ToeplitzForm::Direct);
    return op.getForm() == ToeplitzForm::FFTBlocks ? setBlock(op, *sizes) : success();
  }
};

} // namespace
} // namespace tenon
