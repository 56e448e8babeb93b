//===- FourierPlan.cpp - how a Fourier transform of a constant length is taken apart ---===//
#include "passes/fft_rpe/FourierPlan.h"

#include <cmath>

namespace tenon {

static constexpr int64_t oddRadices[] = {13, 11, 7, 5, 3};

/// 2^exponent as radices of nearly equal size: 16 is 4 · 4, not 8 · 2.
static void appendPowersOfTwo(int64_t exponent, int64_t widest, llvm::SmallVector<int64_t> &radices) {
  int64_t bits = widest == 8 ? 3 : 2;
  for (int64_t stages = (exponent + bits - 1) / bits; stages > 0; --stages) {
    int64_t here = (exponent + stages - 1) / stages;
    radices.push_back(int64_t(1) << here);
    exponent -= here;
  }
}

llvm::SmallVector<int64_t> radicesOf(int64_t length, int64_t widest) {
  llvm::SmallVector<int64_t> radices;
  int64_t exponent = 0;
  for (; length > 1 && length % 2 == 0; length /= 2)
    ++exponent;
  for (int64_t radix : oddRadices)
    for (; length % radix == 0; length /= radix)
      radices.push_back(radix);
  appendPowersOfTwo(exponent, widest, radices);
  if (length != 1)
    return {};
  if (radices.empty())
    radices.push_back(1);
  return radices;
}

/// Vector operations for each point, counted on the butterflies; a stage moves each point through memory as well.
static double costPerPoint(int64_t length) {
  double cost = 0;
  for (int64_t radix : radicesOf(length, 8))
    cost += radix == 8 ? 12 : radix == 4 ? 9 : radix == 2 ? 7 : radix == 3 ? 10 : 7 + 2 * double(radix);
  return cost;
}

int64_t convolutionLength(int64_t least) {
  int64_t best = 1;
  while (best < least)
    best *= 2;
  double lowest = double(best) * costPerPoint(best);
  for (int64_t three = 1; three <= 9; three *= 3)
    for (int64_t five = 1; five <= 5; five *= 5) {
      int64_t length = three * five;
      while (length < least)
        length *= 2;
      if (double cost = double(length) * costPerPoint(length); cost < lowest)
        lowest = cost, best = length;
    }
  return best;
}

Complex rootOfUnity(int64_t n, int64_t length) {
  // Eighths of a turn are exact, so the sine and cosine of small angles are asked for only.
  int64_t eighth = (8 * (n % length) + length / 2) / length;
  double angle = 2 * M_PI * (double(n % length) - double(eighth) * double(length) / 8) / double(length);
  static const double half = std::sqrt(0.5);
  static const Complex exact[] = {{1, 0},  {half, -half}, {0, -1}, {-half, -half},
                                  {-1, 0}, {-half, half}, {0, 1},  {half, half}};
  return exact[eighth % 8] * Complex(std::cos(angle), -std::sin(angle));
}

std::vector<Complex> stageFactors(int64_t m, int64_t radix) {
  std::vector<Complex> factors;
  for (int64_t p = 0; p < m; ++p)
    for (int64_t k = 1; k < radix; ++k)
      factors.push_back(rootOfUnity(p * k, m * radix));
  return factors;
}

std::vector<Complex> chirp(int64_t length, int64_t count) {
  std::vector<Complex> values;
  for (int64_t n = 0; n < count; ++n)
    values.push_back(rootOfUnity(n * n % (2 * length), 2 * length));
  return values;
}

/// The transform of `count` numbers `stride` apart, by taking out one prime after another.
static void transform(const Complex *x, int64_t stride, int64_t count, Complex *y) {
  if (count == 1) {
    y[0] = x[0];
    return;
  }
  int64_t radix = 2;
  while (count % radix != 0)
    ++radix;
  int64_t rest = count / radix;
  for (int64_t j = 0; j < radix; ++j)
    transform(x + j * stride, stride * radix, rest, y + j * rest);
  std::vector<Complex> column(radix);
  for (int64_t k = 0; k < rest; ++k) {
    for (int64_t j = 0; j < radix; ++j)
      column[j] = y[j * rest + k] * rootOfUnity(j * k, count);
    for (int64_t q = 0; q < radix; ++q) {
      Complex sum = 0;
      for (int64_t j = 0; j < radix; ++j)
        sum += column[j] * rootOfUnity(j * q, radix);
      y[q * rest + k] = sum;
    }
  }
}

std::vector<Complex> chirpSpectrum(int64_t length, int64_t period) {
  std::vector<Complex> kernel(period), spectrum(period);
  std::vector<Complex> values = chirp(length, length);
  for (int64_t d = 0; d < length; ++d)
    kernel[d] = kernel[(period - d) % period] = std::conj(values[d]) / double(period);
  transform(kernel.data(), 1, period, spectrum.data());
  return spectrum;
}

} // namespace tenon
