//===- FlashSelection.cpp - normalisers that choose among the keys of a row -----------===//
//
// What `topk_softmax k` and `hard` know of a row while tiles of keys pass, lanes along queries as in FlashAttention.h:
//
//   topk   g[r][q], r < k   the greatest scores so far in descending order; g[0] is m
//   hard   m[q], p[q]       the greatest score and the first key that has it, -1 without one
//
// A score enters g by k comparisons, and only where it exceeds g[k - 1] in some lane: among keys in random order some
// k log(N / k) of N do in each lane. A second pass over the keys is softmax over the scores that are not below
// g[k - 1]: equal ones all stay, however many, so that no list of keys would do. The best key's value is read when all
// keys have passed.
//
// A NaN is nowhere among the greatest. Under topk it is not below g[k - 1], and so it makes its row NaN, as under
// softmax; under hard no score equals it, so that a row that has one chooses no key and is zero.
//
// Memory: k floats for each query a worker has at hand.
//
#include "dialects/tenon/Tenon.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "passes/attention/FlashAttention.h"
#include "passes/attention/RegionAnalysis.h"

using namespace mlir;

namespace tenon {

StringRef whyNotChosen(AttentionOp op) {
  bool isGuarded = op.hasWeight() && isNaNGuard(op.getWeight());
  if (op.getNormaliser() == Normaliser::Hard) {
    if (op.hasWeight() && !isGuarded)
      return "a weight region gives the keys that are not chosen weights";
    if (op.hasKeep() && op.getEmpty() == EmptyRow::Uniform)
      return "rows without live keys get the mean of all values, not one of them";
  }
  if (op.getNormaliser() == Normaliser::TopKSoftmax && op.hasWeight() && !isGuarded && !isProportional(op.getWeight()))
    return "the weight region needs normalised weights of the greatest scores";
  return "";
}

void FlashLowering::initialiseChoice(Value column) {
  emitLoop(scope, loc, index(0), index(rankCount()), [&](Value rank) { store(minusInfinity(), rankAt(rank, column)); });
  if (isHard())
    vector::StoreOp::create(builder, loc, places(-1), placeMemory, ofGroup(placeAt, column));
}

/// The place `key` in every lane.
Value FlashLowering::places(int32_t key) {
  auto type = VectorType::get({int64_t(lanes)}, builder.getI32Type());
  return arith::ConstantOp::create(builder, loc, DenseElementsAttr::get(type, key));
}

void FlashLowering::choose(const FlashKeys &keys, Value column, Masking masking) {
  if (isHard())
    chooseBest(keys, column, masking);
  else
    chooseGreatest(keys, column, masking);
}

//===----------------------------------------------------------------------------===//
// The greatest scores
//===----------------------------------------------------------------------------===//

void FlashLowering::chooseGreatest(const FlashKeys &keys, Value column, Masking masking) {
  Value last = rankAt(index(rankCount() - 1), column);
  overScores(keys, column, masking == Masking::Keep, {}, [&](Value j, SmallVectorImpl<Value> &) {
    Score score = scoreOf(j, keys, column, masking);
    emitIf(anyOf(compare(arith::CmpFPredicate::OGT, score.score, load(last))), [&] { enter(score.score, column); });
    return score;
  });
}

/// Each lane's score before the first it exceeds; those behind move by one, the last is forgotten.
void FlashLowering::enter(Value score, Value column) {
  emitCarryingLoop(scope, loc, index(0), index(rankCount()), 1, score, [&](Value rank, ValueRange carried) {
    Value held = load(rankAt(rank, column));
    Value exceeds = compare(arith::CmpFPredicate::OGT, carried[0], held);
    store(select(exceeds, carried[0], held), rankAt(rank, column));
    return SmallVector<Value>{select(exceeds, held, carried[0])};
  });
}

/// Softmax over the scores that are among the greatest: m and what is left out are known.
void FlashLowering::weighChosen(const FlashKeys &keys, Value column, Masking masking) {
  Value least = load(rankAt(index(rankCount() - 1), column)), shift = shiftOf(column);
  sumKeys(keys, column, /*notes=*/false, [&](Value j) {
    Score score = scoreOf(j, keys, column, masking);
    Value stays = compare(arith::CmpFPredicate::UGE, score.score, least);
    score.score = exponentialOf(select(stays, score.score, minusInfinity()), shift);
    storeWeight(score.score, j, keys, column);
    return score;
  });
}

//===----------------------------------------------------------------------------===//
// The best key
//===----------------------------------------------------------------------------===//

void FlashLowering::chooseBest(const FlashKeys &keys, Value column, Masking masking) {
  auto placeType = VectorType::get({int64_t(lanes)}, builder.getI32Type());
  SmallVector<Value> best{load(ofGroup(maximumAt, column)),
                          vector::LoadOp::create(builder, loc, placeType, placeMemory, ofGroup(placeAt, column))};
  best = overScores(keys, column, masking == Masking::Keep, best, [&](Value j, SmallVectorImpl<Value> &held) {
    Score score = scoreOf(j, keys, column, masking);
    Value place = arith::IndexCastOp::create(builder, loc, builder.getI32Type(), plus(keys.first, j));
    takeBetter(score, vector::BroadcastOp::create(builder, loc, placeType, place), held);
    return score;
  });
  store(best[0], ofGroup(maximumAt, column));
  vector::StoreOp::create(builder, loc, best[1], placeMemory, ofGroup(placeAt, column));
}

/// `held`, the best score and its key, become this score and `place` if it is better. A live -inf is better than no
/// key, and nothing is better than NaN.
void FlashLowering::takeBetter(const Score &score, Value place, SmallVectorImpl<Value> &held) {
  auto both = [&](Value a, Value b) -> Value { return b ? Value(arith::AndIOp::create(builder, loc, a, b)) : a; };
  Value isFree = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::slt, held[1], places(0));
  Value isFirst = both(compare(arith::CmpFPredicate::OEQ, score.score, held[0]), isFree);
  Value isGreater = compare(arith::CmpFPredicate::OGT, score.score, held[0]);
  Value isBetter = both(arith::OrIOp::create(builder, loc, isGreater, isFirst), score.live);
  Value isNaN = compare(arith::CmpFPredicate::UNO, score.score, score.score);
  held[0] = select(arith::OrIOp::create(builder, loc, isBetter, isNaN), score.score, held[0]);
  held[1] = select(isNaN, places(-1), select(isBetter, place, held[1]));
}

/// The value of each query's best key, as O^T.
void FlashLowering::takeChosen() {
  emitLoop(scope, loc, index(0), queryCount, [&](Value column) {
    Value place = memref::LoadOp::create(builder, loc, placeMemory, ofGroup(placeAt, column));
    Value none = arith::ConstantIntOp::create(builder, loc, -1, 32);
    emitIf(arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::sgt, place, none), [&] {
      Value key = arith::IndexCastOp::create(builder, loc, builder.getIndexType(), place);
      Value row = plus(value.start, times(key, value.row));
      emitLoop(scope, loc, index(0), index(valueDepth), [&](Value d) {
        Value element = loadAsF32(builder, loc, value.memory, plus(row, d));
        memref::StoreOp::create(builder, loc, element, scratch, outputOf(d, column));
      });
    });
  });
}

} // namespace tenon
