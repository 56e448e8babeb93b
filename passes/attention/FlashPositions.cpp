//===- FlashPositions.cpp - products with positions, tile by tile ----------------------===//
//
// What FlashAttention.h adds for PositionProducts.h. Of `width` queries and a tile of `count` keys only count + width - 1
// distances occur, and of 16 queries count + 15: no tensor of queries x distances is needed.
//
// Rows of queries:   band[u][q] = R[f(δ0 + u)] · Q'[q]      one panel of 16 queries, u < count + 15
//                    aligned[j][q] = band[j + 15 - q][q]    lane q moves by q rows
//
// The move is log2(lanes) selections, by 8, 4, 2 and 1 rows, of lanes whose number has that bit: 5 operations a vector of 16,
// where a gather takes 16 loads.
//
// Rows of keys:      product[j][w] = K'[j] · R[f(δ1 - w)]   16 keys at a time, w < width + 15
//                    aligned[j][q] = product[j][q + 15 - j] neighbours in memory: a load at any address
//
// f is evaluated once a distance and tile, and reads rows of R in any order: shifts, clamps and buckets cost the same.
// Costs beside a product with all distances: (count + 15) / count of one product of queries and keys, for rows of keys
// (width + 16) / width, which for as many distances as 2 N is less than the half; memory is a few KB a worker.
//
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "passes/attention/FlashAttention.h"
#include "passes/lowering/TransposeTile.h"

using namespace mlir;

