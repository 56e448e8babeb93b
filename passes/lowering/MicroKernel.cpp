// Emits register tiles of matrix products and the loops and switches around
// them. See the header for the mathematics and the guarantees.

#include "passes/lowering/MicroKernel.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "passes/lowering/IndexMath.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace tenon {

//===----------------------------------------------------------------------===//
// One tile
//===----------------------------------------------------------------------===//

unsigned RegisterTile::panelsAt(unsigned height) const {
  // The sums, the row of B they meet, and one broadcast scalar of A.
  constexpr unsigned widest = 8;
  unsigned fitting = (registers - 1) / ((height + 1) * vectorsPerPanel());
  return std::max(1u, std::min(widest, unsigned(llvm::bit_floor(fitting))));
}

namespace {
/// Emits one tile: `height` rows by `vectors` vector registers.
class TileEmitter {
public:
  TileEmitter(Location loc, const RegisterTile &tile, unsigned height, unsigned panels, const TileInput &a,
              const TilePanels &b, const TileOutput &c, const TilePrefetch &prefetch)
      : loc(loc), tile(tile), height(height), vectors(panels * tile.vectorsPerPanel()), a(a), b(b), c(c),
        prefetch(prefetch) {}

  void emit(OpBuilder &builder, Value k, Value accumulate) {
    vectorType = VectorType::get({tile.lanes}, builder.getF32Type());
    SmallVector<Value> sums = initialSums(builder, accumulate);
    IndexMath index{builder, loc};
    Value zero = index.constant(0), one = index.constant(1);
    if (kUnroll() == 1)
      return store(builder, sumOver(builder, zero, k, one, sums, 1));
    Value unroll = index.constant(kUnroll());
    Value whole = index.sub(k, index.rem(k, unroll));
    sums = sumOver(builder, zero, whole, unroll, sums, kUnroll());
    store(builder, sumOver(builder, whole, k, one, sums, 1));
  }

private:
  /// A tall tile's step is long enough to hide the loop around it, and unrolled by
  /// four LLVM's scheduler spills; a low one would be mostly loop. With 16
  /// registers even a tall tile is 12 multiply-adds among 27 instructions.
  unsigned kUnroll() const {
    if (2 * height <= tile.rows)
      return 4;
    return tile.registers > 16 ? 1 : 2;
  }

  Value columnOffset(OpBuilder &builder, Value base, unsigned vector) const {
    IndexMath index{builder, loc};
    return index.add(base, vector * tile.lanes);
  }

  SmallVector<Value> loadSums(OpBuilder &builder) const {
    SmallVector<Value> sums;
    IndexMath index{builder, loc};
    for (unsigned row = 0; row < height; ++row)
      for (unsigned vector = 0; vector < vectors; ++vector)
        sums.push_back(vector::LoadOp::create(builder, loc, vectorType, c.base,
                                              columnOffset(builder, index.step(c.offset, row, c.rowStride), vector)));
    return sums;
  }

  SmallVector<Value> zeroSums(OpBuilder &builder) const {
    Value zero = arith::ConstantOp::create(builder, loc, builder.getZeroAttr(vectorType));
    return SmallVector<Value>(height * vectors, zero);
  }

  SmallVector<Value> initialSums(OpBuilder &builder, Value accumulate) const {
    if (!accumulate)
      return zeroSums(builder);
    auto choice = scf::IfOp::create(
        builder, loc, accumulate,
        [&](OpBuilder &inner, Location) { scf::YieldOp::create(inner, loc, loadSums(inner)); },
        [&](OpBuilder &inner, Location) { scf::YieldOp::create(inner, loc, zeroSums(inner)); });
    return choice.getResults();
  }

  void store(OpBuilder &builder, ArrayRef<Value> sums) const {
    IndexMath index{builder, loc};
    for (unsigned row = 0; row < height; ++row)
      for (unsigned vector = 0; vector < vectors; ++vector)
        vector::StoreOp::create(builder, loc, sums[row * vectors + vector], c.base,
                                columnOffset(builder, index.step(c.offset, row, c.rowStride), vector));
  }

