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

/// Rows that a key or value meets before the next is read: few, so that many lines are on their way from memory at once (see
/// AttentionUpdate.h).
static constexpr int64_t mostTogether = 2;
/// Bytes of keys, of values, that stay in the first-level cache until every row has met them.
static constexpr int64_t keyTileBytes = 4096, valueTileBytes = 8192;
/// How far ahead lines are asked for, and the bytes of a cache, keys and values, from which on they are: it comes from memory then.
static constexpr int64_t aheadBytes = 8192, longCacheBytes = 24 << 20;

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

/// Of the four keys from lane `lane` on.
Value UpdateLowering::partialOf(Value r, Value lane) {
  return plus(partialAt, plus(times(r, lanes * lanes / quad), times(lane, lanes / quad)));
}

/// Some rows from `first` on, those behind the last one being copies of it.
SmallVector<Value> UpdateLowering::rowsFrom(Value first, int64_t together) {
  Values taken;
  for (int64_t r = 0; r < together; ++r)
    taken.push_back(least(plus(r, first), plus(-1, rowCount)));
  return taken;
}

Value UpdateLowering::isLongCache() {
  int64_t ofKey =
      depth * key.element.getIntOrFloatBitWidth() / 8 + valueDepth * value.element.getIntOrFloatBitWidth() / 8;
  Value bytes = scope.dim(sizes.batch * sizes.keyHeads * sizes.keys * Dim(ofKey), loc);
  return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::uge, bytes, index(longCacheBytes));
}

/// While a group of rows reads a tile from the first-level cache, memory would rest: each of several groups asks for its share
/// of a tile to come, of keys or values that begin at `start`.
void UpdateLowering::fetchShare(const Operand &operand, Value start, int64_t elements, const Share &share) {
  int64_t bytes = operand.element.getIntOrFloatBitWidth() / 8, groups = llvm::divideCeil(rows, share.together);
  if (groups == 1 || groups > share.tile || elements == 0)
    return;
  int64_t keys = share.tile / groups, ahead = llvm::divideCeil(aheadBytes, elements * bytes);
  auto fetch = [&](int64_t locality) {
    Value from =
        plus(plus(firstKey, plus(ahead, share.begin)), times(quotient(share.firstRow, index(share.together)), keys));
    step(index(0), index(keys), 1, [&](Value j) {
      Value at = plus(start, times(least(plus(from, j), lastKey), operand.row));
      for (int64_t d = 0; d < elements; d += 64 / bytes)
        memref::PrefetchOp::create(builder, loc, operand.memory, plus(d, at), /*isWrite=*/false, locality,
                                   /*isDataCache=*/true);
    });
  };
  constexpr int64_t firstLevel = 3, secondLevel = 2;
  emitIf(scope, loc, isLong,
         [&] { emitIf(scope, loc, fetchesNear, [&] { fetch(firstLevel); }, [&] { fetch(secondLevel); }); });
}

//===----------------------------------------------------------------------------===//
// Scores
//===----------------------------------------------------------------------------===//

/// Rows of so many elements that lie in `bytes`: a power of two, 2 at least.
static int64_t rowsOfTile(int64_t bytes, int64_t elements, Type type) {
  int64_t ofRow = std::max<int64_t>(elements * type.getIntOrFloatBitWidth() / 8, 1);
  return llvm::bit_floor(uint64_t(std::max<int64_t>(bytes / ofRow, 2)));
}

int64_t UpdateLowering::rowsTogether() const { return std::min(rows, mostTogether); }
int64_t UpdateLowering::pairedDepth() const { return usesDots() ? depth / (2 * lanes) * (2 * lanes) : 0; }

