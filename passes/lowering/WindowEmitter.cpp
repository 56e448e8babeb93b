//===- WindowEmitter.cpp - what lowerings of convolutions share ------------------------===//
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "passes/lowering/LowerWindow.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace tenon {

//===----------------------------------------------------------------------------===//
// Elements a constant distance apart
//===----------------------------------------------------------------------------===//

/// Lanes begin to end - 1.
Value StridedReader::maskOf(Value begin, Value end) {
  auto type = VectorType::get({int64_t(lanes)}, scope.builder.getI1Type());
  Value below = vector::CreateMaskOp::create(scope.builder, loc, type, end);
  Value before = vector::CreateMaskOp::create(scope.builder, loc, type, begin);
  Value ones = arith::ConstantOp::create(scope.builder, loc, DenseElementsAttr::get(type, true));
  return arith::AndIOp::create(scope.builder, loc, below, arith::XOrIOp::create(scope.builder, loc, before, ones));
}

std::pair<Value, Value> StridedReader::within(Value x, Value size, Value begin, Value end) {
  // ceil(a / stride) where that is positive, else something that is not.
  auto ceilDivide = [&](Value a) {
    if (stride == 1)
      return a;
    Value raised = scope.add(a, scope.index(stride - 1, loc), loc);
    return scope.builder.createOrFold<arith::FloorDivSIOp>(loc, raised, scope.index(stride, loc));
  };
  Value first = ceilDivide(scope.sub(scope.index(0, loc), x, loc)), last = ceilDivide(scope.sub(size, x, loc));
  return {scope.builder.createOrFold<arith::MaxSIOp>(loc, begin, first), scope.minimum(end, last, loc)};
}

Value StridedReader::loadNeighbours(Value offset, Value begin, Value end) {
  auto type = VectorType::get({int64_t(lanes)}, scope.builder.getF32Type());
  Value none = arith::ConstantOp::create(scope.builder, loc, scope.builder.getZeroAttr(type));
  return vector::MaskedLoadOp::create(scope.builder, loc, type, memory, offset, maskOf(begin, end), none);
}

/// Most vectors lie within x: those need no masks.
Value StridedReader::loadWholeOrPart(Value offset, Value begin, Value end) {
  OpBuilder &builder = scope.builder;
  auto type = VectorType::get({int64_t(lanes)}, builder.getF32Type());
  Value fromFirst = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::sle, begin, scope.index(0, loc));
  Value toLast = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::sge, end, scope.index(lanes, loc));
  auto choice = scf::IfOp::create(builder, loc, type, arith::AndIOp::create(builder, loc, fromFirst, toLast),
                                  /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(choice.thenBlock());
  Value whole = vector::LoadOp::create(builder, loc, type, memory, offset);
  scf::YieldOp::create(builder, loc, whole);
  builder.setInsertionPointToStart(choice.elseBlock());
  scf::YieldOp::create(builder, loc, loadNeighbours(offset, begin, end));
  return choice.getResult(0);
}

Value StridedReader::loadEverySecond(Value offset, Value begin, Value end) {
  Value width = scope.index(lanes, loc), two = scope.index(2, loc);
  Value first = scope.mul(begin, two, loc);
  Value last = scope.sub(scope.mul(end, two, loc), scope.index(1, loc), loc);
  Value low = loadNeighbours(offset, first, last);
  Value high = loadNeighbours(scope.add(offset, width, loc), scope.sub(first, width, loc), scope.sub(last, width, loc));
  SmallVector<int64_t> even;
  for (unsigned lane = 0; lane < lanes; ++lane)
    even.push_back(2 * lane);
  return vector::ShuffleOp::create(scope.builder, loc, low, high, even);
}

