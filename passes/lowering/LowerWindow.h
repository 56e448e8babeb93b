//===- LowerWindow.h - convolutions ---------------------------------------------------===//
//
// | lowering              | reads                                       | lanes along | for                                  |
// |-----------------------|---------------------------------------------|-------------|--------------------------------------|
// | LowerDepthwise.cpp    | rows of one channel in scratch              | positions   | one filter a channel                 |
// | LowerDepthwiseChannels.cpp | pixels of sixteen channels in scratch  | channels    | the same, channels last or rows short |
// | LowerWindowPanels.cpp | rows of all channels in scratch, tap by tap | filters     | filters in panels                    |
// | LowerWindowRows.cpp   | the same                                    | positions   | others, rows long enough             |
// | LowerWindow.cpp       | windows packed into panels                  | positions   | the rest: short rows, any filters    |
//
#ifndef TENON_PASSES_LOWERING_LOWERWINDOW_H
#define TENON_PASSES_LOWERING_LOWERWINDOW_H

#include "passes/lowering/KernelLowering.h"
#include "passes/lowering/PackedProduct.h"
#include "passes/lowering/WindowProduct.h"

namespace tenon {

/// Vectors of f32 elements `stride` apart in memory; of lanes that are not asked for nothing is read, they are 0.
struct StridedReader {
  KernelScope &scope;
  mlir::Location loc;
  mlir::Value memory;
  int64_t stride;
  unsigned lanes;
  bool mostlyWhole = false; ///< Most vectors have all their lanes: a branch to one without masks pays.

  /// Lane l is the element at offset + l · stride, for the lanes begin to end - 1.
  mlir::Value load(mlir::Value offset, mlir::Value begin, mlir::Value end);
  mlir::Value maskOf(mlir::Value begin, mlir::Value end);
  /// Of the lanes begin to end - 1, at positions x + l · stride, those within [0, size).
  std::pair<mlir::Value, mlir::Value> within(mlir::Value x, mlir::Value size, mlir::Value begin, mlir::Value end);

private:
  mlir::Value loadNeighbours(mlir::Value offset, mlir::Value begin, mlir::Value end);
  mlir::Value loadWholeOrPart(mlir::Value offset, mlir::Value begin, mlir::Value end);
  mlir::Value loadEverySecond(mlir::Value offset, mlir::Value begin, mlir::Value end);
};

/// What the lowerings share: one convolution, its tiles, rows of x and rows of the result.
class WindowEmitter {
protected:
  WindowEmitter(KernelLowering &lowering, const WindowProduct &product);

  // Words.
  mlir::Value index(int64_t value) { return scope.index(value, loc); }
  mlir::Value dim(const Dim &dim) { return scope.dim(dim, loc); }
  mlir::Value add(mlir::Value a, mlir::Value b) { return scope.add(a, b, loc); }
  mlir::Value sub(mlir::Value a, mlir::Value b) { return scope.sub(a, b, loc); }
  mlir::Value mul(mlir::Value a, mlir::Value b) { return scope.mul(a, b, loc); }
  mlir::Value divide(mlir::Value a, mlir::Value b) { return builder.createOrFold<mlir::arith::DivUIOp>(loc, a, b); }
  mlir::Value remainder(mlir::Value a, mlir::Value b) { return builder.createOrFold<mlir::arith::RemUIOp>(loc, a, b); }
  mlir::Value atLeast(mlir::Value a, mlir::Value b) { return builder.createOrFold<mlir::arith::MaxSIOp>(loc, a, b); }
  mlir::Value isBelow(mlir::Value a, mlir::Value b);

  bool isFlat() const { return read.axes.size() == 1; }

  /// body(number of the tile in its batch and group) for each tile of this call.
  void forEachTile(const Dim &tilesOfGroup, llvm::function_ref<void(mlir::Value number)> body);
  KernelGrid grid(const Dim &tilesOfGroup, const Dim &scratchFloats);

  /// The first element of a channel of this tile's batch and group.
  mlir::Value planeOf(mlir::Value channel);
  mlir::Value elementsOfPlane();
  /// x has row `row`, which may be negative.
  mlir::Value isRow(mlir::Value row);
  /// Elements first, first + stride, … of row `row` of a plane, the reader's stride: vectors for `count` of them, zeros beyond x.
  /// Where both are constants and vectors few there is no loop, and masks are constants.
  void copyRow(StridedReader &reader, mlir::Value plane, mlir::Value row, mlir::Value first, mlir::Value count,
               mlir::Value to, mlir::Value toOffset);
  /// `count` finished sums of position `position`, of filters or channels from `first` on, where channels are last.
  void finishPixel(mlir::Value position, mlir::Value first, mlir::Value count, mlir::Value sums, mlir::Value sumsOffset);
  /// `count` finished sums of filter `channel` of the group, from position `position` on.
  void finishRun(mlir::Value channel, mlir::Value position, mlir::Value count, mlir::Value sums,
                 mlir::Value sumsOffset);
  /// Rows of the result, from filter `row` of this tile's group and position `position` on.
  TileRows resultFrom(mlir::Value row, mlir::Value position);

private:
  /// Of x; all of a plane where it has one extent.
  mlir::Value rowLength();
  /// Asks for the lines of a vector of elements from `at` on, some planes ahead.
  void fetchAhead(StridedReader &reader, mlir::Value at);
  void copyVectors(StridedReader &reader, mlir::Value from, int64_t first, int64_t count, mlir::Value to,
                   mlir::Value toOffset);

protected:
  void clearVectors(int64_t count, mlir::Value to, mlir::Value toOffset);

