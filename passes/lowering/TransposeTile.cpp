//===- TransposeTile.cpp - a square of lanes turned on its diagonal -----------------===//
#include "passes/lowering/TransposeTile.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace tenon {

/// The lower or upper halves of two vectors, lane by lane in turn.
static Value interleave(OpBuilder &builder, Location loc, Value a, Value b, bool upper) {
  int64_t lanes = cast<VectorType>(a.getType()).getDimSize(0);
  SmallVector<int64_t> mask;
  for (int64_t lane = 0; lane < lanes / 2; ++lane) {
    int64_t from = lane + (upper ? lanes / 2 : 0);
    mask.push_back(from);
    mask.push_back(lanes + from);
  }
  return vector::ShuffleOp::create(builder, loc, a, b, mask);
}

SmallVector<Value> transposeTile(OpBuilder &builder, Location loc, ArrayRef<Value> rows) {
  SmallVector<Value> tile(rows);
  size_t size = rows.size();
  for (size_t round = 1; round < size; round *= 2) {
    SmallVector<Value> next;
    for (size_t i = 0; i < size / 2; ++i) {
      next.push_back(interleave(builder, loc, tile[i], tile[i + size / 2], /*upper=*/false));
      next.push_back(interleave(builder, loc, tile[i], tile[i + size / 2], /*upper=*/true));
    }
    tile = std::move(next);
  }
  return tile;
}

/// Half of the lanes of a and b, by the number of the result's lane, plus the other half of them, `apart` lanes on.
static Value addLanes(OpBuilder &builder, Location loc, Value a, Value b, int64_t apart,
                      llvm::function_ref<int64_t(int64_t)> laneOf) {
  SmallVector<int64_t> mask, others;
  for (int64_t lane = 0; lane < cast<VectorType>(a.getType()).getDimSize(0); ++lane) {
    mask.push_back(laneOf(lane));
    others.push_back(laneOf(lane) + apart);
  }
  Value x = vector::ShuffleOp::create(builder, loc, a, b, mask),
        y = vector::ShuffleOp::create(builder, loc, a, b, others);
  return arith::AddFOp::create(builder, loc, x, y);
}

/// Within each four lanes: those of a and of b in turns of `unit`, first halves plus second ones.
static Value addInQuads(OpBuilder &builder, Location loc, Value a, Value b, int64_t unit) {
  int64_t lanes = cast<VectorType>(a.getType()).getDimSize(0);
  return addLanes(builder, loc, a, b, quad / 2, [&](int64_t lane) {
    int64_t turn = lane % quad / unit;
    return lane / quad * quad + turn / 2 * unit + lane % unit + turn % 2 * lanes;
  });
}

/// Fours of lanes of a, then of b: the even ones plus the odd ones.
static Value addQuads(OpBuilder &builder, Location loc, Value a, Value b) {
  return addLanes(builder, loc, a, b, quad, [](int64_t lane) { return lane / quad * 2 * quad + lane % quad; });
}

/// Each two neighbours made one.
static SmallVector<Value> halve(ArrayRef<Value> vectors, llvm::function_ref<Value(Value, Value)> add) {
  SmallVector<Value> sums;
  for (size_t i = 0; i < vectors.size(); i += 2)
    sums.push_back(add(vectors[i], vectors[i + 1]));
  return sums;
}

Value sumWithinQuads(OpBuilder &builder, Location loc, ArrayRef<Value> vectors) {
  SmallVector<Value> left(vectors);
  for (int64_t unit : {1, 2})
    left = halve(left, [&](Value a, Value b) { return addInQuads(builder, loc, a, b, unit); });
  return left.front();
}

Value sumQuads(OpBuilder &builder, Location loc, ArrayRef<Value> vectors) {
  SmallVector<Value> left(vectors);
  while (left.size() > 1)
    left = halve(left, [&](Value a, Value b) { return addQuads(builder, loc, a, b); });
  return left.front();
}

} // namespace tenon
