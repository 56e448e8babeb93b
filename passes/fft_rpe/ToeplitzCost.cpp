//===- ToeplitzCost.cpp - what the forms of a Toeplitz product cost -------------------===//
#include "passes/fft_rpe/ToeplitzCost.h"
#include "passes/fft_rpe/FourierPlan.h"

#include <cmath>

namespace tenon {

/// Operations a nanosecond. Those of transforms are counted without what zeros save, which is why they look fast.
static constexpr double attentionRate = 98, productRate = 90, reductionRate = 8;
/// Of transforms that stay in the second-level cache, and of others.
static constexpr double nearRate = 85, farRate = 60;
static constexpr int64_t nearPeriod = 4096;
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

ToeplitzCost costOf(const ToeplitzSizes &sizes) {
  ToeplitzCost cost{};
  cost.period = convolutionLength(sizes.rows + sizes.columns - 1);
  cost.fft = fftOperations(sizes) / (cost.period <= nearPeriod ? nearRate : farRate);
  double pairs = double(sizes.rows) * double(sizes.columns);
  if (sizes.features)
    cost.direct = pairs * double(2 * sizes.features + 2 * sizes.channels + 2) * (sizes.causal ? 0.5 : 1) / attentionRate;
  else
    cost.direct = pairs * 2 * double(sizes.channels) / (sizes.perChannel ? reductionRate : productRate);
  return cost;
}

} // namespace tenon
