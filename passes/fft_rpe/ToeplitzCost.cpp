//===- ToeplitzCost.cpp - what the forms of a Toeplitz product cost -------------------===//
#include "passes/fft_rpe/ToeplitzCost.h"
#include "passes/fft_rpe/FourierPlan.h"

#include <cmath>

namespace tenon {

/// Operations a nanosecond of products and of sums with a kernel for each channel.
static constexpr double productRate = 90, reductionRate = 8;

#define TENON_TOEPLITZ_DIRECT_RATE(which, rate) static constexpr double which##Rate = rate;
#define TENON_TOEPLITZ_BLOCKS_RATE(which, rate) static constexpr double which##Rate = rate;
#include "passes/fft_rpe/ToeplitzRates.def"

static constexpr struct {
  int64_t period;
  double rate;
} transformRates[] = {
#define TENON_TOEPLITZ_FFT_RATE(period, rate) {period, rate},
#include "passes/fft_rpe/ToeplitzRates.def"
};

/// Of transforms: that of the next larger period that was measured, or of the largest one.
static double transformRate(int64_t period) {
  for (const auto &measured : transformRates)
    if (period <= measured.period)
      return measured.rate;
  return std::end(transformRates)[-1].rate;
}

/// Channels of a tile: two vectors of the widest level.
static constexpr int64_t lanes = 16;

static int64_t roundedUp(int64_t count, int64_t unit) { return (count + unit - 1) / unit * unit; }

/// Transforms that lanes are filled with, forwards and backwards each.
static double transforms(const ToeplitzSizes &sizes) {
  int64_t width = sizes.perChannel ? lanes : 2 * lanes;
  int64_t features = std::max<int64_t>(sizes.features, 1);
  double columns = double(roundedUp(sizes.channels, width)) * double(features);
  if (sizes.normalised)
    columns += double(roundedUp(features, width));
  return sizes.perChannel ? columns : columns / 2;
}

static double perTransform(int64_t period) { return double(period) * (10 * std::log2(double(period)) + 6); }

double fftOperations(const ToeplitzSizes &sizes) {
  return transforms(sizes) * perTransform(convolutionLength(sizes.rows + sizes.columns - 1));
}

static int64_t blocksOf(int64_t rows, int64_t block) { return (rows + block - 1) / block; }

double costOfBlocks(const ToeplitzSizes &sizes, int64_t block) {
  int64_t period = convolutionLength(2 * block - 1), rows = blocksOf(sizes.rows, block), columns = blocksOf(sizes.columns, block);
  int64_t pairs = 0;
  for (int64_t row = 0; row < rows; ++row)
    pairs += sizes.causal ? std::min(columns, row + 1) : columns;
  double transformed = double(rows + columns) / 2 * perTransform(period) / transformRate(period);
  return transforms(sizes) * (transformed + 8 * double(period) * double(pairs) / spectraRate);
}

/// More blocks' sums than these do not stay in registers; smaller ones than these are all overhead.
static constexpr int64_t mostBlocks = 8, leastBlock = 64;

/// The blocks of least cost, if there are any: as many as a power of two, whose periods have the cheap radices.
static void chooseBlock(const ToeplitzSizes &sizes, ToeplitzCost &cost) {
  int64_t longest = std::max(sizes.rows, sizes.columns);
  for (int64_t count = 2; count <= mostBlocks && !sizes.perChannel; count *= 2) {
    int64_t block = blocksOf(longest, count);
    if (block < leastBlock)
      return;
    double time = costOfBlocks(sizes, block);
    if (cost.block && cost.blocks <= time)
      continue;
    cost.blocks = time;
    cost.block = block;
    cost.blockPeriod = convolutionLength(2 * block - 1);
  }
}

ToeplitzCost costOf(const ToeplitzSizes &sizes) {
  ToeplitzCost cost{};
  chooseBlock(sizes, cost);
  cost.period = convolutionLength(sizes.rows + sizes.columns - 1);
  cost.fft = fftOperations(sizes) / transformRate(cost.period);
  double pairs = double(sizes.rows) * double(sizes.columns);
  if (sizes.features)
    cost.direct = pairs * double(2 * sizes.features + 2 * sizes.channels + 2) * (sizes.causal ? 0.5 / causalRate : 1 / fullRate);
  else
    cost.direct = pairs * 2 * double(sizes.channels) / (sizes.perChannel ? reductionRate : productRate);
  return cost;
}

} // namespace tenon
