//===- LowerPanelProduct.cpp - products with weights on tensor cores ---------------===//
//
// "m k, k n -> m n" against panels [N/16][words][16], which are those of a CPU: a tile of C a block, by mma.sync
// (BlockProduct.h), or on Hopper by wgmma (WarpgroupProduct.h). Panels are copied to shared memory a slab at once by wgmma's
// bulk copies, else sixteen bytes a thread, and so are rows of A that are in memory as they are. Rows that are gathered,
// normalised or computed by a map go through registers: where a row starts, its mean and its deviation are found once and
// kept in shared memory.
//
// The map behind the product is applied to each element of C as it is written.
//
#include "compiler/codegen/nvptx/BlockProduct.h"
#include "compiler/codegen/nvptx/OperandWords.h"
#include "compiler/codegen/nvptx/ProductForms.h"
#include "compiler/codegen/nvptx/ThreadGroup.h"
#include "compiler/codegen/nvptx/WarpgroupProduct.h"
#include "dialects/tenon/ContractSpec.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "passes/lowering/MicroKernel.h"
#include "passes/lowering/RowMove.h"

using namespace mlir;

namespace tenon {
namespace {

constexpr int64_t panelColumns = RegisterTile::panelWidth;

/// `Block` multiplies: BlockProduct or WarpgroupProduct.
template <typename Block> class PanelProduct {
public:
  PanelProduct(DeviceLowering &device, ContractOp op)
      : device(device), op(op), product(builder, loc, kind, shared, device.function.thread) {}

  void emit() {
    Value block = device.function.block, across = scope.dim(columnBlocks(op), loc);
    firstRow = index.mul(index.div(block, across), Block::rows);
    firstColumn = index.mul(index.rem(block, across), Block::columns);
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

  static constexpr bool byWarpgroups = std::is_same_v<Block, WarpgroupProduct>;

  /// Of pairs whole slabs; for few rows a smaller tile is better.
  static bool mayBe(ContractOp op) {
    std::optional<int64_t> rowCount = shapeOf(op.getLhs())[0].constant();
    bool isSmall = rowCount && *rowCount <= Block::rows / 2;
    return *wordKindOf(elementOf(op.getLhs())) != WordKind::F32 && !isSmall &&
           pairWords(*shapeOf(op.getLhs())[1].constant()) % Block::slabWords == 0;
  }

  static Dim rowBlocks(ContractOp op) { return shapeOf(op.getResult())[0].ceilDiv(Dim(Block::rows)); }
  static Dim columnBlocks(ContractOp op) { return shapeOf(op.getResult())[1].ceilDiv(Dim(Block::columns)); }

  /// Behind the product's words of shared memory: of each row where it starts (two words), its mean and 1 / deviation.
  static constexpr int64_t startsAt = Block::sharedWords();
  static constexpr int64_t meansAt = startsAt + 2 * Block::rows;
  static constexpr int64_t factorsAt = meansAt + Block::rows;
  static constexpr int64_t sharedWords = factorsAt + Block::rows;

private:
  static constexpr int64_t warps = Block::threads / TensorCore::warp;

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
    emitIf(device.kernel.scope, device.kernel.loc, isBelow(row, index.constant(Block::rows)), [&] {
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
    emitLoop(scope, loc, index.constant(0), index.constant(llvm::divideCeil(Block::rows, warps)), [&](Value turn) {
      Value number = index.add(index.mul(turn, warps), warp.number);
      // Warps without a row of their own do the last one's again, and keep it to themselves.
      Value row = index.min(number, index.constant(Block::rows - 1)), start = startOf(row);
      Value centre = constant(0);
      if (rows.norm.getKind() == NormKind::Layer)
        centre = mean([&](Value k) { return sourceElement(start, k); });
      Value squares = mean([&](Value k) -> Value {
        Value centred = arith::SubFOp::create(builder, loc, sourceElement(start, k), centre);
        return arith::MulFOp::create(builder, loc, centred, centred, arith::FastMathFlags::contract);
      });
      Value variance = arith::AddFOp::create(builder, loc, squares, constant(rows.norm.getEpsilon().convertToDouble()));
      Value factor = arith::DivFOp::create(builder, loc, constant(1), math::SqrtOp::create(builder, loc, variance));
      Value isOwn =
          arith::AndIOp::create(builder, loc, index.equal(warp.rank, index.constant(0)), index.equal(row, number));
      emitIf(device.kernel.scope, device.kernel.loc, isOwn, [&] {
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
      element =
          rows.norm ? normalised(emitter, row, column, sourceElement(start, column)) : sourceElement(start, column);
    else
      element =
          device.kernel.reader(op.getLhs(), emitter)({LaneValue::uniform(existingRow(row)), LaneValue::uniform(column)})
              .value;
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
    OperandWords source(device, op.getRhs(), kind);
    auto panelOf = [&](Value column) {
      Value last = scope.dim(shapeOf(op.getResult())[1].ceilDiv(Dim(panelColumns)) - Dim(1), loc);
      return index.min(index.div(index.add(firstColumn, column), panelColumns), last);
    };
    auto lineAt = [&](Value panel, Value step) {
      return index.mul(index.add(index.mul(panel, words), step), panelColumns);
    };
    if constexpr (byWarpgroups) {
      product.copyPanels(at, [&](Value panel) {
        return source.address(source.stepOf(lineAt(panelOf(index.mul(panel, panelColumns)), word)));
      });
    } else {
      Value last = index.constant(words - 1);
      product.forEachRightChunk(at, [&](Value step, Value column, Value to) {
        Value k = index.add(word, step), line = lineAt(panelOf(column), index.min(k, last));
        Value from = index.add(line, index.rem(column, panelColumns));
        source.copy(source.stepOf(from), shared, to, isBelow(k, index.constant(words)));
      });
    }
  }

  //===--------------------------------------------------------------------===//
  // The result
  //===--------------------------------------------------------------------===//

  void storeResult() {
    Value width = scope.dim(shapeOf(op.getResult())[1], loc);
    product.forEachElement([&](Value row, Value column, Value element) {
      Value i = index.add(firstRow, row), j = index.add(firstColumn, column);
      Value exists = arith::AndIOp::create(builder, loc, isBelow(i, rowCount), isBelow(j, width));
      emitIf(device.kernel.scope, device.kernel.loc, exists, [&] {
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
  Value shared = math.pointerOf(byWarpgroups ? device.function.launchedShared(builder, loc, builder.getI32Type())
                                             : device.function.shared(builder, loc, builder.getI32Type(), sharedWords));
  Block product;
  Value firstRow, firstColumn, rowCount;
};

template <typename Block> DeviceForm formBy(ContractOp op, const std::string &name) {
  using Product = PanelProduct<Block>;
  DeviceForm form;
  form.name = name;
  form.tiles = Product::rowBlocks(op) * Product::columnBlocks(op);
  form.blockThreads = Block::threads;
  form.sharedBytes = Product::byWarpgroups ? 4 * Product::sharedWords : 0;
  form.emit = [op](DeviceLowering &device) {
    Product(device, op).emit();
    return success();
  };
  return form;
}

} // namespace

DeviceForm panelProductForm(ContractOp op) {
  if (hasWarpgroups(op) && PanelProduct<WarpgroupProduct>::mayBe(op))
    return formBy<WarpgroupProduct>(op, "wgmma against panels");
  return formBy<BlockProduct>(op, "mma.sync against panels");
}

} // namespace tenon
