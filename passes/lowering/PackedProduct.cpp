// The loop nest around the register tile; the header draws it.

#include "passes/lowering/PackedProduct.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "passes/lowering/IndexMath.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace tenon {

using LoopBody = llvm::function_ref<void(OpBuilder &, Value)>;

static void emitLoop(OpBuilder &builder, Location loc, Value from, Value to, int64_t step, LoopBody body) {
  Value stride = arith::ConstantIndexOp::create(builder, loc, step);
  scf::ForOp::create(builder, loc, from, to, stride, ValueRange(),
                     [&](OpBuilder &inner, Location, Value i, ValueRange) {
                       body(inner, i);
                       scf::YieldOp::create(inner, loc);
                     });
}

static void emitLoop(OpBuilder &builder, Location loc, Value count, LoopBody body) {
  emitLoop(builder, loc, arith::ConstantIndexOp::create(builder, loc, 0), count, 1, body);
}

static void emitIf(OpBuilder &builder, Location loc, Value condition, llvm::function_ref<void(OpBuilder &)> body) {
  scf::IfOp::create(builder, loc, condition, [&](OpBuilder &inner, Location) {
    body(inner);
    scf::YieldOp::create(inner, loc);
  });
}

//===----------------------------------------------------------------------===//
// Scratch: the piece of C first, then the slabs of A
//===----------------------------------------------------------------------===//

static int64_t cElements(const ProductBlocking &blocking) { return blocking.rowBlock * blocking.cPitch(); }
static int64_t aSlabElements(const ProductBlocking &blocking) { return blocking.rowBlock * blocking.aPitch(); }

int64_t packedProductScratch(const ProductBlocking &blocking, int64_t k) {
  return cElements(blocking) + llvm::divideCeil(k, blocking.kSlab) * aSlabElements(blocking);
}

Value packedProductGrid(OpBuilder &builder, Location loc, const PackedProduct &product) {
  IndexMath index{builder, loc};
  return index.mul(index.ceilDiv(product.rows, product.blocking.rowBlock),
                   index.ceilDiv(product.panels, product.blocking.panelGroup));
}

//===----------------------------------------------------------------------===//
// The nest
//===----------------------------------------------------------------------===//

namespace {
class ProductEmitter {
public:
  ProductEmitter(Location loc, ModuleOp module, const PackedProduct &product)
      : loc(loc), product(product), blocking(product.blocking),
        family(TileFunction::get(module, product.tile,
                                 {blocking.aPitch(), RegisterTile::panelWidth, blocking.cPitch()})) {}

  void emit(OpBuilder &builder) {
    IndexMath index{builder, loc};
    groups = index.ceilDiv(product.panels, blocking.panelGroup);
    // Row blocks are nearly equal like the tiles in them: 128 + 1 rows are two
    // blocks of 65 and 64.
    blocks = RowSplit::create(builder, loc, product.rows, blocking.rowBlock);
    slabs = index.ceilDiv(product.k, blocking.kSlab);
    panelStride = index.mul(product.k, RegisterTile::panelWidth);
    emitLoop(builder, loc, product.firstTile, product.lastTile, 1,
             [&](OpBuilder &inner, Value tile) { emitTile(inner, tile); });
  }

private:
  /// One kernel tile: what the loops below it share.
  struct Tile {
    Value firstRow, rowCount;     // of the row block
    Value firstPanel, panelCount; // of the group
    RowSplit split;               // of the block's rows into register tiles
    Value width;                  // panels taken at a time
  };

  void emitTile(OpBuilder &builder, Value number) {
    IndexMath index{builder, loc};
    Value block = index.div(number, groups), group = index.rem(number, groups);
    Tile tile;
    tile.firstRow = blocks.firstRowOf(builder, loc, block);
    tile.rowCount = blocks.heightOf(builder, loc, block);
    tile.firstPanel = index.mul(group, blocking.panelGroup);
    tile.panelCount = index.min(index.sub(product.panels, tile.firstPanel), index.constant(blocking.panelGroup));
    tile.split = RowSplit::create(builder, loc, tile.rowCount, product.tile.rows);
    tile.width = widthOf(builder, tile.split.height);
    Value isNewBlock = arith::OrIOp::create(builder, loc, index.equal(group, index.constant(0)),
                                            index.equal(number, product.firstTile));
    emitIf(builder, loc, isNewBlock, [&](OpBuilder &inner) { emitCopies(inner, tile); });
    emitLoop(builder, loc, slabs, [&](OpBuilder &inner, Value slab) { emitSlab(inner, tile, slab); });
  }

  /// Few rows need several panels at once to keep the multiply-add units busy;
  /// many rows reuse the slab of a few panels best while it is in L1.
  Value widthOf(OpBuilder &builder, Value height) const {
    IndexMath index{builder, loc};
    Value narrow = index.constant(product.tile.panelsAt(product.tile.rows));
    Value isLow = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, height,
                                        index.constant(product.tile.rows / 2));
    return arith::SelectOp::create(builder, loc, isLow, index.constant(blocking.panelGroup), narrow);
  }

  Value slabLength(OpBuilder &builder, Value kBegin) const {
    IndexMath index{builder, loc};
    return index.min(index.sub(product.k, kBegin), index.constant(blocking.kSlab));
  }

  Value aOffset(OpBuilder &builder, Value slab, Value row) const {
    IndexMath index{builder, loc};
    Value inSlab = index.add(index.mul(slab, aSlabElements(blocking)), index.mul(row, blocking.aPitch()));
    return index.add(inSlab, cElements(blocking));
  }

