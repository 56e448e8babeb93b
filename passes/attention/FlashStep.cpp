//===- FlashStep.cpp - a group of queries takes in a tile of keys ---------------------===//
//
// The inner half of FlashAttention.h: the two products, the regions, the exponential.
//
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Matchers.h"
#include "passes/attention/FlashAttention.h"
#include "passes/lowering/VectorMath.h"

using namespace mlir;

namespace tenon {

static constexpr double log2OfE = 1.4426950408889634;
/// How far above m, as a power of two, a score may lie before m follows.
static constexpr double slack = 8;
/// Keys whose exponentials are computed side by side, where registers allow.
static constexpr int64_t exponentialsAtOnce = 2;

//===----------------------------------------------------------------------------===//
// Small words
//===----------------------------------------------------------------------------===//

Value FlashLowering::load(Value offset) { return vector::LoadOp::create(builder, loc, vectorType(), scratch, offset); }
void FlashLowering::store(Value vector, Value offset) {
  vector::StoreOp::create(builder, loc, vector, scratch, offset);
}
Value FlashLowering::constant(double value) {
  return arith::ConstantOp::create(builder, loc, DenseElementsAttr::get(vectorType(), float(value)));
}
Value FlashLowering::minusInfinity() { return constant(-std::numeric_limits<float>::infinity()); }
Value FlashLowering::add(Value a, Value b) { return arith::AddFOp::create(builder, loc, a, b); }
Value FlashLowering::subtract(Value a, Value b) { return arith::SubFOp::create(builder, loc, a, b); }
Value FlashLowering::multiply(Value a, Value b) { return arith::MulFOp::create(builder, loc, a, b); }
Value FlashLowering::fma(Value a, Value b, Value c) { return math::FmaOp::create(builder, loc, a, b, c); }
Value FlashLowering::compare(arith::CmpFPredicate predicate, Value a, Value b) {
  return arith::CmpFOp::create(builder, loc, predicate, a, b);
}
Value FlashLowering::select(Value condition, Value yes, Value no) {
  return arith::SelectOp::create(builder, loc, condition, yes, no);
}
/// NaN in `a` is dropped: it comes back through exp(NaN - m).
Value FlashLowering::greater(Value a, Value b) { return select(compare(arith::CmpFPredicate::OGT, a, b), a, b); }
Value FlashLowering::anyOf(Value condition) {
  return vector::ReductionOp::create(builder, loc, vector::CombiningKind::OR, condition);
}

/// `body(column)` for each vector of queries that has any.
void FlashLowering::forEachVector(llvm::function_ref<void(Value column)> body) {
  auto loop = scf::ForOp::create(builder, loc, index(0), columns, index(lanes));
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  body(loop.getInductionVar());
}

/// A loop over the keys of the tile, `atOnce` a round, that carries vectors.
SmallVector<Value> FlashLowering::overKeys(Value count, ArrayRef<Value> start,
                                           llvm::function_ref<SmallVector<Value>(Value, ValueRange)> body,
                                           int64_t atOnce) {
  auto loopOver = [&](Value from, Value to, int64_t step, ValueRange carried) {
    auto loop = scf::ForOp::create(builder, loc, from, to, index(step), carried);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(loop.getBody());
    SmallVector<Value> next(loop.getRegionIterArgs());
    for (int64_t key = 0; key < step; ++key)
      next = body(plus(key, loop.getInductionVar()), next);
    if (!next.empty())
      scf::YieldOp::create(builder, loc, next);
    return SmallVector<Value>(loop.getResults());
  };
  if (atOnce == 1)
    return loopOver(index(0), count, 1, start);
  Value whole = minus(count, builder.createOrFold<arith::RemUIOp>(loc, count, index(atOnce)));
  return loopOver(whole, count, 1, loopOver(index(0), whole, atOnce, start));
}

/// A loop over the scores of the tile that carries vectors and, where it `notes`, remembers whether a key was live.
SmallVector<Value> FlashLowering::overScores(const FlashKeys &keys, Value column, bool notes,
                                             SmallVector<Value> carried,
                                             llvm::function_ref<Score(Value, SmallVectorImpl<Value> &)> body,
                                             int64_t atOnce) {
  if (notes)
    carried.push_back(load(ofGroup(liveAt, column)));
  carried = overKeys(keys.count, carried, [&](Value j, ValueRange held) {
    SmallVector<Value> next(notes ? held.drop_back() : held);
    Score score = body(j, next);
    if (notes)
      next.push_back(select(score.live, constant(1), held.back()));
    return next;
  }, atOnce);
  if (notes)
    store(carried.pop_back_val(), ofGroup(liveAt, column));
  return carried;
}

//===----------------------------------------------------------------------------===//
// What is known of the score
//===----------------------------------------------------------------------------===//

namespace {
using FloatRange = std::pair<double, double>;
constexpr double infinite = std::numeric_limits<double>::infinity();

FloatRange boundsOf(Value value) {
  FloatAttr constant;
  if (matchPattern(value, m_Constant(&constant)))
    return {constant.getValueAsDouble(), constant.getValueAsDouble()};
  Operation *op = value.getDefiningOp();
  if (!op)
    return {-infinite, infinite};
  if (isa<math::TanhOp, math::ErfOp, math::SinOp, math::CosOp>(op))
    return {-1, 1};
  if (isa<arith::NegFOp>(op)) {
    FloatRange a = boundsOf(op->getOperand(0));
    return {-a.second, -a.first};
  }
  if (!isa<arith::AddFOp, arith::SubFOp, arith::MulFOp>(op))
    return {-infinite, infinite};
  FloatRange a = boundsOf(op->getOperand(0)), b = boundsOf(op->getOperand(1));
  if (isa<arith::AddFOp>(op))
    return {a.first + b.first, a.second + b.second};
  if (isa<arith::SubFOp>(op))
    return {a.first - b.second, a.second - b.first};
  double products[] = {a.first * b.first, a.first * b.second, a.second * b.first, a.second * b.second};
  if (llvm::any_of(products, [](double product) { return std::isnan(product); }))
    return {-infinite, infinite};
  return {*llvm::min_element(products), *llvm::max_element(products)};
}

/// The c of `x * c`, a region of one multiplication or none.
std::optional<double> factorOf(Region &score) {
  Value yielded = score.front().getTerminator()->getOperand(0), x = score.getArgument(0);
  if (yielded == x)
    return 1.0;
  auto product = yielded.getDefiningOp<arith::MulFOp>();
  FloatAttr constant;
  if (product && product.getLhs() == x && matchPattern(product.getRhs(), m_Constant(&constant)))
    return constant.getValueAsDouble();
  if (product && product.getRhs() == x && matchPattern(product.getLhs(), m_Constant(&constant)))
    return constant.getValueAsDouble();
  return std::nullopt;
}
} // namespace

std::optional<std::pair<double, double>> boundsOfScore(Region &score) {
  FloatRange bounds = boundsOf(score.front().getTerminator()->getOperand(0));
  if (!std::isfinite(bounds.first) || !std::isfinite(bounds.second))
    return std::nullopt;
  return bounds;
}

FlashLowering::ScoreForm FlashLowering::scoreForm() {
  // Rounded scores are what ties are among.
  if (chooses())
    return {};
  if (!op.hasScore())
    return {ScoreForm::Scaled, 1};
  std::optional<double> factor = factorOf(op.getScore());
  if (factor && *factor > 0 && std::isfinite(*factor))
    return {ScoreForm::Scaled, *factor};
  auto bounds = boundsOfScore(op.getScore());
  // Measured from 0 every weight lies in [2^-110, 2^80]: none vanishes and no sum of 2^40 of them overflows. Any
  // other constant would cost the accuracy of scores near 0.
  if (!bounds || bounds->first * log2OfE < -110 || bounds->second * log2OfE > 80)
    return {};
  return {ScoreForm::Bounded, 1};
}

//===----------------------------------------------------------------------------===//
// The products
//===----------------------------------------------------------------------------===//

void FlashLowering::multiplyTiles(TileFunction &family, Value rows, TileFunction::Arguments x,
                                  llvm::function_ref<Value(Value row)> aOffset, Value cAt, int64_t cRow) {
  RowSplit split = RowSplit::create(builder, loc, rows, tile.rows);
  emitLoop(scope, loc, index(0), split.count, [&](Value number) {
    Value row = split.firstRowOf(builder, loc, number);
    x.aOffset = aOffset(row);
    x.c = scratch;
    x.cOffset = plus(cAt, times(row, cRow));
    x.height = split.heightOf(builder, loc, number);
    family.call(builder, loc, x);
  });
}

void FlashLowering::multiplyScores(const FlashKeys &keys) {
  TileFunction::Arguments x;
  x.a = keys.keys;
  x.b = scratch;
  x.bOffset = plus(queriesAt, state);
  x.panelStride = index(depth * 16);
  x.panels = panels;
  x.k = index(depth);
  x.accumulate = arith::ConstantIntOp::create(builder, loc, 0, 1);
  multiplyTiles(*scoreTile, keys.count, x, [&](Value row) { return plus(keys.keysAt, times(row, keyRow)); },
                index(scoresAt), width);
}

void FlashLowering::multiplyValues(const FlashKeys &keys) {
  TileFunction::Arguments x;
  x.a = keys.values;
  x.b = scratch;
  x.bOffset = index(scoresAt);
  x.panelStride = index(16);
  x.panels = panels;
  x.k = keys.count;
  x.accumulate = arith::ConstantIntOp::create(builder, loc, isOneStep ? 0 : 1, 1);
  multiplyTiles(*valueTile, index(valueDepth), x, [&](Value row) { return plus(keys.valuesAt, row); },
                plus(outputAt, state), width);
}

void FlashLowering::emitStep(const FlashKeys &keys, Masking masking, Phase phase) {
  multiplyScores(keys);
  multiplyPositions(keys);
  forEachVector([&](Value column) {
    if (phase == Phase::Choose)
      choose(keys, column, masking);
    else if (isTopK())
      weighChosen(keys, column, masking);
    else if (phase == Phase::Weigh)
      weigh(keys, column, masking);
    else if (isSoftmax())
      updateSoftmax(keys, column, masking, phase == Phase::Stream);
    else
      updateSum(keys, column, masking, phase == Phase::Stream);
    if (masking == Masking::None && op.hasKeep())
      store(constant(1), ofGroup(liveAt, column));
  });
  if (phase != Phase::Statistics && phase != Phase::Choose)
    multiplyValues(keys);
}

//===----------------------------------------------------------------------------===//
// One element
//===----------------------------------------------------------------------------===//

/// Lanes past the last query compute copies of it, but tensors have no rows for them.
void FlashLowering::limitToQueries(RegionEmitter &emitter, Value column) {
  if (op.getCaptures().empty())
    return;
  Value left = minus(queryCount, column);
  Value count = scope.minimum(left, index(lanes), loc);
  emitter.limitLanes(builder.createOrFold<arith::MaxSIOp>(loc, count, index(0)));
}

/// How the regions of key j of the tile read the captured tensors.
SmallVector<TensorReader> FlashLowering::captureReaders(RegionEmitter &emitter, Value j, Value column) {
  SmallVector<TensorReader> readers;
  for (auto [number, capture] : llvm::enumerate(op.getCaptures())) {
    if (FlashPosition *position = positionOfCapture(number))
      readers.push_back([this, position, j, column, &emitter](ArrayRef<LaneValue> indices) {
        return positionTerm(*position, j, column, emitter, indices);
      });
    else
      readers.push_back(lowering.reader(capture, emitter));
  }
  return readers;
}

/// The score after its region; where the factor is applied in the exponent it stays away. A dead key has no
/// weight: -inf where the greatest have it, else 0.
FlashLowering::Score FlashLowering::scoreOf(Value j, const FlashKeys &keys, Value column, Masking masking) {
  RegionEmitter emitter(scope, lanes, loc);
  limitToQueries(emitter, column);
  SmallVector<TensorReader> captures = captureReaders(emitter, j, column);
  SmallVector<LaneValue> point{LaneValue::uniform(batch), LaneValue::uniform(head),
                               LaneValue::linear(plus(firstQuery, column)), LaneValue::uniform(plus(keys.first, j))};
  Value score = load(scoreOffset(j, column));
  bool isUniform = masking == Masking::EmptyRows && op.getEmpty() == EmptyRow::Uniform;
  if (isUniform) {
    score = constant(isSoftmax() ? 0 : 1);
  } else if (op.hasScore() && !(isSoftmax() && form.kind == ScoreForm::Scaled)) {
    SmallVector<LaneValue> withScore{LaneValue::varying(score)};
    llvm::append_range(withScore, point);
    score = emitter.materialise(emitter.evaluate(op.getScore(), withScore, captures));
  }
  if (masking == Masking::None)
    return {score, Value()};
  Value live;
  if (masking == Masking::EmptyRows) {
    live = compare(arith::CmpFPredicate::OEQ, load(ofGroup(liveAt, column)), constant(0));
  } else {
    LaneValue keep = emitter.evaluate(op.getKeep(), point, captures);
    live = emitter.materialise(keep);
  }
  return {select(live, score, isSoftmax() || isHard() ? minusInfinity() : constant(0)), live};
}

/// The weight region, of a normalised weight.
Value FlashLowering::weightOf(Value p, Value j, const FlashKeys &keys, Value column) {
  RegionEmitter emitter(scope, lanes, loc);
  limitToQueries(emitter, column);
  SmallVector<TensorReader> captures = captureReaders(emitter, j, column);
  return emitter.materialise(emitter.evaluate(
      op.getWeight(),
      {LaneValue::varying(p), LaneValue::uniform(batch), LaneValue::uniform(head),
       LaneValue::linear(plus(firstQuery, column)), LaneValue::uniform(plus(keys.first, j))},
      captures));
}

/// The weight the product with the values reads, its factor taken in; a dead key's is zero whatever the factor.
void FlashLowering::storeWeight(Value weight, Value j, const FlashKeys &keys, Value column) {
  if (factored) {
    Value isDead = compare(arith::CmpFPredicate::OEQ, weight, constant(0));
    weight = select(isDead, constant(0), weightOf(weight, j, keys, column));
  }
  store(weight, scoreOffset(j, column));
}

/// exp(score - shift), as a power of two. A factor is applied by the one fused multiply-add that measures the
/// score; differences of a general score come first, so that mask values near the largest float do not overflow.
Value FlashLowering::exponentialOf(Value score, Value shift) {
  Value power;
  if (form.kind == ScoreForm::Bounded)
    power = multiply(score, constant(log2OfE));
  else if (form.kind == ScoreForm::General)
    power = multiply(subtract(score, shift), constant(log2OfE));
  else
    power = fma(score, constant(form.scale * log2OfE), arith::NegFOp::create(builder, loc, shift));
  return emitMath(builder, loc, MathFunction::Exp2NonPositive, power);
}

/// m, in powers of two but for general scores; where nothing was live any finite number makes exp(-inf) = 0. A
/// bounded score has none.
Value FlashLowering::shiftOf(Value column) {
  if (form.kind == ScoreForm::Bounded)
    return Value();
  Value maximum = load(ofGroup(maximumAt, column));
  return select(compare(arith::CmpFPredicate::OEQ, maximum, minusInfinity()), constant(0), maximum);
}

//===----------------------------------------------------------------------------===//
// Softmax
//===----------------------------------------------------------------------------===//

/// The maximum of scores as they stand, in several chains: one would wait for each comparison.
Value FlashLowering::rawMaximum(Value count, Value column) {
  constexpr int64_t chains = 4;
  Value whole = minus(count, builder.createOrFold<arith::RemUIOp>(loc, count, index(chains)));
  auto loop = scf::ForOp::create(builder, loc, index(0), whole, index(chains),
                                 SmallVector<Value>(chains, minusInfinity()));
  {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(loop.getBody());
    SmallVector<Value> next;
    for (int64_t chain = 0; chain < chains; ++chain)
      next.push_back(greater(load(scoreOffset(plus(chain, loop.getInductionVar()), column)),
                             loop.getRegionIterArg(chain)));
    scf::YieldOp::create(builder, loc, next);
  }
  Value maximum = loop.getResult(0);
  for (int64_t chain = 1; chain < chains; ++chain)
    maximum = greater(loop.getResult(chain), maximum);
  auto rest = scf::ForOp::create(builder, loc, whole, count, index(1), maximum);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(rest.getBody());
  Value score = load(scoreOffset(rest.getInductionVar(), column));
  scf::YieldOp::create(builder, loc, greater(score, rest.getRegionIterArg(0)));
  return rest.getResult(0);
}

/// The maximum of the tile's scores, which replace the products; what was live is noted.
Value FlashLowering::emitMaximum(const FlashKeys &keys, Value column, Masking masking) {
  if (form.kind == ScoreForm::Scaled && masking == Masking::None)
    return rawMaximum(keys.count, column);
  bool notes = masking == Masking::Keep;
  return overScores(keys, column, notes, {minusInfinity()}, [&](Value j, SmallVectorImpl<Value> &carried) {
    Score score = scoreOf(j, keys, column, masking);
    store(score.score, scoreOffset(j, column));
    carried[0] = greater(score.score, carried[0]);
    return score;
  })[0];
}

/// Moves m where scores left it behind, and the state with it.
void FlashLowering::followMaximum(Value maximum, Value column) {
  bool general = form.kind == ScoreForm::General;
  if (!general)
    maximum = multiply(maximum, constant(form.scale * log2OfE));
  if (isOneStep)
    return store(maximum, ofGroup(maximumAt, column));
  Value before = load(ofGroup(maximumAt, column));
  Value moves = compare(arith::CmpFPredicate::OGT, maximum, add(before, constant(general ? slack / log2OfE : slack)));
  emitIf(anyOf(moves), [&] {
    Value after = select(moves, maximum, before);
    Value distance = subtract(before, after);
    Value power = general ? multiply(distance, constant(log2OfE)) : distance;
    Value factor = select(moves, emitMath(builder, loc, MathFunction::Exp2NonPositive, power), constant(1));
    store(after, ofGroup(maximumAt, column));
    store(multiply(load(ofGroup(sumAt, column)), factor), ofGroup(sumAt, column));
    emitLoop(scope, loc, index(0), index(valueDepth),
             [&](Value d) { store(multiply(load(outputOf(d, column)), factor), outputOf(d, column)); });
  });
}

void FlashLowering::updateSoftmax(const FlashKeys &keys, Value column, Masking masking, bool keepsWeights) {
  bool bounded = form.kind == ScoreForm::Bounded;
  if (!bounded)
    followMaximum(emitMaximum(keys, column, masking), column);
  Value shift = shiftOf(column);
  bool notes = bounded && masking == Masking::Keep, evaluatesRegions = bounded || (factored && keepsWeights);
  int64_t atOnce = evaluatesRegions || tile.registers <= 16 ? 1 : exponentialsAtOnce;
  sumKeys(keys, column, notes, [&](Value j) {
    Score score{load(scoreOffset(j, column)), Value()};
    if (bounded)
      score = scoreOf(j, keys, column, masking);
    score.score = exponentialOf(score.score, shift);
    if (keepsWeights)
      storeWeight(score.score, j, keys, column);
    return score;
  }, atOnce);
}

/// Adds what `term` gives for every key to the row's sum; where it `notes`, remembers whether one of them was live.
void FlashLowering::sumKeys(const FlashKeys &keys, Value column, bool notes, function_ref<Score(Value j)> term,
                            int64_t atOnce) {
  Value before = isOneStep ? constant(0) : load(ofGroup(sumAt, column));
  Value sum = overScores(keys, column, notes, {before}, [&](Value j, SmallVectorImpl<Value> &carried) {
    Score added = term(j);
    carried[0] = add(carried[0], added.score);
    return added;
  }, atOnce)[0];
  store(sum, ofGroup(sumAt, column));
}

//===----------------------------------------------------------------------------===//
// Other normalisers, and weights in a second phase
//===----------------------------------------------------------------------------===//

void FlashLowering::updateSum(const FlashKeys &keys, Value column, Masking masking, bool keepsWeights) {
  bool notes = masking == Masking::Keep, weighs = op.getNormaliser() == Normaliser::None && op.hasWeight();
  sumKeys(keys, column, notes, [&](Value j) {
    Score score = scoreOf(j, keys, column, masking);
    Value weight = score.score;
    if (weighs) {
      weight = weightOf(weight, j, keys, column);
      if (score.live)
        weight = select(score.live, weight, constant(0));
    }
    if (keepsWeights)
      storeWeight(weight, j, keys, column);
    return score;
  });
}

/// sumAt holds 1 / l now.
void FlashLowering::weigh(const FlashKeys &keys, Value column, Masking masking) {
  Value factor = load(ofGroup(sumAt, column));
  Value shift = isSoftmax() ? shiftOf(column) : Value();
  overKeys(keys.count, {}, [&](Value j, ValueRange) {
    Score score = scoreOf(j, keys, column, masking);
    Value p = multiply(isSoftmax() ? exponentialOf(score.score, shift) : score.score, factor);
    Value weight = weightOf(p, j, keys, column);
    if (score.live)
      weight = select(score.live, weight, constant(0));
    store(weight, scoreOffset(j, column));
    return SmallVector<Value>();
  });
}

} // namespace tenon
