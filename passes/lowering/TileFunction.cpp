// The register tiles of every height as one private function of a module: what it
// takes, how its panels are cut into tiles, and what the tiles fetch meanwhile.

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "passes/lowering/IndexMath.h"
#include "passes/lowering/MatrixTiles.h"
#include "passes/lowering/MicroKernel.h"

using namespace mlir;

namespace tenon {

namespace {
/// Arguments of the shared function, in order; those from NextOffset on only where the
/// family fetches ahead, and behind them all the distance of rows in place, the table and the offset in it.
enum TileArgument {
  ABase, AOffset, BBase, BOffset, PanelStride, CBase, COffset, Height, Panels, K, Accumulate,
  NextOffset, NextStep, AfterRows, WrittenBase, WrittenOffset, WrittenStride, ReadBase, ReadOffset, ReadStride
};

/// The tiles of one height.
class HeightEmitter {
public:
  HeightEmitter(Location loc, const RegisterTile &tile, unsigned height, const TileFunction::Strides &strides,
                ValueRange arguments)
      : loc(loc), tile(tile), height(height), strides(strides), arguments(arguments) {}

  /// As many of the widest tiles as fit into the panels, then narrower ones.
  void emit(OpBuilder &builder) const {
    IndexMath index{builder, loc};
    Value from = index.constant(0), panels = arguments[Panels];
    // A caller that does not fetch ahead cuts its work for the tallest tile.
    unsigned most = strides.fetchesAhead ? RegisterTile::widestTile : tile.panelsAt(tile.rows);
    for (unsigned width = tile.panelsAt(height, most);; width = tile.panelsAt(height, width - 1)) {
      Value to = width == 1 ? panels : index.sub(panels, index.rem(index.sub(panels, from), width));
      emitLoop(builder, from, to, width);
      if (width == 1)
        return;
      from = to;
    }
  }

private:
  void emitLoop(OpBuilder &builder, Value from, Value to, unsigned panels) const {
    scf::ForOp::create(builder, loc, from, to, IndexMath{builder, loc}.constant(panels), ValueRange(),
                       [&](OpBuilder &inner, Location, Value panel, ValueRange) {
                         emitTile(inner, panel, panels);
                         scf::YieldOp::create(inner, loc);
                       });
  }

  void emitTile(OpBuilder &builder, Value panel, unsigned panels) const {
    IndexMath at{builder, loc};
    TileInput a{arguments[ABase], arguments[AOffset], builder.getIndexAttr(strides.aRow),
                builder.getIndexAttr(strides.aK)};
    TilePanels b{arguments[BBase], at.add(arguments[BOffset], at.mul(panel, arguments[PanelStride])),
                 arguments[PanelStride], builder.getIndexAttr(strides.bK)};
    ValueRange more = arguments;
    if (strides.hasTable || strides.hasRowTable) {
      (strides.hasTable ? b.table : a.table) = more[more.size() - 2];
      (strides.hasTable ? b.tableOffset : a.tableOffset) = more.back();
      more = more.drop_back(2);
    }
    if (strides.rowsInPlace)
      a.rowStride = more.back();
    TileOutput c{arguments[CBase], at.add(arguments[COffset], at.mul(panel, RegisterTile::panelWidth)),
                 builder.getIndexAttr(strides.cRow)};
    emitTileProduct(builder, loc, tile, height, panels, a, b, arguments[K], c, arguments[Accumulate],
                    fetches(builder, panel, panels));
  }

  /// Tiles of low heights are the only ones of their rows, or one of two, and wait
  /// for memory: what they fetch goes to L2, which has more requests under way
  /// (10 rows: 0.65 of peak against 0.51). Tall ones come several to a group of
  /// panels, and fetch into L1 (128 rows: 0.91 against 0.89).
  TileFetches fetches(OpBuilder &builder, Value panel, unsigned panels) const {
    TileFetches result;
    if (!strides.fetchesAhead)
      return result;
    IndexMath at{builder, loc};
    bool isLow = height <= TileFunction::lowHeight(tile);
    if (strides.rowsInPlace)
      result.next = {arguments[ABase], arguments[NextOffset], arguments[PanelStride], arguments[NextStep]};
    else
      result.next = {arguments[BBase], at.add(arguments[NextOffset], at.mul(panel, arguments[PanelStride])),
                     arguments[PanelStride], arguments[NextStep], /*intoL1=*/!isLow, panels};
    if (strides.hasTable)
      result.next = {};
    if (strides.hasRowTable) {
      result.next = {arguments[BBase], arguments[NextOffset], arguments[PanelStride], arguments[NextStep]};
      result.next.intoL1 = false;
    }
    // Of tall tiles, several to a group of panels, each fetches its share: from the fourth on a line for four steps.
    if (!isLow && !strides.rowsInPlace)
      result.next.every = 4;
    // The narrow tiles behind the wide ones are too few to be worth the code.
    if (isLow || panels != tile.panelsAt(height))
      return result;
    Value column = at.mul(panel, RegisterTile::panelWidth);
    result.after = {{arguments[WrittenBase], at.add(arguments[WrittenOffset], column), arguments[WrittenStride], true},
                    {arguments[ReadBase], at.add(arguments[ReadOffset], column), arguments[ReadStride], false}};
    result.afterRows = arguments[AfterRows];
    return result;
  }

