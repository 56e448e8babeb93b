//===- LowerDepthwiseChannels.cpp - one filter a channel, lanes along channels -----------===//
//
// A tile of the kernel is a chunk of positions of sixteen channels. Its pixels are copied into scratch, zeros around
// them, [row][column][channel]: from x with channels last as they are, from planes turned in squares of lanes. A tap of
// a position is then a vector, and no lane is spent on a position that does not exist, however short rows are:
//
//     for each block of neighbouring positions of a row    their sums in registers
//       for each tap row that x has                         a loop
//         for each tap of it                                one vector of weights, a multiply-add for each position
//
// A result with channels last is finished position by position, planes are turned once more. Filters are
// [tap][channel], or are brought into that order once a tile.
//
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "passes/lowering/LowerWindow.h"
#include "passes/lowering/TransposeTile.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace tenon {
namespace {

constexpr int64_t channelBlock = 16;
constexpr int64_t mostPixels = 768; // 48 KB of x in scratch
constexpr int64_t mostColumns = 28, mostColumnsOfOneRow = 448;
constexpr int64_t mostUnrolledTaps = 11;

class DepthwiseChannels : WindowEmitter {
public:
  DepthwiseChannels(KernelLowering &lowering, const WindowProduct &product) : WindowEmitter(lowering, product) {
    chooseChunk();
  }

  KernelGrid lower() {
    int64_t blocks = llvm::divideCeil(read.groups, channelBlock);
    Dim across = columns.positions.ceilDiv(Dim(chunk.columns)),
        chunks = rows.positions.ceilDiv(Dim(chunk.rows)) * across;
    takeScratch();
    emitLoop(scope, loc, scope.function.firstTile(), scope.function.lastTile(), [&](Value number) {
      Value outer = divide(number, index(blocks)), inBatch = remainder(outer, dim(chunks));
      firstChannel = mul(remainder(number, index(blocks)), index(channelBlock));
      channelCount = scope.minimum(index(channelBlock), sub(index(read.groups), firstChannel), loc);
      batch = divide(outer, dim(chunks));
      firstRow = mul(divide(inBatch, dim(across)), index(chunk.rows));
      firstColumn = mul(remainder(inBatch, dim(across)), index(chunk.columns));
      rowCount = scope.minimum(index(chunk.rows), sub(dim(rows.positions), firstRow), loc);
      columnCount = scope.minimum(index(chunk.columns), sub(dim(columns.positions), firstColumn), loc);
      copyWeights();
      copyRows();
      emitBlocks();
      if (!product.isRows)
        finishPlanes();
    });
    return {read.shape[0] * Dim(blocks) * chunks,
            Dim(4 * (pixelFloats() + weightFloats() + sumsFloats() + turnedFloats()))};
  }

private:
  //===--------------------------------------------------------------------===//
  // Sizes
  //===--------------------------------------------------------------------===//

  static int64_t evenPart(int64_t size, int64_t most) {
    return llvm::divideCeil(size, std::max<int64_t>(llvm::divideCeil(size, most), 1));
  }
  static int64_t extentOf(const WindowRead::Axis &axis, int64_t positions) {
    return (positions - 1) * axis.stride + (axis.taps - 1) * axis.dilation + 1;
  }

  void chooseChunk() {
    std::optional<int64_t> width = columns.positions.constant(), height = rows.positions.constant();
    int64_t most = read.axes.size() == 1 ? mostColumnsOfOneRow : mostColumns;
    chunk.columns = width ? std::max<int64_t>(evenPart(*width, most), 1) : most;
    blockColumns = evenPart(chunk.columns, lowering.target.getVectorRegisters() * 7 / 16);
    chunk.rows = read.axes.size() == 1 ? 1 : std::max<int64_t>(height.value_or(mostPixels), 1);
    while (chunk.rows > 1 && pixelColumns() * extentOf(rows, chunk.rows) > mostPixels)
      chunk.rows = height ? std::min(chunk.rows - 1, evenPart(*height, chunk.rows - 1)) : chunk.rows - 1;
  }

