//===- CountedPositions.cpp - positions that no data decides ------------------------===//
#include "frontends/builder/CountedPositions.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace tenon;

static std::optional<Dim> largestElement(Value tensor, unsigned depth = 0);

/// The largest value of a scalar of a map's region that only grows with the indices, of which the largest are given.
/// None where it may do anything else.
static std::optional<Dim> largest(Value scalar, MapOp map, ArrayRef<Dim> indices, unsigned depth) {
  if (depth > 24)
    return std::nullopt;
  if (auto *index = llvm::find(map.getIndices(), scalar); index != map.getIndices().end())
    return indices[index - map.getIndices().begin()];
  Operation *op = scalar.getDefiningOp();
  auto of = [&](Value value) { return largest(value, map, indices, depth + 1); };
  if (IntegerAttr integer; matchPattern(scalar, m_Constant(&integer)))
    return integer.getValue().isNegative() ? std::nullopt : std::optional(Dim(integer.getValue().getSExtValue()));
  if (isa_and_present<arith::IndexCastOp, arith::ExtSIOp>(op))
    return of(op->getOperand(0));
  if (auto size = dyn_cast_if_present<SizeOp>(op))
    return size.getDim().getValue();
  if (isa_and_present<arith::AddIOp, arith::MulIOp>(op)) {
    std::optional<Dim> a = of(op->getOperand(0)), b = of(op->getOperand(1));
    if (!a || !b)
      return std::nullopt;
    return isa<arith::AddIOp>(op) ? *a + *b : *a * *b;
  }
  auto load = dyn_cast_if_present<LoadOp>(op);
  if (!load)
    return std::nullopt;
  Value operand = map.getInputs()[cast<BlockArgument>(load.getTensor()).getArgNumber()];
  Shape ends;
  bool isWhole = true;
  for (auto [at, dim] : llvm::zip(load.getIndices(), shapeOf(operand))) {
    std::optional<Dim> end = of(at);
    if (!end)
      return std::nullopt;
    isWhole &= *end == dim - Dim(1);
    ends.push_back(*end);
  }
  if (isWhole)
    return largestElement(operand, depth + 1);
  auto producer = operand.getDefiningOp<MapOp>();
  return producer ? largest(producer.getYielded(), producer, ends, depth + 1) : std::nullopt;
}

/// The largest element of positions that are counted, as `arange(n) + past`; none of data.
static std::optional<Dim> largestElement(Value tensor, unsigned depth) {
  while (auto reshape = tensor.getDefiningOp<ReshapeOp>())
    tensor = reshape.getInput();
  auto map = tensor.getDefiningOp<MapOp>();
  Shape ends = llvm::map_to_vector<4>(shapeOf(tensor), [](const Dim &dim) { return dim - Dim(1); });
  return map ? largest(map.getYielded(), map, ends, depth) : std::nullopt;
}

bool tenon::wantPositionsWithin(GraphBuilder &graph, Value indices, const Dim &rows) {
  std::optional<Dim> last = largestElement(indices);
  if (!last || graph.isAtLeastZero(rows - Dim(1) - *last))
    return true;
  if ((rows - Dim(1) - *last).interval(graph.getBounds()).hi < 0)
    return graph.error() << "wants indices below " << rows.str() << ", found " << last->str(), false;
  return !graph.assumeAtLeast(rows - Dim(1), *last);
}
