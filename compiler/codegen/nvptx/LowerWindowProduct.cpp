//===- LowerWindowProduct.cpp - convolutions on a GPU --------------------------------===//
//
// Implicit GEMM: for each batch and group filters [n][k] times windows [k][m] (passes/lowering/WindowProduct.h), a tile
// of C a block (BlockProduct.h). No window is stored: the words of a slab are read from x where they are needed, k
// and m taken apart into channel, tap and position. Filters are copied, sixteen bytes a thread where rows are
// multiples; those in panels are read with neighbouring threads at neighbouring filters.
//
//   | stride | neighbouring threads have | because                                        |
//   |--------|---------------------------|------------------------------------------------|
//   | 1      | neighbouring positions    | those are neighbours in x, whatever the tap    |
//   | more   | the taps of a row of a window, then of the window beside it: a piece of x without gaps  |
//   | more, and rows of one tap or of more than eight | eight words of k                          |
//
// One filter a channel is no matrix product: a thread adds up the taps of an element of the result.
//
// Beyond x are zeros: what is nearest in x is read and not used.
//
#include "compiler/codegen/nvptx/BlockProduct.h"
#include "compiler/codegen/nvptx/OperandWords.h"
#include "compiler/codegen/nvptx/ProductForms.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "passes/lowering/LowerWindow.h"

using namespace mlir;

namespace tenon {
namespace {

/// Where a convolution reads, and the elements it makes.
class WindowReader {
public:
  WindowReader(DeviceLowering &device, const WindowProduct &product) : device(device), product(product) {
    if (read.axes.size() == 2)
      rows = read.axes.front();
    else
      rows.positions = Dim(1);
  }

  int64_t taps() const { return rows.taps * columns.taps; }
  Dim groups() const { return Dim(read.groups); }

  /// Channel `channel` of a group at position (`row`, `column`) of the result and tap (`p`, `q`); 0 beyond x. x has
  /// elements.
  Value element(Value batch, Value group, Value channel, Value row, Value column, Value p, Value q) {
    Value inPixel = index.add(index.mul(group, read.channels), channel);
    auto [y, isRow] = placeOf(rows, row, p, read.axes.size() == 2 ? source[2] : Dim(1));
    auto [x, isColumn] = placeOf(columns, column, q, source.back());
    Value height = read.axes.size() == 2 ? dim(source[2]) : index.constant(1);
    Value plane = read.channelsLast ? batch : index.add(index.mul(batch, dim(source[1])), inPixel);
    Value at = index.add(index.mul(index.add(index.mul(plane, height), y), dim(source.back())), x);
    if (read.channelsLast)
      at = index.add(index.mul(at, dim(source[1])), inPixel);
    Value loaded = memref::LoadOp::create(builder, loc, device.kernel.memoryOf(read.source), at);
    Value zero = arith::ConstantOp::create(builder, loc, builder.getF32FloatAttr(0));
    return arith::SelectOp::create(builder, loc, arith::AndIOp::create(builder, loc, isRow, isColumn), loaded, zero);
  }

  /// `count`, or 0 where x has no element.
  Value countIfAny(int64_t count) {
    Value all = dim(countOf(source));
    return arith::SelectOp::create(builder, loc, isBelow(index.constant(0), all), index.constant(count),
                                   index.constant(0));
  }

  Value dim(const Dim &dim) { return scope.dim(dim, loc); }
  Value isBelow(Value a, Value b) { return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, a, b); }

  DeviceLowering &device;
  WindowProduct product;
  const WindowRead &read = product.read;
  Shape source = product.read.shape;
  WindowRead::Axis rows; ///< Of one position and one tap where x has one extent.
  const WindowRead::Axis &columns = read.axes.back();
  KernelScope &scope = device.kernel.scope;
  OpBuilder &builder = device.kernel.builder;
  Location loc = device.kernel.loc;
  IndexMath index{builder, loc};

private:
  /// Where a tap stands along an axis of `size` elements, the nearest that exists, and whether it does.
  std::pair<Value, Value> placeOf(const WindowRead::Axis &axis, Value position, Value tap, const Dim &size) {
    Value at = index.add(index.mul(position, axis.stride), index.mul(tap, axis.dilation));
    if (axis.before == Dim(0) && isInside(axis, size))
      return {at, arith::ConstantIntOp::create(builder, loc, 1, 1)};
    at = index.sub(at, dim(axis.before));
    Value exists = isBelow(at, dim(size)); // unsigned: what is negative is not
    Value last = index.sub(dim(size), index.constant(1));
    Value below = builder.createOrFold<arith::MaxSIOp>(loc, at, index.constant(0));
    return {builder.createOrFold<arith::MinSIOp>(loc, below, last), exists};
  }

