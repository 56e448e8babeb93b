//===- PositionRows.cpp - the rows that a product with positions multiplies -------------===//
#include "passes/attention/PositionRows.h"
#include "passes/simplify/IndexExpression.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;

namespace tenon {

/// A region of the score's scalars that yields one of its integers.
static std::shared_ptr<Region> regionOf(Region &score, Value wanted) {
  auto region = std::make_shared<Region>();
  OpBuilder builder(wanted.getContext());
  Block *block = builder.createBlock(region.get());
  IRMapping mapping;
  for (BlockArgument argument : score.getArguments().take_front(5))
    mapping.map(argument, block->addArgument(argument.getType(), argument.getLoc()));
  for (Operation *op : sliceOf(wanted))
    builder.clone(*op, mapping);
  YieldOp::create(builder, wanted.getLoc(), mapping.lookup(wanted));
  return region;
}

PositionRows::PositionRows(KernelLowering &lowering, const PositionProduct &product)
    : product(product), lowering(lowering) {
  for (Value index : this->product.load.getIndices())
    indices.push_back(regionOf(*index.getParentRegion(), index));
}

Value PositionRows::indexAt(unsigned number, Value i, Value j) {
  RegionEmitter emitter(scope, 1, loc);
  Region &region = *indices[number];
  Value none =
      arith::ConstantOp::create(scope.builder, loc, scope.builder.getZeroAttr(region.getArgument(0).getType()));
  SmallVector<LaneValue> scalars;
  for (Value scalar : {none, batch, head, i, j})
    scalars.push_back(LaneValue::uniform(scalar));
  return emitter.evaluate(region, scalars, {}).value;
}

FlashRows PositionRows::rowsOf(const PositionProduct::Side &side, unsigned along) {
  SmallVector<Value> strides = scope.strides(shapeOf(side.tensor), loc);
  Value none = scope.index(0, loc), start = none;
  for (auto [n, place] : llvm::enumerate(side.places))
    if (place >= 0 && n != product.row && n != product.distance)
      start = scope.add(start, scope.mul(indexAt(n, none, none), strides[place], loc), loc);
  // Row-major strides of a constant shape fold; others are values.
  bool isUnit = side.summed + 1 == int(shapeOf(side.tensor).size());
  return {lowering.memoryOf(side.tensor), start, strides[side.places[along]], isUnit ? Value() : strides[side.summed]};
}

void PositionRows::locate(Value ofBatch, Value ofHead) {
  batch = ofBatch;
  head = ofHead;
  rows = rowsOf(product.rows, product.row);
  table = rowsOf(product.table, product.distance);
}

Value PositionRows::tableRow(Value distance) {
  OpBuilder &builder = scope.builder;
  Value none = scope.index(0, loc);
  Value i = arith::MaxSIOp::create(builder, loc, scope.sub(none, distance, loc), none);
  Value j = arith::MaxSIOp::create(builder, loc, distance, none);
  Value row = indexAt(product.distance, i, j);
  Value count = scope.dim(shapeOf(product.product.getResult())[product.distance], loc);
  Value last = scope.sub(count, scope.index(1, loc), loc);
  row = arith::MaxSIOp::create(builder, loc, scope.minimum(row, last, loc), none);
  return scope.add(table.start, scope.mul(row, table.stride, loc), loc);
}

} // namespace tenon
