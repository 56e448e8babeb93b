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
  return llvm::formatv("{0} x {1}{2}, {3} features, {4} channels: {5:F1} us a head by transforms of {6} points, {7:F1} us directly",
                       sizes.rows, sizes.columns, sizes.causal ? " causal" : "", sizes.features, sizes.channels,
                       cost.fft / 1000, cost.period, cost.direct / 1000)
      .str();
}

struct ChooseToeplitzForm : impl::ChooseToeplitzFormBase<ChooseToeplitzForm> {
  using ChooseToeplitzFormBase::ChooseToeplitzFormBase;

  void runOnOperation() override {
    if (!force.empty() && !symbolizeToeplitzForm(force)) {
      getOperation().emitError("unknown form '") << force << "' of a Toeplitz product, wanted direct or fft";
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

  /// The form asked for, or the cheaper one; says why.
  ToeplitzForm decide(Operation *op, const ToeplitzSizes &sizes) {
    ToeplitzCost cost = costOf(sizes, level);
    bool isCheaper = cost.fft < cost.direct;
    std::optional<ToeplitzForm> forced = force.empty() ? std::nullopt : symbolizeToeplitzForm(force);
    ToeplitzForm form = forced.value_or(isCheaper ? ToeplitzForm::FFT : ToeplitzForm::Direct);
    auto options = remark::RemarkOpts::name("toeplitz").category(getArgument());
    std::string why = explained(sizes, cost) + (forced ? ", asked for" : "");
    if (form == ToeplitzForm::FFT)
      remark::passed(op->getLoc(), options) << remark::add("fft: {0}", why);
    else
      remark::missed(op->getLoc(), options) << remark::reason("direct: {0}", why);
    return form;
  }

  LogicalResult choose(AttentionOp op) {
    StringRef reason = whyNotToeplitz(op);
    if (op.getAlgorithm()) {
      if (*op.getAlgorithm() == AttentionAlgorithm::FFT && !reason.empty())
        return op.emitOpError("cannot be computed by Fourier transforms: ") << reason;
      return success();
    }
    if (reason.empty() && decide(op, toeplitzSizesOf(op)) == ToeplitzForm::FFT)
      op.setAlgorithm(AttentionAlgorithm::FFT);
    return success();
  }

  LogicalResult choose(ToeplitzOp op) {
    std::optional<ToeplitzSizes> sizes = toeplitzSizesOf(op);
    bool isPossible = sizes && sizes->rows > 0 && sizes->columns > 0 && elementOf(op.getInput()).isF32();
    if (op.getForm() == ToeplitzForm::FFT && !isPossible)
      return op.emitOpError("cannot be computed by Fourier transforms: wants f32 and constant sizes");
    if (!op.getForm())
      op.setForm(isPossible ? decide(op, *sizes) : ToeplitzForm::Direct);
    return success();
  }
};

} // namespace
} // namespace tenon
