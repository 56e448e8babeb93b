// Emits register tiles of matrix products and the loops and switches around
// them. See the header for the mathematics and the guarantees.

#include "passes/lowering/MicroKernel.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "passes/lowering/IndexMath.h"
#include "passes/lowering/MatrixTiles.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace tenon {

//===----------------------------------------------------------------------===//
// One tile
//===----------------------------------------------------------------------===//

Value emitBf16Dot(OpBuilder &builder, Location loc, StringRef intrinsic, Value sum, Value a, Value b) {
  auto type = cast<VectorType>(sum.getType());
  auto pairs = VectorType::get({2 * type.getDimSize(0)}, builder.getBF16Type());
  auto asPairs = [&](Value words) { return vector::BitCastOp::create(builder, loc, pairs, words); };
  SmallVector<Value> operands{sum, asPairs(a), asPairs(b)};
  return LLVM::CallIntrinsicOp::create(builder, loc, Type(type), builder.getStringAttr(intrinsic), operands).getResult(0);
}

unsigned RegisterTile::panelsAt(unsigned height, unsigned most) const {
  // The sums, the row of B they meet, and one broadcast scalar of A.
  unsigned fitting = (registers - 1) / ((height + 1) * vectorsPerPanel());
  while (most > 1 && (most > fitting || widestTile % most != 0))
    --most;
  return most;
}

/// Of a module whose level has vectors longer than 128 bits and multiplies by a lane within each 128: LLVM's intrinsics, a
/// dictionary of strings. Tiles are then of vectors of unknown length, which the level makes known.
///   load          (all lanes, pointer): four words, repeated
///   multiply_add  (sum, vector, repeated words, which of them)
static constexpr StringLiteral laneProductsAttributeName = "tenon.lane_products";

namespace {
/// Emits one tile: `height` rows by `vectors` vector registers.
class TileEmitter {
public:
  TileEmitter(Location loc, const RegisterTile &tile, unsigned height, unsigned panels, const TileInput &a,
              const TilePanels &b, const TileOutput &c, const TileFetches &fetches)
      : loc(loc), tile(tile), height(height), vectors(panels * tile.vectorsPerPanel()), a(a), b(b), c(c),
        fetches(fetches) {}

  void emit(OpBuilder &builder, Value k, Value accumulate) {
    vectorType = VectorType::get({tile.lanes}, builder.getF32Type());
    Value base = a.base; // where it is, and not the block of `builder`, which may be of no op yet
    auto module = base.getParentRegion()->getParentOfType<ModuleOp>();
    if (tile.step == TileStep::F32)
      laneProducts = module->getAttrOfType<DictionaryAttr>(laneProductsAttributeName);
    if (laneProducts)
      vectorType = VectorType::get({laneSteps}, builder.getF32Type(), {true});
    finish(builder, sumAll(builder, k), accumulate);
  }

private:
  /// A large tile's step is long enough to hide the loop around it, and unrolled by
  /// four LLVM's scheduler spills; a small one would be mostly loop. With 16
  /// registers even a large tile is 12 multiply-adds among 27 instructions.
  unsigned kUnroll() const {
    if (tile.step == TileStep::Bf16Split)
      return 1;
    if (takesLanes())
      return laneSteps;
    if (2 * height * vectors <= tile.registers)
      return 4;
    return tile.registers > 16 ? 1 : 2;
  }

  /// Steps of a row of A that one load brings, whose lanes are multiplied one by one.
  static constexpr unsigned laneSteps = 4;
  bool takesLanes() const {
    bool hasInstruction = laneProducts || (tile.step == TileStep::F32 && tile.lanes == laneSteps);
    return hasInstruction && isConstantIntValue(a.kStride, 1);
  }

  Value callIntrinsic(OpBuilder &builder, StringRef name, ValueRange operands) const {
    auto intrinsic = laneProducts.getAs<StringAttr>(name);
    return LLVM::CallIntrinsicOp::create(builder, loc, Type(vectorType), intrinsic, operands).getResult(0);
  }

  Value columnOffset(OpBuilder &builder, Value base, unsigned vector) const {
    IndexMath index{builder, loc};
    return index.add(base, vector * tile.lanes);
  }

