//===- LowerPanelProduct.cpp - products with weights on tensor cores ---------------===//
//
// "m k, k n -> m n" against panels [N/16][words][16], which are those of a CPU: a tile of C a block (BlockProduct.h). A
// step of k of four panels is copied to shared memory sixteen bytes a thread, and so are rows of A that are in memory
// as they are. Rows that are gathered, normalised or computed by a map go through registers: where a row starts, its
// mean and its deviation are found once and kept in shared memory.
//
// The map behind the product is applied to each element of C as it is written.
//
#include "compiler/codegen/nvptx/BlockProduct.h"
#include "compiler/codegen/nvptx/OperandWords.h"
#include "compiler/codegen/nvptx/ProductForms.h"
#include "compiler/codegen/nvptx/ThreadGroup.h"
#include "dialects/tenon/ContractSpec.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "passes/lowering/MicroKernel.h"
#include "passes/lowering/RowMove.h"

using namespace mlir;

namespace tenon {
namespace {

constexpr int64_t panelColumns = RegisterTile::panelWidth;

class PanelProduct {
public:
  PanelProduct(DeviceLowering &device, ContractOp op)
      : device(device), op(op), product(builder, loc, kind, shared, device.function.thread) {}

  void emit() {
    Value block = device.function.block, across = scope.dim(columnBlocks(op), loc);
    firstRow = index.mul(index.div(block, across), BlockProduct::rows);
    firstColumn = index.mul(index.rem(block, across), BlockProduct::columns);
    rowCount = scope.dim(shapeOf(op.getLhs())[0], loc);
    if (rows.move)
      findStarts();
    if (rows.norm)
      findMoments();
    product.emit(
        index.constant(words), [&](Value word, Value at) { loadRows(word, at); },
        [&](Value word, Value at) { loadPanels(word, at); });
    storeResult();
  }

  static Dim rowBlocks(ContractOp op) { return shapeOf(op.getResult())[0].ceilDiv(Dim(BlockProduct::rows)); }
  static Dim columnBlocks(ContractOp op) { return shapeOf(op.getResult())[1].ceilDiv(Dim(BlockProduct::columns)); }

private:
  /// Behind the product's words of shared memory: of each row where it starts (two words), its mean and 1 / deviation.
  static constexpr int64_t startsAt = BlockProduct::sharedWords();
  static constexpr int64_t meansAt = startsAt + 2 * BlockProduct::rows;
  static constexpr int64_t factorsAt = meansAt + BlockProduct::rows;
  static constexpr int64_t sharedWords = factorsAt + BlockProduct::rows;
  static constexpr int64_t rowsOfWarp = BlockProduct::rows * TensorCore::warp / BlockProduct::threads;

  /// The last row that exists stands for those behind it.
  Value existingRow(Value row) { return index.min(index.add(firstRow, row), index.sub(rowCount, index.constant(1))); }
  Value isBelow(Value a, Value b) {
    return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, a, b);
  }
  Value constant(double value) {
    return arith::ConstantOp::create(builder, loc, FloatAttr::get(builder.getF32Type(), value));
  }

  //===--------------------------------------------------------------------===//
  // What is known of each row
  //===--------------------------------------------------------------------===//

  /// The element of the source that a row which exists starts with.
  Value movedStart(Value row) {
    RegionEmitter emitter(scope, 1, loc);
    Value start;
    SmallVector<TensorReader> readers{[&](ArrayRef<LaneValue> indices) {
      start = scope.index(0, loc);
      for (auto [at, stride] : llvm::zip(indices, scope.strides(shapeOf(rows.move.getInputs()[0]), loc)))
        start = scope.add(start, scope.mul(at.value, stride, loc), loc);
      return LaneValue::uniform(start);
    }};
    emitter.evaluate(rows.move.getBody(), {LaneValue::uniform(row), LaneValue::uniform(scope.index(0, loc))}, readers);
    return start;
  }

  void findStarts() {
    Value row = device.function.thread;
    emitGuarded(device.kernel, isBelow(row, index.constant(BlockProduct::rows)), [&] {
      Value start = arith::IndexCastOp::create(builder, loc, builder.getI64Type(), movedStart(existingRow(row)));
      Value low = arith::TruncIOp::create(builder, loc, builder.getI32Type(), start);
      Value high = arith::TruncIOp::create(
          builder, loc, builder.getI32Type(),
          arith::ShRUIOp::create(builder, loc, start, arith::ConstantIntOp::create(builder, loc, 32, 64)));
      Value at = index.add(index.mul(row, 2), startsAt);
      math.store(low, shared, at);
      math.store(high, shared, index.add(at, 1));
    });
    math.barrier();
  }

