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
// Scratch: the piece of C first, then the slabs of A; behind one slab of A the panels of B's
//===----------------------------------------------------------------------===//

static int64_t cElements(const ProductBlocking &blocking) { return blocking.rowBlock * blocking.cPitch(); }
static int64_t aSlabElements(const ProductBlocking &blocking) { return blocking.rowBlock * blocking.aPitch(); }

int64_t packedProductScratch(const ProductBlocking &blocking, int64_t k) {
  return cElements(blocking) + llvm::divideCeil(k, blocking.kSlab) * aSlabElements(blocking);
}

/// Where operands come slab by slab, one of A's takes the room that either order of it needs.
static int64_t turnedElements(const ProductBlocking &blocking) { return blocking.kSlab * blocking.turnedPitch(); }
static int64_t panelsAt(const ProductBlocking &blocking) {
  return cElements(blocking) + std::max(aSlabElements(blocking), turnedElements(blocking));
}
static int64_t slabPanelElements(const ProductBlocking &blocking) { return blocking.kSlab * RegisterTile::panelWidth; }

int64_t inPlaceProductScratch(const ProductBlocking &blocking) { return cElements(blocking); }

int64_t slabProductScratch(const ProductBlocking &blocking) {
  return panelsAt(blocking) + blocking.panelGroup * slabPanelElements(blocking);
}

Value packedProductGrid(OpBuilder &builder, Location loc, const PackedProduct &product) {
  IndexMath index{builder, loc};
  return index.mul(index.ceilDiv(product.rows, product.blocking.rowBlock),
                   index.ceilDiv(product.panels, product.blocking.panelGroup));
}

RegisterTile productTile(unsigned lanes, unsigned registers, unsigned rows, TileStep step) {
  constexpr unsigned enoughRows = 8;
  if (step == TileStep::Bf16Tile)
    return {lanes, registers, rows, step};
  bool splits = step == TileStep::Bf16Split; // what is taken apart needs registers too
  RegisterTile tile{lanes, splits ? registers * 3 / 4 : registers, rows, step};
  auto rowsAt = [&](unsigned panels) { return (tile.registers - 1) / (panels * tile.vectorsPerPanel()) - 1; };
  unsigned rowsIfWide = rowsAt(splits ? 2 : 3);
  tile.rows = std::min(rows, rowsIfWide >= enoughRows ? rowsIfWide : rowsAt(1));
  return tile;
}

ProductBlocking productBlocking(const RegisterTile &tile, int64_t k) {
  ProductBlocking blocking;
  if (tile.takesWholeTiles()) {
    blocking.kSlab = 256; // two panels of B are 32 KB, in the first-level cache
    return blocking;
  }
  if (tile.panelsAt(tile.rows) == 1)
    blocking.kSlab = 768;
  if (k > 1024)
    blocking.rowBlock = 64;
  return blocking;
}

//===----------------------------------------------------------------------===//
// The nest
//===----------------------------------------------------------------------===//

/// Of a module whose level has more than one vector multiply-add unit: how many.
static int64_t multiplyAddUnitsOf(ModuleOp module) {
  auto units = module->getAttrOfType<IntegerAttr>("tenon.multiply_add_units");
  return units ? units.getInt() : 1;
}

namespace {
class ProductEmitter {
public:
  ProductEmitter(Location loc, ModuleOp module, const PackedProduct &product)
      : loc(loc), product(product), blocking(product.blocking), multiplyAddUnits(multiplyAddUnitsOf(module)),
        family(TileFunction::get(module, product.tile, strides())) {}

  void emit(OpBuilder &builder) {
    IndexMath index{builder, loc};
    groups = index.ceilDiv(product.panels, blocking.panelGroup);
    // Row blocks are nearly equal like the tiles in them: 128 + 1 rows are two
    // blocks of 65 and 64.
    blocks = RowSplit::create(builder, loc, product.rows, blocking.rowBlock);
    slabs = RowSplit::create(builder, loc, index.ceilDiv(product.k, kUnit), blocking.kSlab / kUnit);
    slabCount = slabs.count;
    panelStride = product.table ? index.constant(RegisterTile::panelWidth)
                                : index.mul(product.k, RegisterTile::panelWidth);
    if (product.slabs) {
      // Sums of nothing are zeros, which a slab of no steps gives.
      slabs.count = index.max(slabs.count, index.constant(1));
      slabCount = index.mul(slabs.count, product.slabs->outerCount);
      panelStride = index.constant(slabPanelElements(blocking));
    }
    emitLoop(builder, loc, product.firstTile, product.lastTile, 1,
             [&](OpBuilder &inner, Value tile) { emitTile(inner, tile); });
  }

private:
  TileFunction::Strides strides() const {
    bool isTurned = product.slabs && product.slabs->isTurned;
    return {isTurned ? 1 : blocking.aPitch(), RegisterTile::panelWidth, blocking.cPitch(),
            isTurned ? blocking.turnedPitch() : 1, /*fetchesAhead=*/!product.tile.takesWholeTiles(),
            product.rowsInPlace.has_value(), /*hasTable=*/bool(product.table)};
  }