  SmallVector<Value> sumAll(OpBuilder &builder, Value k) const {
    IndexMath index{builder, loc};
    Value from = index.constant(0), one = index.constant(1);
    Value zero = arith::ConstantOp::create(builder, loc, builder.getZeroAttr(vectorType));
    SmallVector<Value> sums(height * vectors, zero);
    if (!fetches.after.empty()) {
      Value rows = index.min(k, fetches.afterRows);
      sums = sumOver(builder, from, rows, one, sums, 1, /*fetchesRows=*/true);
      from = rows;
    }
    if (kUnroll() == 1)
      return sumOver(builder, from, k, one, sums, 1);
    Value unroll = index.constant(kUnroll());
    Value whole = index.sub(k, index.rem(index.sub(k, from), unroll));
    sums = sumOver(builder, from, whole, unroll, sums, kUnroll());
    return sumOver(builder, whole, k, one, sums, 1);
  }

  /// Calls element(sum, offset in C) for every vector of the tile.
  void forEachSum(OpBuilder &builder, ArrayRef<Value> sums, llvm::function_ref<void(Value sum, Value at)> element) const {
    IndexMath index{builder, loc};
    for (unsigned row = 0; row < height; ++row)
      for (unsigned vector = 0; vector < vectors; ++vector)
        element(sums[row * vectors + vector],
                columnOffset(builder, index.step(c.offset, row, c.rowStride), vector));
  }

  void store(OpBuilder &builder, ArrayRef<Value> sums) const {
    forEachSum(builder, sums, [&](Value sum, Value at) { vector::StoreOp::create(builder, loc, sum, c.base, at); });
  }

  void addAndStore(OpBuilder &builder, ArrayRef<Value> sums) const {
    forEachSum(builder, sums, [&](Value sum, Value at) {
      Value before = vector::LoadOp::create(builder, loc, vectorType, c.base, at);
      vector::StoreOp::create(builder, loc, arith::AddFOp::create(builder, loc, before, sum), c.base, at);
    });
  }

  void finish(OpBuilder &builder, ArrayRef<Value> sums, Value accumulate) const {
    if (!accumulate)
      return store(builder, sums);
    scf::IfOp::create(
        builder, loc, accumulate,
        [&](OpBuilder &inner, Location) {
          addAndStore(inner, sums);
          scf::YieldOp::create(inner, loc);
        },
        [&](OpBuilder &inner, Location) {
          store(inner, sums);
          scf::YieldOp::create(inner, loc);
        });
  }

  /// `laneSteps` steps of every row of A, from element offset `aAt`.
  SmallVector<Value> loadRows(OpBuilder &builder, Value aAt) const {
    IndexMath index{builder, loc};
    return llvm::map_to_vector(llvm::seq(height), [&](unsigned row) -> Value {
      Value at = index.step(aAt, row, a.rowStride);
      if (laneProducts)
        return loadRepeated(builder, at);
      return vector::LoadOp::create(builder, loc, vectorType, a.base, at);
    });
  }

  Value loadRepeated(OpBuilder &builder, Value at) const {
    IndexMath index{builder, loc};
    Value base = memref::ExtractAlignedPointerAsIndexOp::create(builder, loc, a.base);
    Value address = index.add(base, index.mul(at, sizeof(float)));
    Value word = arith::IndexCastOp::create(builder, loc, builder.getI64Type(), address);
    Value pointer = LLVM::IntToPtrOp::create(builder, loc, LLVM::LLVMPointerType::get(builder.getContext()), word);
    auto mask = VectorType::get({laneSteps}, builder.getI1Type(), {true});
    Value all = arith::ConstantOp::create(builder, loc, DenseElementsAttr::get(mask, true));
    return callIntrinsic(builder, "load", {all, pointer});
  }

  /// Step u of row `row` in every lane: from what loadRows() loaded, or from element offset `aAt`.
  Value rowFactor(OpBuilder &builder, ArrayRef<Value> rows, unsigned row, unsigned u, Value aAt) const {
    IndexMath index{builder, loc};
    Value at = index.step(index.step(aAt, u, a.kStride), row, a.rowStride);
    Value scalar = rows.empty() ? Value(memref::LoadOp::create(builder, loc, a.base, at))
                                : Value(vector::ExtractOp::create(builder, loc, rows[row], u));
    return vector::BroadcastOp::create(builder, loc, vectorType, scalar);
  }