Value StridedReader::load(Value offset, Value begin, Value end) {
  OpBuilder &builder = scope.builder;
  if (stride == 1)
    return mostlyWhole ? loadWholeOrPart(offset, begin, end) : loadNeighbours(offset, begin, end);
  if (stride == 2)
    return loadEverySecond(offset, begin, end);
  auto type = VectorType::get({int64_t(lanes)}, builder.getF32Type());
  SmallVector<Attribute> steps;
  for (unsigned lane = 0; lane < lanes; ++lane)
    steps.push_back(builder.getI32IntegerAttr(lane * stride));
  Value places =
      arith::ConstantOp::create(builder, loc, DenseElementsAttr::get(type.clone(builder.getI32Type()), steps));
  Value none = arith::ConstantOp::create(builder, loc, builder.getZeroAttr(type));
  return vector::GatherOp::create(builder, loc, type, memory, ValueRange{offset}, places, maskOf(begin, end), none);
}

//===----------------------------------------------------------------------------===//
// Tiles and rows
//===----------------------------------------------------------------------------===//

WindowEmitter::WindowEmitter(KernelLowering &lowering, const WindowProduct &product)
    : lowering(lowering), product(product) {
  if (read.axes.size() == 2)
    rows = read.axes.front();
  else
    rows.positions = Dim(1);
}

Value WindowEmitter::isBelow(Value a, Value b) {
  return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::slt, a, b);
}

void WindowEmitter::forEachTile(const Dim &tilesOfGroup, function_ref<void(Value)> body) {
  emitLoop(scope, loc, scope.function.firstTile(), scope.function.lastTile(), [&](Value number) {
    Value tiles = dim(tilesOfGroup), groups = index(read.groups), outer = divide(number, tiles);
    tileNumber = number;
    group = remainder(outer, groups);
    batch = divide(outer, groups);
    body(remainder(number, tiles));
  });
}

KernelGrid WindowEmitter::grid(const Dim &tilesOfGroup, const Dim &floats) {
  return {read.shape[0] * Dim(read.groups) * tilesOfGroup, Dim(4) * floats};
}

Value WindowEmitter::planeOf(Value channel) {
  Value first = add(mul(batch, index(read.groups * read.channels)), mul(group, index(read.channels)));
  return mul(add(first, channel), elementsOfPlane());
}

Value WindowEmitter::elementsOfPlane() {
  return dim(countOf(ArrayRef<Dim>(read.shape).drop_front(2)));
}

Value WindowEmitter::rowLength() { return isFlat() ? elementsOfPlane() : dim(read.shape.back()); }

Value WindowEmitter::isRow(Value row) {
  Value height = isFlat() ? index(1) : dim(read.shape[2]);
  return arith::AndIOp::create(builder, loc, isBelow(row, height), isBelow(sub(index(0), row), index(1)));
}

void WindowEmitter::fetchAhead(StridedReader &reader, Value at) {
  // Rows of neighbouring planes are far apart: they are asked for before their turn.
  constexpr int64_t planesAhead = 2;
  Value ahead = add(at, mul(elementsOfPlane(), index(planesAhead)));
  for (int64_t line = 0; line < std::min<int64_t>(reader.stride, 2); ++line)
    memref::PrefetchOp::create(builder, loc, reader.memory, add(ahead, index(line * lanes)), /*isWrite=*/false,
                               /*localityHint=*/3, /*isDataCache=*/true);
}

void WindowEmitter::copyRow(StridedReader &reader, Value plane, Value row, Value first, Value count, Value to,
                            Value toOffset) {
  constexpr int64_t fewVectors = 16;
  Value width = rowLength(), from = add(plane, mul(row, width));
  std::optional<int64_t> knownFirst = getConstantIntValue(first), knownCount = getConstantIntValue(count);
  if (knownFirst && knownCount && *knownCount * reader.stride <= fewVectors * int64_t(lanes)) {
    int64_t vectors = llvm::divideCeil(*knownCount, lanes);
    return emitIf(
        scope, loc, isRow(row), [&] { copyVectors(reader, from, *knownFirst, vectors, to, toOffset); },
        [&] { clearVectors(vectors, to, toOffset); });
  }
  // Of a row beyond x nothing is asked for.
  Value end = arith::SelectOp::create(builder, loc, isRow(row), width, index(0));
  auto loop = scf::ForOp::create(builder, loc, index(0), count, index(lanes));
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  Value e = loop.getInductionVar(), x = add(first, mul(e, index(reader.stride)));
  fetchAhead(reader, add(from, x));
  auto [begin, last] = reader.within(x, end, index(0), index(lanes));
  vector::StoreOp::create(builder, loc, reader.load(add(from, x), begin, last), to, add(toOffset, e));
}

