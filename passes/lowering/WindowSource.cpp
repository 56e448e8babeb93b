//===- WindowSource.cpp - x as windows read it, element by element ---------------------===//
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "passes/lowering/LowerWindow.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace tenon {

static constexpr int64_t lineFloats = 16;

bool WindowSource::mayStay(const WindowRead &read) {
  Shape source = read.shape;
  Dim plane = countOf(ArrayRef<Dim>(source).drop_front(2));
  // A multiple of 512 bytes apart planes, or the pixels of a row, meet in few sets of the first-level cache.
  constexpr int64_t fewSets = 128;
  std::optional<int64_t> floats = read.channelsLast ? source[1].constant() : plane.constant();
  bool isFlat = read.axes.size() == 1;
  if (!floats || *floats % fewSets == 0)
    return false;
  auto isInside = [&](const WindowRead::Axis &axis, const Dim &size) {
    return axis.before == Dim(0) && Dim::isKnownLessEqual(extentOf(axis, axis.positions), size).value_or(false);
  };
  return isInside(read.axes.back(), isFlat ? plane : source.back()) &&
         (isFlat || isInside(read.axes.front(), source[2]));
}

int64_t WindowSource::pixelOf(const WindowRead &read) {
  if (!read.channelsLast)
    return 1;
  // An odd number of lines: neighbouring pixels meet in no set.
  int64_t lines = llvm::divideCeil(read.channels, lineFloats);
  return mayStay(read) ? read.channels : (lines + 1 - lines % 2) * lineFloats;
}

int64_t WindowSource::floatsOf(const WindowRead &read, RowsChunk chunk) {
  WindowRead::Axis rows = read.axes.size() == 1 ? WindowRead::Axis() : read.axes.front();
  int64_t channels = read.channelsLast ? pixelOf(read) : read.channels;
  return mayStay(read) ? 0 : channels * extentOf(rows, chunk.rows) * extentOf(read.axes.back(), chunk.columns);
}

Dim WindowSource::pitch() const {
  Shape source = read.shape;
  if (stays)
    return (isFlat() ? countOf(ArrayRef<Dim>(source).drop_front(2)) : source.back()) * Dim(pixel);
  return extentOf(columns, Dim::min(columns.positions, Dim(chunk.columns))) * Dim(pixel);
}

Dim WindowSource::channelFloats() const {
  if (read.channelsLast)
    return Dim(1);
  return stays ? countOf(ArrayRef<Dim>(read.shape).drop_front(2)) : Dim(scratchRows()) * pitch();
}

/// The vectors of the last row end behind it.
Dim WindowSource::elementFloats() const {
  if (stays)
    return Dim(0);
  Dim floats = read.channelsLast ? Dim(scratchRows()) * pitch() : Dim(read.channels) * channelFloats();
  return (floats + Dim(2 * lineFloats)).ceilDiv(Dim(lineFloats)) * Dim(lineFloats);
}

Dim WindowSource::scratchFloats() const { return elementFloats() + Dim(llvm::alignTo(2 * depth, lineFloats)); }

Value WindowSource::takeScratch() {
  elements = stays ? neighbours.memory : scope.function.scratch(builder, loc, f32, index(0));
  table = scope.function.scratch(builder, loc, builder.getI64Type(), mul(dim(elementFloats()), index(4)));
  fillTable();
  return mul(dim(scratchFloats()), index(4));
}

void WindowSource::fillTable() {
  emitLoop(scope, loc, index(0), index(read.channels), [&](Value channel) {
    emitLoop(scope, loc, index(0), index(rows.taps), [&](Value down) {
      emitLoop(scope, loc, index(0), index(columns.taps), [&](Value right) {
        Value at = add(mul(channel, dim(channelFloats())), mul(mul(down, index(rows.dilation)), dim(pitch())));
        at = add(at, mul(right, index(columns.dilation * pixel)));
        Value entry = add(mul(add(mul(channel, index(rows.taps)), down), index(columns.taps)), right);
        Value word = arith::IndexCastOp::create(builder, loc, builder.getI64Type(), at);
        memref::StoreOp::create(builder, loc, word, table, entry);
      });
    });
  });
}

void WindowSource::enterChunk(Value number) {
  Value across = dim(columnChunks());
  firstRow = mul(divide(number, across), index(chunk.rows));
  firstColumn = mul(remainder(number, across), index(chunk.columns));
  rowCount = scope.minimum(index(chunk.rows), sub(dim(rows.positions), firstRow), loc);
  columnCount = scope.minimum(index(chunk.columns), sub(dim(columns.positions), firstColumn), loc);
}

Value WindowSource::start() {
  if (!stays)
    return index(0);
  Value inPlane = add(mul(firstRow, rowDistance()), mul(firstColumn, index(columns.stride * pixel)));
  if (read.channelsLast)
    return add(mul(mul(batch, elementsOfPlane()), index(pixel)), inPlane);
  return add(planeOf(index(0)), inPlane);
}

Value WindowSource::positionOf(Value row, Value column) {
  return add(mul(add(firstRow, row), dim(columns.positions)), add(firstColumn, column));
}

//===----------------------------------------------------------------------------===//
// Rows into scratch
//===----------------------------------------------------------------------------===//

void WindowSource::copyRows() {
  if (!stays && read.channelsLast)
    copyPixels();
  else if (!stays)
    emitLoop(scope, loc, index(0), index(read.channels), [&](Value channel) { copyPlane(channel); });
}

/// In the order they stand in: the vectors of a row end in the next one.
void WindowSource::copyPlane(Value channel) {
  Value plane = planeOf(channel), first = sub(mul(firstColumn, index(columns.stride)), dim(columns.before));
  emitLoop(scope, loc, index(0), scratchExtent(rows, rowCount), [&](Value e) {
    Value row = sub(add(mul(firstRow, index(rows.stride)), e), dim(rows.before));
    Value to = add(mul(channel, dim(channelFloats())), mul(e, dim(pitch())));
    copyRow(neighbours, plane, row, first, dim(pitch()), elements, to);
  });
}

void WindowSource::copyPixels() {
  Value down = scratchExtent(rows, rowCount), across = scratchExtent(columns, columnCount);
  emitLoop(scope, loc, index(0), down, [&](Value e) {
    Value row = sub(add(mul(firstRow, index(rows.stride)), e), dim(rows.before));
    emitLoop(scope, loc, index(0), across, [&](Value c) {
      Value column = sub(add(mul(firstColumn, index(columns.stride)), c), dim(columns.before));
      copyPixel(row, column, add(mul(e, dim(pitch())), mul(c, index(pixel))));
    });
  });
}

void WindowSource::copyPixel(Value row, Value column, Value to) {
  Value width = isFlat() ? elementsOfPlane() : dim(read.shape.back());
  Value isColumn = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, column, width);
  Value number = add(mul(batch, elementsOfPlane()), add(mul(row, width), column));
  emitIf(
      scope, loc, builder.createOrFold<arith::AndIOp>(loc, isRow(row), isColumn),
      [&] {
        tenon::copyRow(builder, loc, lanes, neighbours.memory, mul(number, index(read.channels)), index(read.channels),
                       elements, to);
      },
      [&] { clearVectors(llvm::divideCeil(read.channels, int64_t(lanes)), elements, to); });
}

} // namespace tenon
