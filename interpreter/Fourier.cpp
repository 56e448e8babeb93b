//===- Fourier.cpp - Fourier transforms and Toeplitz products, from their definitions -----===//
#include "interpreter/Evaluation.h"

#include <cmath>
#include <complex>

using namespace mlir;

namespace tenon {
namespace {

/// e^(sign · 2πi n / length) for n = 0 … length - 1.
std::vector<std::complex<double>> powersOfRoot(int64_t length, int sign) {
  std::vector<std::complex<double>> powers(length);
  for (int64_t n = 0; n < length; ++n)
    powers[n] = std::polar(1.0, sign * 2 * M_PI * double(n) / double(length));
  return powers;
}

/// How far apart the elements along a dimension are, and the numbers of elements before and behind it.
struct Axis {
  int64_t size, step;
  Axis(const Array &array, int64_t dim) : size(array.shape[dim]), step(stridesOf(array.shape)[dim]) {}
};

/// [B, H, rows, columns], element by element.
struct Rows {
  const Array &array;
  int64_t rows = array.shape[2], columns = array.shape[3];
  double at(int64_t head, int64_t row, int64_t column) const {
    return array.floats[(head * rows + row) * columns + column];
  }
};

/// Σ_j weight(i, j) x[j, c], where weight has the features' products taken in.
llvm::Expected<Array> multiply(Value resultValue, const Array &from, Operands features, const Evaluation &evaluation,
                               llvm::function_ref<double(int64_t head, int64_t channel, int64_t i, int64_t j)> matrix,
                               bool isPerChannel) {
  llvm::Expected<Array> result = makeResult(resultValue, evaluation);
  if (!result)
    return result.takeError();
  Rows input{from};
  int64_t heads = result->shape[1], rows = result->shape[2];
  auto round = [&](double value) { return evaluation.round(result->dtype, value); };
  auto weight = [&](int64_t head, int64_t channel, int64_t i, int64_t j) {
    double value = matrix(head % heads, channel, i, j);
    if (features.empty())
      return value;
    Rows query{*features[0]}, key{*features[1]};
    double product = 0;
    for (int64_t r = 0; r < query.columns; ++r)
      product = round(product + round(query.at(head, i, r) * key.at(head, j, r)));
    return round(product * value);
  };
  std::vector<double> weights(input.rows);
  for (int64_t head = 0; head < result->shape[0] * heads; ++head)
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t c = 0; c < input.columns; ++c) {
        for (int64_t j = 0; j < input.rows && (c == 0 || isPerChannel); ++j)
          weights[j] = weight(head, c, i, j);
        double &sum = result->floats[(head * rows + i) * input.columns + c];
        for (int64_t j = 0; j < input.rows; ++j)
          sum = round(sum + round(weights[j] * input.at(head, j, c)));
      }
    }
  return result;
}

} // namespace

llvm::Expected<Array> evaluateFFT(FFTOp op, Operands operands, const Evaluation &evaluation) {
  llvm::Expected<Array> result = makeResult(op.getResult(), evaluation);
  if (!result)
    return result.takeError();
  const Array &input = *operands[0];
  std::optional<int64_t> length = op.getLength().getValue().evaluate(evaluation.dims);
  if (!length || *length < 1 || result->shape[op.getAxis()] > *length)
    return errorAt(op, "a transform of length " + (length ? llvm::Twine(*length).str() : "unknown") + " gives " +
                           llvm::Twine(result->shape[op.getAxis()]) + " frequencies");
  Axis time(input, op.getAxis()), parts(input, op.getParts());
  Axis frequency(*result, op.getAxis()), resultParts(*result, op.getParts());
  std::vector<std::complex<double>> powers = powersOfRoot(*length, op.getInverse() ? 1 : -1);
  DType type = result->dtype == DType::F64 ? DType::F64 : DType::F32;
  auto round = [&](double value) { return evaluation.round(type, value); };
  std::vector<int64_t> index(result->shape.size()), strides = stridesOf(input.shape);
  for (int64_t at = 0; at < result->count(); ++at) {
    int64_t rest = at, base = 0, k = 0, part = 0;
    for (int64_t d = int64_t(index.size()) - 1; d >= 0; --d) {
      int64_t here = rest % result->shape[d];
      rest /= result->shape[d];
      if (d == int64_t(op.getAxis()))
        k = here;
      else if (d == int64_t(op.getParts()))
        part = here;
      else
        base += here * strides[d];
    }
    double sum = 0;
    for (int64_t n = 0; n < std::min(time.size, *length); ++n) {
      std::complex<double> power = powers[n * k % *length];
      double real = input.floats[base + n * time.step];
      double imaginary = parts.size == 2 ? input.floats[base + n * time.step + parts.step] : 0;
      // (a + bi)(c + di), its real or its imaginary part.
      double first = round(real * round(part ? power.imag() : power.real()));
      double second = round(imaginary * round(part ? power.real() : -power.imag()));
      sum = round(round(sum + first) + second);
    }
    result->floats[at] = evaluation.round(result->dtype, op.getInverse() ? round(sum / double(*length)) : sum);
  }
  return result;
}