  /// Slabs are cut at whole lines of A.
  static constexpr int64_t kUnit = RegisterTile::panelWidth;

  using Slab = ProductSlab;

  /// Panels multiplied at a time, counted from the group's first.
  struct Panels {
    Value first, count;
  };

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
    tile.split = RowSplit::create(builder, loc, tile.rowCount, tallest(builder, tile.rowCount));
    tile.width = widthOf(builder, tile.split.height);
    Value isFirst = index.equal(number, product.firstTile);
    auto either = [&](Value a, Value b) { return arith::OrIOp::create(builder, loc, a, b); };
    Value isNewBlock = either(isFirst, index.equal(group, index.constant(0)));
    if (!product.slabs) {
      if (!product.rowsInPlace)
        emitIf(builder, loc, isNewBlock, [&](OpBuilder &inner) { emitCopies(inner, tile); });
      forEachSlab(builder, [&](OpBuilder &inner, const Slab &slab) { emitSlab(inner, tile, slab); });
      return;
    }
    // A single slab is still in scratch from the tile before.
    auto isSeveral = [&](Value count) {
      return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ne, count, index.constant(1));
    };
    Value several = isSeveral(slabCount), isNewGroup = either(isFirst, isSeveral(groups));
    forEachSlab(builder, [&](OpBuilder &inner, const Slab &slab) {
      emitIf(inner, loc, either(isNewBlock, several), [&](OpBuilder &then) {
        product.slabs->loadRows(then, loc, slab, tile.firstRow, tile.rowCount, product.scratch,
                                IndexMath{then, loc}.constant(cElements(blocking)));
      });
      emitIf(inner, loc, either(isNewGroup, several), [&](OpBuilder &then) {
        product.slabs->loadPanels(then, loc, slab, tile.firstPanel, tile.panelCount, product.scratch,
                                  IndexMath{then, loc}.constant(panelsAt(blocking)));
      });
      emitSlab(inner, tile, slab);
    });
  }

  void forEachSlab(OpBuilder &builder, llvm::function_ref<void(OpBuilder &, const Slab &)> body) const {
    emitLoop(builder, loc, slabCount, [&](OpBuilder &inner, Value number) { body(inner, slabAt(inner, number)); });
  }

  Slab slabAt(OpBuilder &builder, Value number) const {
    IndexMath index{builder, loc};
    Value outer = product.slabs ? index.div(number, slabs.count) : index.constant(0);
    Value within = product.slabs ? index.rem(number, slabs.count) : number;
    Value begin = index.mul(slabs.firstRowOf(builder, loc, within), kUnit);
    Value count = index.mul(slabs.heightOf(builder, loc, within), kUnit);
    return {number, outer, begin, index.min(count, index.sub(product.k, begin))};
  }

  /// A matrix unit takes a block at once. So few rows that memory limits them are cut lower, for tiles that fetch from
  /// it the fastest; with two multiply-add units, where one tile can hold them all, it does not keep memory waiting.
  Value tallest(OpBuilder &builder, Value rows) const {
    IndexMath index{builder, loc};
    if (product.tile.takesWholeTiles())
      return index.constant(blocking.rowBlock);
    int64_t low = TileFunction::lowHeight(product.tile), most = multiplyAddUnits > 1 ? product.tile.rows : 0;
    Value areFew = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ule, rows, index.constant(2 * low));
    Value areSeveral = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ugt, rows, index.constant(most));
    areFew = arith::AndIOp::create(builder, loc, areFew, areSeveral);
    return arith::SelectOp::create(builder, loc, areFew, index.constant(low), index.constant(product.tile.rows));
  }

  /// Few rows need several panels at once to keep the multiply-add units busy;
  /// many rows reuse the slab of a few panels best while it is in L1.
  Value widthOf(OpBuilder &builder, Value height) const {
    IndexMath index{builder, loc};
    if (product.tile.takesWholeTiles())
      return index.constant(blocking.panelGroup);
    Value narrow = index.constant(product.tile.panelsAt(product.tile.rows));
    Value isLow = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, height,
                                        index.constant(product.tile.rows / 2));
    return arith::SelectOp::create(builder, loc, isLow, index.constant(blocking.panelGroup), narrow);
  }

  Value aOffset(OpBuilder &builder, const Slab &slab, Value row) const {
    IndexMath index{builder, loc};
    Value inSlab = index.mul(row, strides().aRow);
    if (!product.slabs)
      inSlab = index.add(index.mul(slab.number, aSlabElements(blocking)), inSlab);
    return index.add(inSlab, cElements(blocking));
  }

  void emitCopies(OpBuilder &builder, const Tile &tile) {
    // Row by row, as they lie in memory: slab by slab the pieces of a long row are pages apart, and take twice as long.
    emitLoop(builder, loc, tile.rowCount, [&](OpBuilder &outer, Value row) {
      Value globalRow = IndexMath{outer, loc}.add(tile.firstRow, row);
      forEachSlab(outer, [&](OpBuilder &inner, const Slab &slab) {
        product.loadRow(inner, loc, globalRow, slab.begin, slab.count, product.scratch, aOffset(inner, slab, row));
      });
    });
  }

  void emitSlab(OpBuilder &builder, const Tile &tile, const Slab &slab) {
    // Nearly equal again: four panels are 2 + 2, not 3 + 1.
    RowSplit split = RowSplit::create(builder, loc, tile.panelCount, tile.width);
    emitLoop(builder, loc, split.count, [&](OpBuilder &outer, Value step) {
      Panels panels{split.firstRowOf(outer, loc, step), split.heightOf(outer, loc, step)};
      Value next = nextOffset(outer, tile, slab, panels);
      emitLoop(outer, loc, tile.split.count, [&](OpBuilder &inner, Value rows) {
        emitRegisterTile(inner, tile, slab, panels, next, rows);
      });
    });
  }

  /// Of a panel of the tile's group, counted from its first.
  Value bOffset(OpBuilder &builder, const Tile &tile, Value panel, Value kBegin) const {
    IndexMath index{builder, loc};
    if (product.slabs)
      return index.add(index.mul(panel, panelStride), panelsAt(blocking));
    Value inPanel = product.table ? index.constant(0) : index.mul(kBegin, RegisterTile::panelWidth);
    Value all = index.add(tile.firstPanel, panel);
    return index.add(product.bOffset, index.add(index.mul(all, panelStride), inPanel));
  }

  /// What is read after these panels of this slab: the group's next panels, else
  /// its next slab from the first panel on, else the next group.
  Value nextOffset(OpBuilder &builder, const Tile &tile, const Slab &slab, const Panels &panels) const {
    IndexMath index{builder, loc};
    Value nextPanel = index.add(panels.first, panels.count), nextSlab = index.add(slab.number, 1);
    auto isBelow = [&](Value a, Value b) {
      return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, a, b);
    };
    auto select = [&](Value condition, Value a, Value b) {
      return arith::SelectOp::create(builder, loc, condition, a, b);
    };
    Value moreSlabs = isBelow(nextSlab, slabs.count), morePanels = isBelow(nextPanel, tile.panelCount);
    Value sameSlab = bOffset(builder, tile, nextPanel, slab.begin);
    if (product.slabs || product.table)
      return sameSlab;
    Value wrapped = bOffset(builder, tile, index.constant(0), index.add(slab.begin, slab.count));
    Value following = bOffset(builder, tile, tile.panelCount, index.constant(0));
    return select(morePanels, sameSlab, select(moreSlabs, wrapped, following));
  }

  void emitRegisterTile(OpBuilder &builder, const Tile &tile, const Slab &slab, const Panels &panels, Value next,
                        Value rows) {
    IndexMath index{builder, loc};
    Value row = tile.split.firstRowOf(builder, loc, rows);
    Value globalPanel = index.add(tile.firstPanel, panels.first);
    TileFunction::Arguments x;
    x.a = product.scratch;
    x.aOffset = aOffset(builder, slab, row);
    x.b = product.slabs ? product.scratch : product.b;
    x.bOffset = bOffset(builder, tile, panels.first, slab.begin);
    x.panelStride = panelStride;
    x.c = product.scratch;
    x.cOffset = index.add(index.mul(row, blocking.cPitch()), index.mul(panels.first, RegisterTile::panelWidth));
    x.height = tile.split.heightOf(builder, loc, rows);
    x.panels = panels.count;
    x.k = slab.count;
    // Each register tile of rows fetches its share of the panels to come.
    x.nextOffset = index.add(next, index.mul(index.div(index.mul(rows, x.k), tile.split.count),
                                             index.constant(RegisterTile::panelWidth)));
    x.nextStep = index.div(index.add(tile.split.count, RegisterTile::panelWidth - 1), tile.split.count);
    if (product.fetchesNear)
      fetchNear(builder, tile.rowCount, x);
    x.accumulate = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ne, slab.number, index.constant(0));
    PackedProduct::Piece piece{index.add(tile.firstRow, row), x.height,  globalPanel,      x.panels, x.c,
                               x.cOffset,                     blocking.cPitch()};
    if (const auto &inPlace = product.rowsInPlace) {
      x.a = inPlace->memory;
      x.aOffset = index.add(index.add(inPlace->offset, slab.begin),
                            index.mul(index.add(tile.firstRow, row), inPlace->pitch));
      x.aRow = inPlace->pitch;
      if (!product.table) {
        // B stays; what comes from memory are the rows of the next tile.
        Value rest = index.mul(x.height, inPlace->pitch);
        x.nextOffset = index.add(x.aOffset, rest);
        Value each = index.div(rest, index.max(x.k, index.constant(1)));
        x.nextStep = index.min(index.add(each, 1), index.constant(RegisterTile::panelWidth));
      }
    }
    x.table = product.table;
    x.tableOffset = slab.begin;
    if (product.touched)
      x.after = product.touched(builder, loc, piece);
    family.call(builder, loc, x);
    Value isLast = index.equal(index.add(slab.number, 1), slabCount);
    emitIf(builder, loc, isLast, [&](OpBuilder &inner) { product.epilogue(inner, loc, piece); });
  }

  /// Where a core follows the streams of a few panels itself, asking for the panels behind them costs it bandwidth: with 32 lines
  /// ahead of each stream instead, Zen 5 multiplies four rows at 31 GB/s and not 28, one or eight at up to 3 % more. From ten
  /// rows on it is the other way round.
  void fetchNear(OpBuilder &builder, Value rows, TileFunction::Arguments &x) const {
    constexpr int64_t mostRows = 8, linesAhead = 32, line = RegisterTile::panelWidth;
    IndexMath index{builder, loc};
    Value areFew = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ule, rows, index.constant(mostRows));
    Value isNear = arith::AndIOp::create(builder, loc, areFew, product.fetchesNear);
    Value ahead = index.add(x.bOffset, linesAhead * line);
    x.nextOffset = arith::SelectOp::create(builder, loc, isNear, ahead, x.nextOffset);
    x.nextStep = arith::SelectOp::create(builder, loc, isNear, index.constant(line), x.nextStep);
  }

  Location loc;
  const PackedProduct &product;
  const ProductBlocking &blocking;
  int64_t multiplyAddUnits;
  TileFunction family;
  Value groups, panelStride;
  RowSplit blocks, slabs; // slabs in units of kUnit
  Value slabCount;        // of all turns
};
} // namespace

void emitPackedProduct(OpBuilder &builder, Location loc, ModuleOp module, const PackedProduct &product) {
  ProductEmitter(loc, module, product).emit(builder);
}

int64_t elementsAhead(int64_t pitch) { return std::max<int64_t>(2 * pitch, 1024); }

void copyRow(OpBuilder &builder, Location loc, unsigned lanes, Value from, Value fromOffset, Value count, Value to,
             Value toOffset, int64_t ahead) {
  IndexMath index{builder, loc};
  auto type = VectorType::get({lanes}, builder.getF32Type());
  Value whole = index.sub(count, index.rem(count, lanes));
  // A row is often the first touch of what another core wrote.
  emitLoop(builder, loc, index.constant(0), whole, lanes, [&](OpBuilder &inner, Value i) {
    IndexMath at{inner, loc};
    memref::PrefetchOp::create(inner, loc, from, at.add(at.add(fromOffset, i), ahead), /*isWrite=*/false,
                               /*localityHint=*/3, /*isDataCache=*/true);
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
