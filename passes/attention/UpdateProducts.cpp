//===- UpdateProducts.cpp - queries times keys, weights times values --------------===//
//
// The two products of AttentionUpdate.h, for few rows: each element of a key or value meets every row while it is in a
// register or the first-level cache.
//
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "passes/attention/AttentionUpdate.h"
#include "passes/lowering/MicroKernel.h"
#include "passes/lowering/TransposeTile.h"

using namespace mlir;

namespace tenon {

/// Rows that a key or value meets before the next is read.
static constexpr int64_t mostTogether = 4;
/// Keys whose values stay in the first-level cache while every row takes them in.
static constexpr int64_t valueTile = 16;

//===----------------------------------------------------------------------------===//
// Places
//===----------------------------------------------------------------------------===//

/// A vector of `lanes` elements, as f32.
Value UpdateLowering::elements(const Operand &operand, Value at) {
  return loadAsF32(builder, loc, operand.memory, at, lanes);
}

Value UpdateLowering::element(const Operand &operand, Value at) {
  return loadAsF32(builder, loc, operand.memory, at);
}

/// Twice as many, as pairs of bf16 that lie side by side.
Value UpdateLowering::pairs(const Operand &operand, Value at) {
  return vector::LoadOp::create(builder, loc, VectorType::get({2 * lanes}, operand.element), operand.memory, at);
}

Value UpdateLowering::dot(Value sum, Value a, Value b) { return emitBf16Dot(builder, loc, dotIntrinsic, sum, a, b); }

Value UpdateLowering::keyAt(Value j) { return plus(keyStart, times(plus(firstKey, j), key.row)); }
Value UpdateLowering::valueAt(Value j) { return plus(valueStart, times(plus(firstKey, j), value.row)); }
Value UpdateLowering::queryAt(Value r) {
  return plus(startOf(query, batch, headOf(r)), times(queryOf(r), query.row));
}

Value UpdateLowering::partialOf(Value r, Value lane) {
  return plus(partialAt, plus(times(r, lanes * lanes), times(lane, lanes)));
}

/// Some rows from `first` on, those behind the last one being copies of it.
SmallVector<Value> UpdateLowering::rowsFrom(Value first, int64_t together) {
  Values taken;
  for (int64_t r = 0; r < together; ++r)
    taken.push_back(least(plus(r, first), plus(-1, rowCount)));
  return taken;
}

//===----------------------------------------------------------------------------===//
// Scores
//===----------------------------------------------------------------------------===//

/// A power of two of rows.
int64_t UpdateLowering::rowsTogether() const { return std::min<int64_t>(llvm::PowerOf2Ceil(rows), mostTogether); }

/// Scores of all keys of the part; past the last key they are copies of its. The loop over keys is one for the processor too:
/// unrolled, LLVM would read the keys side by side.
void UpdateLowering::multiply(Value whole) {
  Value last = plus(-1, count);
  step(index(0), whole, lanes, [&](Value j) {
    emitLoop(scope, loc, index(0), index(lanes), [&](Value lane) {
      Value at = keyAt(least(plus(j, lane), last));
      step(index(0), rowCount, rowsTogether(), [&](Value first) {
        Values rows = rowsFrom(first, rowsTogether());
        for (auto [r, sum] : llvm::zip(rows, productsOf(rows, at)))
          store(sum, partialOf(r, lane));
      });
    });
    emitLoop(scope, loc, index(0), rowCount, [&](Value r) { addAcross(r, j, last); });
  });
}

/// The products with one key as vectors that are yet to be added across their lanes.
SmallVector<Value> UpdateLowering::productsOf(ArrayRef<Value> rows, Value keyAt) {
  Values queriesAt = llvm::map_to_vector(rows, [&](Value r) { return queryAt(r); }), sums(rows.size(), constant(0));
  int64_t paired = usesDots() ? depth / (2 * lanes) * (2 * lanes) : 0;
  addProducts(0, paired, /*inPairs=*/true, queriesAt, keyAt, sums);
  addProducts(paired, depth / lanes * lanes, /*inPairs=*/false, queriesAt, keyAt, sums);
  return sums;
}

/// Those of elements [from, to) of the depth.
void UpdateLowering::addProducts(int64_t from, int64_t to, bool inPairs, ArrayRef<Value> queriesAt, Value keyAt, Values &sums) {
  int64_t width = inPairs ? 2 * lanes : lanes;
  auto vectorAt = [&](const Operand &operand, Value at) { return inPairs ? pairs(operand, at) : elements(operand, at); };
  auto add = [&](Value d, ValueRange carried) {
    Value x = vectorAt(key, plus(keyAt, d));
    Values next;
    for (auto [at, sum] : llvm::zip(queriesAt, carried)) {
      Value q = vectorAt(query, plus(at, d));
      next.push_back(inPairs ? dot(sum, x, q) : fma(x, q, sum));
    }
    return next;
  };
  constexpr int64_t unrolled = 8;
  int64_t rounds = (to - from) / (unrolled * width), inLoops = rounds > 1 ? from + rounds * unrolled * width : from;
  if (rounds > 1)
    sums = carry(index(from), index(inLoops), unrolled * width, sums, [&](Value d, ValueRange carried) {
      Values next(carried);
      for (int64_t v = 0; v < unrolled; ++v)
        next = add(plus(v * width, d), next);
      return next;
    });
  for (int64_t d = inLoops; d < to; d += width)
    sums = add(index(d), sums);
}

/// The scores of `lanes` keys with one row, with what does not fill a vector of the depth.
void UpdateLowering::addAcross(Value r, Value j, Value last) {
  Values sums;
  for (int64_t lane = 0; lane < lanes; ++lane)
    sums.push_back(load(partialOf(r, index(lane))));
  store(sumsOfLanes(builder, loc, sums), scoreOf(r, j));
  if (depth % lanes == 0)
    return;
  emitLoop(scope, loc, index(0), index(lanes), [&](Value lane) {
    Value to = scoreOf(r, plus(j, lane)), at = keyAt(least(plus(j, lane), last)), sum = loadScalar(to);
    for (int64_t d = depth / lanes * lanes; d < depth; ++d)
      sum = fma(element(key, plus(d, at)), element(query, plus(d, queryAt(r))), sum);
    storeScalar(sum, to);
  });
}

//===----------------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------------===//

/// Registers for sums. Few rows take all, though some of the weights are then read again and again: each value comes from
/// memory once.
int64_t UpdateLowering::valueRegisters() const { return rows <= mostTogether ? 2 * sumRegisters() : sumRegisters(); }

/// As many rows as leave registers for their whole depth: a value's row is then read from end to end.
int64_t UpdateLowering::valueRowsTogether() const {
  return std::clamp<int64_t>(valueRegisters() / std::max<int64_t>(valueDepth / lanes, 1), 1, std::min(rows, mostTogether));
}

/// The depth of values that is taken in by pairs of keys.
int64_t UpdateLowering::pairedValues() const { return usesDots() ? valueDepth / (2 * lanes) * (2 * lanes) : 0; }

/// All rows together take each value in as it comes from memory, which is read without a pause; where registers do not hold that
/// many sums, some rows take a tile in, then others: it stays in the first-level cache.
void UpdateLowering::takeValues() {
  int64_t together = valueRowsTogether();
  if (rows == together)
    return takeTile(rowsFrom(index(0), rows), index(0), count);
  step(index(0), count, valueTile, [&](Value j) {
    Value end = least(plus(valueTile, j), count);
    step(index(0), rowCount, together, [&](Value first) { takeTile(rowsFrom(first, together), j, end); });
  });
}

/// A of these rows takes in keys [begin, end): some vectors of the depth at a time stay in registers.
void UpdateLowering::takeTile(ArrayRef<Value> rows, Value begin, Value end) {
  int64_t most = std::max<int64_t>(valueRegisters() / int64_t(rows.size()), 2) / 2 * 2;
  int64_t paired = pairedValues(), whole = valueDepth / lanes * lanes;
  for (int64_t d = 0; d < whole;) {
    bool inPairs = d < paired;
    int64_t vectors = std::min(most, ((inPairs ? paired : whole) - d) / lanes);
    takePiece(rows, begin, end, {d, vectors, inPairs});
    d += vectors * lanes;
  }
  for (int64_t d = whole; d < valueDepth; ++d)
    takeElement(rows, begin, end, d);
}

/// `body(j, isLast)` for the keys, or for pairs of them: `isLast` where the last one is alone.
SmallVector<Value> UpdateLowering::forKeys(Value begin, Value end, bool inPairs, ArrayRef<Value> sums,
                                           llvm::function_ref<Values(Value, bool, ValueRange)> body) {
  auto one = [&](Value j, ValueRange carried) { return body(j, true, carried); };
  if (!inPairs)
    return carry(begin, end, 1, sums, one);
  Value whole = plus(begin, times(quotient(scope.sub(end, begin, loc), index(2)), 2));
  Values next = carry(begin, whole, 2, sums, [&](Value j, ValueRange carried) { return body(j, false, carried); });
  return carry(whole, end, 2, next, one);
}

void UpdateLowering::takePiece(ArrayRef<Value> rows, Value begin, Value end, const Piece &piece) {
  Values places, sums;
  for (Value r : rows)
    for (int64_t v = 0; v < piece.vectors; ++v)
      places.push_back(outputOf(r, index(piece.from + v * lanes)));
  for (Value place : places)
    sums.push_back(load(place));
  sums = forKeys(begin, end, piece.inPairs, sums, [&](Value j, bool isLast, ValueRange carried) {
    Values values = valuesOf(j, piece, isLast), next;
    for (Value r : rows) {
      Value weight = weightOf(r, j, piece.inPairs);
      for (Value x : values)
        next.push_back(piece.inPairs ? dot(carried[next.size()], x, weight) : fma(x, weight, carried[next.size()]));
    }
    return next;
  });
  for (auto [sum, place] : llvm::zip(sums, places))
    store(sum, place);
}

/// The weight of key j, or those of j and j + 1 as a pair, in every lane.
Value UpdateLowering::weightOf(Value r, Value j, bool inPairs) {
  if (!inPairs)
    return splat(loadScalar(scoreOf(r, j)));
  Value word = memref::LoadOp::create(builder, loc, weightPairs, quotient(scoreOf(r, j), index(2)));
  return vector::BroadcastOp::create(builder, loc, VectorType::get({lanes}, word.getType()), word);
}

/// A piece of the row of key j; in pairs with that of j + 1, or with zeros.
SmallVector<Value> UpdateLowering::valuesOf(Value j, const Piece &piece, bool isLast) {
  Values values, others;
  for (int64_t v = 0; v < piece.vectors; v += piece.inPairs ? 2 : 1) {
    Value at = plus(piece.from + v * lanes, valueAt(j));
    values.push_back(piece.inPairs ? pairs(value, at) : elements(value, at));
  }
  if (!piece.inPairs)
    return values;
  Value zeros = arith::ConstantOp::create(builder, loc, builder.getZeroAttr(values[0].getType()));
  for (int64_t v = 0; v < piece.vectors; v += 2)
    others.push_back(isLast ? zeros : pairs(value, plus(piece.from + v * lanes, valueAt(plus(1, j)))));
  Values interleaved;
  for (auto [a, b] : llvm::zip(values, others))
    interleave(a, b, interleaved);
  return interleaved;
}

/// Two rows of bf16 as pairs, one element of each. Within blocks of 16 bytes, which is one instruction everywhere: the lower
/// halves of the blocks give the first vector and the upper ones the second; orderOutput puts their sums in order.
void UpdateLowering::interleave(Value a, Value b, Values &into) {
  constexpr int64_t block = 8;
  auto words = VectorType::get({2 * lanes}, builder.getI16Type());
  SmallVector<int64_t> lower, upper;
  for (int64_t pair = 0; pair < lanes; ++pair)
    for (int64_t row : {0, 1}) {
      int64_t from = pair / (block / 2) * block + pair % (block / 2) + row * 2 * lanes;
      lower.push_back(from);
      upper.push_back(from + block / 2);
    }
  a = vector::BitCastOp::create(builder, loc, words, a);
  b = vector::BitCastOp::create(builder, loc, words, b);
  into.push_back(vector::ShuffleOp::create(builder, loc, a, b, lower));
  into.push_back(vector::ShuffleOp::create(builder, loc, a, b, upper));
}

/// The weights of a row once more, as bf16.
void UpdateLowering::narrowWeights(Value r, Value whole) {
  step(index(0), whole, lanes, [&](Value j) {
    Value narrow = convertFloat(builder, loc, load(scoreOf(r, j)), builder.getBF16Type());
    vector::StoreOp::create(builder, loc, narrow, narrowScratch, scoreOf(r, j));
  });
}

/// Undoes in A what `interleave` does to the places of elements.
void UpdateLowering::orderOutput(Value r) {
  constexpr int64_t quarter = 4;
  step(index(0), index(pairedValues()), 2 * lanes, [&](Value d) {
    Value lower = load(outputOf(r, d)), upper = load(outputOf(r, plus(lanes, d)));
    for (int64_t half : {0, 1}) {
      SmallVector<int64_t> mask;
      for (int64_t lane = 0; lane < lanes; ++lane) {
        int64_t element = half * lanes + lane, block = element / (2 * quarter), within = element % (2 * quarter);
        mask.push_back(block * quarter + within % quarter + (within < quarter ? 0 : lanes));
      }
      store(vector::ShuffleOp::create(builder, loc, lower, upper, mask), outputOf(r, plus(half * lanes, d)));
    }
  });
}

void UpdateLowering::takeElement(ArrayRef<Value> rows, Value begin, Value end, int64_t d) {
  Values sums;
  for (Value r : rows)
    sums.push_back(loadScalar(outputOf(r, index(d))));
  sums = carry(begin, end, 1, sums, [&](Value j, ValueRange carried) {
    Value x = element(value, plus(valueAt(j), index(d)));
    Values next;
    for (auto [r, sum] : llvm::zip(rows, carried))
      next.push_back(fma(x, loadScalar(scoreOf(r, j)), sum));
    return next;
  });
  for (auto [r, sum] : llvm::zip(rows, sums))
    storeScalar(sum, outputOf(r, index(d)));
}

} // namespace tenon
