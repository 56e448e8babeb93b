//===- Scatter.cpp - slices put into a tensor at computed places ----------------------===//
#include "interpreter/Evaluation.h"

#include <cmath>

using namespace mlir;

namespace tenon {
namespace {

double combineFloats(ReduceKind kind, double a, double b) {
  if (kind == ReduceKind::Sum)
    return a + b;
  if (kind == ReduceKind::Product)
    return a * b;
  if (std::isnan(a) || std::isnan(b))
    return std::nan("");
  return kind == ReduceKind::Max ? std::max(a, b) : std::min(a, b);
}

int64_t combineIntegers(ReduceKind kind, int64_t a, int64_t b) {
  if (kind == ReduceKind::Sum)
    return int64_t(uint64_t(a) + uint64_t(b));
  if (kind == ReduceKind::Product)
    return int64_t(uint64_t(a) * uint64_t(b));
  return kind == ReduceKind::Max ? std::max(a, b) : std::min(a, b);
}

} // namespace

llvm::Expected<Array> evaluateScatter(ScatterOp op, Operands operands, const Evaluation &evaluation) {
  const Array &updates = *operands[0], &places = *operands[2];
  Array result = *operands[1];
  int64_t tuple = op.getTupleSize();
  std::vector<int64_t> strides = stridesOf(result.shape);
  int64_t slice = countOf(std::span(result.shape).subspan(tuple));
  std::optional<ReduceKind> by = op.getBy();
  for (int64_t n = 0; n < places.shape[0]; ++n) {
    int64_t offset = 0;
    for (int64_t k = 0; k < tuple; ++k) {
      int64_t index = places.integers[n * tuple + k];
      if (index < 0 || index >= result.shape[k])
        return errorAt(op, "place " + llvm::Twine(n) + " names index " + llvm::Twine(index) + " of dimension " +
                               llvm::Twine(k) + ", which has " + llvm::Twine(result.shape[k]));
      offset += index * strides[k];
    }
    for (int64_t i = 0; i < slice; ++i) {
      if (result.isFloat()) {
        double value = updates.floats[n * slice + i], &target = result.floats[offset + i];
        target = by ? evaluation.round(result.dtype, combineFloats(*by, target, value)) : value;
      } else {
        int64_t value = updates.integers[n * slice + i], &target = result.integers[offset + i];
        target = by ? wrapTo(result.dtype, combineIntegers(*by, target, value)) : value;
      }
    }
  }
  return result;
}

} // namespace tenon
