// Emits register tiles of matrix products and the loops and switches around
// them. See the header for the mathematics and the guarantees.

#include "passes/lowering/MicroKernel.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "passes/lowering/IndexMath.h"
#include "passes/lowering/OperandStream.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace tenon {

//===----------------------------------------------------------------------===//
// One tile
//===----------------------------------------------------------------------===//

/// Of a module whose level has vectors longer than 128 bits and multiplies by a lane within each 128: LLVM's intrinsics, a
/// dictionary of strings. Tiles are then of vectors of unknown length, which the level makes known.
///   lanes         (how many): a mask of the first lanes
///   load          (mask, pointer): four words, repeated; 0 where the mask has no lane
///   multiply_add  (sum, vector, repeated words, which of them)
/// and, where the level also adds the products of bf16 pairs in one instruction, of vectors of pairs:
///   dot           (sum, vector, vector)
///   dot_lane      (sum, vector, repeated pairs, which of them)
static constexpr StringLiteral laneProductsAttributeName = "tenon.lane_products";

/// Words, of 32 bits or of 16, as the pairs of bf16 they are.
static Value asPairs(OpBuilder &builder, Location loc, Value words) {
  auto type = cast<VectorType>(words.getType());
  int64_t elements = type.getDimSize(0) * type.getElementTypeBitWidth() / 16;
  auto pairs = VectorType::get({elements}, builder.getBF16Type(), type.getScalableDims());
  if (pairs == type)
    return words;
  return vector::BitCastOp::create(builder, loc, pairs, words);
}

Value emitBf16Dot(OpBuilder &builder, Location loc, StringRef intrinsic, Value sum, Value a, Value b) {
  SmallVector<Value> operands{sum, asPairs(builder, loc, a), asPairs(builder, loc, b)};
  return LLVM::CallIntrinsicOp::create(builder, loc, sum.getType(), builder.getStringAttr(intrinsic), operands)
      .getResult(0);
}

static StringAttr laneProductOf(ModuleOp module, StringRef which) {
  auto products = module->getAttrOfType<DictionaryAttr>(laneProductsAttributeName);
  return products ? products.getAs<StringAttr>(which) : StringAttr();
}

StringRef bf16DotOf(ModuleOp module) {
  auto dot = module->getAttrOfType<StringAttr>(bf16DotAttributeName);
  if (!dot)
    dot = laneProductOf(module, "dot");
  return dot ? dot.getValue() : StringRef();
}

unsigned RegisterTile::panelsAt(unsigned height, unsigned most) const {
  // The sums, the row of B they meet, and one broadcast scalar of A.
  unsigned fitting = (registers - 1) / ((height + 1) * vectorsPerPanel());
  while (most > 1 && (most > fitting || widestTile % most != 0))
    --most;
  return most;
}

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
    if (tile.step == TileStep::F32 || (tile.step == TileStep::Bf16Dot && laneProductOf(module, "dot_lane")))
      laneProducts = module->getAttrOfType<DictionaryAttr>(laneProductsAttributeName);
    if (laneProducts)
      vectorType = VectorType::get({laneCount}, builder.getF32Type(), {true});
    hasPointers = module->hasAttr(shortOffsetsAttributeName);
    placeOperands(builder);
    finish(builder, sumAll(builder, k), accumulate);
  }

