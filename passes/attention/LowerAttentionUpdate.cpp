//===- LowerAttentionUpdate.cpp - a state of attention, row by row -------------------===//
//
// One tile is one part of the keys of one (batch, key head), for up to 32 rows: the queries of all heads that
// share it, so that a key is read from memory once for all of them. Lanes run along the depth, and
// along the keys for what is done to scores:
//
//   S[r][j] = Σ_d Q[r][d] K[j][d]     `lanes` keys at once, one sum of vectors each, turned and added
//   S = score, keep                   the regions, `lanes` keys at once
//   m[r], P = exp(S - m), l[r]
//   A[r][d] += P[r][j] V[j][d]        some keys of V at a time, for every row
//
// Costs per key and row some (2 depth + value depth) / lanes + 4 vector operations, beside 4 (depth + value
// depth) bytes that the rows share: with up to about eight rows memory is what limits it; with many, flash attention,
// whose lanes run along them, takes two thirds of the time. Scratch: a part's scores for every row.
// Limits: f32, constant depth and row strides, a constant number of keys to a part.
//
#include "dialects/tenon/AttentionLayout.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "passes/attention/FlashAttention.h"
#include "passes/lowering/KernelLowering.h"
#include "passes/lowering/TransposeTile.h"
#include "passes/lowering/VectorMath.h"

using namespace mlir;

namespace tenon {
namespace {

/// Keys whose values stay in the first-level cache while every row takes them in.
constexpr int64_t valueTile = 32;
/// Rows of a tile, at most.
constexpr int64_t mostRows = 32;
constexpr float leastFloat = -std::numeric_limits<float>::max();

/// One operand seen through its layout.
struct Operand {
  Value memory;
  AttentionLayout layout;
  Shape shape;
  int64_t row = 0;
};

class UpdateLowering {
public:
  UpdateLowering(KernelLowering &lowering, AttentionUpdateOp op)
      : lowering(lowering), op(op), scope(lowering.scope), builder(lowering.builder), loc(lowering.loc) {}

  FailureOr<KernelGrid> lower() {
    if (failed(readShapes()))
      return failure();
    Dim parts = op.getParts(), allRows = sizes.heads.floorDiv(sizes.keyHeads) * sizes.queries;
    if (std::optional<int64_t> constant = allRows.constant())
      rows = std::min(rows, std::max<int64_t>(*constant, 1));
    Dim blocks = allRows.ceilDiv(Dim(rows));
    blockCount = scope.dim(blocks, loc);
    totalRows = scope.dim(allRows, loc);
    queryCount = scope.dim(sizes.queries, loc);
    groupSize = scope.dim(sizes.heads.floorDiv(sizes.keyHeads), loc);
    scoresAt = 0;
    outputAt = rows * pitch;
    maximumAt = outputAt + rows * outputPitch();
    sumAt = maximumAt + llvm::alignTo(rows, 16);
    scratch = scope.function.scratch(builder, loc, builder.getF32Type(), index(0));
    emitLoop(scope, loc, scope.function.firstTile(), scope.function.lastTile(), [&](Value tile) { emitTile(tile); });
    return KernelGrid{parts * sizes.batch * sizes.keyHeads * blocks, Dim(4 * (sumAt + int64_t(llvm::alignTo(rows, 16))))};
  }

private:
  LogicalResult readOperand(Operand &operand, unsigned number, StringRef what) {
    std::string error;
    Value tensor = op->getOperand(number);
    operand.layout = *AttentionLayout::parse(op.getLayout(number), error);
    operand.shape = shapeOf(tensor);
    operand.memory = lowering.memoryOf(tensor);
    std::optional<int64_t> row = operand.layout.strideOf('n', operand.shape).constant();
    if (!operand.memory || !row || operand.layout.strideOf('d', operand.shape) != Dim(1) || !elementOf(tensor).isF32())
      return op.emitOpError("wants the ")
             << what << " in memory as f32, rows a constant distance apart and their elements side by side";
    operand.row = *row;
    return success();
  }

