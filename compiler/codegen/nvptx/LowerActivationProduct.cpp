//===- LowerActivationProduct.cpp - products of two activations on tensor cores ----===//
//
// For each point of the outer indices the product of two matrices (passes/lowering/ActivationProduct.h), a tile of C a
// block, by mma.sync (BlockProduct.h) or, of 16 bits on Hopper, by wgmma (WarpgroupProduct.h). An operand whose lines lie side by side, on multiples of 16 bytes, is copied to shared memory
// sixteen bytes a thread: rows of the left one along k, rows of the right one along its columns, in f32. Others go
// through registers word by word, neighbouring threads along what lies side by side.
//
// Two operands of bf16 or of f16 are multiplied as they are, in pairs along k; of different types both become f32.
//
#include "compiler/codegen/nvptx/BlockProduct.h"
#include "compiler/codegen/nvptx/OperandWords.h"
#include "compiler/codegen/nvptx/ProductForms.h"
#include "compiler/codegen/nvptx/WarpgroupProduct.h"
#include "passes/lowering/ActivationProduct.h"

using namespace mlir;

namespace tenon {
namespace {

using Indices = ActivationProduct::Indices;
using Stride = ProductPlaces::Stride;

WordKind kindOf(const ActivationProduct &product) {
  Type left = elementOf(product.left);
  return left == elementOf(product.right) ? *wordKindOf(left) : WordKind::F32;
}

/// `Block` multiplies: BlockProduct or WarpgroupProduct.
template <typename Block> class ActivationBlock {
public:
  static constexpr bool byWarpgroups = std::is_same_v<Block, WarpgroupProduct>;

  /// Of C, for the matrices of a product.
  static Dim rowBlocks(const ActivationProduct &product) { return countOf(product.rows).ceilDiv(Dim(Block::rows)); }
  static Dim columnBlocks(const ActivationProduct &product) {
    return product.columns.front().size.ceilDiv(Dim(Block::columns));
  }

  ActivationBlock(DeviceLowering &device, const ActivationProduct &product)
      : device(device), product(product), inner(builder, loc, kind, shared, device.function.thread) {}

  void emit() {
    Value across = dim(columnBlocks(product)), down = dim(rowBlocks(product));
    Value block = device.function.block, matrix = index.div(block, index.mul(across, down));
    Value within = index.rem(block, index.mul(across, down));
    firstRow = index.mul(index.div(within, across), Block::rows);
    firstColumn = index.mul(index.rem(within, across), Block::columns);
    rowCount = dim(countOf(product.rows));
    columnCount = dim(columns().size);
    depth = dim(countOf(product.summed));
    outerPoint = places.pointOf(matrix, product.outer);
    Value words = index.ceilDiv(depth, elementsOf(kind));
    inner.emit(
        words, [&](Value word, Value at) { loadLeft(word, at); }, [&](Value word, Value at) { loadRight(word, at); });
    storeResult();
  }

private:
  const ProductIndex &columns() const { return product.columns.front(); }
  const ProductIndex &steps() const { return product.summed.back(); }
  Value dim(const Dim &dim) { return scope.dim(dim, loc); }
  Value isBelow(Value a, Value b) { return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, a, b); }
  Value lastOf(Value count) { return index.sub(count, index.constant(1)); }

  /// Elements from the first one of an operand to those of this block's matrix.
  Value baseOf(Stride stride) { return places.offsetOf(outerPoint, product.outer, stride); }
  Value offsetOf(Value number, const Indices &indices, Stride stride) {
    return places.offsetOf(places.pointOf(number, indices), indices, stride);
  }

  /// Steps of k lie side by side in the left operand, columns in the right one.
  bool leftIsAlongSteps() { return steps().left == Dim(1); }
  bool rightIsAlongColumns() { return columns().right == Dim(1); }

  static bool mayCopy(const OperandWords &operand, ArrayRef<ProductIndex> indices, Stride stride) {
    return llvm::all_of(indices, [&](const ProductIndex &index) { return operand.mayCopy(index.*stride); });
  }

  bool leftIsCopied() {
    return product.summed.size() == 1 && leftIsAlongSteps() && left.mayCopy(steps().size) &&
           mayCopy(left, product.rows, &ProductIndex::left) && mayCopy(left, product.outer, &ProductIndex::left);
  }
  bool rightIsCopied() {
    return kind == WordKind::F32 && rightIsAlongColumns() && right.mayCopy(columns().size) &&
           mayCopy(right, product.summed, &ProductIndex::right) && mayCopy(right, product.outer, &ProductIndex::right);
  }

  //===--------------------------------------------------------------------===//
  // Operands
  //===--------------------------------------------------------------------===//

  Value leftAt(Value row) {
    Value existing = index.min(index.add(firstRow, row), lastOf(rowCount));
    return index.add(baseOf(&ProductIndex::left), offsetOf(existing, product.rows, &ProductIndex::left));
  }
  Value rightAt(Value column) {
    Value existing = index.min(index.add(firstColumn, column), lastOf(columnCount));
    return index.add(baseOf(&ProductIndex::right), index.mul(existing, dim(columns().right)));
  }

