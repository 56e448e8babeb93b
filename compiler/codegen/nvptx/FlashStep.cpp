//===- FlashStep.cpp - a block of queries takes in a tile of keys --------------------===//
//
// The inner half of FlashBlock.h. Scores of a thread are numbered like the words of C's fragments, four for every eight
// keys: score n is of row (n / 2) % 2 and of key 8 (n / 4) + 2 c + n % 2.
//
#include "compiler/codegen/nvptx/FlashBlock.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace tenon {

static constexpr double log2OfE = 1.4426950408889634;

//===----------------------------------------------------------------------------===//
// Small words
//===----------------------------------------------------------------------------===//

Value FlashBlock::constant(double value) {
  return arith::ConstantOp::create(builder, loc, FloatAttr::get(builder.getF32Type(), value));
}

Value FlashBlock::compare(arith::CmpFPredicate predicate, Value a, Value b) {
  return arith::CmpFOp::create(builder, loc, predicate, a, b);
}

Value FlashBlock::overQuad(Value x, bool isMaximum) {
  return math.reduce(x, 4, [&](Value a, Value b) -> Value {
    return isMaximum ? Value(arith::MaxNumFOp::create(builder, loc, a, b))
                     : Value(arith::AddFOp::create(builder, loc, a, b));
  });
}

Value FlashBlock::rowInBlock(int64_t half) {
  return index.add(index.mul(warp, TensorCore::tileRows), index.add(index.div(lane, 4), 8 * half));
}

Value FlashBlock::keyInTile(int64_t number) {
  return index.add(index.mul(index.rem(lane, 4), 2), number / 4 * TensorCore::tileColumns + number % 2);
}

Value FlashBlock::keyOf(Value first, int64_t number) {
  return index.min(index.add(first, keyInTile(number)), index.sub(keyEnd, index.constant(1)));
}

SmallVector<LaneValue> FlashBlock::pointOf(Value first, size_t number) {
  Row row = ownRow(halfOf(number));
  return {LaneValue::uniform(batch), LaneValue::uniform(row.head), LaneValue::uniform(row.query),
          LaneValue::uniform(keyOf(first, number))};
}

//===----------------------------------------------------------------------------===//
// The state
//===----------------------------------------------------------------------------===//

FlashBlock::State FlashBlock::initial() {
  State state;
  state.output.assign(shape.columns() / TensorCore::tileColumns * 4, constant(0));
  for (int64_t half : {0, 1}) {
    state.maximum[half] = constant(-std::numeric_limits<double>::infinity());
    state.sum[half] = state.live[half] = constant(0);
  }
  return state;
}

FlashBlock::Values FlashBlock::flat(const State &state) {
  Values values(state.output);
  for (int64_t half : {0, 1})
    llvm::append_values(values, state.maximum[half], state.sum[half], state.live[half]);
  return values;
}

FlashBlock::State FlashBlock::unflat(ValueRange values) {
  State state;
  state.output = Values(values.drop_back(6));
  ValueRange rest = values.take_back(6);
  for (int64_t half : {0, 1}) {
    state.maximum[half] = rest[3 * half];
    state.sum[half] = rest[3 * half + 1];
    state.live[half] = rest[3 * half + 2];
  }
  return state;
}

//===----------------------------------------------------------------------------===//
// Scores
//===----------------------------------------------------------------------------===//

/// `left`, fragments of 16 rows for each step, times the rows at `at`, eight for each of `tiles`.
FlashBlock::Values FlashBlock::multiplyRows(int64_t steps, function_ref<Values(int64_t)> left, Value at, int64_t pitch,
                                            int64_t tiles) {
  Values products(4 * tiles, constant(0));
  TensorCore::Masks masks;
  if (shape.kind == WordKind::F32)
    masks = {core.loadWord(shared, index.constant(shape.masksAt())),
             core.loadWord(shared, index.constant(shape.masksAt() + 1))};
  Value row = index.add(at, index.add(index.mul(index.div(lane, 4), pitch), index.rem(lane, 4)));
  for (int64_t step = 0; step < steps; ++step) {
    TensorCore::Fragment fragment = core.fragment(left(step), masks);
    for (int64_t tile = 0; tile < tiles; ++tile) {
      Value first = index.add(row, tile * TensorCore::tileColumns * pitch + step * TensorCore::tileWords);
      TensorCore::Fragment right =
          core.fragment({core.loadWord(shared, first), core.loadWord(shared, index.add(first, 4))});
      core.multiplyAdd(MutableArrayRef(products).slice(4 * tile, 4), fragment, right, shape.adding());
    }
  }
  return products;
}

