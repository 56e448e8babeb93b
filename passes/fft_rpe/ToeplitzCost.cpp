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

/// Of a GPU.
struct DeviceRates {
  llvm::StringLiteral level;
  double attention, reduction, transforms, worker, shared, multiprocessors;
};
static constexpr DeviceRates deviceRates[] = {
#define TENON_TOEPLITZ_DEVICE_RATES(...) {__VA_ARGS__},
#include "passes/fft_rpe/ToeplitzRates.def"
};

int64_t multiprocessorsOf(llvm::StringRef level) {
  for (const DeviceRates &rates : deviceRates)
    if (rates.level == level)
      return int64_t(rates.multiprocessors);
  return 0;
}

/// Of transforms: that of the next larger period that was measured, or of the largest one.
static double transformRate(int64_t period) {
  for (const auto &measured : transformRates)
    if (period <= measured.period)
      return measured.rate;
  return std::end(transformRates)[-1].rate;
}

/// Channels of a vector: of the widest level of CPUs, and of what a worker of a GPU does at once.
static constexpr int64_t widestLanes = 16, workerLanes = 4;

static int64_t roundedUp(int64_t count, int64_t unit) { return (count + unit - 1) / unit * unit; }

/// Channels of a tile: one vector, or two as real and imaginary parts.
static int64_t tileWidth(const ToeplitzSizes &sizes, int64_t lanes) { return sizes.perChannel ? lanes : 2 * lanes; }

/// Transforms that lanes are filled with, forwards and backwards each.
static double transforms(const ToeplitzSizes &sizes, int64_t lanes) {
  int64_t width = tileWidth(sizes, lanes);
  int64_t features = std::max<int64_t>(sizes.features, 1);
  double columns = double(roundedUp(sizes.channels, width)) * double(features);
  if (sizes.normalised)
    columns += double(roundedUp(features, width));
  return sizes.perChannel ? columns : columns / 2;
}

static double perTransform(int64_t period) { return double(period) * (10 * std::log2(double(period)) + 6); }

static double operations(const ToeplitzSizes &sizes, int64_t lanes) {
  return transforms(sizes, lanes) * perTransform(convolutionLength(sizes.rows + sizes.columns - 1));
}

static int64_t blocksOf(int64_t rows, int64_t block) { return (rows + block - 1) / block; }

double costOfBlocks(const ToeplitzSizes &sizes, int64_t block) {
  int64_t period = convolutionLength(2 * block - 1), rows = blocksOf(sizes.rows, block),
          columns = blocksOf(sizes.columns, block);
  int64_t pairs = 0;
  for (int64_t row = 0; row < rows; ++row)
    pairs += sizes.causal ? std::min(columns, row + 1) : columns;
  double transformed = double(rows + columns) / 2 * perTransform(period) / transformRate(period);
  return transforms(sizes, widestLanes) * (transformed + 8 * double(period) * double(pairs) / spectraRate);
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

double fftOperations(const ToeplitzSizes &sizes) { return operations(sizes, widestLanes); }

static double directOperations(const ToeplitzSizes &sizes) {
  double pairs = double(sizes.rows) * double(sizes.columns);
  if (!sizes.features)
    return pairs * 2 * double(sizes.channels);
  return pairs * double(2 * sizes.features + 2 * sizes.channels + 2) * (sizes.causal ? 0.5 : 1);
}

static double hostDirectRate(const ToeplitzSizes &sizes) {
  if (sizes.features)
    return sizes.causal ? causalRate : fullRate;
  return sizes.perChannel ? reductionRate : productRate;
}

/// As many tiles at once as there are, each by one thread; all together no faster than memory.
static double workersTime(const ToeplitzSizes &sizes, const DeviceRates &rates) {
  double all = operations(sizes, workerLanes);
  double tiles = double(roundedUp(sizes.channels, tileWidth(sizes, workerLanes)) / tileWidth(sizes, workerLanes));
  return std::max(all / rates.transforms, all / (rates.worker * tiles * double(sizes.heads)));
}

/// Points that a block's shared memory holds, and the most columns it takes at once.
static constexpr int64_t pointsOfBlock = 8192, columnsOfBlock = 8;

/// A block transforms some columns with all of their features; a multiprocessor without a block does nothing.
static double sharedTime(const ToeplitzSizes &sizes, int64_t period, const DeviceRates &rates) {
  int64_t columns = sizes.perChannel ? sizes.channels : blocksOf(sizes.channels, 2);
  int64_t blocks = blocksOf(columns, std::min(columnsOfBlock, pointsOfBlock / period)) * sizes.heads;
  return operations(sizes, 1) / (rates.shared * std::min(1.0, double(blocks) / rates.multiprocessors));
}

ToeplitzCost costOf(const ToeplitzSizes &sizes, llvm::StringRef level) {
  ToeplitzCost cost{};
  cost.period = convolutionLength(sizes.rows + sizes.columns - 1);
  for (const DeviceRates &rates : deviceRates)
    if (rates.level == level) {
      bool isReduction = !sizes.features && sizes.perChannel;
      cost.direct = directOperations(sizes) / (isReduction ? rates.reduction : rates.attention);
      cost.fft = cost.period <= pointsOfBlock ? sharedTime(sizes, cost.period, rates) : workersTime(sizes, rates);
      return cost;
    }
  chooseBlock(sizes, cost);
  cost.direct = directOperations(sizes) / hostDirectRate(sizes);
  cost.fft = fftOperations(sizes) / transformRate(cost.period);
  return cost;
}

} // namespace tenon
