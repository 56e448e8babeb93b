//===- BlockProduct.h - a tile of a matrix product by one block --------------------===//
//
// A block of four warps computes 64 rows x 64 columns of C = A B, each warp 32 x 32 of them. k goes by in slabs of 16
// words (TensorCore.h), of which shared memory holds four: while one is multiplied the next ones arrive.
//
//   for each slab
//     wait for this one; barrier             and the slab before is done with
//     ask for the slab three further on      in its place
//     two steps of 8 words: 2 x 4 tiles of C a warp
//
//   A's rows lie 20 words apart and B's steps of k 72, so that a warp's reads of a fragment meet each bank of shared
//   memory once. Words come by `cp.async`, or one by one where they are computed on their way.
//
// Rows, columns and words that do not exist are computed on: rows and columns behind the last are copies of it, words
// are zero in both operands.
//
#ifndef TENON_COMPILER_CODEGEN_NVPTX_BLOCKPRODUCT_H
#define TENON_COMPILER_CODEGEN_NVPTX_BLOCKPRODUCT_H

#include "compiler/codegen/nvptx/ProductBlock.h"

namespace tenon {

class BlockProduct : public ProductBlock {
public:
  static constexpr int64_t threads = 128;
  static constexpr int64_t rows = 64, columns = 64; ///< Of C.
  static constexpr int64_t slabWords = 16;

  /// Words of shared memory.
  static constexpr int64_t sharedWords();

  BlockProduct(mlir::OpBuilder &builder, mlir::Location loc, WordKind kind, Value shared, Value thread)
      : ProductBlock(builder, loc, kind, shared, thread, {rows, columns, slabWords, threads, threads, sumPitch}) {}

  /// Emits the product; behind it C is in shared memory.
  void emit(Value words, const Load &loadLeft, const Load &loadRight);

private:
  using Sums = llvm::SmallVector<Value>;

  static constexpr int64_t stages = 4;
  static constexpr int64_t leftPitch = slabWords + 4, rightPitch = columns + 8, sumPitch = columns + 8;
  static constexpr int64_t leftWords = rows * leftPitch, stageWords = leftWords + slabWords * rightPitch;
  static constexpr int64_t warpRows = 32, warpColumns = 32;
  static constexpr int64_t rowTiles = warpRows / TensorCore::tileRows;
  static constexpr int64_t columnTiles = warpColumns / TensorCore::tileColumns;

  void loadStage(Value slab, const Load &loadLeft, const Load &loadRight);
  Value stageAt(Value slab);
  void multiplySlab(Value at, Sums &sums);
  void storeSums(llvm::ArrayRef<Value> sums);

  Value leftPlace(Value row, Value word) override { return index.add(index.mul(row, leftPitch), word); }
  Value rightPlace(Value word, Value column) override { return index.add(index.mul(word, rightPitch), column); }

  Value warpRow() { return index.mul(index.div(warp(), 2), warpRows); }
  Value warpColumn() { return index.mul(index.rem(warp(), 2), warpColumns); }
};

constexpr int64_t BlockProduct::sharedWords() { return std::max(stages * stageWords, rows * sumPitch); }

} // namespace tenon
#endif