  KernelLowering &lowering;
  WindowProduct product;
  const WindowRead &read = product.read;
  mlir::Location loc = lowering.loc;
  KernelScope &scope = lowering.scope;
  mlir::OpBuilder &builder = lowering.builder;
  mlir::Type f32 = mlir::Float32Type::get(builder.getContext());
  unsigned lanes = lowering.lanesOf(f32);
  int64_t filters = product.filterCount();
  WindowRead::Axis rows; ///< Of one position and one tap where x has one extent.
  const WindowRead::Axis &columns = read.axes.back();
  StridedReader reader{scope, loc, lowering.memoryOf(read.source), columns.stride, lanes};
  // Of the tile being emitted.
  mlir::Value tileNumber, batch, group; // the number is of all tiles of the kernel
};

/// The indices of an element of a convolution's result: of those given the ones it has.
llvm::SmallVector<LaneValue> resultPoint(const WindowProduct &product, mlir::Value batch, mlir::Value group,
                                         mlir::Value filter, const LaneValue &position);

/// Filters [n][k] times something with positions as columns: the register tile of matrix products.
class FilterProduct : protected WindowEmitter {
protected:
  FilterProduct(KernelLowering &lowering, const WindowProduct &product) : WindowEmitter(lowering, product) {
    blocking.rowBlock = 64;
  }

  /// The first filter of this tile's group.
  mlir::Value filtersAt() { return mul(group, index(filters * depth)); }
  /// Emits the product for `positions` columns; `inner` has its operands and its epilogue.
  void multiply(PackedProduct &inner, mlir::Value scratch, mlir::Value positions);

  int64_t depth = product.depth();
  RegisterTile tile = productTile(lowering.target.getVectorBits() / 32, lowering.target.getVectorRegisters(),
                                  lowering.target.getRowTile());
  ProductBlocking blocking = productBlocking(tile, depth);
};

/// The rows of the result that a tile takes, and of long ones the columns.
struct RowsChunk {
  int64_t rows, columns;
};

/// x as a chunk of the result's positions reads it: element (channel, tap) of the window at row r and column c of the chunk is at
///
///     table[channel, tap] + start() + (r * row stride) * pitch + c * column stride * pixel     of `elements`
///
/// Where every window lies within x and what a tile reads at once does not meet in a set of the first-level cache, that is x itself.
/// Else it is scratch with the chunk's rows of all channels, zeros around them. A pixel is one element, or with channels last all
/// channels of a column.
class WindowSource : protected WindowEmitter {
protected:
  WindowSource(KernelLowering &lowering, const WindowProduct &product, RowsChunk chunk)
      : WindowEmitter(lowering, product), chunk(chunk) {}

  static bool mayStay(const WindowRead &read);
  /// Elements from one column to the next.
  static int64_t pixelOf(const WindowRead &read);
  /// Floats of scratch for a chunk, but for the table.
  static int64_t floatsOf(const WindowRead &read, RowsChunk chunk);

  Dim columnChunks() const { return columns.positions.ceilDiv(Dim(chunk.columns)); }
  Dim chunks() const { return rows.positions.ceilDiv(Dim(chunk.rows)) * columnChunks(); }

  /// Takes scratch from its first byte on, and fills the table. Where it ends.
  mlir::Value takeScratch();
  Dim scratchFloats() const;
  /// Chunk `number` of this tile's batch and group, without its rows of x.
  void enterChunk(mlir::Value number);
  /// Brings them, if they do not stay.
  void copyRows();
  mlir::Value start();
  /// Elements from one row of windows to the next.
  mlir::Value rowDistance() { return mul(dim(pitch()), index(rows.stride)); }
  /// In the result, of a row and column of the chunk.
  mlir::Value positionOf(mlir::Value row, mlir::Value column);

  RowsChunk chunk;
  int64_t depth = product.depth(), pixel = pixelOf(read);
  mlir::Value elements, table; // memref<?xf32>, memref<?xi64>
  // Of the chunk being emitted.
  mlir::Value firstRow, firstColumn, rowCount, columnCount;

private:
  /// Elements of x along an axis that `positions` windows read.
  template <typename Count> static Count extentOf(const WindowRead::Axis &axis, Count positions) {
    return (positions - Count(1)) * Count(axis.stride) + Count((axis.taps - 1) * axis.dilation + 1);
  }
  /// The same of a number that is a value.
  mlir::Value scratchExtent(const WindowRead::Axis &axis, mlir::Value positions) {
    return add(mul(sub(positions, index(1)), index(axis.stride)), index((axis.taps - 1) * axis.dilation + 1));
  }
  int64_t scratchRows() const { return extentOf(rows, chunk.rows); }
  Dim pitch() const;
  Dim channelFloats() const;
  Dim elementFloats() const;
  void fillTable();
  void copyPlane(mlir::Value channel);
  void copyPixels();
  void copyPixel(mlir::Value row, mlir::Value column, mlir::Value to);
  bool stays = mayStay(read);
  StridedReader neighbours{scope, loc, lowering.memoryOf(read.source), 1, lanes};
};

/// Filters times windows: where it pays, over rows of x as they are.
KernelGrid lowerWindowProduct(KernelLowering &lowering, const WindowProduct &product);
/// Filters in panels.
KernelGrid lowerWindowPanels(KernelLowering &lowering, const WindowProduct &product);
/// Null where packed windows are expected to be faster.
std::optional<RowsChunk> chooseRowsChunk(const WindowProduct &product, int64_t filters);
KernelGrid lowerWindowRows(KernelLowering &lowering, const WindowProduct &product, RowsChunk chunk);
/// One filter a channel: sums of shifted rows.
KernelGrid lowerDepthwise(KernelLowering &lowering, const WindowProduct &product);
/// The same with lanes along channels: x or the result has channels last, or rows are short.
KernelGrid lowerDepthwiseChannels(KernelLowering &lowering, const WindowProduct &product);

} // namespace tenon
#endif