  /// Whole blocks read behind the chunk's last position.
  int64_t pixelColumns() const { return extentOf(columns, llvm::alignTo(chunk.columns, blockColumns)); }
  /// Squares of the last row end behind it.
  int64_t pixelFloats() const { return (extentOf(rows, chunk.rows) * pixelColumns() + channelBlock) * channelBlock; }
  int64_t weightFloats() const { return rows.taps * columns.taps * channelBlock; }
  /// A block, or all positions, blocks and squares of the last of which end behind it.
  int64_t sumsFloats() const {
    return (product.isRows ? blockColumns : chunk.rows * chunk.columns + blockColumns + channelBlock) * channelBlock;
  }
  /// Planes a line further apart than their positions: columns of a square meet in no set of the first-level cache.
  int64_t turnedPitch() const { return llvm::alignTo(chunk.rows * chunk.columns, channelBlock) + channelBlock; }
  int64_t turnedFloats() const { return product.isRows ? 0 : channelBlock * turnedPitch(); }

  void takeScratch() {
    int64_t at = 0;
    auto take = [&](int64_t floats) {
      Value taken = scope.function.scratch(builder, loc, f32, index(4 * at));
      at += floats;
      return taken;
    };
    pixels = take(pixelFloats());
    weights = take(weightFloats());
    sums = take(sumsFloats());
    turned = take(turnedFloats());
  }

  //===--------------------------------------------------------------------===//
  // Operands into scratch
  //===--------------------------------------------------------------------===//

  void copyChannels(Value from, Value fromOffset, Value to, Value toOffset) {
    Value count = read.groups % channelBlock == 0 ? index(channelBlock) : channelCount;
    tenon::copyRow(builder, loc, lanes, from, fromOffset, count, to, toOffset);
  }

  void copyWeights() {
    Value filters = lowering.memoryOf(product.filters());
    int64_t taps = rows.taps * columns.taps;
    if (product.tapsFirst)
      return emitLoop(scope, loc, index(0), index(taps), [&](Value tap) {
        copyChannels(filters, add(mul(tap, index(read.groups)), firstChannel), weights, mul(tap, index(channelBlock)));
      });
    emitLoop(scope, loc, index(0), channelCount, [&](Value channel) {
      emitLoop(scope, loc, index(0), index(taps), [&](Value tap) {
        Value from = add(mul(add(firstChannel, channel), index(taps)), tap);
        Value weight = memref::LoadOp::create(builder, loc, filters, from);
        memref::StoreOp::create(builder, loc, weight, weights, add(mul(tap, index(channelBlock)), channel));
      });
    });
  }

  Value extentOf(const WindowRead::Axis &axis, Value positions) {
    return add(mul(sub(positions, index(1)), index(axis.stride)), index((axis.taps - 1) * axis.dilation + 1));
  }

  void copyRows() {
    Value firstX = sub(mul(firstColumn, index(columns.stride)), dim(columns.before));
    emitLoop(scope, loc, index(0), extentOf(rows, rowCount), [&](Value e) {
      Value row = sub(add(mul(firstRow, index(rows.stride)), e), dim(rows.before));
      Value to = mul(e, index(pixelColumns() * channelBlock));
      emitIf(
          scope, loc, isRow(row), [&] { read.channelsLast ? copyPixels(row, firstX, to) : turnRow(row, firstX, to); },
          [&] { clearRow(to); });
    });
  }

  void clearRow(Value to) {
    emitLoop(scope, loc, index(0), extentOf(columns, columnCount), [&](Value column) {
      clearVectors(channelBlock / lanes, pixels, add(to, mul(column, index(channelBlock))));
    });
  }

  Value width() { return isFlat() ? elementsOfPlane() : dim(read.shape.back()); }