  LogicalResult readShapes() {
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
    return readOperand(value, 2, "values");
  }

  int64_t outputPitch() const { return llvm::alignTo(valueDepth, 16); }

  //===--------------------------------------------------------------------------===//
  // Small words
  //===--------------------------------------------------------------------------===//

  Value index(int64_t value) { return scope.index(value, loc); }
  Value plus(Value a, Value b) { return scope.add(a, b, loc); }
  Value plus(int64_t a, Value b) { return scope.add(index(a), b, loc); }
  Value times(Value a, int64_t b) { return scope.mul(a, index(b), loc); }
  Value quotient(Value a, Value b) { return builder.createOrFold<arith::DivUIOp>(loc, a, b); }
  Value remainder(Value a, Value b) { return builder.createOrFold<arith::RemUIOp>(loc, a, b); }
  VectorType vectorType() { return VectorType::get({int64_t(lanes)}, builder.getF32Type()); }
  Value load(Value memory, Value at) { return vector::LoadOp::create(builder, loc, vectorType(), memory, at); }
  void store(Value vector, Value at) { vector::StoreOp::create(builder, loc, vector, scratch, at); }
  Value loadScalar(Value memory, Value at) { return memref::LoadOp::create(builder, loc, memory, at); }
  void storeScalar(Value scalar, Value at) { memref::StoreOp::create(builder, loc, scalar, scratch, at); }
  Value splat(Value scalar) { return vector::BroadcastOp::create(builder, loc, vectorType(), scalar); }
  Value number(float value) { return arith::ConstantOp::create(builder, loc, builder.getF32FloatAttr(value)); }
  Value constant(float value) {
    return arith::ConstantOp::create(builder, loc, DenseElementsAttr::get(vectorType(), value));
  }
  Value fma(Value a, Value b, Value c) { return math::FmaOp::create(builder, loc, a, b, c); }
  bool isSoftmax() { return op.getNormaliser() == Normaliser::Softmax; }
  float deadScore() { return isSoftmax() ? -std::numeric_limits<float>::infinity() : 0.0f; }

  Value startOf(const Operand &operand, Value b, Value h) {
    Value start = scope.dim(operand.layout.offset(operand.shape), loc);
    start = plus(start, scope.mul(b, scope.dim(operand.layout.strideOf('b', operand.shape), loc), loc));
    return plus(start, scope.mul(h, scope.dim(operand.layout.strideOf('h', operand.shape), loc), loc));
  }

  /// A loop by `step` that carries values.
  SmallVector<Value> carry(Value begin, Value end, int64_t step, ArrayRef<Value> start,
                           llvm::function_ref<SmallVector<Value>(Value, ValueRange)> body) {
    return emitCarryingLoop(scope, loc, begin, end, step, start, body);
  }
  void step(Value begin, Value end, int64_t by, llvm::function_ref<void(Value)> body) {
    carry(begin, end, by, {}, [&](Value i, ValueRange) { return body(i), SmallVector<Value>(); });
  }

  //===--------------------------------------------------------------------------===//
  // One part of the keys
  //===--------------------------------------------------------------------------===//

