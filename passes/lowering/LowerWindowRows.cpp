//===- LowerWindowRows.cpp - convolutions over rows of x as they are -------------------===//
//
// The rows of x that a chunk of the result's rows needs are copied into scratch, all channels, zeros around them.
// Elements a stride apart are side by side, and so are rows: phase (f, g) of a channel holds
//
//     phase[e][i] = x[(e + first row) * stride + f - before][(i + first column) * stride + g - before]
//
// with rows `pitch` apart. A tap of a whole run of positions, row after row, is then one run of the scratch:
//
//     position r * pitch + c, tap (channel, p, q):   table[channel, p, q] + r * pitch + c
//
// and PackedProduct.h multiplies filters, where they are, with such runs by that table. Nothing is packed for a tap;
// what is paid for it are pitch - columns sums of each row that nobody wants (2 of 58 for three taps and 56 columns).
//
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "passes/lowering/LowerWindow.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace tenon {

namespace {

/// Of the elements 0..stride-1 those that taps start from.
int64_t phasesOf(const WindowRead::Axis &axis) {
  return axis.dilation == 1 ? std::min(axis.taps, axis.stride) : axis.stride;
}

/// Elements of a phase beyond the positions'.
int64_t reachOf(const WindowRead::Axis &axis) { return (axis.taps - 1) * axis.dilation / axis.stride; }

class WindowRows : FilterProduct {
public:
  WindowRows(KernelLowering &lowering, const WindowProduct &product, RowsChunk chunk)
      : FilterProduct(lowering, product), chunk(chunk) {}

  KernelGrid lower() {
    Dim columnChunks = columns.positions.ceilDiv(Dim(chunk.columns));
    Dim tiles = rows.positions.ceilDiv(Dim(chunk.rows)) * columnChunks;
    constexpr int64_t line = 16;
    Dim floats = (Dim(read.channels) * channelFloats() + Dim(2 * line)).ceilDiv(Dim(line)) * Dim(line);
    int64_t tableFloats = llvm::alignTo(2 * depth, line);
    Value tableAt = mul(dim(floats), index(4));
    elements = scope.function.scratch(builder, loc, f32, index(0));
    table = scope.function.scratch(builder, loc, builder.getI64Type(), tableAt);
    Value scratch = scope.function.scratch(builder, loc, f32, add(tableAt, index(4 * tableFloats)));
    fillTable();
    forEachTile(tiles, [&](Value number) {
      Value chunks = dim(columnChunks);
      firstRow = mul(divide(number, chunks), index(chunk.rows));
      firstColumn = mul(remainder(number, chunks), index(chunk.columns));
      rowCount = scope.minimum(index(chunk.rows), sub(dim(rows.positions), firstRow), loc);
      columnCount = scope.minimum(index(chunk.columns), sub(dim(columns.positions), firstColumn), loc);
      copyRows();
      multiplyRows(scratch);
    });
    return grid(tiles, floats + Dim(tableFloats + inPlaceProductScratch(blocking)));
  }

private:
  Dim pitch() const { return Dim::min(columns.positions, Dim(chunk.columns)) + Dim(reachOf(columns)); }
  int64_t phaseRows() const { return chunk.rows + reachOf(rows); }
  Dim channelFloats() const { return Dim(phasesOf(rows) * phasesOf(columns) * phaseRows()) * pitch(); }

  /// Row `row` of a phase of a channel.
  Value rowAt(Value channel, Value rowPhase, Value columnPhase, Value row) {
    Value phase = add(mul(rowPhase, index(phasesOf(columns))), columnPhase);
    Value inChannel = mul(add(mul(phase, index(phaseRows())), row), dim(pitch()));
    return add(mul(channel, dim(channelFloats())), inChannel);
  }

  using TapBody = function_ref<void(Value channel, Value rowTap, Value columnTap)>;
  void forEachTap(int64_t rowCount, int64_t columnCount, TapBody body) {
    emitLoop(scope, loc, index(0), index(read.channels), [&](Value channel) {
      emitLoop(scope, loc, index(0), index(rowCount), [&](Value row) {
        emitLoop(scope, loc, index(0), index(columnCount), [&](Value column) { body(channel, row, column); });
      });
    });
  }

  void fillTable() {
    forEachTap(rows.taps, columns.taps, [&](Value channel, Value rowTap, Value columnTap) {
      Value down = mul(rowTap, index(rows.dilation)), right = mul(columnTap, index(columns.dilation));
      Value at = rowAt(channel, remainder(down, index(rows.stride)), remainder(right, index(columns.stride)),
                       divide(down, index(rows.stride)));
      at = add(at, divide(right, index(columns.stride)));
      Value entry = add(mul(add(mul(channel, index(rows.taps)), rowTap), index(columns.taps)), columnTap);
      memref::StoreOp::create(builder, loc, arith::IndexCastOp::create(builder, loc, builder.getI64Type(), at), table,
                              entry);
    });
  }

  /// In the order they stand in: the vectors of a row end in the next one.
  void copyRows() {
    forEachTap(phasesOf(rows), phasesOf(columns), [&](Value channel, Value rowPhase, Value columnPhase) {
      Value plane = planeOf(channel);
      Value first = sub(add(mul(firstColumn, index(columns.stride)), columnPhase), dim(columns.before));
      emitLoop(scope, loc, index(0), add(rowCount, index(reachOf(rows))), [&](Value e) {
        Value row = sub(add(mul(add(firstRow, e), index(rows.stride)), rowPhase), dim(rows.before));
        copyRow(reader, plane, row, first, dim(pitch()), elements, rowAt(channel, rowPhase, columnPhase, e));
      });
    });
  }

