//===- FlashDistances.cpp - products with positions, tile by tile --------------------===//
//
// What FlashBlock.h adds for PositionProducts.h. A block's 64 queries and a tile of 16 keys have 79 distances, a warp's
// 16 queries 31 of them. Rows of the table for all come to shared memory, and each warp multiplies its own:
//
//   rows of queries   band[q][u] = Q'[q] . R[f(d0 + u)]     fragments of Q' in registers, as those of Q
//   rows of keys      band[j][u] = K'[j] . R[f(d0 + u)]     K' of the tile in shared memory
//
// with d0 the least distance of the warp. Score (q, j) takes the band's element at u = j - q + 15 of row q, or row j:
// the band goes through shared memory, for it stands in other threads. Two such products follow each other in one
// place.
//
#include "compiler/codegen/nvptx/FlashBlock.h"

using namespace mlir;

namespace tenon {

void FlashBlock::locateDistances() {
  for (const PositionProduct &x : shape.positions) {
    distances.push_back({PositionRows(device.kernel, x),
                         OperandWords(device, x.rows.tensor, WordKind::F32),
                         OperandWords(device, x.table.tensor, WordKind::F32),
                         {}});
    distances.back().rows.locate(batch, head);
  }
}

/// Of rows whose elements lie side by side all begin at multiples of their length.
static bool areCopied(const OperandWords &words, const PositionProduct &x, const FlashRows &rows) {
  return !rows.element && words.mayCopy(Dim(x.depth));
}

/// `count` rows from `first` on; the last that exists stands for those behind it.
void FlashBlock::bringPositionRows(const Distances &x, Value first, int64_t count, Value at, const Dim &existing) {
  const PositionProduct &product = x.rows.product;
  const FlashRows &from = x.rows.rows;
  Value last = index.sub(scope.dim(existing, loc), index.constant(1));
  int64_t pitch = FlashShape::positionPitch(product);
  bring(
      {x.rowWords, areCopied(x.rowWords, product, from), product.depth, count, pitch - 4, pitch, from.element}, at,
      [&](Value row) { return index.add(from.start, index.mul(index.min(index.add(first, row), last), from.stride)); });
}

/// Row r of the table is that of the distance first - (firstQuery + 63) + r.
void FlashBlock::bringTable(Distances &x, Value first) {
  const PositionProduct &product = x.rows.product;
  Value least = index.sub(first, index.add(firstQuery, FlashShape::mostQueries - 1));
  int64_t pitch = FlashShape::positionPitch(product);
  bring({x.tableWords, areCopied(x.tableWords, product, x.rows.table), product.depth, shape.tableRows(), pitch - 4,
         pitch, x.rows.table.element},
        index.constant(shape.positionsAt()), [&](Value row) { return x.rows.tableRow(index.add(least, row)); });
}

/// Q' of the block by way of shared memory, like Q.
void FlashBlock::readPositionQueries() {
  for (Distances &x : distances) {
    const PositionProduct &product = x.rows.product;
    if (!product.ofQuery)
      continue;
    bringPositionRows(x, firstQuery, shape.rows(), index.constant(0), task.sizes.queries);
    math.commitCopies();
    math.awaitCopies(0);
    math.barrier();
    int64_t pitch = FlashShape::positionPitch(product);
    Value row = index.mul(warp, TensorCore::tileRows * pitch);
    for (int64_t word = 0; word < pitch - 4; word += TensorCore::tileWords)
      x.queryWords.push_back(core.loadWords(shared, index.add(row, word), lane, pitch));
    math.barrier();
  }
}

/// The terms of the tile of keys from `first` on. Every thread of the block takes part.
void FlashBlock::multiplyDistances(Value first) {
  terms.clear();
  for (Distances &x : distances) {
    int64_t pitch = FlashShape::positionPitch(x.rows.product);
    math.barrier(); // the product before is done with
    bringTable(x, first);
    if (!x.rows.product.ofQuery)
      bringPositionRows(x, first, shape.keys, index.constant(shape.positionKeysAt()), task.sizes.keys);
    math.commitCopies();
    math.awaitCopies(0);
    math.barrier();
    SmallVector<Values> left = x.queryWords;
    if (!x.rows.product.ofQuery)
      for (int64_t word = 0; word < pitch - 4; word += TensorCore::tileWords)
        left.push_back(core.loadWords(shared, index.constant(shape.positionKeysAt() + word), lane, pitch));
    // The warp's first query is 16 w behind the block's, its greatest distances as many less.
    Value above =
        index.mul(index.sub(index.constant(FlashShape::warps - 1), warp), TensorCore::tileRows);
    Value table = index.add(index.mul(above, pitch), shape.positionsAt());
    terms.push_back(termsOf(
        x, multiplyRows(left.size(), [&](int64_t step) { return left[step]; }, table, pitch, shape.bandTiles())));
  }
}

/// The band's elements where this thread's scores are.
FlashBlock::Values FlashBlock::termsOf(const Distances &x, const Values &band) {
  constexpr int64_t pitch = FlashShape::bandPitch;
  Value at = index.add(index.mul(warp, FlashShape::bandWords), shape.bandsAt());
  Value row = index.div(lane, 4);
  for (auto [number, product] : llvm::enumerate(band)) {
    Value line = index.mul(index.add(row, 8 * halfOf(number)), pitch);
    math.store(product, shared, index.add(at, index.add(line, keyInTile(number))));
  }
  math.barrier();
  Values found;
  for (int64_t number = 0; number < shape.keys / TensorCore::tileColumns * 4; ++number) {
    Value query = index.add(row, 8 * halfOf(number)), key = keyInTile(number);
    Value line = index.mul(x.rows.product.ofQuery ? query : key, pitch);
    Value column = index.sub(index.add(key, TensorCore::tileRows - 1), query);
    found.push_back(math.load(shared, index.add(at, index.add(line, column)), builder.getF32Type()));
  }
  return found;
}

/// What the regions load for score `number` of the tile.
SmallVector<TensorReader> FlashBlock::captureReaders(RegionEmitter &emitter, size_t number) {
  SmallVector<TensorReader> readers;
  for (auto [capture, tensor] : llvm::enumerate(task.captures)) {
    auto *x = llvm::find_if(distances, [&](Distances &x) { return x.rows.product.capture == capture; });
    if (x == distances.end()) {
      readers.push_back(device.kernel.reader(tensor, emitter));
      continue;
    }
    LaneValue product = LaneValue::uniform(terms[x - distances.begin()][number], true);
    MapOp after = x->rows.product.after;
    readers.push_back([=, &emitter](ArrayRef<LaneValue> indices) mutable {
      return after ? emitter.evaluate(after.getBody(), indices, {[=](ArrayRef<LaneValue>) { return product; }})
                   : product;
    });
  }
  return readers;
}

} // namespace tenon
