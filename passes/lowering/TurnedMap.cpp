//===- TurnedMap.cpp - maps that read along another dimension than they write ----------------===//
#include "passes/lowering/TurnedMap.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"
#include "passes/lowering/TransposeTile.h"
#include "passes/simplify/IndexExpression.h"

using namespace mlir;

namespace tenon {

//===----------------------------------------------------------------------------===//
// Which maps
//===----------------------------------------------------------------------------===//

/// Longer regions, emitted once for each lane, would not fit into the caches of code.
static constexpr size_t mostOperations = 32;
static constexpr size_t mostTurned = 2;

/// The result's dim along which the load reads, if that is not the last one, which then moves another index.
static std::optional<unsigned> dimAlong(MapOp map, LoadOp load) {
  if (load.getIndices().size() < 2 || llvm::any_of(load.getIndices(), readsData))
    return std::nullopt;
  auto index = dyn_cast<BlockArgument>(load.getIndices().back());
  auto found = llvm::find(map.getIndices(), index);
  Value last = map.getIndices().back();
  auto others = load.getIndices().drop_back();
  if (found == map.getIndices().end() || *found == last ||
      llvm::none_of(others, [&](Value other) { return dependsOnIndex(other, last); }) ||
      llvm::any_of(others, [&](Value other) { return dependsOnIndex(other, *found); }))
    return std::nullopt;
  return found - map.getIndices().begin();
}

std::optional<TurnedMap> TurnedMap::of(KernelLowering &lowering, MapOp map) {
  Shape shape = shapeOf(map.getResult());
  Block &body = map.getBody().front();
  if (shape.size() < 2 || !elementOf(map.getResult()).isF32() || body.getOperations().size() > mostOperations)
    return std::nullopt;
  TurnedMap result(lowering, map);
  result.lanes = lowering.lanesOf(elementOf(map.getResult()));
  for (auto load : body.getOps<LoadOp>()) {
    std::optional<unsigned> along = dimAlong(map, load);
    if (!along)
      continue;
    unsigned operand = cast<BlockArgument>(load.getTensor()).getArgNumber();
    Value input = map.getInputs()[operand];
    if (!lowering.memoryOf(input) || !elementOf(input).isF32() || !load.getTensor().hasOneUse() ||
        (!result.turned.empty() && result.along != *along))
      return std::nullopt;
    result.along = *along;
    result.turned.push_back({operand, load, {}});
  }
  auto isShort = [&](const Dim &dim) { return dim.isConstant() && *dim.constant() < int64_t(result.lanes); };
  if (result.turned.empty() || result.turned.size() > mostTurned || result.lanes < 4 || isShort(shape[result.along]) ||
      isShort(shape.back()))
    return std::nullopt;
  return result;
}

//===----------------------------------------------------------------------------===//
// Code
//===----------------------------------------------------------------------------===//

/// What the load reads, as a map beside the map: it is evaluated with the lanes along the other dim.
MapOp TurnedMap::alone(LoadOp load) {
  OpBuilder builder(map);
  IRMapping mapping;
  auto clone = cast<MapOp>(builder.clone(*map, mapping));
  clone.getBody().front().getTerminator()->setOperand(0, mapping.lookup(load.getResult()));
  auto all = llvm::map_to_vector(clone.getBody().front().without_terminator(), [](Operation &op) { return &op; });
  for (Operation *op : llvm::reverse(all))
    if (op->use_empty())
      op->erase();
  return clone;
}

/// The place of the element in the result.
Value TurnedMap::offsetOf(ArrayRef<LaneValue> indices, Value column) {
  KernelScope &scope = lowering.scope;
  SmallVector<Value> strides = scope.strides(shapeOf(map.getResult()), lowering.loc);
  Value offset = column;
  for (auto [index, stride] : llvm::zip(indices, strides))
    offset = scope.add(offset, scope.mul(index.value, stride, lowering.loc), lowering.loc);
  return offset;
}

/// `lanes` columns from `column` on of as many rows from `indices` on.
void TurnedMap::emitSquare(ArrayRef<LaneValue> indices, Value column) {
  KernelScope &scope = lowering.scope;
  Location loc = lowering.loc;
  RegionEmitter emitter(scope, lanes, loc);
  emitter.branchOnChoices();
  auto at = [&](LaneValue row, LaneValue column) {
    SmallVector<LaneValue> point(indices);
    point[along] = row;
    point.push_back(column);
    return point;
  };
  Value first = indices[along].value;
  SmallVector<SmallVector<Value>> squares;
  for (Turned &load : turned) {
    TensorReader read = lowering.reader(load.alone.getResult(), emitter);
    SmallVector<Value> vectors;
    for (unsigned lane = 0; lane < lanes; ++lane) {
      Value there = scope.add(column, scope.index(lane, loc), loc);
      vectors.push_back(emitter.materialise(read(at(LaneValue::linear(first), LaneValue::uniform(there)))));
    }
    squares.push_back(transposeTile(scope.builder, loc, vectors));
  }
  for (unsigned lane = 0; lane < lanes; ++lane) {
    SmallVector<TensorReader> readers =
        llvm::map_to_vector(map.getInputs(), [&](Value input) { return lowering.reader(input, emitter); });
    for (auto [load, square] : llvm::zip(turned, squares))
      readers[load.operand] = [value = square[lane]](ArrayRef<LaneValue>) { return LaneValue::varying(value); };
    SmallVector<LaneValue> point =
        at(LaneValue::uniform(scope.add(first, scope.index(lane, loc), loc)), LaneValue::linear(column));
    LaneValue element = emitter.evaluate(map.getBody(), point, readers);
    emitter.store(element, lowering.resultMemory(), offsetOf(ArrayRef(point).drop_back(), column));
  }
}

/// The elements of one row from a column on, one at a time.
void TurnedMap::emitElements(ArrayRef<LaneValue> indices, Value firstColumn) {
  Value length = lowering.scope.dim(shapeOf(map.getResult()).back(), lowering.loc);
  emitLoop(lowering.scope, lowering.loc, firstColumn, length, [&](Value column) {
    RegionEmitter emitter(lowering.scope, 1, lowering.loc);
    SmallVector<LaneValue> point(indices);
    point.push_back(LaneValue::uniform(column));
    emitter.store(lowering.reader(map.getResult(), emitter)(point), lowering.resultMemory(), offsetOf(indices, column));
  });
}

/// `lanes` rows along `along`, or those that are left of them.
void TurnedMap::emitBlock(Value unit) {
  KernelScope &scope = lowering.scope;
  Location loc = lowering.loc;
  Shape shape = shapeOf(map.getResult()), units(ArrayRef<Dim>(shape).drop_back());
  units[along] = units[along].ceilDiv(Dim(lanes));
  SmallVector<LaneValue> indices = lowering.delinearise(unit, units);
  Value first = scope.mul(indices[along].value, scope.index(lanes, loc), loc), rows = scope.dim(shape[along], loc);
  Value end = scope.add(first, scope.index(lanes, loc), loc), length = scope.dim(shape.back(), loc);
  indices[along] = LaneValue::uniform(first);
  auto emitRows = [&](Value last, Value column) {
    emitLoop(scope, loc, first, last, [&](Value row) {
      SmallVector<LaneValue> point(indices);
      point[along] = LaneValue::uniform(row);
      emitElements(point, column);
    });
  };
  auto isMultiple = [&](const Dim &dim) { return dim.isConstant() && *dim.constant() % lanes == 0; };
  auto emitWhole = [&] {
    Value over = scope.builder.createOrFold<arith::RemUIOp>(loc, length, scope.index(lanes, loc));
    Value whole = scope.sub(length, over, loc);
    emitCarryingLoop(scope, loc, scope.index(0, loc), whole, lanes, {}, [&](Value column, ValueRange) {
      emitSquare(indices, column);
      return SmallVector<Value>();
    });
    if (!isMultiple(shape.back()))
      emitRows(end, whole);
  };
  if (isMultiple(shape[along]))
    return emitWhole();
  Value isWhole = arith::CmpIOp::create(scope.builder, loc, arith::CmpIPredicate::sle, end, rows);
  emitIf(scope, loc, isWhole, emitWhole, [&] { emitRows(rows, scope.index(0, loc)); });
}

KernelGrid TurnedMap::lower() {
  for (Turned &load : turned)
    load.alone = alone(load.load);
  Shape shape = shapeOf(map.getResult()), units(ArrayRef<Dim>(shape).drop_back());
  units[along] = units[along].ceilDiv(Dim(lanes));
  Dim count = countOf(units);
  int64_t unitsPerTile = rowsPerTile(shape.back() * Dim(lanes));
  lowering.forEachRow(count, unitsPerTile, [&](Value unit) { emitBlock(unit); });
  for (Turned &load : turned)
    load.alone.erase();
  return {count.ceilDiv(Dim(unitsPerTile)), Dim(0)};
}

} // namespace tenon