/// Scores of a piece's keys; past the part's last key they are copies of its.
void UpdateLowering::multiply(const Piece &piece) {
  Value last = plus(-1, count);
  int64_t tile = std::clamp(rowsOfTile(keyTileBytes, depth, key.element), quad, lanes);
  step(piece.begin, piece.end, lanes, [&](Value j) {
    step(index(0), index(lanes), tile, [&](Value begin) {
      step(index(0), rowCount, rowsTogether(), [&](Value first) {
        Values rows = rowsFrom(first, rowsTogether());
        fetchShare(key, keyStart, depth, {plus(j, begin), tile, first, rowsTogether()});
        QueryRows queries = readQueries(rows);
        step(begin, plus(tile, begin), quad, [&](Value lane) { multiplyFour(rows, queries, j, lane, last); });
      });
    });
    emitLoop(scope, loc, index(0), rowCount, [&](Value r) { addAcross(r, j, last); });
  });
}

/// Four keys, one after the other: then their sums lie within four lanes each.
void UpdateLowering::multiplyFour(ArrayRef<Value> rows, const QueryRows &queries, Value j, Value lane, Value last) {
  SmallVector<Values> sums(rows.size());
  for (int64_t number = 0; number < quad; ++number) {
    Value at = keyAt(least(plus(j, plus(number, lane)), last));
    for (auto [ofRow, sum] : llvm::zip(sums, productsOf(queries, at)))
      ofRow.push_back(sum);
  }
  for (auto [r, ofRow] : llvm::zip(rows, sums))
    store(sumWithinQuads(builder, loc, ofRow), partialOf(r, lane));
}

UpdateLowering::QueryRows UpdateLowering::readQueries(ArrayRef<Value> rows) {
  QueryRows queries;
  queries.at = llvm::map_to_vector(rows, [&](Value r) { return queryAt(r); });
  if (int64_t(rows.size()) * (depth / lanes) > sumRegisters())
    return queries;
  for (int64_t d = 0; d < depth / lanes * lanes; d += widthAt(d))
    for (Value at : queries.at)
      queries.held.push_back(vectorAt(query, at, index(d), d < pairedDepth()));
  return queries;
}

/// Elements of a vector that begins at d of the depth.
int64_t UpdateLowering::widthAt(int64_t d) const { return d < pairedDepth() ? 2 * lanes : lanes; }

Value UpdateLowering::vectorAt(const Operand &operand, Value row, Value d, bool inPairs) {
  return inPairs ? pairs(operand, plus(row, d)) : elements(operand, plus(row, d));
}

/// The products with one key as vectors that are yet to be added across their lanes.
SmallVector<Value> UpdateLowering::productsOf(const QueryRows &queries, Value keyAt) {
  Values sums(queries.at.size(), constant(0));
  addProducts(0, pairedDepth(), queries, keyAt, sums);
  addProducts(pairedDepth(), depth / lanes * lanes, queries, keyAt, sums);
  return sums;
}

/// Those of elements [from, to) of the depth, which are all in pairs or none is.
void UpdateLowering::addProducts(int64_t from, int64_t to, const QueryRows &queries, Value keyAt, Values &sums) {
  bool inPairs = from < pairedDepth();
  int64_t width = widthAt(from), held = from / (2 * lanes) * sums.size();
  auto add = [&](Value d, ValueRange carried) {
    Value x = vectorAt(key, keyAt, d, inPairs);
    Values next;
    for (auto [at, sum] : llvm::zip(queries.at, carried)) {
      Value q = queries.held.empty() ? vectorAt(query, at, d, inPairs) : queries.held[held++];
      next.push_back(inPairs ? dot(sum, x, q) : fma(x, q, sum));
    }
    return next;
  };
  constexpr int64_t unrolled = 8;
  int64_t rounds = (to - from) / (unrolled * width);
  bool isLoop = rounds > 1 && queries.held.empty();
  int64_t inLoop = isLoop ? from + rounds * unrolled * width : from;
  if (isLoop)
    sums = carry(index(from), index(inLoop), unrolled * width, sums, [&](Value d, ValueRange carried) {
      Values next(carried);
      for (int64_t v = 0; v < unrolled; ++v)
        next = add(plus(v * width, d), next);
      return next;
    });
  for (int64_t d = inLoop; d < to; d += width)
    sums = add(index(d), sums);
}