  Value startOf(Value row) {
    if (!rows.move)
      return index.mul(existingRow(row), depth);
    Type i64 = builder.getI64Type();
    auto half = [&](int64_t number) -> Value {
      Value word = math.load(shared, index.add(index.mul(row, 2), startsAt + number), builder.getI32Type());
      return arith::ExtUIOp::create(builder, loc, i64, word);
    };
    Value high = arith::ShLIOp::create(builder, loc, half(1), arith::ConstantIntOp::create(builder, loc, 32, 64));
    Value start = arith::OrIOp::create(builder, loc, high, half(0));
    return arith::IndexCastOp::create(builder, loc, builder.getIndexType(), start);
  }

  Value sourceElement(Value start, Value k) {
    return memref::LoadOp::create(builder, loc, device.kernel.memoryOf(rows.source), index.add(start, k));
  }

  /// A warp takes a row at a time. The deviation is that of the elements less their mean, in a second pass.
  void findMoments() {
    ThreadGroup warp(device, ThreadGroup::Warp);
    Type f32 = builder.getF32Type();
    Value length = index.constant(depth);
    auto mean = [&](function_ref<Value(Value)> term) -> Value {
      return arith::DivFOp::create(builder, loc, warp.reduce(length, ReduceKind::Sum, f32, term), constant(depth));
    };
    emitLoop(scope, loc, index.constant(0), index.constant(rowsOfWarp), [&](Value turn) {
      Value row = index.add(index.mul(turn, BlockProduct::rows / rowsOfWarp), warp.number), start = startOf(row);
      Value centre = constant(0);
      if (rows.norm.getKind() == NormKind::Layer)
        centre = mean([&](Value k) { return sourceElement(start, k); });
      Value squares = mean([&](Value k) -> Value {
        Value centred = arith::SubFOp::create(builder, loc, sourceElement(start, k), centre);
        return arith::MulFOp::create(builder, loc, centred, centred, arith::FastMathFlags::contract);
      });
      Value variance = arith::AddFOp::create(builder, loc, squares, constant(rows.norm.getEpsilon().convertToDouble()));
      Value factor = arith::DivFOp::create(builder, loc, constant(1), math::SqrtOp::create(builder, loc, variance));
      emitGuarded(device.kernel, index.equal(warp.rank, index.constant(0)), [&] {
        math.store(centre, shared, index.add(row, meansAt));
        math.store(factor, shared, index.add(row, factorsAt));
      });
    });
    math.barrier();
  }

  //===--------------------------------------------------------------------===//
  // Operands
  //===--------------------------------------------------------------------===//

  bool areRowsCopied() {
    return !rows.norm && readsSource() && OperandWords(device, rows.source, kind).mayCopy(Dim(depth));
  }

  void loadRows(Value word, Value at) {
    if (areRowsCopied())
      return copyRows(word, at);
    product.fillLeft(at, /*alongRows=*/false, [&](Value row, Value column) -> Value {
      Value start = readsSource() ? startOf(row) : Value(), all = index.add(word, column);
      if (kind == WordKind::F32)
        return rowElement(row, start, all);
      Value k = index.mul(all, 2);
      return TensorCore(builder, loc, kind)
          .pack(rowElement(row, start, k), rowElement(row, start, index.add(k, 1)));
    });
  }

  void copyRows(Value word, Value at) {
    OperandWords source(device, rows.source, kind);
    Value last = index.constant(depth - source.copiedElements());
    product.forEachLeftChunk(at, [&](Value row, Value column, Value to) {
      Value k = source.stepOf(index.add(word, column));
      source.copy(index.add(startOf(row), index.min(k, last)), shared, to, isBelow(k, index.constant(depth)));
    });
  }

  /// Rows, as they are or before they are normalised, are in memory.
  bool readsSource() { return bool(device.kernel.memoryOf(rows.source)); }

