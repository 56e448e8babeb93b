//===- LowerWindowPanels.cpp - convolutions with filters in panels ---------------------===//
//
// Positions times filters, lanes along filters: a register tile is some neighbouring positions of one row of the
// result, whose elements at a step of k are a stride apart in x (WindowSource), and two or three panels of filters. No
// lane is spent on a position that does not exist, however short rows are. A tile of the kernel is a chunk of positions
// and a group of panels; groups of one chunk follow each other and share its rows of x.
//
//   once per chunk               copy its rows of x
//   for each slab of k
//     for each few panels of the group       they stay in cache
//       for each register tile of positions
//         sums += x * filters                meanwhile fetch the panels to come
//   turn the sums, [position][filter], in squares of lanes, and finish them filter by filter
//
// What it costs are four shuffles, two loads and two stores for each vector of the result, beside its k multiply-adds.
// A result with channels last is what the sums are: nothing is turned. x with channels last is read in the same way,
// pixels apart.
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

constexpr int64_t panelWidth = RegisterTile::panelWidth;
constexpr int64_t mostPositions = 512;
constexpr int64_t largestRows = 128 << 10; // floats of x in scratch
constexpr int64_t enoughToFinish = 64;     // positions

/// Nearly equal parts of at most `most`: the size of the larger ones.
int64_t evenPart(int64_t size, int64_t most) {
  int64_t parts = std::max<int64_t>(llvm::divideCeil(size, most), 1);
  return std::max<int64_t>(llvm::divideCeil(size, parts), 1);
}

/// Windows of one element each are x as it is: of one extent.
WindowProduct withoutRows(WindowProduct product) {
  WindowRead &read = product.read;
  Shape extents(ArrayRef<Dim>(read.shape).drop_front(2));
  bool isWhole = llvm::all_of(llvm::zip_equal(read.axes, extents), [](auto pair) {
    const WindowRead::Axis &axis = std::get<0>(pair);
    return axis.taps == 1 && axis.stride == 1 && axis.before == Dim(0) && axis.positions == std::get<1>(pair);
  });
  if (isWhole && read.axes.size() > 1) {
    WindowRead::Axis all;
    all.positions = read.positions();
    read.axes = {all};
  }
  return product;
}

class WindowPanels : WindowSource {
public:
  WindowPanels(KernelLowering &lowering, const WindowProduct &product)
      : WindowSource(lowering, product, chunkOf(product.read)) {
    sumsPitch = groupPanels * panelWidth;
    family = TileFunction::get(lowering.scope.function.function()->getParentOfType<ModuleOp>(), tile, strides());
  }

  KernelGrid lower() {
    Value sumsAt = takeScratch();
    sums = scope.function.scratch(builder, loc, f32, sumsAt);
    turned = scope.function.scratch(builder, loc, f32, add(sumsAt, index(4 * sumsFloats())));
    int64_t groups = llvm::divideCeil(panels, groupPanels);
    forEachTile(chunks() * Dim(groups), [&](Value number) {
      Value inChunk = remainder(number, index(groups));
      enterChunk(divide(number, index(groups)));
      Value isNew = builder.createOrFold<arith::OrIOp>(loc, isEqual(inChunk, index(0)),
                                                       isEqual(tileNumber, scope.function.firstTile()));
      emitIf(scope, loc, isNew, [&] { copyRows(); });
      // Larger groups among smaller ones: halves of a chunk are equal work.
      firstPanel = divide(mul(inChunk, index(panels)), index(groups));
      Value end = divide(mul(add(inChunk, index(1)), index(panels)), index(groups));
      panelCount = panels % groups == 0 ? index(panels / groups) : sub(end, firstPanel);
      forEachSlab([&](Value number, Value begin, Value count) { multiplySlab(number, begin, count); });
    });
    KernelGrid all = grid(chunks() * Dim(groups), scratchFloats() + Dim(sumsFloats() + turnedFloats()));
    all.grain = groups;
    return all;
  }

private:
  static RowsChunk chunkOf(const WindowRead &read) {
    std::optional<int64_t> width = read.axes.back().positions.constant();
    std::optional<int64_t> height = read.axes.size() == 1 ? 1 : read.axes.front().positions.constant();
    RowsChunk chunk;
    chunk.columns = width ? evenPart(*width, mostPositions) : height == 1 ? mostPositions : mostPositions / 4;
    chunk.rows = evenPart(height.value_or(mostPositions), std::max<int64_t>(mostPositions / chunk.columns, 1));
    while (floatsOf(read, chunk) > largestRows && chunk.rows > 1)
      chunk.rows = height ? evenPart(*height, chunk.rows - 1) : chunk.rows - 1;
    while (floatsOf(read, chunk) > largestRows && chunk.columns > panelWidth)
      chunk.columns = width ? evenPart(*width, chunk.columns - 1) : chunk.columns - 1;
    return chunk;
  }