  /// The last tap of the last position exists.
  static bool isInside(const WindowRead::Axis &axis, const Dim &size) {
    Dim end = (axis.positions - Dim(1)) * Dim(axis.stride) + Dim((axis.taps - 1) * axis.dilation + 1);
    return Dim::isKnownLessEqual(end, size).value_or(false);
  }
};

//===----------------------------------------------------------------------------===//
// Filters times windows
//===----------------------------------------------------------------------------===//

class WindowBlock : WindowReader {
public:
  WindowBlock(DeviceLowering &device, const WindowProduct &product)
      : WindowReader(device, product), inner(builder, loc, WordKind::F32, shared, device.function.thread) {}

  static Dim tiles(WindowProduct product) {
    Dim products = product.isRows ? product.read.shape.front()
                                  : countOf(ArrayRef<Dim>(shapeOf(product.op.getResult())).drop_back(2));
    return products * rowBlocks(product) * columnBlocks(product);
  }

  void emit() {
    Value across = dim(columnBlocks(product)), down = dim(rowBlocks(product));
    Value number = index.div(device.function.block, across);
    firstColumn = index.mul(index.rem(device.function.block, across), BlockProduct::columns);
    firstRow = index.mul(index.rem(number, down), BlockProduct::rows);
    number = index.div(number, down);
    group = index.rem(number, read.groups);
    batch = index.div(number, read.groups);
    positionCount = dim(read.positions());
    inner.emit(
        countIfAny(depth), [&](Value word, Value at) { loadFilters(word, at); },
        [&](Value word, Value at) { loadWindows(word, at); });
    storeResult();
  }

private:
  static Dim rowBlocks(WindowProduct &product) {
    return Dim(product.filterCount()).ceilDiv(Dim(BlockProduct::rows));
  }
  static Dim columnBlocks(WindowProduct &product) {
    return product.read.positions().ceilDiv(Dim(BlockProduct::columns));
  }

  Value existingFilter(Value row) { return index.min(index.add(firstRow, row), index.constant(filters - 1)); }

  /// The first element of a filter, one that exists.
  Value filterAt(Value row) {
    return index.mul(index.add(index.mul(group, filters), existingFilter(row)), depth);
  }

  /// Element k of a filter in panels, which are of one group.
  Value packedAt(Value row, Value k) {
    constexpr int64_t width = RegisterTile::panelWidth;
    Value filter = existingFilter(row), inPanels = index.add(index.mul(index.div(filter, width), depth), k);
    return index.add(index.mul(inPanels, width), index.rem(filter, width));
  }

  void loadFilters(Value word, Value at) {
    Value steps = index.constant(depth);
    if (product.isPacked)
      return inner.fillLeft(at, /*alongRows=*/true, [&](Value row, Value step) {
        return words.word(index.add(word, step), steps, [&](Value k) { return packedAt(row, k); });
      });
    if (!words.mayCopy(Dim(depth)))
      return inner.fillLeft(at, /*alongRows=*/false, [&](Value row, Value step) {
        return words.word(index.add(word, step), steps, [&](Value k) { return index.add(filterAt(row), k); });
      });
    Value last = index.constant(depth - words.copiedElements());
    inner.forEachLeftChunk(at, [&](Value row, Value step, Value to) {
      Value k = index.add(word, step);
      words.copy(index.add(filterAt(row), index.min(k, last)), shared, to, isBelow(k, steps));
    });
  }

  void loadWindows(Value word, Value at) {
    Value zero = arith::ConstantOp::create(builder, loc, builder.getF32FloatAttr(0));
    Value lastPosition = index.sub(positionCount, index.constant(1));
    auto loadWord = [&](Value step, Value column) -> Value {
      Value all = index.add(word, step), k = index.min(all, index.constant(depth - 1));
      Value position = index.min(index.add(firstColumn, column), lastPosition);
      Value tap = index.rem(k, taps()), width = dim(columns.positions);
      Value loaded = element(batch, group, index.div(k, taps()), index.div(position, width), index.rem(position, width),
                             index.div(tap, columns.taps), index.rem(tap, columns.taps));
      return arith::SelectOp::create(builder, loc, isBelow(all, index.constant(depth)), loaded, zero);
    };
    constexpr int64_t longestRow = 8; // of longer ones too many words would be asked for in vain
    if (columns.stride > 1 && columns.dilation == 1 && columns.taps > 1 && columns.taps <= longestRow)
      return inner.fillRightByRows(at, word, columns.taps, loadWord);
    inner.fillRight(at, /*alongColumns=*/columns.stride == 1, loadWord);
  }