void WindowEmitter::copyVectors(StridedReader &reader, Value from, int64_t first, int64_t count, Value to,
                                Value toOffset) {
  for (int64_t vector = 0; vector < count; ++vector) {
    Value x = index(first + vector * lanes * reader.stride), at = add(from, x);
    fetchAhead(reader, at);
    auto [begin, end] = reader.within(x, rowLength(), index(0), index(lanes));
    vector::StoreOp::create(builder, loc, reader.load(at, begin, end), to, add(toOffset, index(vector * lanes)));
  }
}

void WindowEmitter::clearVectors(int64_t count, Value to, Value toOffset) {
  auto type = VectorType::get({int64_t(lanes)}, f32);
  Value zeros = arith::ConstantOp::create(builder, loc, builder.getZeroAttr(type));
  for (int64_t vector = 0; vector < count; ++vector)
    vector::StoreOp::create(builder, loc, zeros, to, add(toOffset, index(vector * lanes)));
}

SmallVector<LaneValue> resultPoint(const WindowProduct &product, Value batch, Value group, Value filter,
                                   const LaneValue &position) {
  SmallVector<LaneValue> at;
  if (product.hasBatch)
    at.push_back(LaneValue::uniform(batch));
  if (product.kind != WindowProduct::Dense)
    at.push_back(LaneValue::uniform(group));
  if (product.kind != WindowProduct::Depthwise)
    at.push_back(LaneValue::uniform(filter));
  at.push_back(position);
  return at;
}

void WindowEmitter::finishRun(Value channel, Value position, Value count, Value sums, Value sumsOffset) {
  Value outer = add(mul(add(mul(batch, index(read.groups)), group), index(filters)), channel);
  Value start = add(mul(outer, dim(read.positions())), position);
  lowering.forEachElement(count, [&](RegionEmitter &emitter, const LaneValue &j) {
    SmallVector<LaneValue> at =
        resultPoint(product, batch, group, channel, {j.kind, add(position, j.value), j.step, false});
    lowering.finish(emitter, at, add(start, j.value), emitter.loadConsecutive(sums, add(sumsOffset, j.value)));
  });
}

void WindowEmitter::finishPixel(Value position, Value first, Value count, Value sums, Value sumsOffset) {
  bool isDepthwise = product.kind == WindowProduct::Depthwise;
  int64_t all = isDepthwise ? read.groups : filters;
  Value row = add(mul(batch, dim(read.positions())), position);
  Value start = add(mul(row, index(all)), first);
  lowering.forEachElement(count, [&](RegionEmitter &emitter, const LaneValue &j) {
    SmallVector<LaneValue> at;
    if (isDepthwise && product.hasBatch)
      at.push_back(LaneValue::uniform(batch));
    at.push_back(LaneValue::uniform(isDepthwise ? position : row));
    at.push_back({j.kind, add(first, j.value), j.step, false});
    lowering.finish(emitter, at, add(start, j.value), emitter.loadConsecutive(sums, add(sumsOffset, j.value)));
  });
}

//===----------------------------------------------------------------------------===//
// Filters as rows of a product
//===----------------------------------------------------------------------------===//

void FilterProduct::multiply(PackedProduct &inner, Value scratch, Value positions) {
  inner.tile = tile;
  inner.blocking = blocking;
  inner.rows = index(filters);
  inner.panels = divide(add(positions, index(RegisterTile::panelWidth - 1)), index(RegisterTile::panelWidth));
  inner.k = index(depth);
  inner.scratch = scratch;
  inner.firstTile = index(0);
  inner.lastTile = packedProductGrid(builder, loc, inner);
  emitPackedProduct(builder, loc, scope.function.function()->getParentOfType<ModuleOp>(), inner);
}

TileRows WindowEmitter::resultFrom(Value row, Value position) {
  Value outer = add(mul(add(mul(batch, index(read.groups)), group), index(filters)), row);
  Value pitch = dim(read.positions());
  return {lowering.resultMemory(), add(mul(outer, pitch), position), pitch, /*written=*/true};
}

} // namespace tenon