  Value positionCount() { return add(mul(sub(rowCount, index(1)), dim(pitch())), columnCount); }

  void multiplyRows(Value scratch) {
    PackedProduct inner;
    inner.b = elements;
    inner.bOffset = index(0);
    inner.table = table;
    inner.rowsInPlace = {lowering.memoryOf(product.filters()), filtersAt(), index(depth)};
    inner.epilogue = [&](OpBuilder &, Location, const PackedProduct::Piece &piece) { finishPiece(piece); };
    inner.touched = [&](OpBuilder &, Location, const PackedProduct::Piece &piece) -> SmallVector<TileRows, 2> {
      Value at = mul(piece.panel, index(RegisterTile::panelWidth)), row = divide(at, dim(pitch()));
      return {resultFrom(piece.row, positionOf(row, sub(at, mul(row, dim(pitch())))))};
    };
    multiply(inner, scratch, positionCount());
  }

  /// In the result, of a row and column of this tile.
  Value positionOf(Value row, Value column) {
    return add(mul(add(firstRow, row), dim(columns.positions)), add(firstColumn, column));
  }

  /// The piece's part of each row, without the sums between rows.
  void finishPiece(const PackedProduct::Piece &piece) {
    Value width = index(RegisterTile::panelWidth), begin = mul(piece.panel, width), step = dim(pitch());
    Value end = scope.minimum(add(begin, mul(piece.panelCount, width)), positionCount(), loc);
    Value lastRow = divide(add(end, sub(step, index(1))), step);
    emitLoop(scope, loc, divide(begin, step), lastRow, [&](Value row) {
      Value rowStart = mul(row, step), first = atLeast(begin, rowStart);
      Value count = sub(scope.minimum(end, add(rowStart, columnCount), loc), first);
      Value position = positionOf(row, sub(first, rowStart));
      emitLoop(scope, loc, index(0), piece.rowCount, [&](Value i) {
        Value sums = add(piece.sumsOffset, mul(i, index(piece.sumsPitch)));
        finishRun(add(piece.row, i), position, atLeast(count, index(0)), piece.sums, add(sums, sub(first, begin)));
      });
    });
  }

  RowsChunk chunk;
  Value elements, table;
  // Of the tile being emitted.
  Value firstRow, firstColumn, rowCount, columnCount;
};

//===----------------------------------------------------------------------------===//
// What a tile takes
//===----------------------------------------------------------------------------===//

constexpr int64_t largestScratch = 128 << 10; // floats of x
constexpr int64_t mostPositions = 640;
constexpr int64_t columnChunk = 6 * RegisterTile::panelWidth * 3; // of rows that are longer

int64_t wholePanels(int64_t positions) { return int64_t(llvm::alignTo(positions, RegisterTile::panelWidth)); }

/// Sums computed for all rows of the result.
int64_t sumsOf(int64_t height, int64_t pitch, int64_t width, int64_t chunkRows) {
  auto ofChunk = [&](int64_t rows) { return rows == 0 ? 0 : wholePanels((rows - 1) * pitch + width); };
  return height / chunkRows * ofChunk(chunkRows) + ofChunk(height % chunkRows);
}

} // namespace

std::optional<RowsChunk> chooseRowsChunk(const WindowProduct &product, int64_t filters) {
  const WindowRead &read = product.read;
  const WindowRead::Axis &columns = read.axes.back();
  bool isFlat = read.axes.size() == 1;
  WindowRead::Axis rows = isFlat ? WindowRead::Axis() : read.axes.front();
  int64_t phases = phasesOf(rows) * phasesOf(columns), taps = rows.taps * columns.taps;
  auto floatsOf = [&](RowsChunk chunk) {
    return read.channels * phases * (chunk.rows + reachOf(rows)) * (chunk.columns + reachOf(columns));
  };
  if (taps == 1 || !RowsInPlace::mayBeApart(read.channels * taps))
    return std::nullopt;
  if (isFlat) {
    RowsChunk chunk{1, std::min(columns.positions.constant().value_or(columnChunk), columnChunk)};
    while (floatsOf(chunk) > largestScratch && chunk.columns > RegisterTile::panelWidth)
      chunk.columns = wholePanels(chunk.columns - RegisterTile::panelWidth);
    return chunk;
  }
  std::optional<int64_t> width = columns.positions.constant(), height = rows.positions.constant();
  if (!width || !height || *width > mostPositions)
    return std::nullopt;
  int64_t pitch = *width + reachOf(columns);
  std::optional<RowsChunk> best;
  int64_t fewest = 0;
  for (int64_t count = 1; count <= *height && (count - 1) * pitch + *width <= mostPositions; ++count) {
    RowsChunk chunk{count, *width};
    int64_t sums = sumsOf(*height, pitch, *width, count);
    if (floatsOf(chunk) <= largestScratch && (!best || sums <= fewest)) {
      best = chunk;
      fewest = sums;
    }
  }
  // Packing a vector for one tap costs about as much as `packing` multiply-adds of vectors, and serves every filter.
  constexpr double packing = 8;
  double packed = double(wholePanels(*width * *height)) * (1 + packing / double(filters));
  double direct = double(fewest) * (1 + 2 * packing / double(filters * taps));
  return best && direct < packed ? best : std::nullopt;
}

KernelGrid lowerWindowRows(KernelLowering &lowering, const WindowProduct &product, RowsChunk chunk) {
  return WindowRows(lowering, product, chunk).lower();
}

} // namespace tenon