namespace tenon {

static constexpr int64_t panelWidth = RegisterTile::panelWidth;

//===----------------------------------------------------------------------------===//
// Where rows lie
//===----------------------------------------------------------------------------===//

LogicalResult FlashLowering::readPositions() {
  for (PositionProduct &x : PositionProduct::streamed(op)) {
    if (!lowering.memoryOf(x.rows.tensor) || !lowering.memoryOf(x.table.tensor))
      return op.emitOpError("flash wants the operands of a product with positions in memory");
    positions.emplace_back(PositionRows(lowering, x));
  }
  for (auto [number, capture] : llvm::enumerate(op.getCaptures()))
    if (capture.getDefiningOp() && !positionOfCapture(number))
      return op.emitOpError("flash wants captured tensors in memory");
  return success();
}

FlashPosition *FlashLowering::positionOfCapture(unsigned capture) {
  auto *found = llvm::find_if(positions, [&](FlashPosition &x) { return x.product.capture == capture; });
  return found == positions.end() ? nullptr : found;
}

/// What all groups of a tile use in turn.
void FlashLowering::carvePositions() {
  for (FlashPosition &x : positions) {
    x.tableAt = carve((keyTile + width) * x.product.depth);
    x.bandAt = carve(x.product.ofQuery ? (keyTile + panelWidth) * panelWidth : 0);
    x.keysAt = carve(x.product.ofQuery ? 0 : keyTile * x.product.depth);
    x.productAt = carve(keyTile * x.rowLength(width));
  }
}

void FlashLowering::carvePositionQueries() {
  for (FlashPosition &x : positions)
    x.queriesAt = carve(x.product.ofQuery ? x.product.depth * width : 0);
}

void FlashLowering::makePositionTiles(ModuleOp module) {
  for (FlashPosition &x : positions) {
    int64_t to = x.product.ofQuery ? panelWidth : x.rowLength(width);
    x.tile.emplace(TileFunction::get(module, tile, {x.product.depth, panelWidth, to, 1, /*fetchesAhead=*/false}));
  }
}

void FlashLowering::locatePositions() {
  for (FlashPosition &x : positions)
    x.locate(batch, head);
}

/// Q' of a group, in panels as Q.
void FlashLowering::packPositionQueries() {
  for (FlashPosition &x : positions)
    if (x.product.ofQuery)
      packQueryPanels(x.rows, x.product.depth, x.queriesAt);
}

//===----------------------------------------------------------------------------===//
// A tile of keys
//===----------------------------------------------------------------------------===//

void FlashLowering::multiplyPositions(const FlashKeys &keys) {
  for (FlashPosition &x : positions)
    if (x.product.ofQuery)
      multiplyQueryPositions(x, keys);
    else
      multiplyKeyPositions(x, keys);
}

void FlashLowering::multiplyQueryPositions(FlashPosition &x, const FlashKeys &keys) {
  int64_t depth = x.product.depth;
  Value least = minus(minus(keys.first, firstQuery), minus(columns, index(1)));
  emitLoop(scope, loc, index(0), plus(keys.count, minus(columns, index(1))), [&](Value u) {
    copyRow(x.table, x.tableRow(plus(least, u)), depth, plus(x.tableAt, times(u, depth)));
  });
  emitLoop(scope, loc, index(0), panels, [&](Value panel) {
    Value below = minus(columns, times(plus(1, panel), panelWidth));
    TileFunction::Arguments arguments;
    arguments.a = arguments.b = scratch;
    arguments.bOffset = plus(plus(x.queriesAt, state), times(panel, depth * panelWidth));
    arguments.panelStride = index(0);
    arguments.panels = index(1);
    arguments.k = index(depth);
    arguments.accumulate = arith::ConstantIntOp::create(builder, loc, 0, 1);
    multiplyTiles(
        *x.tile, plus(panelWidth - 1, keys.count), arguments,
        [&](Value row) { return plus(x.tableAt, times(plus(below, row), depth)); }, index(x.bandAt), panelWidth);
    for (int64_t first = 0; first < panelWidth; first += lanes)
      alignBand(x, keys, first, plus(first, times(panel, panelWidth)));
  });
}

/// aligned[j][q] = band[j + 15 - q][q] for the vector of queries that begins at `first` of its panel.
void FlashLowering::alignBand(FlashPosition &x, const FlashKeys &keys, int64_t first, Value column) {
  auto loop = scf::ForOp::create(builder, loc, index(0), keys.count, index(lanes));
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  Value j = loop.getInductionVar();
  SmallVector<Value> rows; // From band row j + 15 - first - (lanes - 1) on.
  for (int64_t row = 0; row < 2 * int64_t(lanes) - 1; ++row)
    rows.push_back(
        load(plus(x.bandAt + (row + panelWidth - first - lanes) * panelWidth + first, times(j, panelWidth))));
  for (int64_t shift = lanes / 2; shift > 0; shift /= 2) {
    SmallVector<bool> moves;
    for (int64_t lane = 0; lane < int64_t(lanes); ++lane)
      moves.push_back(lane & shift);
    auto type = VectorType::get({int64_t(lanes)}, builder.getI1Type());
    Value mask = arith::ConstantOp::create(builder, loc, DenseElementsAttr::get(type, moves));
    SmallVector<Value> next;
    for (size_t row = shift; row < rows.size(); ++row)
      next.push_back(select(mask, rows[row - shift], rows[row]));
    rows = std::move(next);
  }
  for (auto [row, vector] : llvm::enumerate(rows))
    store(vector, plus(plus(x.productAt, times(plus(row, j), width)), column));
}

void FlashLowering::multiplyKeyPositions(FlashPosition &x, const FlashKeys &keys) {
  int64_t depth = x.product.depth;
  emitLoop(scope, loc, index(0), keys.count, [&](Value row) {
    Value from = plus(x.rows.start, scope.mul(plus(keys.first, row), x.rows.stride, loc));
    copyRow(x.rows, from, depth, plus(x.keysAt, times(row, depth)));
  });
  // Panel t of the table holds w = 16 t…, which is i - firstQuery - (j - first) + keyTile - 1.
  Value greatest = plus(keyTile - 1, minus(keys.first, firstQuery));
  Value blocks = builder.createOrFold<arith::DivUIOp>(loc, plus(panelWidth - 1, keys.count), index(panelWidth));
  Value firstPanel = minus(index(keyTile / panelWidth), blocks);
  emitLoop(scope, loc, firstPanel, plus(keyTile / panelWidth, panels), [&](Value panel) {
    for (int64_t first = 0; first < panelWidth; first += lanes) {
      SmallVector<Value> rows;
      for (int64_t lane = 0; lane < int64_t(lanes); ++lane)
        rows.push_back(x.tableRow(minus(greatest, plus(first + lane, times(panel, panelWidth)))));
      packPanel(x.table, rows, depth, plus(x.tableAt + first, times(panel, depth * panelWidth)));
    }
  });
  emitLoop(scope, loc, index(0), blocks, [&](Value block) {
    Value first = times(block, panelWidth);
    TileFunction::Arguments arguments;
    arguments.a = arguments.b = scratch;
    arguments.bOffset = plus(x.tableAt, times(minus(index(keyTile / panelWidth - 1), block), depth * panelWidth));
    arguments.panelStride = index(depth * panelWidth);
    arguments.panels = plus(1, panels);
    arguments.k = index(depth);
    arguments.accumulate = arith::ConstantIntOp::create(builder, loc, 0, 1);
    multiplyTiles(*x.tile, scope.minimum(index(panelWidth), minus(keys.count, first), loc), arguments,
                  [&](Value row) { return plus(x.keysAt, times(plus(first, row), depth)); },
                  plus(x.productAt, times(first, x.rowLength(width))), x.rowLength(width));
  });
}

/// What the score loads for key j of the tile and a vector of queries.
LaneValue FlashLowering::positionTerm(FlashPosition &x, Value j, Value column, RegionEmitter &emitter,
                                      ArrayRef<LaneValue> indices) {
  Value at = plus(plus(x.productAt, times(j, x.rowLength(width))), column);
  if (!x.product.ofQuery)
    at = plus(at, minus(index(panelWidth - 1), builder.createOrFold<arith::RemUIOp>(loc, j, index(panelWidth))));
  LaneValue product = LaneValue::varying(load(at));
  if (!x.product.after)
    return product;
  return emitter.evaluate(x.product.after.getBody(), indices, {[&](ArrayRef<LaneValue>) { return product; }});
}

//===----------------------------------------------------------------------------===//
// Rows into scratch
//===----------------------------------------------------------------------------===//

/// `depth` elements from `from` on, side by side.
void FlashLowering::copyRow(const FlashRows &rows, Value from, int64_t depth, Value to) {
  int64_t whole = rows.element ? 0 : depth / lanes * lanes;
  for (int64_t d = 0; d < whole; d += lanes)
    store(loadAsF32(builder, loc, rows.memory, plus(d, from), lanes), plus(d, to));
  emitLoop(scope, loc, index(whole), index(depth), [&](Value d) {
    Value element = loadAsF32(builder, loc, rows.memory, plus(from, elementOffset(rows, d)));
    memref::StoreOp::create(builder, loc, element, scratch, plus(to, d));
  });
}

Value FlashLowering::elementOffset(const FlashRows &rows, Value d) {
  return rows.element ? scope.mul(d, rows.element, loc) : d;
}

/// `lanes` rows as lanes of a panel [depth][16].
void FlashLowering::packPanel(const FlashRows &from, ArrayRef<Value> rows, int64_t depth, Value to) {
  int64_t whole = from.element ? 0 : depth / lanes * lanes;
  auto loop = scf::ForOp::create(builder, loc, index(0), index(whole), index(lanes));
  {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(loop.getBody());
    Value d = loop.getInductionVar();
    SmallVector<Value> block;
    for (Value row : rows)
      block.push_back(loadAsF32(builder, loc, from.memory, plus(row, d), lanes));
    for (auto [i, turned] : llvm::enumerate(transposeTile(builder, loc, block)))
      store(turned, plus(to, times(plus(i, d), panelWidth)));
  }
  emitLoop(scope, loc, index(whole), index(depth), [&](Value d) {
    for (auto [lane, row] : llvm::enumerate(rows)) {
      Value element = loadAsF32(builder, loc, from.memory, plus(row, elementOffset(from, d)));
      memref::StoreOp::create(builder, loc, element, scratch, plus(plus(lane, to), times(d, panelWidth)));
    }
  });
}

/// The rows of a group of queries in panels [depth][16], in its state.
void FlashLowering::packQueryPanels(const FlashRows &from, int64_t depth, int64_t at) {
  forEachVector([&](Value column) {
    Value panel = builder.createOrFold<arith::DivUIOp>(loc, column, index(panelWidth));
    Value inPanel = builder.createOrFold<arith::RemUIOp>(loc, column, index(panelWidth));
    SmallVector<Value> rows;
    Value last = minus(queryCount, index(1));
    for (unsigned lane = 0; lane < lanes; ++lane) {
      Value row = plus(firstQuery, scope.minimum(plus(lane, column), last, loc));
      rows.push_back(plus(from.start, scope.mul(row, from.stride, loc)));
    }
    packPanel(from, rows, depth, plus(plus(plus(at, state), times(panel, depth * panelWidth)), inPanel));
  });
}

} // namespace tenon