  void emitTile(Value tile) {
    Value batches = scope.dim(sizes.batch, loc), keyHeads = scope.dim(sizes.keyHeads, loc);
    firstRow = times(remainder(tile, blockCount), rows);
    rowCount = scope.minimum(index(rows), scope.sub(totalRows, firstRow, loc), loc);
    Value rest = quotient(tile, blockCount);
    keyHead = remainder(rest, keyHeads);
    rest = quotient(rest, keyHeads);
    batch = remainder(rest, batches);
    part = quotient(rest, batches);
    keyStart = startOf(key, batch, keyHead);
    valueStart = startOf(value, batch, keyHead);
    firstKey = times(part, partKeys);
    count = scope.minimum(index(partKeys), scope.sub(scope.dim(sizes.keys, loc), firstKey, loc), loc);
    Value whole = scope.mul(quotient(plus(lanes - 1, count), index(lanes)), index(lanes), loc);
    step(index(0), whole, lanes, [&](Value j) {
      fetchKeys(j);
      emitLoop(scope, loc, index(0), rowCount, [&](Value r) { multiply(j, r); });
    });
    emitLoop(scope, loc, index(0), rowCount, [&](Value r) {
      Value live = applyRegions(r);
      // What lies beyond the last key weighs nothing.
      step(count, whole, 1, [&](Value j) { storeScalar(number(deadScore()), scoreOf(r, j)); });
      weigh(r, whole, live);
      step(index(0), index(outputPitch()), lanes, [&](Value d) { store(constant(0), outputOf(r, d)); });
    });
    step(index(0), count, valueTile, [&](Value j) {
      Value end = scope.minimum(plus(valueTile, j), count, loc);
      emitLoop(scope, loc, index(0), rowCount, [&](Value r) { takeValues(r, j, end); });
    });
    emitLoop(scope, loc, index(0), rowCount, [&](Value r) { writeState(r); });
  }

  Value headOf(Value r) {
    return plus(scope.mul(keyHead, groupSize, loc), quotient(plus(firstRow, r), queryCount));
  }
  Value queryOf(Value r) { return remainder(plus(firstRow, r), queryCount); }
  Value scoreOf(Value r, Value j) { return plus(times(r, pitch), j); }
  Value outputOf(Value r, Value d) { return plus(plus(outputAt, times(r, outputPitch())), d); }

  /// Asks for keys some vectors ahead: `lanes` rows read side by side are no stream the machine follows.
  void fetchKeys(Value j) {
    constexpr int64_t ahead = 4, lineFloats = 16;
    Value last = plus(-1, scope.dim(sizes.keys, loc));
    for (unsigned lane = 0; lane < lanes; ++lane) {
      Value row = scope.minimum(plus(firstKey, plus(int64_t(lane + ahead * lanes), j)), last, loc);
      Value from = plus(keyStart, times(row, key.row));
      for (int64_t d = 0; d < depth; d += lineFloats)
        memref::PrefetchOp::create(builder, loc, key.memory, plus(d, from), /*isWrite=*/false, /*localityHint=*/3,
                                   /*isDataCache=*/true);
    }
  }

  /// Scores of keys j…, one vector; past the last key they are copies of its.
  void multiply(Value j, Value r) {
    Value queryAt = plus(startOf(query, batch, headOf(r)), times(queryOf(r), query.row));
    Value last = plus(-1, count);
    SmallVector<Value> keysAt;
    for (unsigned lane = 0; lane < lanes; ++lane) {
      Value row = plus(firstKey, scope.minimum(plus(lane, j), last, loc));
      keysAt.push_back(plus(keyStart, times(row, key.row)));
    }
    int64_t whole = depth / lanes * lanes;
    SmallVector<Value> sums(lanes, constant(0));
    sums = carry(index(0), index(whole), lanes, sums, [&](Value d, ValueRange carried) {
      Value q = load(query.memory, plus(queryAt, d));
      SmallVector<Value> next;
      for (auto [at, sum] : llvm::zip(keysAt, carried))
        next.push_back(fma(load(key.memory, plus(at, d)), q, sum));
      return next;
    });
    SmallVector<Value> turned = transposeTile(builder, loc, sums);
    for (size_t half = turned.size() / 2; half > 0; half /= 2)
      for (size_t k = 0; k < half; ++k)
        turned[k] = arith::AddFOp::create(builder, loc, turned[k], turned[k + half]);
    store(turned[0], scoreOf(r, j));
    for (int64_t d = whole; d < depth; ++d) {
      Value q = loadScalar(query.memory, plus(d, queryAt));
      for (auto [lane, at] : llvm::enumerate(keysAt)) {
        Value to = plus(int64_t(lane), scoreOf(r, j));
        storeScalar(fma(loadScalar(key.memory, plus(d, at)), q, loadScalar(scratch, to)), to);
      }
    }
  }

