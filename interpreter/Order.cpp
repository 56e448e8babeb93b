//===- Order.cpp - where the elements of a row stand in sorted order -------------------===//
#include "interpreter/Evaluation.h"

#include <algorithm>
#include <cmath>
#include <numeric>

using namespace mlir;

namespace tenon {
namespace {

/// Which of two elements is less: -1 the first, 1 the second, 0 neither.
int compareElements(const Array &x, int64_t a, int64_t b, bool isUnsigned) {
  if (!x.isFloat() && isUnsigned)
    return int(uint64_t(x.integers[a]) > uint64_t(x.integers[b])) -
           int(uint64_t(x.integers[a]) < uint64_t(x.integers[b]));
  if (!x.isFloat())
    return int(x.integers[a] > x.integers[b]) - int(x.integers[a] < x.integers[b]);
  bool aIsNaN = std::isnan(x.floats[a]), bIsNaN = std::isnan(x.floats[b]);
  if (aIsNaN || bIsNaN)
    return int(aIsNaN) - int(bIsNaN);
  return int(x.floats[a] > x.floats[b]) - int(x.floats[a] < x.floats[b]);
}

} // namespace

llvm::Expected<Array> evaluateOrder(OrderOp op, const Array &input, const Evaluation &evaluation) {
  llvm::Expected<Array> result = makeResult(op.getResult(), evaluation);
  if (!result)
    return result;
  int64_t axis = op.getOver(), length = input.shape[axis], wanted = result->shape[axis];
  if (wanted > length)
    return errorAt(op, "wants " + llvm::Twine(wanted) + " places, found " + llvm::Twine(length) + " elements");
  std::span<const int64_t> sizes(input.shape);
  int64_t behind = countOf(sizes.subspan(axis + 1)), fields = op.getRecords() ? behind : 1;
  int64_t columns = op.getRecords() ? 1 : behind, stride = behind;
  std::vector<int64_t> order(length);
  for (int64_t row = 0; row < countOf(sizes.first(axis)) * columns; ++row) {
    int64_t start = row / columns * length * stride + row % columns;
    auto comesBefore = [&](int64_t a, int64_t b) {
      for (int64_t field = 0; field < fields; ++field)
        if (int found =
                compareElements(input, start + a * stride + field, start + b * stride + field, op.getIsUnsigned()))
          return op.getDescending() ? found > 0 : found < 0;
      return false;
    };
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), comesBefore);
    for (int64_t k = 0; k < wanted; ++k)
      result->integers[(row / columns * wanted + k) * columns + row % columns] = order[k];
  }
  return result;
}

} // namespace tenon