  /// Elements from the start of a line of an operand to step k.
  Value stepAt(Value k, Stride stride) { return offsetOf(k, product.summed, stride); }

  void loadLeft(Value word, Value at) {
    if (!leftIsCopied())
      return inner.fillLeft(at, /*alongRows=*/!leftIsAlongSteps(), [&](Value row, Value step) {
        return left.word(left.stepOf(index.add(word, step)), depth,
                         [&](Value k) { return index.add(leftAt(row), stepAt(k, &ProductIndex::left)); });
      });
    Value last = index.sub(depth, index.constant(left.copiedElements()));
    inner.forEachLeftChunk(at, [&](Value row, Value step, Value to) {
      Value k = left.stepOf(index.add(word, step));
      left.copy(index.add(leftAt(row), index.min(k, last)), shared, to, isBelow(k, depth));
    });
  }

  void loadRight(Value word, Value at) {
    if (!rightIsCopied())
      return inner.fillRight(at, rightIsAlongColumns(), [&](Value step, Value column) {
        return right.word(right.stepOf(index.add(word, step)), depth,
                          [&](Value k) { return index.add(rightAt(column), stepAt(k, &ProductIndex::right)); });
      });
    Value last = index.sub(columnCount, index.constant(right.copiedElements()));
    inner.forEachRightChunk(at, [&](Value step, Value column, Value to) {
      Value k = index.add(word, step), existing = index.min(k, lastOf(depth));
      Value first = index.min(index.add(firstColumn, column), last);
      Value line = index.add(baseOf(&ProductIndex::right), stepAt(existing, &ProductIndex::right));
      right.copy(index.add(line, first), shared, to, isBelow(k, depth));
    });
  }

  //===--------------------------------------------------------------------===//
  // The result
  //===--------------------------------------------------------------------===//

  void storeResult() {
    inner.forEachElement([&](Value row, Value column, Value sum) {
      Value i = index.add(firstRow, row), j = index.add(firstColumn, column);
      Value exists = arith::AndIOp::create(builder, loc, isBelow(i, rowCount), isBelow(j, columnCount));
      emitIf(device.kernel.scope, device.kernel.loc, exists, [&] { storeElement(i, j, sum); });
    });
  }

  void storeElement(Value i, Value j, Value sum) {
    Shape shape = shapeOf(product.op.getResult());
    SmallVector<Value> rowPoint = places.pointOf(i, product.rows);
    SmallVector<LaneValue> at(shape.size(), LaneValue::uniform(index.constant(0)));
    places.place(outerPoint, product.outer, shape, at);
    places.place(rowPoint, product.rows, shape, at);
    if (columns().dims.size() == 1)
      at[columns().dims[0]] = LaneValue::uniform(j);
    Value line =
        index.add(baseOf(&ProductIndex::result), places.offsetOf(rowPoint, product.rows, &ProductIndex::result));
    RegionEmitter emitter(scope, 1, loc);
    Value narrow = convertFloat(builder, loc, sum, elementOf(product.op.getResult()));
    device.kernel.finish(emitter, at, index.add(line, j), LaneValue::uniform(narrow, true));
  }

  DeviceLowering &device;
  ActivationProduct product;
  KernelScope &scope = device.kernel.scope;
  OpBuilder &builder = device.kernel.builder;
  Location loc = device.kernel.loc;
  IndexMath index{builder, loc};
  DeviceMath math{builder, loc};
  ProductPlaces places{scope, loc};
  WordKind kind = kindOf(product);
  OperandWords left{device, product.left, kind}, right{device, product.right, kind};
  Value shared =
      math.pointerOf(byWarpgroups ? device.function.launchedShared(builder, loc, builder.getI32Type())
                                  : device.function.shared(builder, loc, builder.getI32Type(), Block::sharedWords()));
  Block inner;
  SmallVector<Value> outerPoint;
  Value firstRow, firstColumn, rowCount, columnCount, depth;
};

/// Pairs, and tiles that are no more than half empty as far as one knows.
bool isForWarpgroups(const ActivationProduct &product) {
  auto fills = [](const Dim &count, int64_t tile) { return !count.constant() || *count.constant() > tile / 2; };
  return hasWarpgroups(product.op) && kindOf(product) != WordKind::F32 &&
         fills(countOf(product.rows), WarpgroupProduct::rows) &&
         fills(product.columns.front().size, WarpgroupProduct::columns);
}

template <typename Block> DeviceForm formBy(const ActivationProduct &product, const std::string &name) {
  using Product = ActivationBlock<Block>;
  DeviceForm form;
  form.name = name;
  form.tiles = countOf(product.outer) * Product::rowBlocks(product) * Product::columnBlocks(product);
  form.blockThreads = Block::threads;
  form.sharedBytes = Product::byWarpgroups ? 4 * Block::sharedWords() : 0;
  form.emit = [product](DeviceLowering &device) {
    Product(device, product).emit();
    return success();
  };
  return form;
}

} // namespace

DeviceForm activationProductForm(const ActivationProduct &product) {
  return isForWarpgroups(product) ? formBy<WarpgroupProduct>(product, "wgmma")
                                  : formBy<BlockProduct>(product, "mma.sync");
}

} // namespace tenon
