//===- RowScalars.cpp - scalars of rows, followed from map to map ------------------------------------===//
#include "passes/fusion/RowScalars.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace tenon {

static MapOp mapAround(Operation *op) { return dyn_cast_or_null<MapOp>(op->getParentOp()); }

/// The tensor a load in a map reads; null if it is no operand.
static Value tensorOf(LoadOp load) {
  MapOp map = mapAround(load);
  auto argument = dyn_cast<BlockArgument>(load.getTensor());
  return map && argument && argument.getArgNumber() < map.getInputs().size() ? map.getInputs()[argument.getArgNumber()]
                                                                             : Value();
}

/// The first `count` indices of a load are those of its map, in order.
static bool followsIndices(LoadOp load, size_t count) {
  MapOp map = mapAround(load);
  return map && load.getIndices().size() >= count && map.getIndices().size() >= count &&
         llvm::equal(load.getIndices().take_front(count), map.getIndices().take_front(count));
}

Value elementTensor(Value scalar) {
  auto load = scalar.getDefiningOp<LoadOp>();
  if (!load || !followsIndices(load, load.getIndices().size()) ||
      load.getIndices().size() != mapAround(load).getIndices().size())
    return Value();
  return tensorOf(load);
}

/// `load r[the first `rows` indices of the map, perhaps 0]`, and r.
static Value rowTensor(Value scalar, size_t rows) {
  auto load = scalar.getDefiningOp<LoadOp>();
  if (!load || !followsIndices(load, rows) || load.getIndices().size() > rows + 1)
    return Value();
  if (load.getIndices().size() == rows + 1 && !matchPattern(load.getIndices().back(), m_Zero()) &&
      shapeOf(load.getTensor()).back() != Dim(1))
    return Value();
  return tensorOf(load);
}

Value throughRows(Value scalar, size_t rows) {
  while (Value tensor = rowTensor(scalar, rows)) {
    auto map = tensor.getDefiningOp<MapOp>();
    if (!map || map.getIndices().size() < rows)
      break;
    scalar = map.getYielded();
  }
  return scalar;
}

std::optional<double> constantOf(Value scalar) {
  FloatAttr value;
  if (!matchPattern(scalar, m_Constant(&value)))
    return std::nullopt;
  return value.getValueAsDouble();
}

static bool isNear(double a, double b) { return std::abs(a - b) <= 1e-6 * std::abs(b); }

Value meanOf(Value scalar, size_t rows) {
  scalar = throughRows(scalar, rows);
  double factor = 1;
  Value sum = scalar;
  if (auto product = withConstant<arith::MulFOp>(scalar))
    std::tie(sum, factor) = *product;
  else if (auto quotient = scalar.getDefiningOp<arith::DivFOp>())
    if (auto divisor = constantOf(quotient.getRhs())) {
      sum = quotient.getLhs();
      factor = 1 / *divisor;
    }
  sum = throughRows(sum, rows);
  Value tensor = rowTensor(sum, rows);
  auto reduce = tensor ? tensor.getDefiningOp<ReduceOp>() : ReduceOp();
  if (!reduce || reduce.getKind() != ReduceKind::Sum || reduce.getOver() != ArrayRef<int64_t>{int64_t(rows)})
    return Value();
  Shape shape = shapeOf(reduce.getInput());
  std::optional<int64_t> size = shape.back().constant();
  return shape.size() == rows + 1 && size && isNear(factor * double(*size), 1) ? Value(reduce.getInput()) : Value();
}

} // namespace tenon