  void copyPixels(Value row, Value firstX, Value to) {
    emitLoop(scope, loc, index(0), extentOf(columns, columnCount), [&](Value column) {
      Value x = add(firstX, column), at = add(to, mul(column, index(channelBlock)));
      Value isColumn = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, x, width());
      Value pixel = add(mul(batch, elementsOfPlane()), add(mul(row, width()), x));
      emitIf(
          scope, loc, isColumn,
          [&] { copyChannels(neighbours.memory, add(mul(pixel, index(read.groups)), firstChannel), pixels, at); },
          [&] { clearVectors(channelBlock / lanes, pixels, at); });
    });
  }

  /// Squares that end behind the row are written over by the next one.
  void turnRow(Value row, Value firstX, Value to) {
    auto loop = scf::ForOp::create(builder, loc, index(0), extentOf(columns, columnCount), index(lanes));
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(loop.getBody());
    Value column = loop.getInductionVar(), x = add(firstX, column);
    auto [begin, end] = neighbours.within(x, width(), index(0), index(lanes));
    for (int64_t first = 0; first < channelBlock; first += lanes) {
      SmallVector<Value> square;
      for (int64_t lane = first; lane < first + int64_t(lanes); ++lane) {
        // Of channels that do not exist the last one's elements, which nobody uses.
        Value channel = scope.minimum(add(firstChannel, index(lane)), index(read.groups - 1), loc);
        Value plane = mul(add(mul(batch, index(read.groups)), channel), elementsOfPlane());
        square.push_back(neighbours.load(add(plane, add(mul(row, width()), x)), begin, end));
      }
      for (auto [lane, vector] : llvm::enumerate(transposeTile(builder, loc, square)))
        vector::StoreOp::create(builder, loc, vector, pixels,
                                add(to, add(mul(column, index(channelBlock)), index(lane * channelBlock + first))));
    }
  }

  //===--------------------------------------------------------------------===//
  // Sums
  //===--------------------------------------------------------------------===//

  VectorType vectorType() { return VectorType::get({int64_t(lanes)}, f32); }

  void emitBlocks() {
    Value blocks = divide(add(columnCount, index(blockColumns - 1)), index(blockColumns));
    emitLoop(scope, loc, index(0), rowCount, [&](Value row) {
      emitLoop(scope, loc, index(0), blocks, [&](Value block) { emitBlock(row, mul(block, index(blockColumns))); });
    });
  }

  void emitBlock(Value row, Value column) {
    Value to = product.isRows ? index(0) : mul(add(mul(row, columnCount), column), index(channelBlock));
    for (int64_t first = 0; first < channelBlock; first += lanes)
      for (auto [number, sum] : llvm::enumerate(sumBlock(row, column, first)))
        vector::StoreOp::create(builder, loc, sum, sums, add(to, index(number * channelBlock + first)));
    if (!product.isRows)
      return;
    Value count = scope.minimum(index(blockColumns), sub(columnCount, column), loc);
    Value all = read.groups % channelBlock == 0 ? index(channelBlock) : channelCount;
    emitLoop(scope, loc, index(0), count, [&](Value i) {
      finishPixel(positionOf(row, add(column, i)), firstChannel, all, sums, mul(i, index(channelBlock)));
    });
  }

  Value positionOf(Value row, Value column) {
    return add(mul(add(firstRow, row), dim(columns.positions)), add(firstColumn, column));
  }

  /// Tap rows that lie within x, for a row of the chunk: the others would add zeros.
  std::pair<Value, Value> tapRows(Value row) {
    if (isFlat() || rows.dilation != 1)
      return {index(0), index(rows.taps)};
    Value first = sub(mul(add(firstRow, row), index(rows.stride)), dim(rows.before));
    Value end = scope.minimum(index(rows.taps), sub(dim(read.shape[2]), first), loc);
    return {atLeast(sub(index(0), first), index(0)), end};
  }

