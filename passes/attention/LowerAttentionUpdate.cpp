//===- LowerAttentionUpdate.cpp - a part of the keys: scores, weights, state ---------===//
//
// The outer half of AttentionUpdate.h: where operands lie, which part and rows a tile is about, what becomes of scores,
// and the state as it is stored.
//
#include "passes/attention/AttentionUpdate.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "passes/attention/FlashAttention.h"
#include "passes/lowering/Hints.h"
#include "passes/lowering/MicroKernel.h"
#include "passes/lowering/TransposeTile.h"
#include "passes/lowering/VectorMath.h"

using namespace mlir;

namespace tenon {

/// Rows of a tile, at most.
static constexpr int64_t mostRows = 32;
/// Keys that are live or dead together, at most.
static constexpr int64_t mostPieceKeys = 64;
static constexpr float leastFloat = -std::numeric_limits<float>::max();

//===----------------------------------------------------------------------------===//
// Shapes and scratch
//===----------------------------------------------------------------------------===//

LogicalResult UpdateLowering::readOperand(Operand &operand, unsigned number, StringRef what) {
  std::string error;
  Value tensor = op->getOperand(number);
  operand.layout = *AttentionLayout::parse(op.getLayout(number), error);
  operand.shape = shapeOf(tensor);
  operand.memory = lowering.memoryOf(tensor);
  operand.element = elementOf(tensor);
  std::optional<int64_t> row = operand.layout.strideOf('n', operand.shape).constant();
  if (!operand.memory || !row || operand.layout.strideOf('d', operand.shape) != Dim(1) || operand.element.isF64())
    return op.emitOpError("wants the ")
           << what << " in memory as f32, bf16 or f16, rows a constant distance apart and their elements side by side";
  operand.row = *row;
  return success();
}

LogicalResult UpdateLowering::readShapes() {
  sizes = op.getSizes();
  std::optional<int64_t> keys = op.getPartsOf() ? std::optional<int64_t>(*op.getPartsOf()) : sizes.keys.constant();
  if (!keys || !sizes.depth.constant() || !sizes.valueDepth.constant())
    return op.emitOpError("wants a constant number of keys to a part, and depth");
  partKeys = *keys;
  depth = *sizes.depth.constant();
  valueDepth = *sizes.valueDepth.constant();
  lanes = lowering.target.getVectorBits() / 32;
  pitch = llvm::alignTo(partKeys, lanes) + lanes;
  if (failed(readOperand(query, 0, "query")) || failed(readOperand(key, 1, "keys")))
    return failure();
  auto isBF16 = [](const Operand &operand) { return operand.element.isBF16(); };
  auto dot = lowering.kernel->getParentOfType<ModuleOp>()->getAttrOfType<StringAttr>(bf16DotAttributeName);
  if (failed(readOperand(value, 2, "values")))
    return failure();
  if (dot && isBF16(query) && isBF16(key) && isBF16(value))
    dotIntrinsic = dot.getValue();
  return success();
}

FailureOr<KernelGrid> UpdateLowering::lower() {
  if (failed(readShapes()))
    return failure();
  Dim parts = op.getParts(), allRows = sizes.heads.floorDiv(sizes.keyHeads) * sizes.queries;
  rows = mostRows;
  if (std::optional<int64_t> constant = allRows.constant())
    rows = std::min(rows, std::max<int64_t>(*constant, 1));
  Dim blocks = allRows.ceilDiv(Dim(rows));
  blockCount = scope.dim(blocks, loc);
  partCount = scope.dim(parts, loc);
  totalRows = scope.dim(allRows, loc);
  queryCount = scope.dim(sizes.queries, loc);
  lastKey = plus(-1, scope.dim(sizes.keys, loc));
  isLong = isLongCache();
  fetchesNear = scope.function.hasHints(builder, loc, hintFetchNear);
  groupSize = scope.dim(sizes.heads.floorDiv(sizes.keyHeads), loc);
  outputAt = rows * pitch;
  maximumAt = outputAt + rows * outputPitch();
  sumAt = maximumAt + llvm::alignTo(rows, 16);
  scratch = scope.function.scratch(builder, loc, builder.getF32Type(), index(0));
  partialAt = sumAt + llvm::alignTo(rows, 16);
  int64_t floats = partialAt + rows * lanes * lanes / quad;
  if (usesDots()) {
    narrowScratch = scope.function.scratch(builder, loc, builder.getBF16Type(), index(4 * floats));
    weightPairs = scope.function.scratch(builder, loc, builder.getI32Type(), index(4 * floats));
    floats += llvm::divideCeil(rows * pitch, 2);
  }
  if (op.hasKeep())
    intervals.emplace(lowering, op.getKeep(), op.getCaptures());
  if (intervals && !intervals->decides())
    intervals.reset();
  if (intervals) {
    pieceKeys = std::min(mostPieceKeys, int64_t(llvm::alignTo(partKeys, lanes)));
    pieces = scope.function.scratch(builder, loc, builder.getI32Type(), index(4 * floats));
    floats += llvm::divideCeil(partKeys, pieceKeys);
  }
  emitLoop(scope, loc, scope.function.firstTile(), scope.function.lastTile(), [&](Value tile) { emitTile(tile); });
  return KernelGrid{parts * sizes.batch * sizes.keyHeads * blocks, Dim(4 * floats)};
}

//===----------------------------------------------------------------------------===//
// Small words
//===----------------------------------------------------------------------------===//

Value UpdateLowering::load(Value at) { return vector::LoadOp::create(builder, loc, vectorType(), scratch, at); }
void UpdateLowering::store(Value vector, Value at) { vector::StoreOp::create(builder, loc, vector, scratch, at); }
Value UpdateLowering::loadScalar(Value at) { return memref::LoadOp::create(builder, loc, scratch, at); }
void UpdateLowering::storeScalar(Value scalar, Value at) { memref::StoreOp::create(builder, loc, scalar, scratch, at); }
Value UpdateLowering::splat(Value scalar) { return vector::BroadcastOp::create(builder, loc, vectorType(), scalar); }
Value UpdateLowering::number(float value) {
  return arith::ConstantOp::create(builder, loc, builder.getF32FloatAttr(value));
}
Value UpdateLowering::constant(float value) {
  return arith::ConstantOp::create(builder, loc, DenseElementsAttr::get(vectorType(), value));
}
Value UpdateLowering::fma(Value a, Value b, Value c) { return math::FmaOp::create(builder, loc, a, b, c); }

//===----------------------------------------------------------------------------===//
// One part of the keys
//===----------------------------------------------------------------------------===//

Value UpdateLowering::startOf(const Operand &operand, Value b, Value h) {
  Value start = scope.dim(operand.layout.offset(operand.shape), loc);
  start = plus(start, scope.mul(b, scope.dim(operand.layout.strideOf('b', operand.shape), loc), loc));
  return plus(start, scope.mul(h, scope.dim(operand.layout.strideOf('h', operand.shape), loc), loc));
}

/// Blocks of rows, which read the same keys, follow each other; then parts, which are neighbours in memory.
void UpdateLowering::locate(Value tile) {
  Value keyHeads = scope.dim(sizes.keyHeads, loc);
  firstRow = times(remainder(tile, blockCount), rows);
  rowCount = least(index(rows), scope.sub(totalRows, firstRow, loc));
  Value rest = quotient(tile, blockCount);
  part = remainder(rest, partCount);
  rest = quotient(rest, partCount);
  keyHead = remainder(rest, keyHeads);
  batch = quotient(rest, keyHeads);
  keyStart = startOf(key, batch, keyHead);
  valueStart = startOf(value, batch, keyHead);
  firstKey = times(part, partKeys);
  count = least(index(partKeys), scope.sub(scope.dim(sizes.keys, loc), firstKey, loc));
}

void UpdateLowering::emitTile(Value tile) {
  locate(tile);
  findPieces();
  Value whole = scope.mul(quotient(plus(lanes - 1, count), index(lanes)), index(lanes), loc);
  forPieces([&](const Piece &piece) { multiply(piece); });
  emitLoop(scope, loc, index(0), rowCount, [&](Value r) {
    Value live = applyRegions(r);
    // What lies beyond the last key weighs nothing.
    step(count, whole, 1, [&](Value j) { storeScalar(number(deadScore()), scoreOf(r, j)); });
    weigh(r, whole, live);
    if (pairedValues() > 0)
      narrowWeights(r);
    step(index(0), index(outputPitch()), lanes, [&](Value d) { store(constant(0), outputOf(r, d)); });
  });
  forPieces([&](const Piece &piece) { takeValues(piece); });
  emitLoop(scope, loc, index(0), rowCount, [&](Value r) {
    if (pairedValues() > 0)
      orderOutput(r);
    writeState(r);
  });
}

//===----------------------------------------------------------------------------===//
// Pieces with live keys
//===----------------------------------------------------------------------------===//

/// The rows of the tile and keys [begin, end); all queries where the rows are of several heads.
AttentionBox UpdateLowering::boxOf(Value begin, Value end) {
  Value last = plus(-1, rowCount);
  Value oneHead = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, headOf(index(0)), headOf(last));
  auto choose = [&](Value yes, Value no) -> Value { return arith::SelectOp::create(builder, loc, oneHead, yes, no); };
  return {batch, headOf(index(0)), choose(queryOf(index(0)), index(0)), choose(queryOf(last), plus(-1, queryCount)),
          plus(firstKey, begin), plus(firstKey, plus(-1, end))};
}

