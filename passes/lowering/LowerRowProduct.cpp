//===- LowerRowProduct.cpp - few rows times a matrix of activations --------------------===//
//
// Up to four rows: the matrix is read once, as it lies, and no element of it is written. A tile of the kernel is a block of columns of
// one matrix.
//
//   | neighbours in the matrix | lanes along | a turn                                                           |
//   |--------------------------|-------------|------------------------------------------------------------------|
//   | columns                  | columns     | some steps of all the block's columns; sums are in the L1 cache  |
//   | steps of k               | steps       | all steps of a vector of columns, some at a time; lanes added up |
//
// The first reads as many streams as a turn has steps, each a page long; the second as many as it has columns at a time.
//
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "passes/lowering/ActivationProduct.h"
#include "passes/lowering/TransposeTile.h"

using namespace mlir;

namespace tenon {
namespace {

constexpr int64_t mostRows = 4;

class RowProduct : ActivationEmitter {
public:
  using ActivationEmitter::ActivationEmitter;

  KernelGrid lower() {
    Dim blocks = columns().size.ceilDiv(Dim(blockColumns));
    Value each = index.max(dim(blocks), index.constant(1));
    sums = scope.function.scratch(builder, loc, f32, index.constant(0));
    emitLoop(scope, loc, scope.function.firstTile(), scope.function.lastTile(), [&](Value tile) {
      enter(index.div(tile, each));
      firstColumn = index.mul(index.rem(tile, each), blockColumns);
      columnCount = index.min(index.constant(blockColumns), index.sub(dim(columns().size), firstColumn));
      columns().right == Dim(1) ? addSteps() : addColumns();
      Value panels = index.ceilDiv(columnCount, panelWidth), panel = index.div(firstColumn, panelWidth);
      finishPiece({index.constant(0), index.constant(rowCount), panel, panels, sums, index.constant(0), blockColumns});
    });
    return {countOf(product.outer) * blocks, Dim(4 * rowCount * blockColumns)};
  }

private:
  static constexpr int64_t panelWidth = RegisterTile::panelWidth;
  static constexpr int64_t blockColumns = 1024;

  Value rowAt(int64_t row) {
    Value at = offsetOf(pointOf(index.constant(row), product.rows), product.rows, &ProductIndex::left);
    return index.add(leftBase, at);
  }

  /// A vector of neighbours, or of the first `active` lanes of it.
  Value load(Value memory, Value at, Value active = {}) {
    if (!active)
      return vector::LoadOp::create(builder, loc, type, memory, at);
    Value mask = vector::CreateMaskOp::create(builder, loc, type.clone(builder.getI1Type()), active);
    return vector::MaskedLoadOp::create(builder, loc, type, memory, at, mask, zeros());
  }

  Value zeros() { return arith::ConstantOp::create(builder, loc, builder.getZeroAttr(type)); }

  /// A vector at a time of `count` neighbours: body(first, active), active null for whole ones.
  void forEachVector(Value count, function_ref<void(Value first, Value active)> body) {
    Value rest = index.rem(count, lanes), whole = index.sub(count, rest);
    forSteps(index.constant(0), whole, lanes, [&](Value i) { body(i, Value()); });
    Value isRest = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, whole, count);
    emitIf(scope, loc, isRest, [&] { body(whole, rest); });
  }

  void forSteps(Value begin, Value end, int64_t step, function_ref<void(Value)> body) {
    emitCarryingLoop(scope, loc, begin, end, step, {}, [&](Value i, ValueRange) {
      body(i);
      return SmallVector<Value>();
    });
  }

  //===--------------------------------------------------------------------===//
  // Columns are neighbours
  //===--------------------------------------------------------------------===//

  /// Steps of a turn: their factors, one for each row, take a quarter of the registers.
  int64_t stepsAtOnce() const { return std::max<int64_t>(lowering.target.getVectorRegisters() / 4 / rowCount, 1); }

  void addSteps() {
    forSteps(index.constant(0), index.constant(rowCount * blockColumns), lanes,
             [&](Value at) { vector::StoreOp::create(builder, loc, zeros(), sums, at); });
    Value count = dim(steps().size), whole = index.sub(count, index.rem(count, stepsAtOnce()));
    forSteps(index.constant(0), whole, stepsAtOnce(), [&](Value step) { addTurn(step, stepsAtOnce()); });
    forSteps(whole, count, 1, [&](Value step) { addTurn(step, 1); });
  }