  TileFunction::Strides strides() const {
    TileFunction::Strides strides{/*aRow=*/columns.stride * pixel, /*bK=*/panelWidth, /*cRow=*/sumsPitch, /*aK=*/0};
    strides.hasRowTable = true;
    return strides;
  }

  Value isEqual(Value a, Value b) {
    return builder.createOrFold<arith::CmpIOp>(loc, arith::CmpIPredicate::eq, a, b);
  }

  /// Panels that a register tile of a row is wide.
  int64_t panelsAtOnce() const {
    std::optional<int64_t> width = columns.positions.constant();
    return tile.panelsAt(width ? evenPart(std::min(*width, chunk.columns), tile.rows) : tile.rows);
  }

  //===--------------------------------------------------------------------===//
  // Sums, [position][filter]
  //===--------------------------------------------------------------------===//

  /// Squares that begin within the last position end behind it.
  int64_t sumsFloats() const { return (chunk.rows * chunk.columns + panelWidth) * sumsPitch; }

  void forEachSlab(function_ref<void(Value number, Value begin, Value count)> body) {
    int64_t slabs = llvm::divideCeil(depth, kSlab), each = llvm::divideCeil(depth, slabs);
    emitLoop(scope, loc, index(0), index(slabs), [&](Value number) {
      Value begin = mul(number, index(each));
      body(number, begin, scope.minimum(index(each), sub(index(depth), begin), loc));
    });
  }