  /// One step of k at element offsets `aAt` and `bAt` (panel 0).
  void multiplyAdd(OpBuilder &builder, Value aAt, Value bAt, MutableArrayRef<Value> sums) const {
    IndexMath index{builder, loc};
    SmallVector<Value> columns;
    for (unsigned vector = 0; vector < vectors; ++vector) {
      Value panel = index.step(bAt, vector / tile.vectorsPerPanel(), b.panelStride);
      columns.push_back(vector::LoadOp::create(builder, loc, vectorType, b.base,
                                               columnOffset(builder, panel, vector % tile.vectorsPerPanel())));
    }
    for (unsigned row = 0; row < height; ++row) {
      Value scalar = memref::LoadOp::create(builder, loc, a.base, index.step(aAt, row, a.rowStride));
      Value factor = vector::BroadcastOp::create(builder, loc, vectorType, scalar);
      for (unsigned vector = 0; vector < vectors; ++vector) {
        Value &sum = sums[row * vectors + vector];
        sum = vector::FMAOp::create(builder, loc, factor, columns[vector], sum);
      }
    }
  }

  void fetchAhead(OpBuilder &builder, Value k) const {
    if (!prefetch.base)
      return;
    IndexMath index{builder, loc};
    Value at = index.add(prefetch.offset, index.mul(k, prefetch.kStep));
    for (unsigned panel = 0; panel < vectors / tile.vectorsPerPanel(); ++panel)
      memref::PrefetchOp::create(builder, loc, prefetch.base, index.step(at, panel, prefetch.panelStride),
                                 /*isWrite=*/false, /*localityHint=*/3, /*isDataCache=*/true);
  }

  SmallVector<Value> sumOver(OpBuilder &builder, Value from, Value to, Value step, ArrayRef<Value> initial,
                             unsigned unroll) const {
    auto loop = scf::ForOp::create(
        builder, loc, from, to, step, initial, [&](OpBuilder &inner, Location, Value k, ValueRange carried) {
          IndexMath index{inner, loc};
          SmallVector<Value> sums(carried);
          Value aAt = index.add(a.offset, index.mul(k, index.value(a.kStride)));
          Value bAt = index.add(b.offset, index.mul(k, index.value(b.kStride)));
          fetchAhead(inner, k);
          for (unsigned u = 0; u < unroll; ++u)
            multiplyAdd(inner, index.step(aAt, u, a.kStride), index.step(bAt, u, b.kStride), sums);
          scf::YieldOp::create(inner, loc, sums);
        });
    return SmallVector<Value>(loop.getResults());
  }

  Location loc;
  const RegisterTile &tile;
  unsigned height, vectors;
  const TileInput &a;
  const TilePanels &b;
  const TileOutput &c;
  const TilePrefetch &prefetch;
  VectorType vectorType;
};
} // namespace

void emitTileProduct(OpBuilder &builder, Location loc, const RegisterTile &tile, unsigned height, unsigned panels,
                     const TileInput &a, const TilePanels &b, Value k, const TileOutput &c, Value accumulate,
                     const TilePrefetch &prefetch) {
  TileEmitter(loc, tile, height, panels, a, b, c, prefetch).emit(builder, k, accumulate);
}

//===----------------------------------------------------------------------===//
// Heights
//===----------------------------------------------------------------------===//

void emitHeightSwitch(OpBuilder &builder, Location loc, Value height, unsigned maxHeight,
                      llvm::function_ref<void(OpBuilder &, Location, unsigned)> body) {
  SmallVector<int64_t> cases = llvm::to_vector(llvm::seq_inclusive<int64_t>(1, maxHeight));
  auto choice = scf::IndexSwitchOp::create(builder, loc, TypeRange(), height, cases, cases.size());
  for (auto [region, value] : llvm::zip_equal(choice.getCaseRegions(), cases)) {
    OpBuilder inner = OpBuilder::atBlockBegin(&region.emplaceBlock());
    body(inner, loc, value);
    scf::YieldOp::create(inner, loc);
  }
  OpBuilder inner = OpBuilder::atBlockBegin(&choice.getDefaultRegion().emplaceBlock());
  scf::YieldOp::create(inner, loc);
}

RowSplit RowSplit::create(OpBuilder &builder, Location loc, Value rows, unsigned maxHeight) {
  IndexMath index{builder, loc};
  Value count = index.ceilDiv(rows, maxHeight);
  // No rows are no tiles; the divisor must still not be zero.
  Value divisor = index.max(count, index.constant(1));
  return {count, index.div(rows, divisor), index.rem(rows, divisor)};
}

Value RowSplit::heightOf(OpBuilder &builder, Location loc, Value tileIndex) const {
  Value isTaller = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, tileIndex, taller);
  Value extra = arith::IndexCastUIOp::create(builder, loc, builder.getIndexType(), isTaller);
  return arith::AddIOp::create(builder, loc, height, extra);
}

Value RowSplit::firstRowOf(OpBuilder &builder, Location loc, Value tileIndex) const {
  IndexMath index{builder, loc};
  Value tallerBefore = index.min(tileIndex, taller);
  return index.add(index.mul(tileIndex, height), tallerBefore);
}