  /// Adds `count` steps from `step` on to the sums of all columns.
  void addTurn(Value step, int64_t count) {
    SmallVector<Value> factors, begins;
    for (int64_t u = 0; u < count; ++u) {
      Value at = index.add(step, u);
      begins.push_back(index.add(index.add(rightBase, firstColumn), index.mul(at, dim(steps().right))));
      for (int64_t row = 0; row < rowCount; ++row) {
        Value from = index.add(rowAt(row), index.mul(at, dim(steps().left)));
        Value factor = memref::LoadOp::create(builder, loc, lowering.memoryOf(product.left), from);
        factors.push_back(vector::BroadcastOp::create(builder, loc, type, factor));
      }
    }
    forEachVector(columnCount, [&](Value column, Value active) {
      SmallVector<Value> elements;
      for (Value begin : begins)
        elements.push_back(load(lowering.memoryOf(product.right), index.add(begin, column), active));
      for (int64_t row = 0; row < rowCount; ++row) {
        Value at = index.add(column, row * blockColumns), sum = load(sums, at);
        for (int64_t u = 0; u < count; ++u)
          sum = vector::FMAOp::create(builder, loc, factors[u * rowCount + row], elements[u], sum);
        vector::StoreOp::create(builder, loc, sum, sums, at);
      }
    });
  }

  //===--------------------------------------------------------------------===//
  // Steps are neighbours
  //===--------------------------------------------------------------------===//

  /// Columns whose sums of lanes are in registers together, for all rows: four, or more that divide the lanes where columns are so
  /// short that what surrounds their loop counts. Many long ones are more streams than a prefetcher follows, or stand in one set of
  /// the first-level cache.
  int64_t columnsAtOnce() const {
    constexpr int64_t shortColumn = 512;
    std::optional<int64_t> length = steps().size.constant();
    int64_t most = length && *length <= shortColumn ? lowering.target.getVectorRegisters() * 2 / 3 / rowCount : quad;
    int64_t count = lanes;
    while (count > quad && count > most)
      count /= 2;
    return count;
  }

  void addColumns() {
    forSteps(index.constant(0), columnCount, lanes, [&](Value column) {
      SmallVector<SmallVector<Value>> quads(rowCount);
      for (int64_t first = 0; first < lanes; first += columnsAtOnce()) {
        SmallVector<Value> lanesSums = sumLanes(index.add(column, first));
        for (int64_t row = 0; row < rowCount; ++row)
          for (int64_t at = 0; at < columnsAtOnce(); at += quad)
            quads[row].push_back(sumWithinQuads(
                builder, loc, ArrayRef(lanesSums).slice(row * columnsAtOnce() + at, quad)));
      }
      for (int64_t row = 0; row < rowCount; ++row)
        vector::StoreOp::create(builder, loc, sumQuads(builder, loc, quads[row]), sums,
                                index.add(column, row * blockColumns));
    });
  }

  /// For each row and each of the columns from `column` on a vector whose lanes add up to the sum. Columns behind the last are the last.
  SmallVector<Value> sumLanes(Value column) {
    Value last = index.sub(dim(columns().size), index.constant(1));
    SmallVector<Value> begins;
    for (int64_t c = 0; c < columnsAtOnce(); ++c) {
      Value number = index.min(index.add(index.add(firstColumn, column), c), last);
      begins.push_back(index.add(rightBase, index.mul(number, dim(columns().right))));
    }
    auto add = [&](Value step, Value active, ValueRange carried) {
      SmallVector<Value> next(carried), factors;
      for (int64_t row = 0; row < rowCount; ++row)
        factors.push_back(load(lowering.memoryOf(product.left), index.add(rowAt(row), step), active));
      for (int64_t c = 0; c < columnsAtOnce(); ++c) {
        Value elements = load(lowering.memoryOf(product.right), index.add(begins[c], step), active);
        for (int64_t row = 0; row < rowCount; ++row) {
          Value &sum = next[row * columnsAtOnce() + c];
          sum = vector::FMAOp::create(builder, loc, factors[row], elements, sum);
        }
      }
      return next;
    };
    Value count = dim(steps().size), rest = index.rem(count, lanes), whole = index.sub(count, rest);
    SmallVector<Value> start(rowCount * columnsAtOnce(), zeros());
    SmallVector<Value> found = emitCarryingLoop(scope, loc, index.constant(0), whole, lanes, start,
                                                [&](Value step, ValueRange carried) { return add(step, {}, carried); });
    // The steps behind the last whole vector, none or some: a mask without lanes reads nothing.
    return add(whole, rest, found);
  }

  int64_t rowCount = *countOf(product.rows).constant(), lanes = lowering.target.getVectorBits() / 32;
  VectorType type = VectorType::get({lanes}, f32);
  Value sums; // [row][column]
  // Of the tile being emitted.
  Value firstColumn, columnCount;
};

} // namespace

bool isRowProduct(const ActivationProduct &product) {
  std::optional<int64_t> rows = countOf(product.rows).constant();
  auto isF32 = [](Value tensor) { return elementOf(tensor).isF32(); };
  const ProductIndex &columns = product.columns.front(), &steps = product.summed.back();
  return rows && *rows >= 1 && *rows <= mostRows && product.rows.size() <= 1 && product.summed.size() == 1 &&
         isF32(product.left) && isF32(product.right) &&
         (columns.right == Dim(1) || (steps.right == Dim(1) && steps.left == Dim(1)));
}

KernelGrid lowerRowProduct(KernelLowering &lowering, const ActivationProduct &product) {
  return RowProduct(lowering, product).lower();
}

} // namespace tenon
