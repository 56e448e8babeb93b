// Emits products on the matrix unit by its intrinsics; the header draws the blocks.

#include "passes/lowering/MatrixTiles.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "passes/lowering/IndexMath.h"

using namespace mlir;

namespace tenon {

namespace {
class MatrixTileEmitter {
public:
  MatrixTileEmitter(Location loc, const TileProduct &product)
      : loc(loc), product(product), tileType(product.unit.getAs<TypeAttr>("type").getValue()) {}

  void emit(OpBuilder &builder) const {
    scf::IfOp::create(
        builder, loc, product.accumulate,
        [&](OpBuilder &inner, Location) {
          emitNest(inner, /*accumulate=*/true);
          scf::YieldOp::create(inner, loc);
        },
        [&](OpBuilder &inner, Location) {
          emitNest(inner, /*accumulate=*/false);
          scf::YieldOp::create(inner, loc);
        });
  }

private:
  static constexpr int64_t side = matrixTileSide;
  static constexpr int64_t wordBytes = 4, rowBytes = side * wordBytes;

  using LoopBody = llvm::function_ref<void(OpBuilder &, Value at, int64_t count)>;

  /// `body` for every two of `count` (index), then for one that is left.
  void forPairs(OpBuilder &builder, Value count, LoopBody body) const {
    IndexMath index{builder, loc};
    Value even = index.sub(count, index.rem(count, 2));
    for (int64_t width : {2, 1}) {
      Value from = width == 2 ? index.constant(0) : even, to = width == 2 ? even : count;
      scf::ForOp::create(builder, loc, from, to, index.constant(width), ValueRange(),
                         [&](OpBuilder &inner, Location, Value at, ValueRange) {
                           body(inner, at, width);
                           scf::YieldOp::create(inner, loc);
                         });
    }
  }

  /// The panels of a block stay in the first-level cache while rows stream by.
  void emitNest(OpBuilder &builder, bool accumulate) const {
    Value rowTiles = IndexMath{builder, loc}.div(product.rows, side);
    forPairs(builder, product.panels, [&](OpBuilder &outer, Value panel, int64_t panels) {
      forPairs(outer, rowTiles, [&](OpBuilder &inner, Value rowTile, int64_t rows) {
        emitBlock(inner, IndexMath{inner, loc}.mul(rowTile, side), rows, panel, panels, accumulate);
      });
    });
  }

  /// `rows` x `panels` tiles of C from row `row` and panel `panel` on.
  void emitBlock(OpBuilder &builder, Value row, int64_t rows, Value panel, int64_t panels, bool accumulate) const {
    IndexMath index{builder, loc};
    Value a = index.add(product.aOffset, index.mul(row, product.aRow));
    Value b = index.add(product.bOffset, index.mul(panel, product.panelStride));
    Value c = index.add(product.cOffset, index.add(index.mul(row, product.cRow), index.mul(panel, side)));
    auto cAt = [&](int64_t i, int64_t j) { return index.add(c, i * side * product.cRow + j * side); };
    SmallVector<Value> sums;
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < panels; ++j)
        sums.push_back(accumulate ? load(builder, product.c, cAt(i, j), product.cRow) : zero(builder));
    auto loop = scf::ForOp::create(
        builder, loc, index.constant(0), product.k, index.constant(side), sums,
        [&](OpBuilder &inner, Location, Value k, ValueRange carried) {
          IndexMath at{inner, loc};
          scf::YieldOp::create(inner, loc,
                               step(inner, at.add(a, k), at.add(b, at.mul(k, product.bK)), rows, panels, carried));
        });
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < panels; ++j)
        store(builder, loop.getResult(i * panels + j), cAt(i, j));
  }

  /// Sixteen words of k. B's tiles are loaded first: each of A's then meets them as soon as it is there.
  SmallVector<Value> step(OpBuilder &builder, Value aAt, Value bAt, int64_t rows, int64_t panels,
                          ValueRange sums) const {
    IndexMath index{builder, loc};
    SmallVector<Value> columns, next(sums);
    for (int64_t j = 0; j < panels; ++j)
      columns.push_back(load(builder, product.b, index.step(bAt, j, product.panelStride), product.bK));
    for (int64_t i = 0; i < rows; ++i) {
      Value row = load(builder, product.a, index.add(aAt, i * side * product.aRow), product.aRow);
      for (auto [sum, column] : llvm::zip_equal(MutableArrayRef(next).slice(i * panels, panels), columns))
        sum = multiplyAdd(builder, sum, row, column);
    }
    return next;
  }

  //===--------------------------------------------------------------------===//
  // Instructions
  //===--------------------------------------------------------------------===//

  Value i16(OpBuilder &builder, int64_t value) const { return arith::ConstantIntOp::create(builder, loc, value, 16); }

  Value pointerTo(OpBuilder &builder, Value base, Value offset) const {
    Value address = memref::ExtractAlignedPointerAsIndexOp::create(builder, loc, base);
    address = arith::AddIOp::create(builder, loc, address, IndexMath{builder, loc}.mul(offset, wordBytes));
    Value bits = arith::IndexCastOp::create(builder, loc, builder.getI64Type(), address);
    return LLVM::IntToPtrOp::create(builder, loc, LLVM::LLVMPointerType::get(builder.getContext()), bits);
  }

  StringAttr named(StringRef key) const { return product.unit.getAs<StringAttr>(key); }

  Value intrinsic(OpBuilder &builder, StringRef key, ArrayRef<Value> operands) const {
    auto call = LLVM::CallIntrinsicOp::create(builder, loc, tileType, named(key), operands);
    return call.getResult(0);
  }

  Value zero(OpBuilder &builder) const {
    return intrinsic(builder, "zero", {i16(builder, side), i16(builder, rowBytes)});
  }

  Value rowDistance(OpBuilder &builder, int64_t words) const {
    return arith::ConstantIntOp::create(builder, loc, words * wordBytes, 64);
  }

  Value load(OpBuilder &builder, Value base, Value offset, int64_t rowWords) const {
    return intrinsic(builder, "load",
                     {i16(builder, side), i16(builder, rowBytes), pointerTo(builder, base, offset),
                      rowDistance(builder, rowWords)});
  }

  void store(OpBuilder &builder, Value tile, Value offset) const {
    LLVM::CallIntrinsicOp::create(builder, loc, named("store"),
                                  ValueRange{i16(builder, side), i16(builder, rowBytes),
                                             pointerTo(builder, product.c, offset), rowDistance(builder, product.cRow),
                                             tile});
  }

  Value multiplyAdd(OpBuilder &builder, Value sum, Value a, Value b) const {
    return intrinsic(builder, "multiply_add",
                     {i16(builder, side), i16(builder, rowBytes), i16(builder, rowBytes), sum, a, b});
  }

  Location loc;
  const TileProduct &product;
  Type tileType;
};
} // namespace

void emitMatrixTiles(OpBuilder &builder, Location loc, const TileProduct &product) {
  MatrixTileEmitter(loc, product).emit(builder);
}

} // namespace tenon
