//===- ScanForm.cpp - whether a recurrence goes by steps or by chunks -----------------===//
#include "passes/scan/ScanForm.h"
#include "mlir/IR/Remarks.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;

namespace tenon {

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

/// Columns of a tile, where a state has as many.
static constexpr int64_t columnsOfTile = 64;

ScanCost costOf(ScanOp op) {
  ScanOp::Sizes sizes = op.getSizes();
  int64_t depth = *sizes.depth.constant(), columns = *sizes.valueDepth.constant();
  double d = double(depth), e = double(columns), tiles = double(llvm::divideCeil(columns, columnsOfTile));
  double sides = op.getRate() ? 2 : 1, decay = op.getDecay() ? 1 : 0, c = chunkSteps;
  double steps = d * e * (1 + sides + decay);
  double chunks = d * e * (1 + sides + decay / c) + e * sides * c / 2 + d * (sides * c + 1) * tiles;
  return {steps / stepRate(op, depth), chunks / chunkRate};
}

/// Why it cannot be computed in chunks.
static StringRef whyNotChunks(ScanOp op) {
  ScanOp::Sizes sizes = op.getSizes();
  if (op.hasDiagonalDecay())
    return "rows of the state have factors of their own";
  if (!sizes.depth.isConstant() || !sizes.valueDepth.isConstant())
    return "depths are not constant";
  return {};
}

/// The form asked for, or else the cheaper one; says why.
static void choose(ScanOp op, StringRef pass, StringRef impossible) {
  ScanOp::Sizes sizes = op.getSizes();
  auto asked = op->getAttrOfType<StringAttr>(scanFormName);
  std::string why = impossible.str();
  bool inChunks = false;
  if (sizes.steps.constant().value_or(chunkSteps) < chunkSteps)
    why = "fewer steps than a chunk";
  if (why.empty()) {
    ScanCost cost = costOf(op);
    inChunks = cost.chunks < cost.steps;
    why = llvm::formatv("a state of {0} x {1}: {2:F0} multiply-adds' time a step in chunks, {3:F0} by steps",
                        sizes.depth.str(), sizes.valueDepth.str(), cost.chunks, cost.steps);
  }
  if (asked) {
    inChunks = asked.getValue() == "chunks";
    why += ", asked for";
  }
  op->setAttr(scanFormName, StringAttr::get(op.getContext(), inChunks ? "chunks" : "steps"));
  auto options = remark::RemarkOpts::name("scan-form").category(pass);
  if (inChunks)
    remark::passed(op->getLoc(), options) << remark::add("in chunks: {0}", why);
  else
    remark::missed(op->getLoc(), options) << remark::reason("by steps: {0}", why);
}

LogicalResult chooseScanForms(ModuleOp module, StringRef pass) {
  WalkResult walked = module.walk([&](ScanOp op) -> WalkResult {
    StringRef impossible = whyNotChunks(op);
    Attribute asked = op->getAttr(scanFormName);
    auto text = dyn_cast_or_null<StringAttr>(asked);
    if (asked && !(text && (text.getValue() == "steps" || text.getValue() == "chunks")))
      return op.emitOpError("wants \"steps\" or \"chunks\" as ") << scanFormName << ", found " << asked;
    if (isInChunks(op) && !impossible.empty())
      return op.emitOpError("cannot be computed in chunks: ") << impossible;
    choose(op, pass, impossible);
    return success();
  });
  return failure(walked.wasInterrupted());
}

} // namespace tenon
