//===- Rows.cpp - reduce, softmax and norm: what mixes the elements of a row -----------===//
//
// The index space is split in two: the rows, and the elements of one row. Every
// element then stands at rows[r] + elements[e].
//
//===-----------------------------------------------------------------------------===//
#include "interpreter/Evaluation.h"
#include "interpreter/Indexing.h"

#include <cmath>
#include <limits>

using namespace mlir;

namespace tenon {
namespace {

struct RowSpace {
  std::vector<int64_t> rows, elements;

  /// The elements of a row are the indices over the dimensions `within`.
  RowSpace(ArrayRef<int64_t> shape, ArrayRef<int64_t> within) {
    std::vector<int64_t> strides = stridesOf(shape), sizes[2], steps[2];
    for (size_t d = 0; d < shape.size(); ++d) {
      bool inside = llvm::is_contained(within, int64_t(d));
      sizes[inside].push_back(shape[d]);
      steps[inside].push_back(strides[d]);
    }
    rows = offsetsOf(sizes[0], steps[0]);
    elements = offsetsOf(sizes[1], steps[1]);
  }
};

/// What f16 and bf16 are computed in.
DType computeType(DType dtype) { return dtype == DType::F64 ? DType::F64 : DType::F32; }

double maximum(double a, double b) { return std::isnan(a) || std::isnan(b) ? std::nan("") : std::max(a, b); }
double minimum(double a, double b) { return std::isnan(a) || std::isnan(b) ? std::nan("") : std::min(a, b); }

double reduceFloats(ReduceKind kind, const RowSpace &space, int64_t row, const Array &input,
                    const Evaluation &evaluation) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  DType type = computeType(input.dtype);
  double result = kind == ReduceKind::Sum       ? 0
                  : kind == ReduceKind::Product ? 1
                  : kind == ReduceKind::Max     ? -infinity
                                                : infinity;
  for (int64_t element : space.elements) {
    double value = input.floats[row + element];
    result = kind == ReduceKind::Sum       ? evaluation.round(type, result + value)
             : kind == ReduceKind::Product ? evaluation.round(type, result * value)
             : kind == ReduceKind::Max     ? maximum(result, value)
                                           : minimum(result, value);
  }
  return evaluation.round(input.dtype, result);
}

/// The ends of the type's range, in the representation of Array.
int64_t leastOf(DType dtype) { return integerOf(dtype, -HUGE_VAL); }
int64_t greatestOf(DType dtype) { return integerOf(dtype, HUGE_VAL); }

int64_t reduceIntegers(ReduceKind kind, const RowSpace &space, int64_t row, const Array &input) {
  bool isUnsigned = input.dtype == DType::U64;
  auto less = [&](int64_t a, int64_t b) { return isUnsigned ? uint64_t(a) < uint64_t(b) : a < b; };
  int64_t result = kind == ReduceKind::Sum       ? 0
                   : kind == ReduceKind::Product ? 1
                   : kind == ReduceKind::Max     ? leastOf(input.dtype)
                                                 : greatestOf(input.dtype);
  for (int64_t element : space.elements) {
    int64_t value = input.integers[row + element];
    if (kind == ReduceKind::Sum)
      result = int64_t(uint64_t(result) + uint64_t(value));
    else if (kind == ReduceKind::Product)
      result = int64_t(uint64_t(result) * uint64_t(value));
    else if (kind == ReduceKind::Max ? less(result, value) : less(value, result))
      result = value;
  }
  return wrapTo(input.dtype, result);
}

void softmaxRow(const RowSpace &space, int64_t row, const Array &input, const Evaluation &evaluation, Array &result) {
  DType type = computeType(input.dtype);
  double greatest = -std::numeric_limits<double>::infinity(), sum = 0;
  for (int64_t element : space.elements)
    greatest = maximum(greatest, input.floats[row + element]);
  for (int64_t element : space.elements) {
    double shifted = evaluation.round(type, input.floats[row + element] - greatest);
    double power = evaluation.round(type, std::exp(shifted));
    result.floats[row + element] = power;
    sum = evaluation.round(type, sum + power);
  }
  for (int64_t element : space.elements) {
    double &value = result.floats[row + element];
    value = evaluation.round(result.dtype, evaluation.round(type, value / sum));
  }
}

/// What is subtracted from a row and what it is multiplied with.
struct Moments {
  double mean, deviation;
};

Moments momentsOf(NormOp op, const RowSpace &space, int64_t row, const Array &input, const Evaluation &evaluation) {
  DType type = computeType(input.dtype);
  auto round = [&](double value) { return evaluation.round(type, value); };
  double count = double(space.elements.size()), mean = 0, squares = 0;
  if (op.getKind() != NormKind::RMS) {
    for (int64_t element : space.elements)
      mean = round(mean + input.floats[row + element]);
    mean = round(mean / count);
  }
  for (int64_t element : space.elements) {
    double centred = round(input.floats[row + element] - mean);
    squares = round(squares + round(centred * centred));
  }
  double epsilon = round(op.getEpsilon().convertToDouble());
  return {mean, round(std::sqrt(round(round(squares / count) + epsilon)))};
}

/// The element of scale and shift that belongs to element e of a row.
struct Parameters {
  const Array *scale = nullptr, *shift = nullptr;
  int64_t begin = 0, perElement = 1; ///< element e has parameter begin + e / perElement
};

void normaliseRow(NormOp op, const RowSpace &space, int64_t row, const Array &input, const Parameters &parameters,
                  const Evaluation &evaluation, Array &result) {
  DType type = computeType(input.dtype);
  auto round = [&](double value) { return evaluation.round(type, value); };
  Moments moments = momentsOf(op, space, row, input, evaluation);
  for (auto [e, element] : llvm::enumerate(space.elements)) {
    int64_t parameter = parameters.begin + int64_t(e) / parameters.perElement;
    double value = round(round(input.floats[row + element] - moments.mean) / moments.deviation);
    if (parameters.scale)
      value = round(value * parameters.scale->floats[parameter]);
    if (parameters.shift)
      value = round(value + parameters.shift->floats[parameter]);
    result.floats[row + element] = evaluation.round(result.dtype, value);
  }
}

/// Layer and RMS: rows are the leading dimensions, every element has its own parameter.
void normaliseLast(NormOp op, const Array &input, Parameters parameters, const Evaluation &evaluation, Array &result) {
  SmallVector<int64_t> within;
  for (int64_t d = int64_t(input.shape.size() - op.getOver()); d < int64_t(input.shape.size()); ++d)
    within.push_back(d);
  RowSpace space(input.shape, within);
  for (int64_t row : space.rows)
    normaliseRow(op, space, row, input, parameters, evaluation, result);
}

/// Group: the input seen as [batch, groups, channels of a group · positions].
llvm::Error normaliseGroups(NormOp op, const Array &input, Parameters parameters, const Evaluation &evaluation,
                            Array &result) {
  int64_t groups = op.getOver(), channels = input.shape[1];
  if (channels % groups != 0)
    return errorAt(op, llvm::Twine(groups) + " groups do not divide " + llvm::Twine(channels) + " channels");
  parameters.perElement = countOf(ArrayRef(input.shape).drop_front(2));
  int64_t perGroup = channels / groups;
  RowSpace space({input.shape[0], groups, perGroup * parameters.perElement}, {2});
  for (auto [r, row] : llvm::enumerate(space.rows)) {
    parameters.begin = int64_t(r) % groups * perGroup;
    normaliseRow(op, space, row, input, parameters, evaluation, result);
  }
  return llvm::Error::success();
}

} // namespace