  /// Element k of a row as f32; 0 behind its last.
  Value rowElement(Value row, Value start, Value k) {
    Value exists = isBelow(k, index.constant(depth)), column = index.min(k, index.constant(depth - 1));
    RegionEmitter emitter(scope, 1, loc);
    Value element;
    if (readsSource())
      element = rows.norm ? normalised(emitter, row, column, sourceElement(start, column)) : sourceElement(start, column);
    else
      element = device.kernel.reader(op.getLhs(), emitter)({LaneValue::uniform(existingRow(row)), LaneValue::uniform(column)}).value;
    element = convertFloat(builder, loc, element, builder.getF32Type());
    return arith::SelectOp::create(builder, loc, exists, element, constant(0));
  }

  Value normalised(RegionEmitter &emitter, Value row, Value column, Value element) {
    auto contract = arith::FastMathFlags::contract;
    auto moment = [&](int64_t from) { return math.load(shared, index.add(row, from), builder.getF32Type()); };
    auto parameter = [&](Value tensor) {
      Value value = device.kernel.reader(tensor, emitter)({LaneValue::uniform(column)}).value;
      return convertFloat(builder, loc, value, builder.getF32Type());
    };
    Value value = element;
    if (rows.norm.getKind() == NormKind::Layer)
      value = arith::SubFOp::create(builder, loc, value, moment(meansAt));
    value = arith::MulFOp::create(builder, loc, value, moment(factorsAt));
    if (rows.norm.getScale())
      value = arith::MulFOp::create(builder, loc, value, parameter(rows.norm.getScale()), contract);
    if (rows.norm.getShift())
      value = arith::AddFOp::create(builder, loc, value, parameter(rows.norm.getShift()), contract);
    return value;
  }

  /// Columns behind the last panel are copies of its own.
  void loadPanels(Value word, Value at) {
    Value lastPanel = scope.dim(shapeOf(op.getResult())[1].ceilDiv(Dim(panelColumns)) - Dim(1), loc);
    OperandWords source(device, op.getRhs(), kind);
    Value last = index.constant(words - 1);
    product.forEachRightChunk(at, [&](Value step, Value column, Value to) {
      Value k = index.add(word, step), all = index.add(firstColumn, column);
      Value panel = index.min(index.div(all, panelColumns), lastPanel);
      Value line = index.add(index.mul(panel, words), index.min(k, last));
      Value from = index.add(index.mul(line, panelColumns), index.rem(all, panelColumns));
      source.copy(source.stepOf(from), shared, to, isBelow(k, index.constant(words)));
    });
  }

  //===--------------------------------------------------------------------===//
  // The result
  //===--------------------------------------------------------------------===//

  void storeResult() {
    Value width = scope.dim(shapeOf(op.getResult())[1], loc);
    product.forEachElement([&](Value row, Value column, Value element) {
      Value i = index.add(firstRow, row), j = index.add(firstColumn, column);
      Value exists = arith::AndIOp::create(builder, loc, isBelow(i, rowCount), isBelow(j, width));
      emitGuarded(device.kernel, exists, [&] {
        RegionEmitter emitter(scope, 1, loc);
        device.kernel.finish(emitter, {LaneValue::uniform(i), LaneValue::uniform(j)}, index.add(index.mul(i, width), j),
                             LaneValue::uniform(element, true));
      });
    });
  }

  DeviceLowering &device;
  ContractOp op;
  KernelScope &scope = device.kernel.scope;
  OpBuilder &builder = device.kernel.builder;
  Location loc = device.kernel.loc;
  IndexMath index{builder, loc};
  DeviceMath math{builder, loc};
  WordKind kind = *wordKindOf(elementOf(op.getLhs()));
  int64_t depth = *shapeOf(op.getLhs())[1].constant();
  int64_t words = kind == WordKind::F32 ? depth : pairWords(depth);
  CopiedRows rows = CopiedRows::of(op);
  Value shared = math.pointerOf(device.function.shared(builder, loc, builder.getI32Type(), sharedWords));
  BlockProduct product;
  Value firstRow, firstColumn, rowCount;
};

} // namespace

DeviceForm panelProductForm(ContractOp op) {
  DeviceForm form;
  form.name = "mma.sync against panels";
  form.tiles = PanelProduct::rowBlocks(op) * PanelProduct::columnBlocks(op);
  form.blockThreads = BlockProduct::threads;
  form.emit = [op](DeviceLowering &device) {
    PanelProduct(device, op).emit();
    return success();
  };
  return form;
}

} // namespace tenon
