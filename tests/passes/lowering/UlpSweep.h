// Largest error in ulp of an f32 kernel y[i] = f(x[i]) against a double
// reference, over every float or every n-th. Knows nothing of the compiler.

#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "tenon/kernel_abi.h"

namespace tenon {

using MathKernel = void(const tenon_kernel_args *, uint32_t, uint32_t);
inline constexpr unsigned kernelLanes = 16; // elements a tile

inline float floatOfBits(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

inline uint32_t bitsOfFloat(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

/// Distance of neighbouring floats around `value`; 2^-149 for denormals.
inline double ulpAt(double value) {
  uint64_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  int64_t exponent = int64_t(bits >> 52 & 0x7ff) - 23;
  bits = uint64_t(std::max<int64_t>(exponent, 1023 - 149)) << 52;
  std::memcpy(&value, &bits, sizeof bits);
  return value;
}

/// Errors are in ulp of the result or, for what multiplies its argument by a
/// bounded factor, of the argument.
enum class UlpOf { Result, Argument };

/// Infinity where anything but NaN meets NaN. Overflow counts as 2^128.
inline double ulpError(float got, double wanted, double scaleOf) {
  if (std::isnan(wanted) || std::isnan(got))
    return std::isnan(wanted) && std::isnan(got) ? 0 : HUGE_VAL;
  auto clipped = [](double value) { return std::clamp(value, -0x1p128, 0x1p128); };
  double difference = std::fabs(clipped(got) - clipped(wanted));
  return difference == 0 ? 0 : difference / ulpAt(std::min(std::fabs(scaleOf), 0x1.fffffep127));
}

struct WorstError {
  double ulp = 0;
  float x = 0, other = 0, got = 0;
  double wanted = 0;
  void add(const WorstError &error) {
    if (error.ulp > ulp)
      *this = error;
  }
};

struct Sweep {
  uint32_t first = 0;       // bit pattern
  uint64_t count = 0;       // of arguments
  uint32_t step = 1;        // between bit patterns, modulo 2^32
  float lowest = -HUGE_VAL; // arguments outside [lowest, highest] are left out
  float highest = HUGE_VAL;
};

inline void runKernel(MathKernel *kernel, std::vector<float *> arrays, size_t elements) {
  std::vector<void *> operands(arrays.begin(), arrays.end());
  uint32_t faults = 0;
  tenon_kernel_args args = {operands.data(), nullptr, nullptr, &faults};
  kernel(&args, 0, elements / kernelLanes);
}

template <typename Reference>
WorstError sweepUnary(MathKernel *kernel, Reference reference, UlpOf unit, const Sweep &sweep) {
  constexpr size_t block = 4096;
  std::vector<float> x(block), y(block);
  WorstError worst;
  uint32_t bits = sweep.first;
  for (uint64_t left = sweep.count; left > 0;) {
    size_t used = std::min<uint64_t>(left, block);
    for (size_t i = 0; i < used; ++i, bits += sweep.step)
      x[i] = floatOfBits(bits);
    left -= used;
    runKernel(kernel, {x.data(), y.data()}, block);
    for (size_t i = 0; i < used; ++i) {
      if (x[i] < sweep.lowest || x[i] > sweep.highest)
        continue;
      double wanted = reference(x[i]);
      if (worst.ulp > 0.5 && unit == UlpOf::Result && y[i] == float(wanted))
        continue; // correctly rounded
      worst.add({ulpError(y[i], wanted, unit == UlpOf::Result ? wanted : x[i]), x[i], 0, y[i], wanted});
    }
  }
  return worst;
}

template <typename Reference>
WorstError compareBinary(MathKernel *kernel, Reference reference, std::vector<float> a, std::vector<float> b) {
  size_t used = a.size(), padded = (used + kernelLanes - 1) / kernelLanes * kernelLanes;
  a.resize(padded), b.resize(padded);
  std::vector<float> y(padded);
  runKernel(kernel, {a.data(), b.data(), y.data()}, padded);
  WorstError worst;
  for (size_t i = 0; i < used; ++i) {
    double wanted = reference(double(a[i]), double(b[i]));
    worst.add({ulpError(y[i], wanted, wanted), a[i], b[i], y[i], wanted});
  }
  return worst;
}

} // namespace tenon