llvm::Expected<Array> evaluateToeplitz(ToeplitzOp op, Operands operands, const Evaluation &evaluation) {
  const Array &diagonals = *operands[1];
  int64_t count = diagonals.shape[1], rows = count + 1 - operands[0]->shape[2];
  int64_t channels = diagonals.shape.size() == 3 ? diagonals.shape[2] : 1;
  auto matrix = [&](int64_t head, int64_t channel, int64_t i, int64_t j) {
    bool isLeftOut = op.getCausal() && j > i;
    return isLeftOut ? 0.0 : diagonals.floats[(head * count + j - i + rows - 1) * channels + channel % channels];
  };
  return multiply(op.getResult(), *operands[0], operands.take_back(op.getFeatures().size()), evaluation, matrix,
                  channels > 1);
}

llvm::Expected<Array> evaluateCirculant(CirculantOp op, Operands operands, const Evaluation &evaluation) {
  const Array &spectrum = *operands[1];
  int64_t period = spectrum.shape[2], channels = spectrum.shape.size() == 4 ? spectrum.shape[3] : 1;
  std::vector<std::complex<double>> powers = powersOfRoot(period, 1);
  std::vector<double> kernel(spectrum.shape[0] * period * channels);
  for (int64_t at = 0; at < int64_t(kernel.size()); ++at) {
    int64_t channel = at % channels, n = at / channels % period, head = at / channels / period;
    double sum = 0;
    for (int64_t k = 0; k < period; ++k) {
      const double *parts = &spectrum.floats[(head * 2 * period + k) * channels + channel];
      sum += parts[0] * powers[n * k % period].real() - parts[period * channels] * powers[n * k % period].imag();
    }
    kernel[at] = sum / double(period);
  }
  auto matrix = [&](int64_t head, int64_t channel, int64_t i, int64_t j) {
    if (!op.getBlock())
      return kernel[(head * period + (i - j + period) % period) * channels + channel % channels];
    int64_t block = int64_t(*op.getBlock()), before = channels - op.blocksOf(*shapeOf(op.getResult())[2].constant());
    int64_t distance = i / block - j / block + before;
    return distance < 0 ? 0.0
                        : kernel[(head * period + (i % block - j % block + period) % period) * channels + distance];
  };
  Array repeated; // one input for all channels
  bool isOneForAll = op.isPerChannel() && operands[0]->shape.back() != channels;
  if (isOneForAll) {
    repeated = *operands[0];
    repeated.shape.back() = channels;
    repeated.floats.clear();
    for (double element : operands[0]->floats)
      repeated.floats.insert(repeated.floats.end(), channels, element);
  }
  return multiply(op.getResult(), isOneForAll ? repeated : *operands[0], operands.take_back(op.getFeatures().size()),
                  evaluation, matrix, op.isPerChannel() && channels > 1);
}

} // namespace tenon