private:
  /// A large tile's step is long enough to hide the loop around it, and unrolled by
  /// four LLVM's scheduler spills; a small one would be mostly loop. With 16
  /// registers even a large tile is 12 multiply-adds among 27 instructions.
  unsigned kUnroll() const {
    if (tile.step == TileStep::Bf16Split)
      return 1;
    if (laneProducts && factorLanes() != FactorLanes::None)
      return fetches.next.base ? laneCount : 2 * laneCount;
    if (factorLanes() == FactorLanes::Steps)
      return laneCount;
    if (factorLanes() == FactorLanes::Rows)
      return 2;
    if (hasPointers)
      return a.table ? 1 : laneCount;
    // What a table points at LLVM loads as soon as it can, all steps of a turn at once.
    if (a.table)
      return 3 * height * vectors <= tile.registers ? 2 : 1;
    if (2 * height * vectors <= tile.registers)
      return 4;
    return tile.registers > 16 ? 1 : 2;
  }

  /// Factors of A that one load brings, whose lanes are multiplied one by one: steps of a row, or rows of a step, as they
  /// are neighbours.
  enum class FactorLanes { None, Steps, Rows };
  static constexpr unsigned laneCount = 4;
  FactorLanes factorLanes() const {
    bool takesLanes = tile.step == TileStep::F32 || tile.step == TileStep::Bf16Dot;
    bool hasInstruction = laneProducts || (takesLanes && tile.lanes == laneCount);
    if (hasInstruction && isConstantIntValue(a.kStride, 1))
      return FactorLanes::Steps;
    return hasInstruction && isConstantIntValue(a.rowStride, 1) ? FactorLanes::Rows : FactorLanes::None;
  }

  Value callIntrinsic(OpBuilder &builder, StringRef name, Type type, ValueRange operands) const {
    auto intrinsic = laneProducts.getAs<StringAttr>(name);
    return LLVM::CallIntrinsicOp::create(builder, loc, type, intrinsic, operands).getResult(0);
  }

  /// Rows that are neighbours, or a constant distance apart from where a table says, are near one pointer.
  bool isOneRow() const { return a.table || isConstantIntValue(a.rowStride, 1); }
  /// Of such rows the steps of a turn may be beyond what loads reach: then each has a pointer instead.
  bool hasPointerOfSteps() const { return hasPointers && !a.table && isOneRow(); }

  void placeOperands(OpBuilder &builder) {
    IndexMath index{builder, loc};
    auto apart = [&](unsigned number, OpFoldResult distance) {
      return number == 0 ? Value() : index.mul(index.value(distance), number);
    };
    unsigned pointers = hasPointerOfSteps() ? kUnroll() : isOneRow() ? 1 : height;
    for (unsigned number = 0; number < pointers; ++number)
      rows.push_back({a.base, a.offset, apart(number, hasPointerOfSteps() ? a.kStride : a.rowStride), a.kStride,
                      hasPointers && !a.table});
    for (unsigned panel = 0; panel < vectors / tile.vectorsPerPanel(); ++panel)
      panels.push_back({b.base, b.offset, apart(panel, b.panelStride), b.table ? builder.getIndexAttr(0) : b.kStride,
                        hasPointers && !b.table});
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
      // Where several steps are one turn, the rows it asks for behind the last are the next tile's.
      unsigned steps = factorLanes() == FactorLanes::Steps ? kUnroll() : 1;
      Value turn = index.constant(steps);
      Value rows =
          index.min(index.sub(k, index.rem(k, turn)), index.mul(index.ceilDiv(fetches.afterRows, steps), steps));
      sums = sumOver(builder, from, rows, turn, sums, steps, /*fetchesRows=*/true);
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
  void forEachSum(OpBuilder &builder, ArrayRef<Value> sums,
                  llvm::function_ref<void(Value sum, Value at)> element) const {
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

  /// The operands as one turn of the loop over k sees them: its first step is step 0.
  struct Turn {
    Value first; // its first step
    OperandStreams rows, panels;
    SmallVector<Value> steps; // what loadSteps() loaded last, if it did
    Value rowEntry;           // of A's table, for the step that is being emitted; null: there is none
  };

  /// Where step `u` of row `row` is.
  StreamElement rowAt(OpBuilder &builder, const Turn &turn, unsigned row, unsigned u) const {
    bool fromOneRow = isOneRow();
    StreamElement at = hasPointerOfSteps() ? elementAt(builder, loc, turn.rows[u], 0)
                                           : elementAt(builder, loc, turn.rows[fromOneRow ? 0 : row], u);
    if (turn.rowEntry)
      at.offset = IndexMath{builder, loc}.add(at.offset, turn.rowEntry);
    if (fromOneRow)
      at.offset = IndexMath{builder, loc}.step(at.offset, row, a.rowStride);
    return at;
  }

  /// `laneCount` steps of every row of A, from step `u` on.
  SmallVector<Value> loadSteps(OpBuilder &builder, const Turn &turn, unsigned u) const {
    return llvm::map_to_vector(
        llvm::seq(height), [&](unsigned row) { return loadLanes(builder, rowAt(builder, turn, row, u), laneCount); });
  }

  /// All rows of step `u`, `laneCount` to a vector. Without a mask only whole vectors: what is behind the last row may not be
  /// there.
  SmallVector<Value> loadRows(OpBuilder &builder, const Turn &turn, unsigned u) const {
    SmallVector<Value> rows;
    for (unsigned row = 0; row + (laneProducts ? 1 : laneCount) <= height; row += laneCount)
      rows.push_back(loadLanes(builder, rowAt(builder, turn, row, u), std::min(laneCount, height - row)));
    return rows;
  }

  /// The same words. LLVM makes a dot product by lane of a vector that it sees as pairs, and sees a vector it loads as the words whose
  /// lanes are taken, unless a fence stands between.
  Value keptAsPairs(OpBuilder &builder, Value words) const {
    Value pairs = asPairs(builder, loc, words);
    StringAttr fence = builder.getStringAttr("llvm.arithmetic.fence.v" + std::to_string(2 * laneCount) + "bf16");
    pairs = LLVM::CallIntrinsicOp::create(builder, loc, pairs.getType(), fence, pairs).getResult(0);
    return vector::BitCastOp::create(builder, loc, vectorType, pairs);
  }

  /// `count` neighbours of A in the lanes of a vector, as often as they fit.
  Value loadLanes(OpBuilder &builder, const StreamElement &from, unsigned count) const {
    if (!laneProducts) {
      Value lanes = vector::LoadOp::create(builder, loc, vectorType, from.base, from.offset);
      return tile.step == TileStep::Bf16Dot ? keptAsPairs(builder, lanes) : lanes;
    }
    auto mask = VectorType::get({laneCount}, builder.getI1Type(), {true});
    Value number = arith::ConstantOp::create(builder, loc, builder.getI32IntegerAttr(count));
    Value lanes = count == laneCount
                      ? Value(arith::ConstantOp::create(builder, loc, DenseElementsAttr::get(mask, true)))
                      : callIntrinsic(builder, "lanes", mask, number);
    return callIntrinsic(builder, "load", vectorType, {lanes, elementPointer(builder, loc, from.base, from.offset)});
  }

  /// Step `u` of row `row` in every lane.
  Value broadcastFactor(OpBuilder &builder, const Turn &turn, unsigned row, unsigned u) const {
    StreamElement from = rowAt(builder, turn, row, u);
    Value scalar = memref::LoadOp::create(builder, loc, from.base, from.offset);
    return vector::BroadcastOp::create(builder, loc, vectorType, scalar);
  }

  /// What a table says of step k + u.
  Value entryOf(OpBuilder &builder, Value table, Value offset, Value k, unsigned u) const {
    IndexMath index{builder, loc};
    Value entry = memref::LoadOp::create(builder, loc, table, index.add(index.add(offset, k), u));
    return arith::IndexCastOp::create(builder, loc, builder.getIndexType(), entry);
  }

  /// Step `u` of every panel of B.
  SmallVector<Value> loadColumns(OpBuilder &builder, const Turn &turn, unsigned u) const {
    IndexMath index{builder, loc};
    Value entry = b.table ? entryOf(builder, b.table, b.tableOffset, turn.first, u) : Value();
    SmallVector<Value> columns;
    for (unsigned vector = 0; vector < vectors; ++vector) {
      StreamElement panel = elementAt(builder, loc, turn.panels[vector / tile.vectorsPerPanel()], u);
      Value at =
          columnOffset(builder, entry ? index.add(panel.offset, entry) : panel.offset, vector % tile.vectorsPerPanel());
      columns.push_back(vector::LoadOp::create(builder, loc, vectorType, panel.base, at));
    }
    return columns;
  }

  void multiplyAdd(OpBuilder &builder, const Turn &turn, unsigned u, MutableArrayRef<Value> sums) const {
    SmallVector<Value> columns = loadColumns(builder, turn, u), lanes;
    if (factorLanes() == FactorLanes::Rows)
      lanes = loadRows(builder, turn, u);
    for (unsigned row = 0; row < height; ++row) {
      MutableArrayRef<Value> rowSums = sums.slice(row * vectors, vectors);
      if (!turn.steps.empty())
        addLane(builder, turn.steps[row], u % laneCount, columns, rowSums);
      else if (row / laneCount < lanes.size())
        addLane(builder, lanes[row / laneCount], row % laneCount, columns, rowSums);
      else
        addProducts(builder, broadcastFactor(builder, turn, row, u), columns, rowSums);
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

  void addLane(OpBuilder &builder, Value factors, unsigned lane, ArrayRef<Value> columns,
               MutableArrayRef<Value> sums) const {
    bool isPaired = tile.step == TileStep::Bf16Dot;
    if (!laneProducts) {
      Value factor = vector::ExtractOp::create(builder, loc, factors, lane);
      factor = vector::BroadcastOp::create(builder, loc, vectorType, factor);
      if (!isPaired)
        return addFused(builder, factor, columns, sums);
      for (auto [column, sum] : llvm::zip_equal(columns, sums)) // the lane is the last operand of the machine's
        sum = emitBf16Dot(builder, loc, tile.bf16Dot, sum, column, factor);
      return;
    }
    Value which = arith::ConstantOp::create(builder, loc, builder.getI32IntegerAttr(lane));
    auto words = [&](Value value) { return isPaired ? asPairs(builder, loc, value) : value; };
    for (auto [column, sum] : llvm::zip_equal(columns, sums))
      sum = callIntrinsic(builder, isPaired ? "dot_lane" : "multiply_add", vectorType,
                          {sum, words(column), words(factors), which});
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

  SmallVector<Value> sumOver(OpBuilder &builder, Value from, Value to, Value step, ArrayRef<Value> initial,
                             unsigned unroll, bool fetchesRows = false) const {
    const OperandStreams rows(ArrayRef(this->rows).take_front(hasPointerOfSteps() ? unroll : this->rows.size()));
    SmallVector<Value> carriedIn(initial);
    for (const OperandStreams *streams : {&rows, &panels})
      carriedIn.append(streamPointers(builder, loc, *streams, from));
    auto loop = scf::ForOp::create(
        builder, loc, from, to, step, carriedIn, [&](OpBuilder &inner, Location, Value k, ValueRange carried) {
          SmallVector<Value> all(carried), sums = llvm::to_vector(ArrayRef(all).take_front(initial.size()));
          ArrayRef<Value> pointers = ArrayRef(all).drop_front(initial.size());
          Turn turn;
          turn.first = k;
          turn.rows = streamsAt(inner, loc, rows, k, pointers);
          turn.panels = streamsAt(inner, loc, panels, k, pointers);
          for (unsigned u = 0; u < unroll; ++u) {
            if (fetchesRows)
              fetchRows(inner, IndexMath{inner, loc}.add(k, u));
            if (u % fetches.next.every == 0)
              fetchAhead(inner, IndexMath{inner, loc}.add(k, u));
            if (a.table)
              turn.rowEntry = entryOf(inner, a.table, a.tableOffset, k, u);
            if (factorLanes() == FactorLanes::Steps && unroll > 1 && u % laneCount == 0)
              turn.steps = loadSteps(inner, turn, u);
            multiplyAdd(inner, turn, u, sums);
          }
          for (const OperandStreams *streams : {&turn.rows, &turn.panels})
            sums.append(movedPointers(inner, loc, *streams, unroll));
          scf::YieldOp::create(inner, loc, sums);
        });
    return SmallVector<Value>(loop.getResults().take_front(initial.size()));
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
  OperandStreams rows, panels;
  bool hasPointers = false;   // rows and panels
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

} // namespace tenon
