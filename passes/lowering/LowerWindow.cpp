//===- LowerWindow.cpp - convolutions as products of windows that are never stored -----===//
//
// Filters [n][k] times windows [k][m], whose neighbours along m are neighbours in x: a tile of 96 positions is
// packed into panels in scratch, vectors of positions at a time, and multiplied by PackedProduct.h with the filters
// as rows. Packing costs a load and a store for as many multiply-adds as there are filters.
//
// A vector of positions may lie in several rows of the result; each part is read under a mask that also leaves
// out what lies beyond x. Elements two apart are two vectors put together, farther ones a gather.
//
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "passes/lowering/LowerWindow.h"
#include "passes/lowering/PackedProduct.h"

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
    return loadWholeOrPart(offset, begin, end);
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

namespace {

//===----------------------------------------------------------------------------===//
// Filters times windows
//===----------------------------------------------------------------------------===//

class WindowLowering {
public:
  WindowLowering(KernelLowering &lowering, const WindowProduct &product)
      : lowering(lowering), product(product), read(this->product.read) {}

  KernelGrid lower() {
    blocking.rowBlock = 64;
    Dim columnBlocks = positions().ceilDiv(Dim(blockColumns()));
    int64_t panelFloats = blocking.panelGroup * depth * RegisterTile::panelWidth;
    panels = scope.function.scratch(builder, loc, f32, index(0));
    int64_t productFloats = packedProductScratch(blocking, depth);
    emitLoop(scope, loc, scope.function.firstTile(), scope.function.lastTile(), [&](Value number) {
      Value blocks = scope.dim(columnBlocks, loc), groups = index(read.groups);
      firstColumn = mul(builder.createOrFold<arith::RemUIOp>(loc, number, blocks), index(blockColumns()));
      Value outer = builder.createOrFold<arith::DivUIOp>(loc, number, blocks);
      group = builder.createOrFold<arith::RemUIOp>(loc, outer, groups);
      batch = builder.createOrFold<arith::DivUIOp>(loc, outer, groups);
      columnCount = scope.minimum(index(blockColumns()), sub(scope.dim(positions(), loc), firstColumn), loc);
      packWindows();
      multiply(panelFloats);
    });
    Dim batches = shapeOf(read.source)[0];
    return {batches * Dim(read.groups) * columnBlocks, Dim(4 * (panelFloats + productFloats))};
  }

private:
  // Words.
  Value index(int64_t value) { return scope.index(value, loc); }
  Value add(Value a, Value b) { return scope.add(a, b, loc); }
  Value sub(Value a, Value b) { return scope.sub(a, b, loc); }
  Value mul(Value a, Value b) { return scope.mul(a, b, loc); }
  Value atLeast(Value a, Value b) { return builder.createOrFold<arith::MaxSIOp>(loc, a, b); }
  Value divide(Value a, Value b) { return builder.createOrFold<arith::DivUIOp>(loc, a, b); }
  Value remainder(Value a, Value b) { return builder.createOrFold<arith::RemUIOp>(loc, a, b); }
  Value isBelow(Value a, Value b) {
    return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::slt, a, b);
  }

  Dim positions() const { return read.positions(); }
  int64_t blockColumns() const { return blocking.panelGroup * RegisterTile::panelWidth; }
  bool isFlat() const { return read.axes.size() == 1; }
  const WindowRead::Axis &rowsAxis() const { return read.axes.front(); }
  const WindowRead::Axis &lanesAxis() const { return read.axes.back(); }
  int64_t rowTaps() const { return isFlat() ? 1 : rowsAxis().taps; }

  /// The lanes of one vector that lie in one row of the result.
  struct Part {
    Value row;         // of the result
    Value first;       // position in that row that lane 0 would have; may be negative
    Value begin, end;  // lanes
    Value isFirst;     // i1: the first part of its vector
  };