  /// Score and keep, in place. Gives whether a key is live (i1).
  Value applyRegions(Value r) {
    Value any = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::sgt, count, index(0));
    if (!op.hasScore() && !op.hasKeep())
      return any;
    if (op.hasKeep())
      storeScalar(number(0), plus(sumAt, r));
    emitLaneLoop(scope, loc, count, lanes, [&](RegionEmitter &emitter, const LaneValue &j) { applyAt(emitter, r, j); });
    if (!op.hasKeep())
      return any;
    return arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OGT, loadScalar(scratch, plus(sumAt, r)), number(0));
  }

  void applyAt(RegionEmitter &emitter, Value r, LaneValue j) {
    SmallVector<TensorReader> captures;
    for (Value capture : op.getCaptures())
      captures.push_back(lowering.reader(capture, emitter));
    Value at = scoreOf(r, j.value);
    j.value = plus(firstKey, j.value);
    SmallVector<LaneValue> point{LaneValue::uniform(batch), LaneValue::uniform(headOf(r)), LaneValue::uniform(queryOf(r)), j};
    LaneValue score = emitter.loadConsecutive(scratch, at);
    if (op.hasScore()) {
      SmallVector<LaneValue> withScore{score};
      llvm::append_range(withScore, point);
      score = emitter.evaluate(op.getScore(), withScore, captures);
    }
    if (op.hasKeep()) {
      Value live = emitter.materialise(emitter.evaluate(op.getKeep(), point, captures));
      bool isVector = isa<VectorType>(live.getType());
      Value dead = isVector ? constant(deadScore()) : number(deadScore());
      score.value = arith::SelectOp::create(builder, loc, live, emitter.materialise(score), dead);
      score.kind = isVector ? LaneValue::Varying : LaneValue::Uniform;
      Value anyLive = isVector ? Value(vector::ReductionOp::create(builder, loc, vector::CombiningKind::OR, live)) : live;
      Value before = loadScalar(scratch, plus(sumAt, r));
      storeScalar(arith::SelectOp::create(builder, loc, anyLive, number(1), before), plus(sumAt, r));
    }
    emitter.store(score, scratch, at);
  }

