// What tests of products share: random operands, shapes as text, and errors beside sums in float64.

#pragma once

#include "DeviceKernel.h"

#include "gtest/gtest.h"

#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace tenon {

inline std::vector<float> randomValues(size_t count, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float &value : values)
    value = normal(generator);
  return values;
}

inline std::vector<uint16_t> asBFloat16(std::vector<float> &values) {
  std::vector<uint16_t> halves;
  for (float &value : values) {
    uint32_t bits = (std::bit_cast<uint32_t>(value) + 0x8000) & 0xffff0000;
    value = std::bit_cast<float>(bits);
    halves.push_back(uint16_t(bits >> 16));
  }
  return halves;
}

inline std::string number(int64_t value) { return std::to_string(value); }
inline std::string rowsOf(int64_t columns, const std::string &type = "f32") {
  return "tensor<?x" + number(columns) + "x" + type + ", #tenon.dims<[d0, " + number(columns) + "]>>";
}

/// The largest error, in parts of the sum of what is added up: of a sum in f32 some 2^-24.
class Errors {
public:
  void see(double wanted, double magnitude, float found) {
    double error = std::abs(wanted - double(found)) / std::max(magnitude, 1e-30);
    largest = error <= largest ? largest : std::isnan(error) ? INFINITY : error;
  }
  double largest = 0;
};

inline constexpr double accuracy = 3e-7;

/// Of a batch of products of matrices, the right one columns x depth where it is turned.
inline double largestError(int64_t batch, int64_t rows, int64_t depth, int64_t columns, bool isTurned,
                           const std::vector<float> &left, const std::vector<float> &right,
                           const std::vector<float> &results) {
  Errors errors;
  for (int64_t q = 0; q < batch; ++q)
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t n = 0; n < columns; ++n) {
        double sum = 0, magnitude = 0;
        for (int64_t k = 0; k < depth; ++k) {
          int64_t at = isTurned ? (q * columns + n) * depth + k : (q * depth + k) * columns + n;
          double product = double(left[size_t((q * rows + i) * depth + k)]) * double(right[size_t(at)]);
          sum += product;
          magnitude += std::abs(product);
        }
        errors.see(sum, magnitude, results[size_t((q * rows + i) * columns + n)]);
      }
  return errors.largest;
}

} // namespace tenon