  Location loc;
  const RegisterTile &tile;
  unsigned height;
  const TileFunction::Strides &strides;
  ValueRange arguments;
};
} // namespace

static StringRef stepName(TileStep step) {
  switch (step) {
  case TileStep::F32:
    return "";
  case TileStep::Bf16Dot:
    return "_dot";
  case TileStep::Bf16Split:
    return "_split";
  case TileStep::Bf16Tile:
    return "_tile";
  }
  llvm_unreachable("every TileStep is above");
}

/// Rows behind the last are computed on up to a whole tile: they are the caller's scratch.
static void emitWholeTiles(OpBuilder &builder, Location loc, const RegisterTile &tile,
                           const TileFunction::Strides &strides, ValueRange x) {
  IndexMath index{builder, loc};
  Value rows = index.mul(index.ceilDiv(x[Height], matrixTileSide), matrixTileSide);
  emitMatrixTiles(builder, loc,
                  {tile.unit, x[ABase], x[AOffset], strides.aRow, x[BBase], x[BOffset], x[PanelStride], strides.bK,
                   x[CBase], x[COffset], strides.cRow, rows, x[Panels], x[K], x[Accumulate]});
}

TileFunction TileFunction::get(ModuleOp module, const RegisterTile &tile, const Strides &strides) {
  std::string name =
      ("tile_" + Twine(tile.rows) + "_a" + (strides.rowsInPlace ? Twine("n") : Twine(strides.aRow)) + "_b" +
       Twine(strides.bK) + "_c" + Twine(strides.cRow) + (strides.aK == 1 ? "" : "_k" + Twine(strides.aK).str()) +
       (strides.fetchesAhead ? "" : "_near") + (strides.hasTable ? "_table" : "") +
       (strides.hasRowTable ? "_rowtable" : "") + stepName(tile.step))
          .str();
  if (auto known = module.lookupSymbol<func::FuncOp>(name))
    return TileFunction(known, strides);
  OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
  Location loc = module.getLoc();
  Type index = builder.getIndexType();
  Type view = MemRefType::get({ShapedType::kDynamic}, builder.getF32Type());
  SmallVector<Type> types{view, index, view, index, index, view, index, index, index, index, builder.getI1Type()};
  if (strides.fetchesAhead)
    types.append({index, index, index, view, index, index, view, index, index});
  if (strides.rowsInPlace)
    types.push_back(index);
  if (strides.hasTable || strides.hasRowTable)
    types.append({MemRefType::get({ShapedType::kDynamic}, builder.getI64Type()), index});
  auto type = builder.getFunctionType(types, {});
  auto function = func::FuncOp::create(builder, loc, name, type);
  function.setPrivate();
  // Inlined, its registers would compete with the caller's and its code multiply.
  SmallVector<StringRef> attributes{"noinline"};
  if (module->hasAttr(shortOffsetsAttributeName))
    attributes.push_back("tenon-source-order");
  function->setAttr("passthrough", builder.getStrArrayAttr(attributes));
  Block *body = function.addEntryBlock();
  builder.setInsertionPointToStart(body);
  if (tile.takesWholeTiles())
    emitWholeTiles(builder, loc, tile, strides, body->getArguments());
  else
    emitHeightSwitch(builder, loc, body->getArgument(Height), tile.rows,
                     [&](OpBuilder &inner, Location, unsigned height) {
                       HeightEmitter(loc, tile, height, strides, body->getArguments()).emit(inner);
                     });
  func::ReturnOp::create(builder, loc);
  return TileFunction(function, strides);
}

/// The kinds of rows touched afterwards: one written, one read. A kind that is
/// missing asks for the other's lines once more.
static void appendAfter(OpBuilder &builder, Location loc, const TileFunction::Arguments &x,
                        SmallVector<Value> &operands) {
  Value none = IndexMath{builder, loc}.constant(0);
  operands.push_back(x.after.empty() ? none : x.height);
  for (bool written : {true, false}) {
    auto *rows = llvm::find_if(x.after, [&](const TileRows &rows) { return rows.written == written; });
    if (rows == x.after.end())
      rows = x.after.begin();
    if (x.after.empty())
      operands.append({x.c, none, none});
    else
      operands.append({rows->base, rows->offset, rows->rowStride});
  }
}

void TileFunction::call(OpBuilder &builder, Location loc, const Arguments &arguments) const {
  const Arguments &x = arguments;
  SmallVector<Value> operands{x.a,      x.aOffset, x.b,      x.bOffset, x.panelStride, x.c,
                              x.cOffset, x.height,  x.panels, x.k,       x.accumulate};
  if (strides.fetchesAhead) {
    operands.append({x.nextOffset ? x.nextOffset : x.bOffset, x.nextStep ? x.nextStep : x.k});
    appendAfter(builder, loc, x, operands);
  }
  if (strides.rowsInPlace)
    operands.push_back(x.aRow);
  if (strides.hasTable || strides.hasRowTable)
    operands.append({x.table, x.tableOffset});
  func::CallOp::create(builder, loc, function, operands);
}

} // namespace tenon
