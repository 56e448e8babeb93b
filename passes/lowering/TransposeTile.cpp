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

/// In each block of the lanes the halves of `a` and of `b` added: the sum of a's below that of b's.
static Value addHalves(OpBuilder &builder, Location loc, Value a, Value b, int64_t block) {
  int64_t lanes = cast<VectorType>(a.getType()).getDimSize(0);
  SmallVector<int64_t> standing, crossing;
  for (int64_t lane = 0; lane < lanes; ++lane) {
    bool upper = lane % block >= block / 2;
    standing.push_back(upper ? lanes + lane : lane);
    crossing.push_back(upper ? lanes + lane - block / 2 : lane + block / 2);
  }
  Value x = vector::ShuffleOp::create(builder, loc, a, b, standing), y = vector::ShuffleOp::create(builder, loc, a, b, crossing);
  return arith::AddFOp::create(builder, loc, x, y);
}

/// Half as many lanes: the halves of each block added.
static Value foldBlocks(OpBuilder &builder, Location loc, Value a, int64_t block) {
  int64_t lanes = cast<VectorType>(a.getType()).getDimSize(0);
  SmallVector<int64_t> lower, upper;
  for (int64_t lane = 0; lane < lanes; ++lane)
    (lane % block < block / 2 ? lower : upper).push_back(lane);
  Value x = vector::ShuffleOp::create(builder, loc, a, a, lower), y = vector::ShuffleOp::create(builder, loc, a, a, upper);
  return arith::AddFOp::create(builder, loc, x, y);
}

Value sumsOfLanes(OpBuilder &builder, Location loc, ArrayRef<Value> vectors) {
  SmallVector<Value> left(vectors);
  int64_t block = cast<VectorType>(left[0].getType()).getDimSize(0);
  for (; left.size() > 1; block /= 2) {
    size_t half = left.size() / 2;
    for (size_t i = 0; i < half; ++i)
      left[i] = addHalves(builder, loc, left[i], left[i + half], block);
    left.resize(half);
  }
  for (; block > 1; block /= 2)
    left[0] = foldBlocks(builder, loc, left[0], block);
  return left[0];
}

} // namespace tenon