  void packWindows() {
    Value vectors = divide(add(columnCount, index(RegisterTile::panelWidth - 1)), index(RegisterTile::panelWidth));
    vectors = mul(vectors, index(tile.vectorsPerPanel()));
    emitLoop(scope, loc, index(0), vectors, [&](Value vector) {
      Value column = mul(vector, index(tile.lanes));
      Value panel = divide(column, index(RegisterTile::panelWidth));
      Value to = add(mul(panel, index(depth * RegisterTile::panelWidth)),
                     remainder(column, index(RegisterTile::panelWidth)));
      Value width = scope.dim(lanesAxis().positions, loc), position = add(firstColumn, column);
      Value row = divide(position, width), first = remainder(position, width);
      Value parts = add(divide(add(first, index(tile.lanes - 1)), width), index(1));
      emitLoop(scope, loc, index(0), parts, [&](Value number) {
        Value before = mul(number, width);
        Part part{add(row, number), sub(first, before), atLeast(sub(before, first), index(0)),
                  scope.minimum(index(tile.lanes), sub(add(before, width), first), loc),
                  arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, number, index(0))};
        packPart(part, to);
      });
    });
  }

  void packPart(const Part &part, Value to) {
    emitLoop(scope, loc, index(0), index(rowTaps()), [&](Value rowTap) {
      emitLoop(scope, loc, index(0), index(lanesAxis().taps), [&](Value laneTap) {
        Value tap = add(mul(rowTap, index(lanesAxis().taps)), laneTap);
        packTap(part, rowTap, laneTap, add(to, mul(tap, index(RegisterTile::panelWidth))));
      });
    });
  }

  void packTap(const Part &part, Value rowTap, Value laneTap, Value to) {
    const WindowRead::Axis &axis = lanesAxis();
    Shape shape = shapeOf(read.source);
    Value width = scope.dim(shape.back(), loc);
    Value x = sub(add(mul(part.first, index(axis.stride)), mul(laneTap, index(axis.dilation))),
                  scope.dim(axis.before, loc));
    auto [begin, end] = reader.within(x, width, part.begin, part.end);
    Value row = index(0);
    if (!isFlat()) {
      row = sub(add(mul(part.row, index(rowsAxis().stride)), mul(rowTap, index(rowsAxis().dilation))),
                scope.dim(rowsAxis().before, loc));
      Value height = scope.dim(shape[2], loc), zero = index(0);
      Value inside = arith::AndIOp::create(builder, loc, isBelow(row, height), isBelow(sub(zero, row), index(1)));
      end = arith::SelectOp::create(builder, loc, inside, end, zero);
    } else {
      end = arith::SelectOp::create(builder, loc, isBelow(part.row, index(1)), end, index(0));
    }
    Dim plane = countOf(ArrayRef<Dim>(shape).drop_front(2));
    Value channel = add(mul(batch, index(read.groups * read.channels)), mul(group, index(read.channels)));
    Value from = add(add(mul(channel, scope.dim(plane, loc)), mul(row, width)), x);
    copyChannels(part, from, scope.dim(plane, loc), begin, end, to);
  }

  /// The same tap of every channel; positions are channels apart in x, taps apart in the panel.
  void copyChannels(const Part &part, Value from, Value plane, Value begin, Value end, Value to) {
    Value step = index(rowTaps() * lanesAxis().taps * RegisterTile::panelWidth);
    Value lanes = reader.maskOf(part.begin, part.end);
    // The first part writes the whole vector; later ones what is theirs.
    auto emit = [&](bool whole) {
      emitLoop(scope, loc, index(0), index(read.channels), [&](Value channel) {
        Value element = reader.load(add(from, mul(channel, plane)), begin, end);
        Value at = add(to, mul(channel, step));
        if (whole)
          vector::StoreOp::create(builder, loc, element, panels, at);
        else
          vector::MaskedStoreOp::create(builder, loc, panels, at, lanes, element);
      });
    };
    auto choice = scf::IfOp::create(builder, loc, part.isFirst, /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(choice.thenBlock());
    emit(true);
    builder.setInsertionPointToStart(choice.elseBlock());
    emit(false);
  }

  void multiply(int64_t panelFloats) {
    PackedProduct inner;
    inner.tile = tile;
    inner.blocking = blocking;
    inner.rows = index(filters);
    inner.panels = divide(add(columnCount, index(RegisterTile::panelWidth - 1)), index(RegisterTile::panelWidth));
    inner.k = index(depth);
    inner.b = panels;
    inner.bOffset = index(0);
    inner.scratch = scope.function.scratch(builder, loc, f32, index(4 * panelFloats));
    inner.firstTile = index(0);
    inner.lastTile = packedProductGrid(builder, loc, inner);
    inner.loadRow = [&](OpBuilder &, Location, Value row, Value kBegin, Value kCount, Value to, Value toOffset) {
      Value from = add(mul(add(mul(group, index(filters)), row), index(depth)), kBegin);
      copyRow(builder, loc, tile.lanes, lowering.memoryOf(product.op.getLhs()), from, kCount, to, toOffset);
    };
    inner.epilogue = [&](OpBuilder &, Location, const PackedProduct::Piece &piece) { finishPiece(piece); };
    inner.touched = [&](OpBuilder &, Location, const PackedProduct::Piece &piece) { return touchedRows(piece); };
    emitPackedProduct(builder, loc, scope.function.function()->getParentOfType<ModuleOp>(), inner);
  }

  /// Where filter `row` of this tile's batch and group stands in the result.
  Value resultRow(Value row) {
    Value outer = add(mul(add(mul(batch, index(read.groups)), group), index(filters)), row);
    return mul(outer, scope.dim(positions(), loc));
  }

  void finishPiece(const PackedProduct::Piece &piece) {
    Value width = index(RegisterTile::panelWidth);
    Value inBlock = mul(piece.panel, width), column = add(firstColumn, inBlock);
    Value count = scope.minimum(mul(piece.panelCount, width), sub(columnCount, inBlock), loc);
    emitLoop(scope, loc, index(0), piece.rowCount, [&](Value i) {
      Value row = add(piece.row, i), sums = add(piece.sumsOffset, mul(i, index(piece.sumsPitch)));
      Value start = add(resultRow(row), column);
      emitLaneLoop(scope, loc, count, tile.lanes, [&](RegionEmitter &emitter, const LaneValue &j) {
        SmallVector<LaneValue> at;
        if (product.hasBatch)
          at.push_back(LaneValue::uniform(batch));
        if (isGrouped)
          at.push_back(LaneValue::uniform(group));
        at.push_back(LaneValue::uniform(row));
        at.push_back({j.kind, add(column, j.value), j.step, false});
        lowering.finish(emitter, at, add(start, j.value), emitter.loadConsecutive(piece.sums, add(sums, j.value)));
      });
    });
  }

  SmallVector<TileRows, 2> touchedRows(const PackedProduct::Piece &piece) {
    Value column = add(firstColumn, mul(piece.panel, index(RegisterTile::panelWidth)));
    return {TileRows{lowering.resultMemory(), add(resultRow(piece.row), column), scope.dim(positions(), loc), true}};
  }

  KernelLowering &lowering;
  WindowProduct product;
  const WindowRead &read;
  Location loc = lowering.loc;
  KernelScope &scope = lowering.scope;
  OpBuilder &builder = lowering.builder;
  Type f32 = Float32Type::get(builder.getContext());
  bool isGrouped = product.kind == WindowProduct::Grouped;
  int64_t filters = *shapeOf(product.op.getLhs())[isGrouped ? 1 : 0].constant();
  int64_t depth = *shapeOf(product.op.getRhs()).back().constant();
  RegisterTile tile = productTile(lowering.target.getVectorBits() / 32, lowering.target.getVectorRegisters(),
                                  lowering.target.getRowTile());
  ProductBlocking blocking = productBlocking(tile, depth);
  StridedReader reader{scope, loc, lowering.memoryOf(read.source), lanesAxis().stride, tile.lanes};
  Value panels;
  // Of the tile being emitted.
  Value batch, group, firstColumn, columnCount;
};

} // namespace

KernelGrid lowerWindowProduct(KernelLowering &lowering, const WindowProduct &product) {
  return WindowLowering(lowering, product).lower();
}

} // namespace tenon
