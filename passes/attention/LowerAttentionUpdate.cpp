//===- LowerAttentionUpdate.cpp - a state of attention, row by row -------------------===//
//
// One tile is one part of the keys of one (batch, key head), for up to 32 rows: the queries of all heads that
// share it, so that a key is read from memory once for all of them. Lanes run along the depth, and
// along the keys for what is done to scores:
//
//   S[r][j] = Σ_d Q[r][d] K[j][d]     key by key, one sum of vectors each; those of `lanes` keys turned and added
//   S = score, keep                   the regions, `lanes` keys at once
//   m[r], P = exp(S - m), l[r]
//   A[r][d] += P[r][j] V[j][d]        some keys of V at a time, for some rows together
//
// Rows of K and V are read from end to end and in their order: then memory gives 1.6 times what it gives for `lanes` rows in
// step; asking for rows ahead makes it slower, as do two keys side by side (faster by a fifth where the cache holds them).
//
// Costs per key and row some (2 depth + value depth) / lanes + 4 vector operations, beside 4 (depth + value
// depth) bytes that the rows share: with up to about eight rows memory is what limits it; with many, flash attention,
// whose lanes run along them, takes two thirds of the time. Scratch: a part's scores and lanes² sums for every row.
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
/// Rows that take in a key or value together, each with sums in registers.
constexpr int64_t mostTogether = 4;
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
    partialAt = sumAt + llvm::alignTo(rows, 16);
    scratch = scope.function.scratch(builder, loc, builder.getF32Type(), index(0));
    emitLoop(scope, loc, scope.function.firstTile(), scope.function.lastTile(), [&](Value tile) { emitTile(tile); });
    return KernelGrid{parts * sizes.batch * sizes.keyHeads * blocks, Dim(4 * (partialAt + rows * lanes * lanes))};
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
      multiply(j);
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
      int64_t together = std::min(rows, valuesTogether());
      step(index(0), rowCount, together, [&](Value first) { takeValues(rowsFrom(first, together), j, end); });
    });
    emitLoop(scope, loc, index(0), rowCount, [&](Value r) { writeState(r); });
  }

  Value headOf(Value r) {
    return plus(scope.mul(keyHead, groupSize, loc), quotient(plus(firstRow, r), queryCount));
  }
  Value queryOf(Value r) { return remainder(plus(firstRow, r), queryCount); }
  Value scoreOf(Value r, Value j) { return plus(times(r, pitch), j); }
  Value outputOf(Value r, Value d) { return plus(plus(outputAt, times(r, outputPitch())), d); }

  /// Scores of keys j…, one vector a row; past the last key they are copies of its. Keys are read one after another, which
  /// is the one pattern that memory is fast with, each for some rows at a time; their sums are added across lanes later.
  void multiply(Value j) {
    int64_t together = std::min(rows, mostTogether);
    Value last = plus(-1, count);
    emitLoop(scope, loc, index(0), index(lanes), [&](Value lane) {
      Value keyAt = plus(keyStart, times(plus(firstKey, scope.minimum(plus(j, lane), last, loc)), key.row));
      step(index(0), rowCount, together, [&](Value first) {
        SmallVector<Value> taken = rowsFrom(first, together), queriesAt;
        for (Value r : taken)
          queriesAt.push_back(plus(startOf(query, batch, headOf(r)), times(queryOf(r), query.row)));
        SmallVector<Value> sums = sumsOf(keyAt, queriesAt);
        for (auto [r, sum] : llvm::zip(taken, sums))
          store(sum, plus(partialOf(r), times(lane, lanes)));
      });
    });
    emitLoop(scope, loc, index(0), rowCount, [&](Value r) { addAcross(r, j); });
  }

  /// The products of one key with some queries, as vectors that are yet to be added across their lanes.
  SmallVector<Value> sumsOf(Value keyAt, ArrayRef<Value> queriesAt) {
    int64_t whole = depth / lanes * lanes;
    SmallVector<Value> sums(queriesAt.size(), constant(0));
    auto add = [&](Value d, ValueRange carried) {
      Value k = load(key.memory, plus(keyAt, d));
      SmallVector<Value> next;
      for (auto [at, sum] : llvm::zip(queriesAt, carried))
        next.push_back(fma(k, load(query.memory, plus(at, d)), sum));
      return next;
    };
    constexpr int64_t unrolled = 8;
    int64_t inLoops = whole / (unrolled * lanes) * (unrolled * lanes);
    sums = carry(index(0), index(inLoops), unrolled * lanes, sums, [&](Value d, ValueRange carried) {
      SmallVector<Value> next(carried);
      for (int64_t v = 0; v < unrolled; ++v)
        next = add(plus(v * lanes, d), next);
      return next;
    });
    for (int64_t d = inLoops; d < whole; d += lanes)
      sums = add(index(d), sums);
    return sums;
  }

  Value partialOf(Value r) { return plus(partialAt, times(r, lanes * lanes)); }

  void addAcross(Value r, Value j) {
    SmallVector<Value> sums;
    for (int64_t lane = 0; lane < lanes; ++lane)
      sums.push_back(load(scratch, plus(lane * lanes, partialOf(r))));
    SmallVector<Value> turned = transposeTile(builder, loc, sums);
    for (size_t half = turned.size() / 2; half > 0; half /= 2)
      for (size_t k = 0; k < half; ++k)
        turned[k] = arith::AddFOp::create(builder, loc, turned[k], turned[k + half]);
    store(turned[0], scoreOf(r, j));
    Value queryAt = plus(startOf(query, batch, headOf(r)), times(queryOf(r), query.row)), last = plus(-1, count);
    for (int64_t d = depth / lanes * lanes; d < depth; ++d) {
      Value q = loadScalar(query.memory, plus(d, queryAt));
      for (int64_t lane = 0; lane < lanes; ++lane) {
        Value at = plus(keyStart, times(plus(firstKey, scope.minimum(plus(lane, j), last, loc)), key.row));
        Value to = plus(lane, scoreOf(r, j));
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

  /// Some rows from `first` on, those behind the last one being copies of it.
  SmallVector<Value> rowsFrom(Value first, int64_t together) {
    SmallVector<Value> taken;
    for (int64_t r = 0; r < together; ++r)
      taken.push_back(scope.minimum(plus(r, first), plus(-1, rowCount), loc));
    return taken;
  }

  static constexpr int64_t sumRegisters = 16;

  /// As many rows as leave registers for their whole depth: a value's row is then read from end to end.
  int64_t valuesTogether() const {
    return std::clamp<int64_t>(sumRegisters / std::max<int64_t>(valueDepth / lanes, 1), 1, mostTogether);
  }

  /// A of these rows takes in keys [begin, end): some vectors of the depth at a time stay in registers.
  void takeValues(ArrayRef<Value> taken, Value begin, Value end) {
    int64_t most = sumRegisters / int64_t(taken.size()), whole = valueDepth / lanes * lanes, d = 0;
    while (d < whole) {
      int64_t vectors = std::min<int64_t>(most, (whole - d) / lanes);
      SmallVector<Value> places, sums;
      for (Value r : taken)
        for (int64_t v = 0; v < vectors; ++v)
          places.push_back(outputOf(r, index(d + v * lanes)));
      for (Value place : places)
        sums.push_back(load(scratch, place));
      sums = carry(begin, end, 1, sums, [&](Value j, ValueRange carried) {
        Value from = plus(plus(valueStart, times(plus(firstKey, j), value.row)), index(d));
        SmallVector<Value> values, next;
        for (int64_t v = 0; v < vectors; ++v)
          values.push_back(load(value.memory, plus(v * lanes, from)));
        for (auto [number, r] : llvm::enumerate(taken)) {
          Value weight = splat(loadScalar(scratch, scoreOf(r, j)));
          for (int64_t v = 0; v < vectors; ++v)
            next.push_back(fma(values[v], weight, carried[number * vectors + v]));
        }
        return next;
      });
      for (auto [sum, place] : llvm::zip(sums, places))
        store(sum, place);
      d += vectors * lanes;
    }
    for (; d < valueDepth; ++d)
      takeElement(taken, begin, end, d);
  }

  void takeElement(ArrayRef<Value> taken, Value begin, Value end, int64_t d) {
    SmallVector<Value> sums;
    for (Value r : taken)
      sums.push_back(loadScalar(scratch, outputOf(r, index(d))));
    sums = carry(begin, end, 1, sums, [&](Value j, ValueRange carried) {
      Value element = loadScalar(value.memory, plus(plus(valueStart, times(plus(firstKey, j), value.row)), index(d)));
      SmallVector<Value> next;
      for (auto [r, sum] : llvm::zip(taken, carried))
        next.push_back(fma(element, loadScalar(scratch, scoreOf(r, j)), sum));
      return next;
    });
    for (auto [r, sum] : llvm::zip(taken, sums))
      storeScalar(sum, outputOf(r, index(d)));
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
  int64_t scoresAt = 0, outputAt = 0, maximumAt = 0, sumAt = 0, partialAt = 0;
  int64_t lanes = 0;
  Value scratch, blockCount, totalRows, queryCount, groupSize;
  // Of the tile being emitted.
  Value firstRow, rowCount, part, batch, keyHead, keyStart, valueStart, firstKey, count;
};

} // namespace

FailureOr<KernelGrid> lowerAttentionUpdate(KernelLowering &lowering, AttentionUpdateOp update) {
  return UpdateLowering(lowering, update).lower();
}

} // namespace tenon