  /// Channels from `first` on, a vector of them, of `blockColumns` positions.
  SmallVector<Value> sumBlock(Value row, Value column, int64_t first) {
    Value zero = arith::ConstantOp::create(builder, loc, builder.getZeroAttr(vectorType()));
    auto [begin, end] = tapRows(row);
    return loopWithSums(begin, end, SmallVector<Value>(blockColumns, zero), [&](Value down, SmallVector<Value> &sums) {
      Value line = add(mul(row, index(rows.stride)), mul(down, index(rows.dilation)));
      Value from = mul(add(mul(line, index(pixelColumns())), mul(column, index(columns.stride))), index(channelBlock));
      Value weight = mul(down, index(columns.taps * channelBlock));
      auto addTap = [&](Value tap, SmallVector<Value> &sums) {
        Value x = add(from, mul(tap, index(columns.dilation * channelBlock)));
        addPositions(sums, add(x, index(first)), add(weight, add(mul(tap, index(channelBlock)), index(first))));
      };
      if (columns.taps > mostUnrolledTaps)
        sums = loopWithSums(index(0), index(columns.taps), sums, addTap);
      else
        for (int64_t tap = 0; tap < columns.taps; ++tap)
          addTap(index(tap), sums);
    });
  }

  SmallVector<Value> loopWithSums(Value begin, Value end, ArrayRef<Value> start,
                                  function_ref<void(Value i, SmallVector<Value> &sums)> body) {
    auto loop = scf::ForOp::create(builder, loc, begin, end, index(1), start);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(loop.getBody());
    SmallVector<Value> sums(loop.getRegionIterArgs());
    body(loop.getInductionVar(), sums);
    scf::YieldOp::create(builder, loc, sums);
    return SmallVector<Value>(loop.getResults());
  }

  void addPositions(SmallVector<Value> &sums, Value x, Value weightAt) {
    Value weight = vector::LoadOp::create(builder, loc, vectorType(), weights, weightAt);
    for (auto [position, sum] : llvm::enumerate(sums)) {
      Value at = add(x, index(int64_t(position) * columns.stride * channelBlock));
      Value element = vector::LoadOp::create(builder, loc, vectorType(), pixels, at);
      sum = vector::FMAOp::create(builder, loc, element, weight, sum);
    }
  }

  //===--------------------------------------------------------------------===//
  // Planes
  //===--------------------------------------------------------------------===//

  /// The chunk's rows follow each other in the result.
  bool isOneRun() const {
    std::optional<int64_t> width = columns.positions.constant();
    return chunk.rows == 1 || (width && *width <= chunk.columns);
  }

  void finishPlanes() {
    Value all = mul(rowCount, columnCount);
    turnSums(all);
    emitLoop(scope, loc, index(0), channelCount, [&](Value channel) {
      group = add(firstChannel, channel);
      Value plane = mul(channel, index(turnedPitch()));
      if (isOneRun())
        return finishRun(index(0), positionOf(index(0), index(0)), all, turned, plane);
      emitLoop(scope, loc, index(0), rowCount, [&](Value row) {
        finishRun(index(0), positionOf(row, index(0)), columnCount, turned, add(plane, mul(row, columnCount)));
      });
    });
  }

  void turnSums(Value count) {
    auto loop = scf::ForOp::create(builder, loc, index(0), count, index(lanes));
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(loop.getBody());
    Value position = loop.getInductionVar(), from = mul(position, index(channelBlock));
    for (int64_t first = 0; first < channelBlock; first += lanes) {
      SmallVector<Value> square;
      for (unsigned row = 0; row < lanes; ++row)
        square.push_back(
            vector::LoadOp::create(builder, loc, vectorType(), sums, add(from, index(row * channelBlock + first))));
      for (auto [channel, vector] : llvm::enumerate(transposeTile(builder, loc, square)))
        vector::StoreOp::create(builder, loc, vector, turned,
                                add(position, index((first + int64_t(channel)) * turnedPitch())));
    }
  }

  RowsChunk chunk;
  int64_t blockColumns = 1;
  StridedReader neighbours{scope, loc, lowering.memoryOf(read.source), 1, lanes};
  Value pixels, weights, sums, turned;
  // Of the tile being emitted.
  Value firstChannel, channelCount, firstRow, firstColumn, rowCount, columnCount;
};

} // namespace

KernelGrid lowerDepthwiseChannels(KernelLowering &lowering, const WindowProduct &product) {
  return DepthwiseChannels(lowering, product).lower();
}

} // namespace tenon
