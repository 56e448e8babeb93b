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

} // namespace tenon