llvm::Expected<Array> evaluateReduce(ReduceOp op, Operands operands, const Evaluation &evaluation) {
  llvm::Expected<Array> result = makeResult(op.getResult(), evaluation);
  if (!result)
    return result.takeError();
  const Array &input = *operands[0];
  RowSpace space(input.shape, op.getOver());
  for (auto [n, row] : llvm::enumerate(space.rows)) {
    if (input.isFloat())
      result->floats[n] = reduceFloats(op.getKind(), space, row, input, evaluation);
    else
      result->integers[n] = reduceIntegers(op.getKind(), space, row, input);
  }
  return result;
}

llvm::Expected<Array> evaluateSoftmax(SoftmaxOp op, Operands operands, const Evaluation &evaluation) {
  llvm::Expected<Array> result = makeResult(op.getResult(), evaluation);
  if (!result)
    return result.takeError();
  RowSpace space(result->shape, {int64_t(op.getOver())});
  for (int64_t row : space.rows)
    softmaxRow(space, row, *operands[0], evaluation, *result);
  return result;
}

llvm::Expected<Array> evaluateNorm(NormOp op, Operands operands, const Evaluation &evaluation) {
  llvm::Expected<Array> result = makeResult(op.getResult(), evaluation);
  if (!result)
    return result.takeError();
  Parameters parameters;
  unsigned next = 1;
  if (op.getScale())
    parameters.scale = operands[next++];
  if (op.getShift())
    parameters.shift = operands[next++];
  for (const Array *parameter : {parameters.scale, parameters.shift})
    if (parameter && !parameter->isFloat())
      return errorAt(op, "wanted a floating-point scale and shift, found " + toString(parameter->dtype));
  if (!result->isFloat())
    return errorAt(op, "wanted floating-point elements, found " + toString(result->dtype));
  if (op.getKind() == NormKind::Group) {
    if (llvm::Error error = normaliseGroups(op, *operands[0], parameters, evaluation, *result))
      return error;
  } else {
    normaliseLast(op, *operands[0], parameters, evaluation, *result);
  }
  return result;
}

} // namespace tenon