  void storeResult() {
    inner.forEachElement([&](Value row, Value column, Value sum) {
      Value filter = index.add(firstRow, row), position = index.add(firstColumn, column);
      Value exists = arith::AndIOp::create(builder, loc, isBelow(filter, index.constant(filters)),
                                           isBelow(position, positionCount));
      emitIf(device.kernel.scope, device.kernel.loc, exists, [&] {
        RegionEmitter emitter(scope, 1, loc);
        if (product.isRows) {
          Value row = index.add(index.mul(batch, positionCount), position);
          return device.kernel.finish(emitter, {LaneValue::uniform(row), LaneValue::uniform(filter)},
                                      index.add(index.mul(row, filters), filter), LaneValue::uniform(sum, true));
        }
        Value line = index.add(index.mul(index.add(index.mul(batch, read.groups), group), filters), filter);
        device.kernel.finish(emitter, resultPoint(product, batch, group, filter, LaneValue::uniform(position)),
                             index.add(index.mul(line, positionCount), position), LaneValue::uniform(sum, true));
      });
    });
  }

  int64_t filters = product.filterCount(), depth = product.depth();
  OperandWords words{device, product.filters(), WordKind::F32};
  Value shared = DeviceMath{builder, loc}.pointerOf(
      device.function.shared(builder, loc, builder.getI32Type(), BlockProduct::sharedWords()));
  BlockProduct inner;
  Value batch, group, firstRow, firstColumn, positionCount;
};

//===----------------------------------------------------------------------------===//
// One filter a channel
//===----------------------------------------------------------------------------===//

class DepthwiseElements : WindowReader {
public:
  using WindowReader::WindowReader;

  void emit(const Dim &count) {
    emitElements(device, count, [&](Value number) {
      Value positions = dim(read.positions()), width = dim(columns.positions);
      Value ofPlane = index.div(number, positions), groups = index.constant(read.groups);
      Value position = index.rem(number, positions), group = index.rem(ofPlane, read.groups);
      Value batch = index.div(ofPlane, read.groups);
      if (product.isRows) {
        group = index.rem(number, groups);
        position = index.rem(index.div(number, groups), positions);
      }
      Value row = index.div(position, width), column = index.rem(position, width), channel = index.constant(0);
      Value zero = arith::ConstantOp::create(builder, loc, builder.getF32FloatAttr(0));
      Value filters = device.kernel.memoryOf(product.filters());
      Value sum = emitLoopNest(scope, loc, {countIfAny(rows.taps), index.constant(columns.taps)}, zero,
                               [&](ArrayRef<Value> tap, Value carried) -> Value {
                                 Value inFilter = index.add(index.mul(tap[0], columns.taps), tap[1]);
                                 Value at = product.tapsFirst ? index.add(index.mul(inFilter, groups), group)
                                                              : index.add(index.mul(group, taps()), inFilter);
                                 Value weight = memref::LoadOp::create(builder, loc, filters, at);
                                 Value x = element(batch, group, channel, row, column, tap[0], tap[1]);
                                 auto contract = arith::FastMathFlags::contract;
                                 Value term = arith::MulFOp::create(builder, loc, weight, x, contract);
                                 return arith::AddFOp::create(builder, loc, carried, term, contract);
                               });
      RegionEmitter emitter(scope, 1, loc);
      SmallVector<LaneValue> at = resultPoint(product, batch, group, Value(), LaneValue::uniform(position));
      if (product.isRows)
        std::swap(at.end()[-1], at.end()[-2]);
      device.kernel.finish(emitter, at, number, LaneValue::uniform(sum, true));
    });
  }
};

} // namespace

DeviceForm windowProductForm(const WindowProduct &product) {
  if (product.kind == WindowProduct::Depthwise) {
    Dim count = countOf(shapeOf(WindowProduct(product).op.getResult()));
    DeviceForm form = elementForm("depthwise, a thread an element", count);
    form.emit = [product, count](DeviceLowering &device) {
      DepthwiseElements(device, product).emit(count);
      return success();
    };
    return form;
  }
  DeviceForm form;
  form.name = "implicit GEMM by mma.sync";
  form.tiles = WindowBlock::tiles(product);
  form.blockThreads = BlockProduct::threads;
  form.emit = [product](DeviceLowering &device) {
    WindowBlock(device, product).emit();
    return success();
  };
  return form;
}

} // namespace tenon