  /// Step u of k behind element offset `aAt`, with panel 0 at `bAt`.
  void multiplyAdd(OpBuilder &builder, ArrayRef<Value> rows, Value aAt, unsigned u, Value bAt,
                   MutableArrayRef<Value> sums) const {
    IndexMath index{builder, loc};
    SmallVector<Value> columns;
    for (unsigned vector = 0; vector < vectors; ++vector) {
      Value panel = index.step(bAt, vector / tile.vectorsPerPanel(), b.panelStride);
      columns.push_back(vector::LoadOp::create(builder, loc, vectorType, b.base,
                                               columnOffset(builder, panel, vector % tile.vectorsPerPanel())));
    }
    for (unsigned row = 0; row < height; ++row) {
      MutableArrayRef<Value> rowSums = sums.slice(row * vectors, vectors);
      if (laneProducts && !rows.empty())
        addLanes(builder, rows[row], u, columns, rowSums);
      else
        addProducts(builder, rowFactor(builder, rows, row, u, aAt), columns, rowSums);
    }
  }

  void addProducts(OpBuilder &builder, Value factor, ArrayRef<Value> columns, MutableArrayRef<Value> sums) const {
    switch (tile.step) {
    case TileStep::F32:
      return addFused(builder, factor, columns, sums);
    case TileStep::Bf16Dot:
      return addDots(builder, factor, columns, sums);
    case TileStep::Bf16Split:
      addFused(builder, half(builder, factor, Even), halves(builder, columns, Even), sums);
      return addFused(builder, half(builder, factor, Odd), halves(builder, columns, Odd), sums);
    case TileStep::Bf16Tile:
      llvm_unreachable("a matrix unit takes whole tiles: MatrixTiles.h");
    }
  }

  void addLanes(OpBuilder &builder, Value row, unsigned lane, ArrayRef<Value> columns, MutableArrayRef<Value> sums) const {
    Value which = arith::ConstantOp::create(builder, loc, builder.getI32IntegerAttr(lane));
    for (auto [column, sum] : llvm::zip_equal(columns, sums))
      sum = callIntrinsic(builder, "multiply_add", {sum, column, row, which});
  }

  void addFused(OpBuilder &builder, Value factor, ArrayRef<Value> columns, MutableArrayRef<Value> sums) const {
    for (auto [column, sum] : llvm::zip_equal(columns, sums))
      sum = vector::FMAOp::create(builder, loc, factor, column, sum);
  }

  void addDots(OpBuilder &builder, Value factor, ArrayRef<Value> columns, MutableArrayRef<Value> sums) const {
    for (auto [column, sum] : llvm::zip_equal(columns, sums))
      sum = emitBf16Dot(builder, loc, tile.bf16Dot, sum, factor, column);
  }

  enum Half { Even, Odd };

  /// One bf16 of every word as f32: its bits are the upper half of the f32's.
  Value half(OpBuilder &builder, Value words, Half which) const {
    auto integers = VectorType::get({tile.lanes}, builder.getI32Type());
    Value bits = vector::BitCastOp::create(builder, loc, integers, words);
    auto constant = [&](int32_t value) {
      return arith::ConstantOp::create(builder, loc, DenseElementsAttr::get(integers, value));
    };
    bits = which == Even ? Value(arith::ShLIOp::create(builder, loc, bits, constant(16)))
                         : Value(arith::AndIOp::create(builder, loc, bits, constant(int32_t(0xffff0000))));
    return vector::BitCastOp::create(builder, loc, vectorType, bits);
  }

  SmallVector<Value> halves(OpBuilder &builder, ArrayRef<Value> columns, Half which) const {
    return llvm::map_to_vector(columns, [&](Value column) { return half(builder, column, which); });
  }

  void fetchAhead(OpBuilder &builder, Value k) const {
    const TilePrefetch &next = fetches.next;
    if (!next.base)
      return;
    IndexMath index{builder, loc};
    Value at = index.add(next.offset, index.mul(k, next.kStep));
    for (unsigned stream = 0; stream < next.streams; ++stream)
      memref::PrefetchOp::create(builder, loc, next.base, index.step(at, stream, next.panelStride),
                                 /*isWrite=*/false, /*localityHint=*/next.intoL1 ? 3 : 2, /*isDataCache=*/true);
  }