KeepTruth UpdateLowering::truthOf(Value begin, Value end) {
  KeepTruth truth = intervals->evaluate(boxOf(begin, end));
  if (op.getKeep().getArgument(1).use_empty())
    return truth;
  Value severalHeads =
      arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ne, headOf(index(0)), headOf(plus(-1, rowCount)));
  Value no = arith::ConstantIntOp::create(builder, loc, 0, 1);
  return {arith::OrIOp::create(builder, loc, truth.some, severalHeads),
          arith::SelectOp::create(builder, loc, severalHeads, no, truth.every)};
}

/// Lists the pieces of the part in which some key is live for some row.
void UpdateLowering::findPieces() {
  if (!intervals)
    return;
  Type word = builder.getI32Type();
  pieceCount = carry(index(0), count, pieceKeys, index(0), [&](Value begin, ValueRange found) {
    KeepTruth truth = truthOf(begin, least(plus(pieceKeys, begin), count));
    Value every = arith::ExtUIOp::create(builder, loc, word, truth.every);
    Value twice = arith::IndexCastOp::create(builder, loc, word, times(begin, 2));
    memref::StoreOp::create(builder, loc, arith::OrIOp::create(builder, loc, twice, every), pieces, found[0]);
    Value some = arith::IndexCastUIOp::create(builder, loc, builder.getIndexType(), truth.some);
    return Values{plus(found[0], some)};
  })[0];
}