  void multiplySlab(Value number, Value begin, Value count) {
    RowSplit ofRow = RowSplit::create(builder, loc, columnCount, tile.rows);
    Value tiles = mul(rowCount, ofRow.count), next = nextPanels(add(begin, count));
    TileFunction::Arguments x;
    x.panels = panelCount;
    x.k = count;
    x.a = elements;
    x.table = table;
    x.tableOffset = begin;
    x.b = filtersMemory;
    x.bOffset = panelAt(index(0), begin);
    x.panelStride = index(depth * panelWidth);
    x.c = sums;
    x.accumulate = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ne, number, index(0));
    emitLoop(scope, loc, index(0), rowCount, [&](Value row) {
      emitLoop(scope, loc, index(0), ofRow.count, [&](Value part) {
        Value column = ofRow.firstRowOf(builder, loc, part);
        x.aOffset = add(start(), add(mul(row, rowDistance()), mul(column, index(columns.stride * pixel))));
        x.cOffset = mul(add(mul(row, columnCount), column), index(sumsPitch));
        x.height = ofRow.heightOf(builder, loc, part);
        fetchShare(x, add(mul(row, ofRow.count), part), tiles, next);
        family->call(builder, loc, x);
      });
      Value isEnd = isEqual(remainder(add(row, index(1)), index(rowsAtOnce())), index(0));
      isEnd = builder.createOrFold<arith::OrIOp>(loc, isEnd, isEqual(add(row, index(1)), rowCount));
      isEnd = builder.createOrFold<arith::AndIOp>(loc, isEnd, isEqual(add(begin, count), index(depth)));
      emitIf(scope, loc, isEnd, [&] { finishRows(mul(divide(row, index(rowsAtOnce())), index(rowsAtOnce())), row); });
    });
  }

  /// Each of `tiles` register tiles fetches its share of the panels to come, one after another those of one panel.
  void fetchShare(TileFunction::Arguments &x, Value number, Value tiles, Value next) {
    Value panel = remainder(number, panelCount), before = divide(number, panelCount);
    Value ofPanel = divide(add(tiles, sub(sub(panelCount, index(1)), panel)), panelCount);
    ofPanel = atLeast(ofPanel, index(1));
    Value line = divide(mul(before, x.k), ofPanel);
    x.nextOffset = add(next, add(mul(panel, x.panelStride), mul(line, index(panelWidth))));
    x.nextStep = divide(add(ofPanel, index(panelWidth - 1)), ofPanel);
  }

  /// Element `k` of a panel of the group.
  Value panelAt(Value panel, Value k) {
    return mul(add(mul(add(firstPanel, panel), index(depth)), k), index(panelWidth));
  }

  /// What is read after a slab that ends at step `end`: the group's next one, else the next group's first.
  Value nextPanels(Value end) {
    Value isLast = isEqual(end, index(depth));
    return arith::SelectOp::create(builder, loc, isLast, panelAt(panelCount, index(0)), panelAt(index(0), end));
  }

  //===--------------------------------------------------------------------===//
  // Filter by filter
  //===--------------------------------------------------------------------===//

  /// Rows of sums that are finished together, while the first-level cache has them: vectors of positions are to be whole.
  int64_t rowsAtOnce() const {
    return isOneRun() && !product.isRows ? llvm::divideCeil(enoughToFinish, chunk.columns) : 1;
  }
  int64_t turnedPitch() const { return llvm::alignTo(rowsAtOnce() * chunk.columns, panelWidth) + panelWidth; }
  int64_t turnedFloats() const { return product.isRows ? 0 : panelWidth * turnedPitch(); }

  /// The chunk's rows follow each other in the result.
  bool isOneRun() const {
    std::optional<int64_t> width = columns.positions.constant();
    return chunk.rows == 1 || (width && *width <= chunk.columns);
  }

  /// Rows `first` to `last` of the chunk.
  void finishRows(Value first, Value last) {
    Value count = mul(add(sub(last, first), index(1)), columnCount);
    if (product.isRows)
      return finishPixels(mul(first, columnCount), count, positionOf(first, index(0)));
    emitLoop(scope, loc, index(0), panelCount, [&](Value panel) {
      finishRun(panel, mul(first, columnCount), count, positionOf(first, index(0)));
    });
  }

  /// `count` positions as they are, `position` the first of them in the result.
  void finishPixels(Value from, Value count, Value position) {
    Value first = mul(firstPanel, index(panelWidth)), width = mul(panelCount, index(panelWidth));
    Value filterCount = filters % panelWidth == 0 ? width : scope.minimum(width, sub(index(filters), first), loc);
    emitLoop(scope, loc, index(0), count, [&](Value i) {
      finishPixel(add(position, i), first, filterCount, sums, mul(add(from, i), index(sumsPitch)));
    });
  }

  /// `count` positions of a panel's filters, `position` the first of them in the result.
  void finishRun(Value panel, Value from, Value count, Value position) {
    turn(panel, from, count, position);
    Value first = mul(add(firstPanel, panel), index(panelWidth));
    Value filterCount = scope.minimum(index(panelWidth), sub(index(filters), first), loc);
    emitLoop(scope, loc, index(0), filterCount, [&](Value filter) {
      WindowEmitter::finishRun(add(first, filter), position, count, turned, mul(filter, index(turnedPitch())));
    });
  }

  /// Positions from `from` on, as rows of the panel's filters, a panel's width of them at a time; where they go to in the
  /// result is fetched.
  void turn(Value panel, Value from, Value count, Value inResult) {
    auto loop = scf::ForOp::create(builder, loc, index(0), count, index(panelWidth));
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(loop.getBody());
    Value position = loop.getInductionVar();
    TileRows to = resultFrom(mul(add(firstPanel, panel), index(panelWidth)), add(inResult, position));
    for (int64_t filter = 0; filter < panelWidth; ++filter)
      memref::PrefetchOp::create(builder, loc, to.base, add(to.offset, mul(to.rowStride, index(filter))),
                                 /*isWrite=*/true, /*localityHint=*/3, /*isDataCache=*/true);
    Value at = add(mul(add(from, position), index(sumsPitch)), mul(panel, index(panelWidth)));
    for (int64_t row = 0; row < panelWidth; row += lanes)
      for (int64_t column = 0; column < panelWidth; column += lanes)
        turnSquare(add(at, index(row * sumsPitch + column)), add(index(column * turnedPitch() + row), position));
  }

  void turnSquare(Value from, Value to) {
    auto type = VectorType::get({lanes}, f32);
    SmallVector<Value> square;
    for (unsigned row = 0; row < lanes; ++row)
      square.push_back(vector::LoadOp::create(builder, loc, type, sums, add(from, index(row * sumsPitch))));
    for (auto [row, vector] : llvm::enumerate(transposeTile(builder, loc, square)))
      vector::StoreOp::create(builder, loc, vector, turned, add(to, index(row * turnedPitch())));
  }

  static constexpr int64_t kSlab = 768;

  /// Two vectors wide and as high as registers allow: a step of k is one vector of filters for half as many cycles as there are
  /// positions, and the second-level cache brings no more. LLVM has broadcasts ready in what registers are left.
  RegisterTile registerTile() const {
    unsigned registers = lowering.target.getVectorRegisters(), spare = registers > 16 ? 4 : 2;
    unsigned vectors = std::max<unsigned>(2, panelWidth / lanes);
    return {lanes, registers, std::min<unsigned>(lowering.target.getRowTile(), (registers - spare) / vectors - 1)};
  }

  RegisterTile tile = registerTile();
  int64_t panels = llvm::divideCeil(filters, panelWidth), groupPanels = evenPart(panels, panelsAtOnce()), sumsPitch;
  std::optional<TileFunction> family;
  Value filtersMemory = lowering.memoryOf(product.filters());
  Value sums, turned;
  // Of the tile being emitted.
  Value firstPanel, panelCount;
};

} // namespace

KernelGrid lowerWindowPanels(KernelLowering &lowering, const WindowProduct &product) {
  return WindowPanels(lowering, withoutRows(product)).lower();
}

} // namespace tenon