/// Of this warp's rows and the keys at `at`.
FlashBlock::Values FlashBlock::scores(Value at) {
  return multiplyRows(
      shape.words() / TensorCore::tileWords, [&](int64_t step) { return queriesOfStep(step); }, at, shape.keyPitch(),
      shape.warpKeys() / TensorCore::tileColumns);
}

/// Scores after their regions. A dead key has no weight: -inf where the greatest have it, else 0.
FlashBlock::Scores FlashBlock::evaluate(const Values &products, Value first, const State &state, Masking masking,
                                        bool everyKey) {
  Scores result;
  bool isUniform = masking == Masking::EmptyRows && task.empty == EmptyRow::Uniform;
  for (auto [number, product] : llvm::enumerate(products)) {
    RegionEmitter emitter(scope, 1, loc);
    SmallVector<TensorReader> captures = captureReaders(emitter, number);
    SmallVector<LaneValue> point = pointOf(first, number);
    Value score = isUniform ? constant(task.isSoftmax() ? 0 : 1) : product;
    if (task.score && !isUniform) {
      SmallVector<LaneValue> withScore{LaneValue::uniform(product, true)};
      llvm::append_range(withScore, point);
      score = emitter.evaluate(*task.score, withScore, captures).value;
    }
    if (everyKey) {
      result.values.push_back(score);
      result.live.push_back(arith::ConstantIntOp::create(builder, loc, 1, 1));
      continue;
    }
    Value live = isBelow(index.add(first, keyInTile(number)), keyEnd);
    Value kept;
    if (masking == Masking::EmptyRows)
      kept = compare(arith::CmpFPredicate::OEQ, state.live[halfOf(number)], constant(0));
    else if (task.keep)
      kept = emitter.evaluate(*task.keep, point, captures).value;
    if (kept)
      live = arith::AndIOp::create(builder, loc, live, kept);
    Value dead = constant(task.isSoftmax() ? -std::numeric_limits<double>::infinity() : 0.0);
    result.values.push_back(select(live, score, dead));
    result.live.push_back(live);
  }
  return result;
}

/// Whole keys of a warp that are all live need no masks.
FlashBlock::Scores FlashBlock::masked(const Values &products, Value first, const State &state, Masking masking) {
  Value end = index.add(first, shape.warpKeys());
  Value every = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ule, end, keyEnd);
  if (masking == Masking::EmptyRows || (task.keep && !intervals))
    return evaluate(products, first, state, masking, /*everyKey=*/false);
  if (intervals) {
    Value all = intervals->evaluate(boxOf(first, end)).every;
    every = arith::AndIOp::create(builder, loc, every, all);
  }
  auto yield = [&](bool everyKey) {
    Scores scores = evaluate(products, first, state, masking, everyKey);
    Values values(scores.values);
    llvm::append_range(values, scores.live);
    scf::YieldOp::create(builder, loc, values);
  };
  auto either = scf::IfOp::create(builder, loc, every, [&](OpBuilder &, Location) { yield(true); },
                                  [&](OpBuilder &, Location) { yield(false); });
  Scores result;
  result.values.assign(either.getResults().begin(), either.getResults().begin() + products.size());
  result.live.assign(either.getResults().begin() + products.size(), either.getResults().end());
  return result;
}

//===----------------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------------===//

/// The weight region, of a weight before it is divided.
Value FlashBlock::weightOf(Value weight, size_t number, Value first) {
  RegionEmitter emitter(scope, 1, loc);
  SmallVector<LaneValue> withWeight{LaneValue::uniform(weight, true)};
  llvm::append_range(withWeight, pointOf(first, number));
  return emitter.evaluate(*task.weight, withWeight, captureReaders(emitter, number)).value;
}

/// Where nothing was live any finite number makes 2^-inf = 0.
Value FlashBlock::shiftOf(Value greatest) {
  Value nothing = compare(arith::CmpFPredicate::OEQ, greatest, constant(-std::numeric_limits<double>::infinity()));
  return select(nothing, constant(0), greatest);
}

Value FlashBlock::factorOf(Value maximum, Value shift) {
  Value distance = arith::SubFOp::create(builder, loc, maximum, shift);
  return math.exp2(arith::MulFOp::create(builder, loc, distance, constant(log2OfE)));
}

void FlashBlock::rescale(State &state, int64_t half, Value factor) {
  for (auto [number, output] : llvm::enumerate(state.output))
    if (halfOf(number) == half)
      output = arith::MulFOp::create(builder, loc, output, factor);
}

