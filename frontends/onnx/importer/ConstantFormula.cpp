//===- ConstantFormula.cpp - constants that positions give ---------------------------===//
#include "frontends/onnx/importer/ConstantFormula.h"

using namespace mlir;
using namespace tenon;
using namespace tenon::onnx_importer;

//===----------------------------------------------------------------------------===//
// Which formula
//===----------------------------------------------------------------------------===//

std::optional<LinearFormula> LinearFormula::match(const onnx_reader::Tensor &tensor) {
  int64_t first = integerAt(tensor, 0), rank = tensor.dims.size();
  SmallVector<int64_t> strides(rank, 0), steps(rank, 1);
  for (int64_t d = rank - 1, step = 1; d >= 0; step *= tensor.dims[d--]) {
    steps[d] = step;
    if (tensor.dims[d] > 1)
      strides[d] = integerAt(tensor, step) - first;
  }
  for (int64_t i = 0; i < tensor.elementCount; ++i) {
    int64_t expected = first;
    for (int64_t d = 0; d < rank; ++d)
      expected += strides[d] * (i / steps[d] % tensor.dims[d]);
    if (integerAt(tensor, i) != expected)
      return std::nullopt;
  }
  return LinearFormula{first, strides};
}

/// The first column and the first row hold one element of each diagonal: they say which of them are inside, and all
/// other elements are compared with those, so that a matrix of weights is given up at its third value.
std::optional<BandFormula> BandFormula::match(const onnx_reader::Tensor &tensor) {
  int64_t rank = tensor.dims.size();
  if (rank < 2 || onnx_reader::bitsOf(tensor.type) < 8)
    return std::nullopt;
  int64_t rows = tensor.dims[rank - 2], columns = tensor.dims[rank - 1];
  if (rows < 2 || columns < 2 || rows * columns != tensor.elementCount)
    return std::nullopt;
  auto onDiagonal = [&](int64_t d) { return d < 0 ? -d * columns : d; };
  int64_t lowest = 1 - rows, highest = columns - 1;
  // The corners are outside of a band with two ends; a band with one has a corner of its own.
  auto sameAs = [&](int64_t corner, int64_t d) {
    return bitsAt(tensor, onDiagonal(d)) == bitsAt(tensor, onDiagonal(corner));
  };
  int64_t low = lowest, high = highest;
  while (low <= highest && sameAs(lowest, low))
    ++low;
  while (high >= lowest && sameAs(highest, high))
    --high;
  if (low > highest) // One value everywhere.
    return std::nullopt;
  BandFormula band;
  if (sameAs(lowest, highest))
    band = {low, high, onDiagonal(low), onDiagonal(lowest)};
  else // Below `low` one value, from there on the other.
    band = {std::nullopt, low - 1, onDiagonal(lowest), onDiagonal(highest)};
  uint64_t inside = bitsAt(tensor, band.inside), outside = bitsAt(tensor, band.outside);
  for (int64_t i = 0; i < tensor.elementCount; ++i) {
    int64_t distance = i % columns - i / columns;
    bool isInside = (!band.least || distance >= *band.least) && distance <= *band.greatest;
    if (bitsAt(tensor, i) != (isInside ? inside : outside))
      return std::nullopt;
  }
  return band;
}

//===----------------------------------------------------------------------------===//
// Written
//===----------------------------------------------------------------------------===//

static Value write(const LinearFormula &formula, Type element, ArrayRef<Dim> shape, GraphBuilder &graph) {
  return graph.map(element, shape, {}, [&](ScalarBuilder &s, ValueRange, ValueRange at) {
    Value sum = s.index(formula.first);
    for (auto [index, stride] : llvm::zip(at, formula.strides))
      if (stride != 0)
        sum = s.add(sum, s.mul(index, s.index(stride)));
    return s.cast(sum, element);
  });
}

static Value write(const BandFormula &band, const onnx_reader::Tensor &tensor, Type element, ArrayRef<Dim> shape,
                   GraphBuilder &graph) {
  return graph.map(element, shape, {}, [&](ScalarBuilder &s, ValueRange, ValueRange at) {
    Value row = at[at.size() - 2], column = at.back();
    auto isAtMost = [&](Value a, int64_t distance, Value b) { // a <= b + distance, as j <= i is written
      return distance < 0 ? s.compare(Comparison::LessEqual, s.add(a, s.index(-distance)), b)
                          : s.compare(Comparison::LessEqual, a, s.add(b, s.index(distance)));
    };
    Value isInside = isAtMost(column, *band.greatest, row);
    if (band.least)
      isInside = s.bitAnd(isInside, isAtMost(row, -*band.least, column));
    auto value = [&](int64_t position) -> Value {
      return arith::ConstantOp::create(s.builder, s.loc, elementAt(tensor, position, element));
    };
    return s.select(isInside, value(band.inside), value(band.outside));
  });
}

Value onnx_importer::formulaOf(const onnx_reader::Tensor &tensor, Type element, GraphBuilder &graph) {
  auto shape = llvm::map_to_vector<4>(tensor.dims, [](int64_t size) { return Dim(size); });
  if (isa<IntegerType>(element))
    if (std::optional<LinearFormula> linear = LinearFormula::match(tensor)) {
      bool isSplat = llvm::all_of(linear->strides, [](int64_t stride) { return stride == 0; });
      return isSplat ? graph.splat(elementAt(tensor, 0, element), shape) : write(*linear, element, shape, graph);
    }
  if (std::optional<BandFormula> band = BandFormula::match(tensor))
    return write(*band, tensor, element, shape, graph);
  return {};
}
