//===- TransitionForm.cpp - how a recurrence with a dense transition is computed -------------===//
#include "passes/scan/TransitionForm.h"
#include "dialects/tenon/AttentionLayout.h"
#include "passes/fft_rpe/ToeplitzCost.h"

using namespace mlir;

namespace tenon {

static constexpr struct {
  int64_t columns;
  double rate;
} stepRates[] = {
#define TENON_SCAN_TRANSITION_RATE(columns, rate) {columns, rate},
#include "passes/scan/ScanRates.def"
};

bool isOfWeights(Value tensor) {
  Operation *op = tensor.getDefiningOp();
  return op && (isa<GetOp>(op) || (isa<MapOp, ReshapeOp>(op) && llvm::all_of(op->getOperands(), isOfWeights)));
}

StringRef whyNoConvolution(ScanOp op) {
  ScanOp::Sizes sizes = op.getSizes();
  auto changes = [&](unsigned operand) {
    return op.getLayout(operand).contains('n') || op.getLayout(operand).contains('b');
  };
  if (op.getInitial() || op.getFinal())
    return "a state is given or wanted";
  if (changes(0))
    return "queries change with the step or the batch item";
  if (changes(1))
    return "keys change with the step or the batch item";
  for (const Dim &dim : {sizes.steps, sizes.depth, sizes.valueDepth, sizes.heads, sizes.states})
    if (!dim.isConstant())
      return "a size is no constant";
  if (sizes.steps == Dim(0))
    return "there are no steps";
  for (Value tensor : {op.getQuery(), op.getKey(), op.getValue(), op.getTransition(), op.getResult()})
    if (!elementOf(tensor).isF32())
      return "elements are not f32";
  return {};
}

/// Nanoseconds an element of the result that goes into channels and out of them.
static constexpr double movingCost = 1;

/// Columns of a head from which on lanes along them are full.
static constexpr int64_t manyColumns = 16;

bool hasKernelsOfChannels(ScanOp op) { return *op.getSizes().valueDepth.constant() < manyColumns; }

/// Of the transforms of each channel, where all are of one input, a fourth is of the input, and the others are of two
/// vectors each.
static constexpr double shareOfOneInput = 5.0 / 16;

/// One number a step for all heads.
static bool isOfOneInput(ScanOp op) { return !op.getLayout(2).contains('h') && op.getSizes().valueDepth == Dim(1); }

TransitionCost costOfTransition(ScanOp op) {
  ScanOp::Sizes sizes = op.getSizes();
  int64_t steps = *sizes.steps.constant(), columns = *sizes.valueDepth.constant(), heads = *sizes.heads.constant();
  int64_t batch = sizes.batch.constant().value_or(1);
  double n = double(steps), d = double(*sizes.depth.constant()), b = double(batch);
  double perColumn = 2 * n * (d * d * double(*sizes.states.constant()) + d * double(heads));
  const auto *rate =
      llvm::find_if(stepRates, [&](const auto &measured) { return batch * columns <= measured.columns; });
  TransitionCost cost{};
  cost.steps = perColumn * b * double(columns) / rate->rate / 1000;
  cost.toeplitz = b * double(heads) * costOf(ToeplitzSizes{steps, steps, 0, columns, true}).direct / 1000;
  if (hasKernelsOfChannels(op))
    cost.fft = b * costOf(ToeplitzSizes{steps, steps, 0, heads * columns, true, false, /*perChannel=*/true}).fft /
               1000 * (isOfOneInput(op) ? shareOfOneInput : 1);
  else
    cost.fft = b * double(heads) * costOf(ToeplitzSizes{steps, steps, 0, columns, true}).fft / 1000;
  cost.fft += movingCost * n * b * double(heads) * double(columns) / 1000;
  if (isOfWeights(op.getTransition()) && isOfWeights(op.getQuery()) && isOfWeights(op.getKey()))
    return cost;
  double responses = perColumn / stepRates[0].rate / 1000;
  cost.toeplitz += responses;
  cost.fft += responses;
  return cost;
}

} // namespace tenon
