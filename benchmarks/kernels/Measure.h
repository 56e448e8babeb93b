// What single kernels are measured with: the multiply-add peak and the read
// bandwidth of this machine, right now, and statistics that survive a noisy one.

#pragma once

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <vector>

#include "benchmark/benchmark.h"
#include "compiler/levels/Level.h"

namespace tenon {

using Buffer = std::unique_ptr<float[], decltype(&free)>;

inline Buffer allocateFloats(size_t floats, float value) {
  Buffer buffer(static_cast<float *>(aligned_alloc(64, (floats * sizeof(float) + 63) / 64 * 64)), free);
  std::fill_n(buffer.get(), floats, value);
  return buffer;
}

/// 64 MB, more than the caches: what is taken from it in turns comes from memory.
inline constexpr size_t poolFloats = 64 << 18;
float *memoryPool();

/// Runs of a kernel, each beside a ceiling.
class Samples {
public:
  void add(double rate, double ceiling) {
    rates.push_back(rate);
    ceilings.push_back(ceiling);
    fractions.push_back(rate / ceiling);
  }

  /// Counters: `rate` and `ceiling` by those names are medians; "of_" + ceiling is the
  /// median over pairs next to each other; "best" sets the fastest twentieth of both
  /// against each other, which is what a machine that others use says about an idle one.
  void report(benchmark::State &state, const std::string &rate, const std::string &ceiling) const {
    state.counters[rate] = quantile(rates, 0.5);
    state.counters[ceiling] = quantile(ceilings, 0.5);
    state.counters["of_" + ceiling] = quantile(fractions, 0.5);
    state.counters["best"] = quantile(rates, 0.95) / quantile(ceilings, 0.95);
  }

private:
  static double quantile(std::vector<double> values, double fraction) {
    std::sort(values.begin(), values.end());
    return values[size_t(fraction * (values.size() - 1))];
  }

  std::vector<double> rates, ceilings, fractions;
};

/// Levels this machine runs whose f32 code differs.
std::vector<const Level *> levelsToMeasure();

} // namespace tenon
