//===- LowerWindow.cpp - convolutions as products of windows that are never stored -----===//
//
// Filters [n][k] times windows [k][m], whose neighbours along m are neighbours in x: a tile of up to 128
// positions is packed into panels in scratch, vectors of positions at a time, and multiplied by PackedProduct.h with the
// filters, where they are, as rows. Packing costs a load and a store for as many multiply-adds as there are filters.
//
// A vector of positions may lie in several rows of the result; each part is read under a mask that also leaves
// out what lies beyond x. Elements two apart are two vectors put together, farther ones a gather.
//
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "passes/lowering/LowerWindow.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace tenon {

namespace {

class PackedWindows : FilterProduct {
public:
  PackedWindows(KernelLowering &lowering, const WindowProduct &product) : FilterProduct(lowering, product) {
    reader.mostlyWhole = true;
    if (std::optional<int64_t> positions = read.positions().constant())
      blocking.panelGroup = evenGroup(llvm::divideCeil(*positions, RegisterTile::panelWidth));
  }

  KernelGrid lower() {
    Dim columnBlocks = read.positions().ceilDiv(Dim(blockColumns()));
    int64_t panelFloats = blocking.panelGroup * depth * RegisterTile::panelWidth;
    panels = scope.function.scratch(builder, loc, f32, index(0));
    forEachTile(columnBlocks, [&](Value number) {
      firstColumn = mul(number, index(blockColumns()));
      columnCount = scope.minimum(index(blockColumns()), sub(dim(read.positions()), firstColumn), loc);
      packWindows();
      PackedProduct inner;
      inner.b = panels;
      inner.bOffset = index(0);
      if (isInPlace)
        inner.rowsInPlace = {lowering.memoryOf(product.filters()), filtersAt(), index(depth)};
      inner.loadRow = [&](OpBuilder &, Location, Value row, Value kBegin, Value kCount, Value to, Value toOffset) {
        Value from = add(add(filtersAt(), mul(row, index(depth))), kBegin);
        tenon::copyRow(builder, loc, lanes, lowering.memoryOf(product.filters()), from, kCount, to, toOffset);
      };
      inner.epilogue = [&](OpBuilder &, Location, const PackedProduct::Piece &piece) { finishPiece(piece); };
      inner.touched = [&](OpBuilder &, Location, const PackedProduct::Piece &piece) -> SmallVector<TileRows, 2> {
        return {resultFrom(piece.row, add(firstColumn, mul(piece.panel, index(RegisterTile::panelWidth))))};
      };
      multiply(inner, scope.function.scratch(builder, loc, f32, index(4 * panelFloats)), columnCount);
    });
    int64_t inner = isInPlace ? inPlaceProductScratch(blocking) : packedProductScratch(blocking, depth);
    return grid(columnBlocks, Dim(panelFloats + inner));
  }

private:
  /// Nearly equal tiles of at most `mostPanels`: a last one of few positions would read all filters for them.
  static int64_t evenGroup(int64_t panels) {
    int64_t tiles = std::max<int64_t>(llvm::divideCeil(panels, mostPanels), 1);
    return std::max<int64_t>(llvm::divideCeil(panels, tiles), 1);
  }

  int64_t blockColumns() const { return blocking.panelGroup * RegisterTile::panelWidth; }

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
      Value column = mul(vector, index(lanes));
      Value panel = divide(column, index(RegisterTile::panelWidth));
      Value to = add(mul(panel, index(depth * RegisterTile::panelWidth)),
                     remainder(column, index(RegisterTile::panelWidth)));
      Value width = dim(columns.positions), position = add(firstColumn, column);
      Value row = divide(position, width), first = remainder(position, width);
      Value parts = add(divide(add(first, index(lanes - 1)), width), index(1));
      emitLoop(scope, loc, index(0), parts, [&](Value number) {
        Value before = mul(number, width);
        Part part{add(row, number), sub(first, before), atLeast(sub(before, first), index(0)),
                  scope.minimum(index(lanes), sub(add(before, width), first), loc),
                  arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, number, index(0))};
        packPart(part, to);
      });
    });
  }

  void packPart(const Part &part, Value to) {
    emitLoop(scope, loc, index(0), index(rows.taps), [&](Value rowTap) {
      emitLoop(scope, loc, index(0), index(columns.taps), [&](Value laneTap) {
        Value tap = add(mul(rowTap, index(columns.taps)), laneTap);
        packTap(part, rowTap, laneTap, add(to, mul(tap, index(RegisterTile::panelWidth))));
      });
    });
  }

  void packTap(const Part &part, Value rowTap, Value laneTap, Value to) {
    Shape shape = read.shape;
    Value width = dim(shape.back());
    Value x = sub(add(mul(part.first, index(columns.stride)), mul(laneTap, index(columns.dilation))),
                  dim(columns.before));
    auto [begin, end] = reader.within(x, width, part.begin, part.end);
    Value row = sub(add(mul(part.row, index(rows.stride)), mul(rowTap, index(rows.dilation))), dim(rows.before));
    end = arith::SelectOp::create(builder, loc, isRow(row), end, index(0));
    Value from = add(add(planeOf(index(0)), mul(row, width)), x);
    copyChannels(part, from, dim(countOf(ArrayRef<Dim>(shape).drop_front(2))), begin, end, to);
  }

  /// The same tap of every channel; positions are channels apart in x, taps apart in the panel.
  void copyChannels(const Part &part, Value from, Value plane, Value begin, Value end, Value to) {
    Value step = index(rows.taps * columns.taps * RegisterTile::panelWidth);
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
    emitIf(scope, loc, part.isFirst, [&] { emit(true); }, [&] { emit(false); });
  }

  void finishPiece(const PackedProduct::Piece &piece) {
    Value width = index(RegisterTile::panelWidth), inBlock = mul(piece.panel, width);
    Value count = scope.minimum(mul(piece.panelCount, width), sub(columnCount, inBlock), loc);
    emitLoop(scope, loc, index(0), piece.rowCount, [&](Value i) {
      finishRun(add(piece.row, i), add(firstColumn, inBlock), count, piece.sums,
                add(piece.sumsOffset, mul(i, index(piece.sumsPitch))));
    });
  }

  static constexpr int64_t mostPanels = 8;

  bool isInPlace = RowsInPlace::mayBeApart(depth);
  Value panels;
  // Of the tile being emitted.
  Value firstColumn, columnCount;
};

} // namespace

KernelGrid lowerWindowProduct(KernelLowering &lowering, const WindowProduct &product) {
  if (product.isPacked)
    return lowerWindowPanels(lowering, product);
  if (auto chunk = chooseRowsChunk(product, product.filterCount()))
    return lowerWindowRows(lowering, product, *chunk);
  return PackedWindows(lowering, product).lower();
}

} // namespace tenon
