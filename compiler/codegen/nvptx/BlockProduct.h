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
// In the end C is in shared memory, where the operands were, and the threads take its elements row by row: what reads
// and writes global memory there is coalesced, and any region can be applied to an element.
//
// Rows, columns and words that do not exist are computed on: rows and columns behind the last are copies of it, words
// are zero in both operands.
//
#ifndef TENON_COMPILER_CODEGEN_NVPTX_BLOCKPRODUCT_H
#define TENON_COMPILER_CODEGEN_NVPTX_BLOCKPRODUCT_H

#include "compiler/codegen/nvptx/TensorCore.h"
#include "passes/lowering/IndexMath.h"

namespace tenon {

class BlockProduct {
public:
  using Value = mlir::Value;

  static constexpr int64_t threads = 128;
  static constexpr int64_t rows = 64, columns = 64; ///< Of C.
  static constexpr int64_t slabWords = 16;

  /// Words of shared memory.
  static constexpr int64_t sharedWords();

  /// One operand: brings `slabWords` words from `firstWord` on to shared memory at word `at`. Every thread calls it.
  using Load = std::function<void(Value firstWord, Value at)>;

  BlockProduct(mlir::OpBuilder &builder, mlir::Location loc, WordKind kind, Value shared, Value thread)
      : builder(builder), loc(loc), kind(kind), shared(shared), thread(thread) {}

  /// Emits the product; behind it C is in shared memory.
  void emit(Value words, const Load &loadLeft, const Load &loadRight);

  /// Calls body(row, column, element) for every element of C that this thread takes, 0 <= row < rows; `element` is f32.
  void forEachElement(llvm::function_ref<void(Value row, Value column, Value element)> body);

  /// Chunks of 16 bytes of a slab of A: body(row, word, at) for the chunk of four words from `word` of the slab on.
  /// Neighbouring threads have neighbouring chunks.
  void forEachLeftChunk(Value at, llvm::function_ref<void(Value row, Value word, Value at)> body);
  /// The same of B: four columns from `column` on.
  void forEachRightChunk(Value at, llvm::function_ref<void(Value word, Value column, Value at)> body);

  /// Every word of a slab of A; `alongRows`: neighbouring threads have neighbouring rows, else words. What body gives
  /// is stored, as i32 or f32.
  void fillLeft(Value at, bool alongRows, llvm::function_ref<Value(Value row, Value word)> body);
  /// The same of B; `alongColumns`, else words.
  void fillRight(Value at, bool alongColumns, llvm::function_ref<Value(Value word, Value column)> body);

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
  void forEachUnit(int64_t units, llvm::function_ref<void(Value unit)> body);

  Value warp() { return index.div(thread, TensorCore::warp); }
  Value lane() { return index.rem(thread, TensorCore::warp); }
  Value warpRow() { return index.mul(index.div(warp(), 2), warpRows); }
  Value warpColumn() { return index.mul(index.rem(warp(), 2), warpColumns); }

  mlir::OpBuilder &builder;
  mlir::Location loc;
  WordKind kind;
  Value shared, thread; ///< !llvm.ptr<3>; index.
  IndexMath index{builder, loc};
  DeviceMath device{builder, loc};
};

constexpr int64_t BlockProduct::sharedWords() { return std::max(stages * stageWords, rows * sumPitch); }

} // namespace tenon
#endif
