//===- PanelProduct.cpp - "m k, k n -> m n" against panels of a weight ------------------===//
#include "passes/lowering/PanelProduct.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "passes/lowering/Hints.h"
#include "passes/lowering/MatrixTiles.h"
#include "passes/lowering/NormalisedRow.h"

using namespace mlir;

namespace tenon {

constexpr int64_t mostColumnsInPlace = 192;

RegisterTile PanelProduct::tile() const {
  TargetAttr target = lowering.target;
  auto module = lowering.kernel->getParentOfType<ModuleOp>();
  StringRef dot = bf16DotOf(module);
  auto unit = module->getAttrOfType<DictionaryAttr>(bf16TileAttributeName);
  TileStep step = !isPaired      ? TileStep::F32
                  : unit         ? TileStep::Bf16Tile
                  : !dot.empty() ? TileStep::Bf16Dot
                                 : TileStep::Bf16Split;
  RegisterTile tile = productTile(target.getVectorBits() / 32, target.getVectorRegisters(), target.getRowTile(), step);
  tile.bf16Dot = dot;
  tile.unit = unit;
  return tile;
}

/// One row of the left operand into scratch: a copy, normalised or not, or a producer's elements.
void PanelProduct::loadRow(Value row, Value kBegin, Value kCount, Value to, Value toOffset) {
  if (isPaired)
    return loadPairs(row, kBegin, kCount, toOffset);
  if (Value memory = lowering.memoryOf(rows.source)) {
    Value start = rows.move ? movedRow(row) : scope.mul(row, scope.index(depth, loc), loc);
    if (rows.norm)
      return normaliseRow(memory, start, kBegin, kCount, to, toOffset);
    return copyRow(builder, loc, tile().lanes, memory, scope.add(start, kBegin, loc), kCount, to, toOffset,
                   elementsAhead(depth));
  }
  emitLaneLoop(scope, loc, kCount, tile().lanes, [&](RegionEmitter &emitter, const LaneValue &j) {
    LaneValue column{j.kind, scope.add(kBegin, j.value, loc), j.step, false};
    LaneValue element = lowering.reader(op.getLhs(), emitter)({LaneValue::uniform(row), column});
    emitter.store(element, to, scope.add(toOffset, j.value, loc));
  });
}

/// Elements kBegin… of the row that starts at `start`. A row that comes in slabs is summed for each.
void PanelProduct::normaliseRow(Value memory, Value start, Value kBegin, Value kCount, Value to, Value toOffset) {
  auto element = [&](RegionEmitter &emitter, const LaneValue &j) {
    return emitter.materialise(emitter.loadConsecutive(memory, scope.add(start, j.value, loc)));
  };
  auto first = [&](RegionEmitter &emitter, const LaneValue &j) {
    Value ahead = scope.add(start, scope.index(elementsAhead(depth), loc), loc);
    memref::PrefetchOp::create(builder, loc, memory, scope.add(ahead, j.value, loc), /*isWrite=*/false,
                               /*localityHint=*/3, /*isDataCache=*/true);
    return element(emitter, j);
  };
  NormalisedRow normalised(lowering, rows.norm, first, element);
  emitLaneLoop(scope, loc, kCount, tile().lanes, [&](RegionEmitter &emitter, const LaneValue &j) {
    LaneValue column{j.kind, scope.add(kBegin, j.value, loc), j.step, false};
    Value value = normalised.at(emitter, column, element(emitter, column));
    bool isScalar = emitter.getLanes() == 1;
    emitter.store(isScalar ? LaneValue::uniform(value, true) : LaneValue::varying(value), to,
                  scope.add(toOffset, j.value, loc));
  });
}

/// Where a producer that gathers rows takes this one from.
Value PanelProduct::movedRow(Value row) {
  RegionEmitter emitter(scope, 1, loc);
  Value start;
  SmallVector<TensorReader> readers{[&](ArrayRef<LaneValue> indices) {
    start = scope.index(0, loc);
    for (auto [index, stride] : llvm::zip(indices, scope.strides(shapeOf(rows.move.getInputs()[0]), loc)))
      start = scope.add(start, scope.mul(index.value, stride, loc), loc);
    return LaneValue::uniform(start);
  }};
  emitter.evaluate(rows.move.getBody(), {LaneValue::uniform(row), LaneValue::uniform(scope.index(0, loc))}, readers);
  return start;
}

/// The same for pairs; the elements behind the row's last are zero.
void PanelProduct::loadPairs(Value row, Value kBegin, Value kCount, Value toOffset) {
  Value two = scope.index(2, loc);
  Value begin = scope.mul(kBegin, two, loc), to = scope.mul(toOffset, two, loc), room = scope.mul(kCount, two, loc);
  Value count = scope.minimum(room, scope.sub(scope.index(depth, loc), begin, loc), loc);
  Type bf16 = BFloat16Type::get(builder.getContext());
  Value memory = scope.function.scratch(builder, loc, bf16, scope.index(0, loc));
  emitLaneLoop(scope, loc, count, tile().lanes, [&](RegionEmitter &emitter, const LaneValue &j) {
    LaneValue column{j.kind, scope.add(begin, j.value, loc), j.step, false};
    LaneValue element = lowering.reader(op.getLhs(), emitter)({LaneValue::uniform(row), column});
    emitter.store(element, memory, scope.add(to, j.value, loc));
  });
  if (depth == 2 * words)
    return;
  Value zero = arith::ConstantOp::create(builder, loc, builder.getZeroAttr(bf16));
  emitLoop(scope, loc, count, room, [&](Value j) {
    RegionEmitter(scope, 1, loc).store(LaneValue::uniform(zero), memory, scope.add(to, j, loc));
  });
}

/// Applies the map behind the contraction to a piece of finished sums and stores it.
void PanelProduct::finishPiece(const PackedProduct::Piece &piece) {
  Value width = scope.index(RegisterTile::panelWidth, loc), length = scope.index(columns, loc);
  Value firstColumn = scope.mul(panelAt(piece.panel), width, loc);
  Value count = scope.minimum(scope.mul(piece.panelCount, width, loc), scope.sub(length, firstColumn, loc), loc);
  if (columns % RegisterTile::panelWidth == 0)
    count = scope.mul(piece.panelCount, width, loc);
  emitLoop(scope, loc, scope.index(0, loc), piece.rowCount, [&](Value i) {
    Value row = rowAt(scope.add(piece.row, i, loc));
    Value sums = scope.add(piece.sumsOffset, scope.mul(i, scope.index(piece.sumsPitch, loc), loc), loc);
    Value start = scope.add(scope.mul(row, length, loc), firstColumn, loc);
    auto body = [&](RegionEmitter &emitter, const LaneValue &j) {
      LaneValue column{j.kind, scope.add(firstColumn, j.value, loc), j.step, false};
      LaneValue element = emitter.loadConsecutive(piece.sums, scope.add(sums, j.value, loc));
      lowering.finish(emitter, {LaneValue::uniform(row), column}, scope.add(start, j.value, loc), element);
    };
    // Whole panels leave no remainder, so none is emitted.
    if (columns % RegisterTile::panelWidth == 0)
      emitWholeVectors(count, body);
    else
      lowering.forEachElement(count, body);
  });
}

/// The rows of the result, and of a tensor like it that the map behind reads.
SmallVector<TileRows, 2> PanelProduct::touchedRows(const PackedProduct::Piece &piece) {
  Value length = scope.index(columns, loc), width = scope.index(RegisterTile::panelWidth, loc);
  Value offset = scope.add(scope.mul(piece.row, length, loc), scope.mul(piece.panel, width, loc), loc);
  SmallVector<TileRows, 2> rows;
  auto touch = [&](Value memory, bool written) {
    if (memory && cast<MemRefType>(memory.getType()).getElementType().isF32())
      rows.push_back({memory, offset, length, written});
  };
  touch(lowering.resultMemory(), true);
  if (auto map = lowering.returned().getDefiningOp<MapOp>())
    for (Value input : map.getInputs())
      if (rows.size() == 1 && cast<RankedTensorType>(input.getType()).getRank() == 2 && shapeOf(input) == result)
        touch(lowering.memoryOf(input), false);
  return rows;
}

void PanelProduct::emitWholeVectors(Value count, function_ref<void(RegionEmitter &, const LaneValue &)> body) {
  RegionEmitter emitter(scope, tile().lanes, loc);
  auto loop = scf::ForOp::create(builder, loc, scope.index(0, loc), count, scope.index(tile().lanes, loc));
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  body(emitter, LaneValue::linear(loop.getInductionVar()));
}

/// Copying rows pays where many panels meet them.
bool PanelProduct::rowsMayStay() {
  return !isPaired && lowering.memoryOf(op.getLhs()) && RowsInPlace::mayBeApart(depth) && columns <= mostColumnsInPlace;
}

PackedProduct PanelProduct::productWith(Value panels) {
  PackedProduct product;
  product.tile = tile();
  product.blocking = blocking;
  product.rows = scope.dim(lhs[0], loc);
  product.panels = scope.dim(result[1].ceilDiv(Dim(RegisterTile::panelWidth)), loc);
  product.k = scope.index(words, loc);
  product.b = scope.function.operandAs(builder, loc, cast<BlockArgument>(panels).getArgNumber(), f32);
  product.bOffset = scope.index(0, loc);
  product.scratch = scope.function.scratch(builder, loc, f32, scope.index(0, loc));
  product.firstTile = scope.function.firstTile();
  product.lastTile = scope.function.lastTile();
  product.fetchesNear = scope.function.hasHints(builder, loc, hintFetchNear);
  product.loadRow = [&](OpBuilder &, Location, Value row, Value kBegin, Value kCount, Value to, Value toOffset) {
    loadRow(rowAt(row), kBegin, kCount, to, toOffset);
  };
  product.epilogue = [&](OpBuilder &, Location, const PackedProduct::Piece &piece) { finishPiece(piece); };
  return product;
}

KernelGrid PanelProduct::lower() {
  bool isInPlace = rowsMayStay();
  int64_t floats = isInPlace ? inPlaceProductScratch(blocking) : packedProductScratch(blocking, words);
  PackedProduct product = productWith(op.getRhs());
  if (isInPlace)
    product.rowsInPlace = {lowering.memoryOf(op.getLhs()), scope.index(0, loc), scope.index(depth, loc)};
  product.touched = [&](OpBuilder &, Location, const PackedProduct::Piece &piece) { return touchedRows(piece); };
  emitPackedProduct(builder, loc, scope.function.function()->getParentOfType<ModuleOp>(), product);
  Dim groups = result[1].ceilDiv(Dim(RegisterTile::panelWidth)).ceilDiv(Dim(blocking.panelGroup));
  int64_t grain = isInPlace ? 1 : groups.constant().value_or(1); // a row block's copy is for all its groups
  return {lhs[0].ceilDiv(Dim(blocking.rowBlock)) * groups, Dim(4 * floats), grain};
}

KernelGrid lowerPanelProduct(KernelLowering &lowering, ContractOp op) { return PanelProduct(lowering, op).lower(); }

} // namespace tenon