//===----------------------------------------------------------------------===//
// The shared family
//===----------------------------------------------------------------------===//

namespace {
/// Arguments of the shared function, in order.
enum TileArgument { ABase, AOffset, BBase, BOffset, PanelStride, CBase, COffset, Height, Panels, K, Accumulate, NextOffset, NextStep };
} // namespace

/// A low tile is the only one of its rows, so memory limits it, and its many
/// panels are streams the machine follows better by itself (20 GB/s against 18).
/// Taller ones come several to a group of panels and have the time to fetch the
/// next group's (at 16 rows 0.84 of peak against 0.73).
static bool fetchesAhead(const RegisterTile &tile, unsigned height) { return 2 * height > tile.rows; }

/// One height: as many wide tiles as fit into the panels, then single ones.
static void emitHeight(OpBuilder &builder, Location loc, const RegisterTile &tile, unsigned height,
                       const TileFunction::Strides &strides, ValueRange arguments) {
  IndexMath index{builder, loc};
  unsigned width = tile.panelsAt(height);
  auto emitLoop = [&](Value from, Value to, unsigned panels) {
    scf::ForOp::create(
        builder, loc, from, to, index.constant(panels), ValueRange(),
        [&](OpBuilder &inner, Location, Value panel, ValueRange) {
          IndexMath at{inner, loc};
          TileInput a{arguments[ABase], arguments[AOffset], inner.getIndexAttr(strides.aRow), inner.getIndexAttr(strides.aK)};
          TilePanels b{arguments[BBase], at.add(arguments[BOffset], at.mul(panel, arguments[PanelStride])),
                       arguments[PanelStride], inner.getIndexAttr(strides.bK)};
          TileOutput c{arguments[CBase],
                       at.add(arguments[COffset], at.mul(panel, RegisterTile::panelWidth)),
                       inner.getIndexAttr(strides.cRow)};
          TilePrefetch next;
          if (strides.fetchesAhead && fetchesAhead(tile, height))
            next = {arguments[BBase], at.add(arguments[NextOffset], at.mul(panel, arguments[PanelStride])),
                    arguments[PanelStride], arguments[NextStep]};
          emitTileProduct(inner, loc, tile, height, panels, a, b, arguments[K], c, arguments[Accumulate], next);
          scf::YieldOp::create(inner, loc);
        });
  };
  Value panels = arguments[Panels];
  Value whole = index.sub(panels, index.rem(panels, width));
  emitLoop(index.constant(0), whole, width);
  if (width > 1)
    emitLoop(whole, panels, 1);
}

TileFunction TileFunction::get(ModuleOp module, const RegisterTile &tile, const Strides &strides) {
  std::string name = ("tile_" + Twine(tile.rows) + "_a" + Twine(strides.aRow) + "_b" + Twine(strides.bK) + "_c" +
                      Twine(strides.cRow) + (strides.aK == 1 ? "" : "_k" + Twine(strides.aK).str()) +
                      (strides.fetchesAhead ? "" : "_near"))
                         .str();
  if (auto known = module.lookupSymbol<func::FuncOp>(name))
    return TileFunction(known);
  OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
  Location loc = module.getLoc();
  Type index = builder.getIndexType();
  Type view = MemRefType::get({ShapedType::kDynamic}, builder.getF32Type());
  auto type = builder.getFunctionType(
      {view, index, view, index, index, view, index, index, index, index, builder.getI1Type(), index, index}, {});
  auto function = func::FuncOp::create(builder, loc, name, type);
  function.setPrivate();
  // Inlined, its registers would compete with the caller's and its code multiply.
  function->setAttr("passthrough", builder.getStrArrayAttr({"noinline"}));
  Block *body = function.addEntryBlock();
  builder.setInsertionPointToStart(body);
  emitHeightSwitch(builder, loc, body->getArgument(Height), tile.rows,
                   [&](OpBuilder &inner, Location, unsigned height) {
                     emitHeight(inner, loc, tile, height, strides, body->getArguments());
                   });
  func::ReturnOp::create(builder, loc);
  return TileFunction(function);
}

void TileFunction::call(OpBuilder &builder, Location loc, const Arguments &arguments) const {
  const Arguments &x = arguments;
  Value nextOffset = x.nextOffset ? x.nextOffset : x.bOffset, nextStep = x.nextStep ? x.nextStep : x.k;
  func::CallOp::create(builder, loc, function,
                       ValueRange{x.a, x.aOffset, x.b, x.bOffset, x.panelStride, x.c, x.cOffset, x.height, x.panels,
                                  x.k, x.accumulate, nextOffset, nextStep});
}

} // namespace tenon