/// `body(piece, carried)` for each of them; for all keys at once where none can be known to be dead.
SmallVector<Value> UpdateLowering::overPieces(ValueRange start,
                                              llvm::function_ref<Values(const Piece &, ValueRange)> body) {
  if (!intervals)
    return body({index(0), count, {}}, start);
  return carry(index(0), pieceCount, 1, llvm::to_vector(start), [&](Value number, ValueRange carried) {
    Value packed = memref::LoadOp::create(builder, loc, pieces, number);
    Value every = arith::TruncIOp::create(builder, loc, builder.getI1Type(), packed);
    Value begin = quotient(arith::IndexCastOp::create(builder, loc, builder.getIndexType(), packed), index(2));
    return body({begin, least(plus(pieceKeys, begin), count), every}, carried);
  });
}

//===----------------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------------===//

Value UpdateLowering::headOf(Value r) {
  return plus(scope.mul(keyHead, groupSize, loc), quotient(plus(firstRow, r), queryCount));
}
Value UpdateLowering::queryOf(Value r) { return remainder(plus(firstRow, r), queryCount); }

/// Score and keep, in place. Gives whether a key is live (i1).
Value UpdateLowering::applyRegions(Value r) {
  Value any = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::sgt, count, index(0));
  if (!op.hasScore() && !op.hasKeep())
    return any;
  Value liveAt = plus(sumAt, r);
  if (op.hasKeep())
    storeScalar(number(0), liveAt);
  forPieces([&](const Piece &piece) {
    if (!piece.every)
      return applyTo(r, piece, op.hasKeep());
    auto unmasked = [&] {
      applyTo(r, piece, /*masks=*/false);
      storeScalar(number(1), liveAt);
    };
    emitIf(scope, loc, piece.every, unmasked, [&] { applyTo(r, piece, /*masks=*/true); });
  });
  if (!op.hasKeep())
    return any;
  return arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OGT, loadScalar(liveAt), number(0));
}

void UpdateLowering::applyTo(Value r, const Piece &piece, bool masks) {
  if (!op.hasScore() && !masks)
    return;
  emitLaneLoop(scope, loc, scope.sub(piece.end, piece.begin, loc), lanes, [&](RegionEmitter &emitter, LaneValue j) {
    j.value = plus(piece.begin, j.value);
    applyAt(emitter, r, j, masks);
  });
}

void UpdateLowering::applyAt(RegionEmitter &emitter, Value r, LaneValue j, bool masks) {
  SmallVector<TensorReader> captures;
  for (Value capture : op.getCaptures())
    captures.push_back(lowering.reader(capture, emitter));
  Value at = scoreOf(r, j.value);
  j.value = plus(firstKey, j.value);
  SmallVector<LaneValue> point{LaneValue::uniform(batch), LaneValue::uniform(headOf(r)), LaneValue::uniform(queryOf(r)),
                               j};
  LaneValue score = emitter.loadConsecutive(scratch, at);
  if (op.hasScore()) {
    SmallVector<LaneValue> withScore{score};
    llvm::append_range(withScore, point);
    score = emitter.evaluate(op.getScore(), withScore, captures);
  }
  if (masks) {
    Value live = emitter.materialise(emitter.evaluate(op.getKeep(), point, captures));
    bool isVector = isa<VectorType>(live.getType());
    Value dead = isVector ? constant(deadScore()) : number(deadScore());
    score.value = arith::SelectOp::create(builder, loc, live, emitter.materialise(score), dead);
    score.kind = isVector ? LaneValue::Varying : LaneValue::Uniform;
    Value anyLive = isVector ? Value(vector::ReductionOp::create(builder, loc, vector::CombiningKind::OR, live)) : live;
    Value before = loadScalar(plus(sumAt, r));
    storeScalar(arith::SelectOp::create(builder, loc, anyLive, number(1), before), plus(sumAt, r));
  }
  emitter.store(score, scratch, at);
}