/// The weights of a softmax; moves m, and the state with it.
void FlashBlock::measure(State &state, const Scores &scores, Values &weights) {
  Value shift[2];
  for (int64_t half : {0, 1}) {
    Value greatest = state.maximum[half];
    for (auto [number, score] : llvm::enumerate(scores.values))
      if (halfOf(number) == half)
        greatest = arith::MaxNumFOp::create(builder, loc, greatest, score);
    greatest = overQuad(greatest, /*isMaximum=*/true);
    shift[half] = shiftOf(greatest);
    Value factor = factorOf(state.maximum[half], shift[half]);
    state.maximum[half] = greatest;
    state.sum[half] = arith::MulFOp::create(builder, loc, state.sum[half], factor);
    rescale(state, half, factor);
  }
  for (auto [number, score] : llvm::enumerate(scores.values))
    weights.push_back(factorOf(score, shift[halfOf(number)]));
}

/// Sums them, and applies the weight region; a dead key's weight is zero whatever it says.
void FlashBlock::addWeights(State &state, const Scores &scores, Value first, Values &weights) {
  bool weighs = task.weight && (task.normaliser == Normaliser::None || shape.isFactored);
  for (auto [number, weight] : llvm::enumerate(weights)) {
    int64_t half = halfOf(number);
    state.sum[half] = arith::AddFOp::create(builder, loc, state.sum[half], weight);
    if (task.keep)
      state.live[half] = select(scores.live[number], constant(1), state.live[half]);
    if (!weighs)
      continue;
    Value weighed = weightOf(weight, number, first);
    Value isDead = shape.isFactored ? compare(arith::CmpFPredicate::OEQ, weight, constant(0)) : Value();
    weight = isDead ? select(isDead, constant(0), weighed) : select(scores.live[number], weighed, constant(0));
  }
}

/// The tile of keys from `tile` on, in shared memory at `at`; of a warp, its keys of it.
FlashBlock::State FlashBlock::step(const State &before, Value tile, Value at, Masking masking) {
  State state = before;
  multiplyDistances(tile);
  Value own = index.mul(keyWarp, shape.warpKeys()), first = index.add(tile, own);
  Value keysAt = index.add(at, index.mul(own, shape.keyPitch()));
  Value valuesAt = index.add(at, index.add(index.mul(own, shape.valuePitch()), shape.keys * shape.keyPitch()));
  Scores scores = masked(this->scores(keysAt), first, before, masking);
  Values weights;
  if (task.isSoftmax())
    measure(state, scores, weights);
  else
    weights = scores.values;
  addWeights(state, scores, first, weights);
  multiplyValues(state, weights, valuesAt);
  if (masking == Masking::EmptyRows)
    llvm::copy(before.live, state.live); // who was empty stays so until all keys have passed
  return state;
}

/// O += P V, with V's tile at `at`.
void FlashBlock::multiplyValues(State &state, ArrayRef<Value> weights, Value at) {
  int64_t columnTiles = shape.columns() / TensorCore::tileColumns, pitch = shape.valuePitch();
  auto sums = [&](int64_t tile) { return MutableArrayRef(state.output).slice(4 * tile, 4); };
  if (shape.kind != WordKind::F32) {
    for (int64_t key = 0; key < shape.warpKeys(); key += 16) {
      TensorCore::Fragment left = core.fragmentOfFloats(weights.slice(key / 2, 8));
      for (int64_t tile = 0; tile < columnTiles; tile += 2) {
        Value from = index.add(at, key * pitch + tile * TensorCore::tileColumns / 2);
        auto [one, other] = core.loadTransposed(shared, from, lane, pitch);
        core.multiplyAdd(sums(tile), left, one);
        core.multiplyAdd(sums(tile + 1), left, other);
      }
    }
    return;
  }
  Value row = index.add(at, index.add(index.mul(index.rem(lane, 4), 2 * pitch), index.div(lane, 4)));
  for (int64_t key = 0; key < shape.warpKeys(); key += TensorCore::tileWords) {
    ArrayRef<Value> four = weights.slice(key / 2, 4);
    TensorCore::Fragment left = core.fragmentOfFloats({four[0], four[2], four[1], four[3]});
    for (int64_t tile = 0; tile < columnTiles; ++tile) {
      Value from = index.add(row, key * pitch + tile * TensorCore::tileColumns);
      TensorCore::Fragment right =
          core.fragment({core.loadWord(shared, from), core.loadWord(shared, index.add(from, pitch))});
      core.multiplyAdd(sums(tile), left, right, shape.adding());
    }
  }
}

} // namespace tenon