  void emitCopies(OpBuilder &builder, const Tile &tile) {
    emitLoop(builder, loc, slabs, [&](OpBuilder &outer, Value slab) {
      IndexMath index{outer, loc};
      Value kBegin = index.mul(slab, blocking.kSlab);
      Value kCount = slabLength(outer, kBegin);
      emitLoop(outer, loc, tile.rowCount, [&](OpBuilder &inner, Value row) {
        Value globalRow = IndexMath{inner, loc}.add(tile.firstRow, row);
        product.loadRow(inner, loc, globalRow, kBegin, kCount, product.scratch, aOffset(inner, slab, row));
      });
    });
  }

  void emitSlab(OpBuilder &builder, const Tile &tile, Value slab) {
    IndexMath index{builder, loc};
    Value zero = index.constant(0);
    scf::ForOp::create(builder, loc, zero, tile.panelCount, tile.width, ValueRange(),
                       [&](OpBuilder &outer, Location, Value panel, ValueRange) {
                         Value next = nextOffset(outer, tile, slab, panel);
                         emitLoop(outer, loc, tile.split.count, [&](OpBuilder &inner, Value rows) {
                           emitRegisterTile(inner, tile, slab, panel, next, rows);
                         });
                         scf::YieldOp::create(outer, loc);
                       });
  }

  Value bOffset(OpBuilder &builder, Value panel, Value slab) const {
    IndexMath index{builder, loc};
    Value inPanel = index.mul(slab, blocking.kSlab * RegisterTile::panelWidth);
    return index.add(product.bOffset, index.add(index.mul(panel, panelStride), inPanel));
  }

  /// What is read after these panels of this slab: the group's next panels, else
  /// its next slab from the first panel on, else the next group.
  Value nextOffset(OpBuilder &builder, const Tile &tile, Value slab, Value panel) const {
    IndexMath index{builder, loc};
    Value nextPanel = index.add(panel, tile.width), nextSlab = index.add(slab, 1);
    auto isBelow = [&](Value a, Value b) {
      return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, a, b);
    };
    auto select = [&](Value condition, Value a, Value b) {
      return arith::SelectOp::create(builder, loc, condition, a, b);
    };
    Value moreSlabs = isBelow(nextSlab, slabs), morePanels = isBelow(nextPanel, tile.panelCount);
    Value wrapped = bOffset(builder, tile.firstPanel, nextSlab);
    Value following = bOffset(builder, index.add(tile.firstPanel, tile.panelCount), index.constant(0));
    Value sameSlab = bOffset(builder, index.add(tile.firstPanel, nextPanel), slab);
    return select(morePanels, sameSlab, select(moreSlabs, wrapped, following));
  }

  void emitRegisterTile(OpBuilder &builder, const Tile &tile, Value slab, Value panel, Value next, Value rows) {
    IndexMath index{builder, loc};
    Value row = tile.split.firstRowOf(builder, loc, rows);
    Value kBegin = index.mul(slab, blocking.kSlab);
    Value globalPanel = index.add(tile.firstPanel, panel);
    TileFunction::Arguments x;
    x.a = product.scratch;
    x.aOffset = aOffset(builder, slab, row);
    x.b = product.b;
    x.bOffset = bOffset(builder, globalPanel, slab);
    x.panelStride = panelStride;
    x.c = product.scratch;
    x.cOffset = index.add(index.mul(row, blocking.cPitch()), index.mul(panel, RegisterTile::panelWidth));
    x.height = tile.split.heightOf(builder, loc, rows);
    x.panels = index.min(index.sub(tile.panelCount, panel), tile.width);
    x.k = slabLength(builder, kBegin);
    // Each register tile of rows fetches its share of the panels to come.
    x.nextOffset = index.add(next, index.mul(index.div(index.mul(rows, x.k), tile.split.count),
                                             index.constant(RegisterTile::panelWidth)));
    x.nextStep = index.div(index.add(tile.split.count, RegisterTile::panelWidth - 1), tile.split.count);
    x.accumulate = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ne, slab, index.constant(0));
    family.call(builder, loc, x);
    Value isLast = index.equal(index.add(slab, 1), slabs);
    emitIf(builder, loc, isLast, [&](OpBuilder &inner) {
      Value globalRow = IndexMath{inner, loc}.add(tile.firstRow, row);
      product.epilogue(inner, loc, {globalRow, x.height, globalPanel, x.panels, x.c, x.cOffset, blocking.cPitch()});
    });
  }

  Location loc;
  const PackedProduct &product;
  const ProductBlocking &blocking;
  TileFunction family;
  Value groups, slabs, panelStride;
  RowSplit blocks;
};
} // namespace

void emitPackedProduct(OpBuilder &builder, Location loc, ModuleOp module, const PackedProduct &product) {
  ProductEmitter(loc, module, product).emit(builder);
}

void copyRow(OpBuilder &builder, Location loc, unsigned lanes, Value from, Value fromOffset, Value count, Value to,
             Value toOffset) {
  IndexMath index{builder, loc};
  auto type = VectorType::get({lanes}, builder.getF32Type());
  Value whole = index.sub(count, index.rem(count, lanes));
  emitLoop(builder, loc, index.constant(0), whole, lanes, [&](OpBuilder &inner, Value i) {
    IndexMath at{inner, loc};
    Value values = vector::LoadOp::create(inner, loc, type, from, at.add(fromOffset, i));
    vector::StoreOp::create(inner, loc, values, to, at.add(toOffset, i));
  });
  emitLoop(builder, loc, whole, count, 1, [&](OpBuilder &inner, Value i) {
    IndexMath at{inner, loc};
    Value value = memref::LoadOp::create(inner, loc, from, at.add(fromOffset, i));
    memref::StoreOp::create(inner, loc, value, to, at.add(toOffset, i));
  });
}

} // namespace tenon