/// The row of values with this number, from memory: scores are turned to weights meanwhile, which reads none.
void UpdateLowering::fetchValues(Value number) {
  int64_t line = 512 / value.element.getIntOrFloatBitWidth();
  for (int64_t d = 0; d < valueDepth; d += line)
    memref::PrefetchOp::create(builder, loc, value.memory, plus(d, valueAt(number)), /*isWrite=*/false,
                               /*localityHint=*/2,
                               /*isDataCache=*/true);
}

Value UpdateLowering::greatestScore(Value r) {
  Value greatest = overPieces(constant(leastFloat), [&](const Piece &piece, ValueRange start) {
    return carry(piece.begin, piece.end, lanes, llvm::to_vector(start), [&](Value j, ValueRange carried) {
      Value score = load(scoreOf(r, j));
      Value isGreater = arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OGT, score, carried[0]);
      return Values{arith::SelectOp::create(builder, loc, isGreater, score, carried[0])};
    });
  })[0];
  // No lane is NaN: said so, the reduction is a tree and not a chain.
  return vector::ReductionOp::create(builder, loc, vector::CombiningKind::MAXNUMF, greatest,
                                     arith::FastMathFlags::nnan);
}

/// Scores to weights; gives their sums, lane by lane.
Value UpdateLowering::weighScores(Value r, Value maximum, Value whole) {
  Value shift = splat(maximum);
  return overPieces(constant(0), [&](const Piece &piece, ValueRange start) {
    return carry(piece.begin, piece.end, lanes, llvm::to_vector(start), [&](Value j, ValueRange carried) {
      Value weight = load(scoreOf(r, j));
      if (isSoftmax()) {
        Value distance = arith::SubFOp::create(builder, loc, weight, shift);
        weight = emitMath(builder, loc, MathFunction::ExpNonPositive, distance);
        if (!intervals)
          fetchValues(quotient(plus(scope.mul(r, whole, loc), j), index(lanes)));
        store(weight, scoreOf(r, j));
      }
      return Values{arith::AddFOp::create(builder, loc, carried[0], weight)};
    });
  })[0];
}

/// Scores to weights, and the row's m and l.
void UpdateLowering::weigh(Value r, Value whole, Value live) {
  Value maximum = isSoftmax() ? greatestScore(r) : number(0);
  Value sums = weighScores(r, maximum, whole);
  Value sum = op.getNormaliser() == Normaliser::None
                  ? number(0)
                  : Value(vector::ReductionOp::create(builder, loc, vector::CombiningKind::ADD, sums,
                                                      arith::FastMathFlags::reassoc));
  Value dead = number(-std::numeric_limits<float>::infinity());
  storeScalar(arith::SelectOp::create(builder, loc, live, maximum, dead), plus(maximumAt, r));
  storeScalar(sum, plus(sumAt, r));
}

/// Row [part, batch, head, query] of the state.
void UpdateLowering::writeState(Value r) {
  Value row = plus(scope.mul(part, scope.dim(sizes.batch, loc), loc), batch);
  row = plus(scope.mul(row, scope.dim(sizes.heads, loc), loc), headOf(r));
  row = plus(scope.mul(row, queryCount, loc), queryOf(r));
  Value to = times(row, valueDepth + 2), memory = lowering.resultMemory();
  emitLaneLoop(scope, loc, index(valueDepth), lanes, [&](RegionEmitter &emitter, const LaneValue &d) {
    emitter.store(emitter.loadConsecutive(scratch, outputOf(r, d.value)), memory, plus(to, d.value));
  });
  memref::StoreOp::create(builder, loc, loadScalar(plus(maximumAt, r)), memory, plus(valueDepth, to));
  memref::StoreOp::create(builder, loc, loadScalar(plus(sumAt, r)), memory, plus(valueDepth + 1, to));
}

FailureOr<KernelGrid> lowerAttentionUpdate(KernelLowering &lowering, AttentionUpdateOp update) {
  return UpdateLowering(lowering, update).lower();
}

} // namespace tenon
