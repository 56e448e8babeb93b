//===- ScanForm.cpp - whether a recurrence goes by steps or by chunks -----------------===//
#include "passes/scan/ScanForm.h"
#include "passes/scan/TransitionForm.h"
#include "mlir/IR/Remarks.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;

namespace tenon {

static constexpr llvm::StringLiteral stepsForm = "steps", chunksForm = "chunks";

static constexpr struct {
  int64_t rows;
  double decay, rule, gated;
} stepRates[] = {
#define TENON_SCAN_STEP_RATE(rows, decay, rule, gated) {rows, decay, rule, gated},
#include "passes/scan/ScanRates.def"
};
#define TENON_SCAN_CHUNK_RATE(rate) static constexpr double chunkRate = rate;
#include "passes/scan/ScanRates.def"

/// A sum has the rate of a decay: less would not make it choose chunks, which only add to its work.
static double stepRate(ScanOp op, int64_t depth) {
  const auto &rates = *llvm::find_if(stepRates, [&](const auto &measured) { return depth <= measured.rows; });
  return !op.getRate() ? rates.decay : op.getDecay() ? rates.gated : rates.rule;
}

int64_t columnsOfTile(ScanOp op) { return isCutInTwo(op) ? columnsOfHalf : 2 * columnsOfHalf; }

ScanCost costOf(ScanOp op) {
  ScanOp::Sizes sizes = op.getSizes();
  int64_t depth = *sizes.depth.constant(), columns = *sizes.valueDepth.constant();
  double d = double(depth), e = double(columns), tiles = double(llvm::divideCeil(columns, columnsOfTile(op)));
  double sides = op.getRate() ? 2 : 1, decay = op.getDecay() ? 1 : 0, c = chunkSteps;
  double steps = d * e * (1 + sides + decay);
  double chunks = d * e * (1 + sides + decay / c) + e * sides * c / 2 + d * (sides * c + 1) * tiles;
  return {steps / stepRate(op, depth), chunks / chunkRate};
}

/// Why it cannot be computed in chunks.
static StringRef whyNotChunks(ScanOp op) {
  ScanOp::Sizes sizes = op.getSizes();
  if (op.getTransition())
    return "a matrix multiplies the state";
  if (op.hasDiagonalDecay())
    return "rows of the state have factors of their own";
  if (!sizes.depth.isConstant() || !sizes.valueDepth.isConstant())
    return "depths are not constant";
  return {};
}

/// A form, and why it is that one.
struct Decision {
  StringRef form;
  std::string why;
};

/// Steps or chunks of one without a transition.
static Decision decide(ScanOp op, StringRef impossible) {
  ScanOp::Sizes sizes = op.getSizes();
  if (!impossible.empty())
    return {stepsForm, impossible.str()};
  if (sizes.steps.constant().value_or(chunkSteps) < chunkSteps)
    return {stepsForm, "fewer steps than a chunk"};
  ScanCost cost = costOf(op);
  std::string why = llvm::formatv("a state of {0} x {1}: {2:F0} multiply-adds' time a step in chunks, {3:F0} by steps",
                                  sizes.depth.str(), sizes.valueDepth.str(), cost.chunks, cost.steps);
  return {cost.chunks < cost.steps ? chunksForm : stepsForm, why};
}

/// Of one with a transition: by steps or as a convolution.
static Decision decideTransition(ScanOp op) {
  if (StringRef reason = whyNoConvolution(op); !reason.empty())
    return {stepsForm, ("no convolution: " + reason).str()};
  ScanOp::Sizes sizes = op.getSizes();
  TransitionCost cost = costOfTransition(op);
  std::string why = llvm::formatv(
      "{0} steps of a matrix of {1} x {1}, {2} heads of {3} columns: {4:F1} us by transforms, {5:F1} us as a "
      "Toeplitz product, {6:F1} us by steps",
      sizes.steps.str(), sizes.depth.str(), sizes.heads.str(), sizes.valueDepth.str(), cost.fft, cost.toeplitz,
      cost.steps);
  if (cost.steps <= std::min(cost.fft, cost.toeplitz))
    return {stepsForm, why};
  return {cost.fft < cost.toeplitz ? transformedScanForm : toeplitzScanForm, why};
}

/// What a form is called in a sentence.
static StringRef nameOf(StringRef form) {
  return llvm::StringSwitch<StringRef>(form)
      .Case(stepsForm, "by steps")
      .Case(chunksForm, "in chunks")
      .Case(toeplitzScanForm, "as a Toeplitz product")
      .Default("by transforms");
}

/// Writes the form asked for, or else the cheaper one; says why.
static void choose(ScanOp op, StringRef pass, StringRef impossible) {
  auto asked = op->getAttrOfType<StringAttr>(scanFormName);
  Decision decision = op.getTransition() ? decideTransition(op) : decide(op, impossible);
  if (asked) {
    decision.form = asked.getValue();
    decision.why += ", asked for";
  }
  op->setAttr(scanFormName, StringAttr::get(op.getContext(), decision.form));
  auto options = remark::RemarkOpts::name("scan-form").category(pass);
  if (decision.form == stepsForm)
    remark::missed(op->getLoc(), options) << remark::reason("by steps: {0}", decision.why);
  else
    remark::passed(op->getLoc(), options) << remark::add("{0}: {1}", nameOf(decision.form), decision.why);
}

/// Fails where the form that stands there does not exist for such a recurrence.
static LogicalResult checkAsked(ScanOp op, StringRef impossible) {
  Attribute asked = op->getAttr(scanFormName);
  if (!asked)
    return success();
  auto text = dyn_cast<StringAttr>(asked);
  StringRef forms[] = {stepsForm, chunksForm, toeplitzScanForm, transformedScanForm};
  if (!text || !llvm::is_contained(forms, text.getValue()))
    return op.emitOpError("wants \"steps\", \"chunks\", \"toeplitz\" or \"fft\" as ")
           << scanFormName << ", found " << asked;
  if (text.getValue() == stepsForm)
    return success();
  if (text.getValue() == chunksForm)
    return impossible.empty() ? success() : op.emitOpError("cannot be computed in chunks: ") << impossible;
  StringRef reason = op.getTransition() ? whyNoConvolution(op) : "there is no transition";
  return reason.empty() ? success() : op.emitOpError("is no convolution: ") << reason;
}

LogicalResult chooseScanForms(ModuleOp module, StringRef pass) {
  WalkResult walked = module.walk([&](ScanOp op) -> WalkResult {
    StringRef impossible = whyNotChunks(op);
    if (failed(checkAsked(op, impossible)))
      return failure();
    choose(op, pass, impossible);
    return success();
  });
  return failure(walked.wasInterrupted());
}

} // namespace tenon