  void fetchRows(OpBuilder &builder, Value row) const {
    IndexMath index{builder, loc};
    for (const TileRows &rows : fetches.after) {
      Value at = index.add(rows.offset, index.mul(row, rows.rowStride));
      for (unsigned panel = 0; panel < vectors / tile.vectorsPerPanel(); ++panel)
        memref::PrefetchOp::create(builder, loc, rows.base, index.add(at, panel * RegisterTile::panelWidth),
                                   rows.written, /*localityHint=*/3, /*isDataCache=*/true);
    }
  }

  /// Where step k + u of panel 0 is.
  Value bAt(OpBuilder &builder, Value k, unsigned u) const {
    IndexMath index{builder, loc};
    if (!b.table)
      return index.step(index.add(b.offset, index.mul(k, index.value(b.kStride))), u, b.kStride);
    Value entry = memref::LoadOp::create(builder, loc, b.table, index.add(index.add(b.tableOffset, k), u));
    return index.add(b.offset, arith::IndexCastOp::create(builder, loc, builder.getIndexType(), entry));
  }

  SmallVector<Value> sumOver(OpBuilder &builder, Value from, Value to, Value step, ArrayRef<Value> initial,
                             unsigned unroll, bool fetchesRows = false) const {
    auto loop = scf::ForOp::create(
        builder, loc, from, to, step, initial, [&](OpBuilder &inner, Location, Value k, ValueRange carried) {
          IndexMath index{inner, loc};
          SmallVector<Value> sums(carried);
          Value aAt = index.add(a.offset, index.mul(k, index.value(a.kStride)));
          if (fetchesRows)
            fetchRows(inner, k);
          SmallVector<Value> rows;
          if (takesLanes() && unroll == laneSteps)
            rows = loadRows(inner, aAt);
          for (unsigned u = 0; u < unroll; ++u) {
            fetchAhead(inner, index.add(k, u));
            multiplyAdd(inner, rows, aAt, u, bAt(inner, k, u), sums);
          }
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
  const TileFetches &fetches;
  VectorType vectorType;
  DictionaryAttr laneProducts; // null: lanes of any vector will do, or none
};
} // namespace

void emitTileProduct(OpBuilder &builder, Location loc, const RegisterTile &tile, unsigned height, unsigned panels,
                     const TileInput &a, const TilePanels &b, Value k, const TileOutput &c, Value accumulate,
                     const TileFetches &fetches) {
  TileEmitter(loc, tile, height, panels, a, b, c, fetches).emit(builder, k, accumulate);
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
  return create(builder, loc, rows, IndexMath{builder, loc}.constant(maxHeight));
}

RowSplit RowSplit::create(OpBuilder &builder, Location loc, Value rows, Value maxHeight) {
  IndexMath index{builder, loc};
  Value count = index.div(index.add(rows, index.sub(maxHeight, index.constant(1))), maxHeight);
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
    if (strides.hasTable) {
      b.table = more[more.size() - 2];
      b.tableOffset = more.back();
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
                  {tile.unit, x[ABase], x[AOffset], strides.aRow, x[BBase], x[BOffset], x[PanelStride], strides.bK, x[CBase],
                   x[COffset], strides.cRow, rows, x[Panels], x[K], x[Accumulate]});
}

TileFunction TileFunction::get(ModuleOp module, const RegisterTile &tile, const Strides &strides) {
  std::string name = ("tile_" + Twine(tile.rows) + "_a" + (strides.rowsInPlace ? Twine("n") : Twine(strides.aRow)) + "_b" +
                      Twine(strides.bK) + "_c" + Twine(strides.cRow) + (strides.aK == 1 ? "" : "_k" + Twine(strides.aK).str()) +
                      (strides.fetchesAhead ? "" : "_near") + (strides.hasTable ? "_table" : "") + stepName(tile.step))
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
  if (strides.hasTable)
    types.append({MemRefType::get({ShapedType::kDynamic}, builder.getI64Type()), index});
  auto type = builder.getFunctionType(types, {});
  auto function = func::FuncOp::create(builder, loc, name, type);
  function.setPrivate();
  // Inlined, its registers would compete with the caller's and its code multiply.
  function->setAttr("passthrough", builder.getStrArrayAttr({"noinline"}));
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
  if (strides.hasTable)
    operands.append({x.table, x.tableOffset});
  func::CallOp::create(builder, loc, function, operands);
}

} // namespace tenon