  /// Scores to weights, and the row's m and l.
  void weigh(Value r, Value whole, Value live) {
    Value maximum = number(0);
    if (isSoftmax()) {
      Value greatest = carry(index(0), whole, lanes, constant(leastFloat), [&](Value j, ValueRange carried) {
        Value score = load(scratch, scoreOf(r, j));
        Value isGreater = arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OGT, score, carried[0]);
        return SmallVector<Value>{arith::SelectOp::create(builder, loc, isGreater, score, carried[0])};
      })[0];
      maximum = vector::ReductionOp::create(builder, loc, vector::CombiningKind::MAXNUMF, greatest);
    }
    Value shift = splat(maximum);
    Value sums = carry(index(0), whole, lanes, constant(0), [&](Value j, ValueRange carried) {
      Value weight = load(scratch, scoreOf(r, j));
      if (isSoftmax()) {
        Value distance = arith::SubFOp::create(builder, loc, weight, shift);
        weight = emitMath(builder, loc, MathFunction::ExpNonPositive, distance);
        store(weight, scoreOf(r, j));
      }
      return SmallVector<Value>{arith::AddFOp::create(builder, loc, carried[0], weight)};
    })[0];
    Value sum = op.getNormaliser() == Normaliser::None
                    ? number(0)
                    : Value(vector::ReductionOp::create(builder, loc, vector::CombiningKind::ADD, sums,
                                                        arith::FastMathFlags::reassoc));
    Value dead = number(-std::numeric_limits<float>::infinity());
    storeScalar(arith::SelectOp::create(builder, loc, live, maximum, dead), plus(maximumAt, r));
    storeScalar(sum, plus(sumAt, r));
  }

  /// A[r] takes in keys [begin, end): some vectors of the depth at a time stay in registers.
  void takeValues(Value r, Value begin, Value end) {
    constexpr int64_t most = 8;
    int64_t whole = valueDepth / lanes * lanes, d = 0;
    while (d < whole) {
      int64_t vectors = std::min<int64_t>(most, (whole - d) / lanes);
      SmallVector<Value> sums;
      for (int64_t v = 0; v < vectors; ++v)
        sums.push_back(load(scratch, outputOf(r, index(d + v * lanes))));
      sums = carry(begin, end, 1, sums, [&](Value j, ValueRange carried) {
        Value weight = splat(loadScalar(scratch, scoreOf(r, j)));
        Value from = plus(plus(valueStart, times(plus(firstKey, j), value.row)), index(d));
        SmallVector<Value> next;
        for (int64_t v = 0; v < vectors; ++v)
          next.push_back(fma(load(value.memory, plus(v * lanes, from)), weight, carried[v]));
        return next;
      });
      for (int64_t v = 0; v < vectors; ++v)
        store(sums[v], outputOf(r, index(d + v * lanes)));
      d += vectors * lanes;
    }
    for (; d < valueDepth; ++d) {
      Value sum = carry(begin, end, 1, loadScalar(scratch, outputOf(r, index(d))), [&](Value j, ValueRange carried) {
        Value from = plus(plus(valueStart, times(plus(firstKey, j), value.row)), index(d));
        return SmallVector<Value>{fma(loadScalar(value.memory, from), loadScalar(scratch, scoreOf(r, j)), carried[0])};
      })[0];
      storeScalar(sum, outputOf(r, index(d)));
    }
  }

  /// Row [part, batch, head, query] of the state.
  void writeState(Value r) {
    Value row = plus(scope.mul(part, scope.dim(sizes.batch, loc), loc), batch);
    row = plus(scope.mul(row, scope.dim(sizes.heads, loc), loc), headOf(r));
    row = plus(scope.mul(row, queryCount, loc), queryOf(r));
    Value to = times(row, valueDepth + 2), memory = lowering.resultMemory();
    emitLaneLoop(scope, loc, index(valueDepth), lanes, [&](RegionEmitter &emitter, const LaneValue &d) {
      emitter.store(emitter.loadConsecutive(scratch, outputOf(r, d.value)), memory, plus(to, d.value));
    });
    memref::StoreOp::create(builder, loc, loadScalar(scratch, plus(maximumAt, r)), memory, plus(valueDepth, to));
    memref::StoreOp::create(builder, loc, loadScalar(scratch, plus(sumAt, r)), memory, plus(valueDepth + 1, to));
  }

  KernelLowering &lowering;
  AttentionUpdateOp op;
  KernelScope &scope;
  OpBuilder &builder;
  Location loc;

  AttentionOp::Sizes sizes;
  Operand query, key, value;
  int64_t rows = mostRows, partKeys = 0, depth = 0, valueDepth = 0, pitch = 0;
  int64_t scoresAt = 0, outputAt = 0, maximumAt = 0, sumAt = 0;
  unsigned lanes = 0;
  Value scratch, blockCount, totalRows, queryCount, groupSize;
  // Of the tile being emitted.
  Value firstRow, rowCount, part, batch, keyHead, keyStart, valueStart, firstKey, count;
};

} // namespace

FailureOr<KernelGrid> lowerAttentionUpdate(KernelLowering &lowering, AttentionUpdateOp update) {
  return UpdateLowering(lowering, update).lower();
}

} // namespace tenon