/// The scores of `lanes` keys with one row, with what does not fill a vector of the depth.
void UpdateLowering::addAcross(Value r, Value j, Value last) {
  Values sums;
  for (int64_t lane = 0; lane < lanes; lane += quad)
    sums.push_back(load(partialOf(r, index(lane))));
  store(sumQuads(builder, loc, sums), scoreOf(r, j));
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

/// As many rows as leave registers for their whole depth: a value's row is then read from end to end.
int64_t UpdateLowering::valueRowsTogether() const {
  return std::clamp<int64_t>(sumRegisters() / std::max<int64_t>(valueDepth / lanes, 1), 1,
                             std::min(rows, mostTogether));
}

/// The depth of values that is taken in by pairs of keys.
int64_t UpdateLowering::pairedValues() const { return usesDots() ? valueDepth / (2 * lanes) * (2 * lanes) : 0; }

/// Some rows take a tile in, then others, from the first-level cache; all are one tile where registers hold every sum.
void UpdateLowering::takeValues(const Piece &piece) {
  int64_t together = valueRowsTogether(), tile = rowsOfTile(valueTileBytes, valueDepth, value.element);
  if (rows == together && valueDepth / lanes <= sumRegisters() / rows)
    return takeTile(rowsFrom(index(0), rows), piece.begin, piece.end);
  step(piece.begin, piece.end, tile, [&](Value j) {
    Value end = least(plus(tile, j), piece.end);
    step(index(0), rowCount, together, [&](Value first) {
      fetchShare(value, valueStart, valueDepth, {j, tile, first, together});
      takeTile(rowsFrom(first, together), j, end);
    });
  });
}

/// A of these rows takes in keys [begin, end): some vectors of the depth at a time stay in registers.
void UpdateLowering::takeTile(ArrayRef<Value> rows, Value begin, Value end) {
  int64_t most = std::max<int64_t>(sumRegisters() / int64_t(rows.size()), 2) / 2 * 2;
  int64_t paired = pairedValues(), whole = valueDepth / lanes * lanes;
  for (int64_t d = 0; d < whole;) {
    bool inPairs = d < paired;
    int64_t vectors = std::min(most, ((inPairs ? paired : whole) - d) / lanes);
    takeColumns(rows, begin, end, {d, vectors, inPairs});
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

void UpdateLowering::takeColumns(ArrayRef<Value> rows, Value begin, Value end, const Columns &columns) {
  Values places, sums;
  for (Value r : rows)
    for (int64_t v = 0; v < columns.vectors; ++v)
      places.push_back(outputOf(r, index(columns.from + v * lanes)));
  for (Value place : places)
    sums.push_back(load(place));
  sums = forKeys(begin, end, columns.inPairs, sums, [&](Value j, bool isLast, ValueRange carried) {
    Values values = valuesOf(j, columns, isLast), next;
    for (Value r : rows) {
      Value weight = weightOf(r, j, columns.inPairs);
      for (Value x : values)
        next.push_back(columns.inPairs ? dot(carried[next.size()], x, weight) : fma(x, weight, carried[next.size()]));
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

/// Some columns of the row of key j; in pairs with that of j + 1, or with zeros.
SmallVector<Value> UpdateLowering::valuesOf(Value j, const Columns &columns, bool isLast) {
  Values values, others;
  for (int64_t v = 0; v < columns.vectors; v += columns.inPairs ? 2 : 1) {
    Value at = plus(columns.from + v * lanes, valueAt(j));
    values.push_back(columns.inPairs ? pairs(value, at) : elements(value, at));
  }
  if (!columns.inPairs)
    return values;
  Value zeros = arith::ConstantOp::create(builder, loc, builder.getZeroAttr(values[0].getType()));
  for (int64_t v = 0; v < columns.vectors; v += 2)
    others.push_back(isLast ? zeros : pairs(value, plus(columns.from + v * lanes, valueAt(plus(1, j)))));
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
void UpdateLowering::narrowWeights(Value r) {
  forPieces([&](const Piece &piece) {
    step(piece.begin, piece.end, lanes, [&](Value j) {
      Value narrow = convertFloat(builder, loc, load(scoreOf(r, j)), builder.getBF16Type());
      vector::StoreOp::create(builder, loc, narrow, narrowScratch, scoreOf(r, j));
    });
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
