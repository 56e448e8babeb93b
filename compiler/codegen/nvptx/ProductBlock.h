//===- ProductBlock.h - who does what in a block's matrix product -------------------===//
//
// A block computes a tile of C = A B. k goes by in slabs of some words (TensorCore.h), which are brought to shared
// memory; in the end C is there itself, and the threads take its elements row by row: what reads and writes global
// memory then is coalesced, and any region can be applied to an element. Where words lie in a slab is up to the product.
//
#ifndef TENON_COMPILER_CODEGEN_NVPTX_PRODUCTBLOCK_H
#define TENON_COMPILER_CODEGEN_NVPTX_PRODUCTBLOCK_H

#include "compiler/codegen/nvptx/TensorCore.h"
#include "passes/lowering/IndexMath.h"

namespace tenon {

class ProductBlock {
public:
  using Value = mlir::Value;

  struct Shape {
    int64_t rows, columns;    ///< Of C.
    int64_t slabWords;        ///< Of k.
    int64_t threads, loaders; ///< Of the block; of those the last ones, which bring slabs.
    int64_t sumPitch;         ///< Words from a row of C in shared memory to the next.
  };

  virtual ~ProductBlock() = default;

  /// One operand: brings a slab's words from `firstWord` on to shared memory at word `at`. Every loader calls it.
  using Load = std::function<void(Value firstWord, Value at)>;

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
  /// The same where words of k come in rows of `length` from 0 on, the slab's from `firstWord`: neighbouring threads have the
  /// words of a row, then those of the next column. Of rows the slab has in part all words are asked for, nearest ones instead.
  void fillRightByRows(Value at, Value firstWord, int64_t length,
                       llvm::function_ref<Value(Value word, Value column)> body);

protected:
  ProductBlock(mlir::OpBuilder &builder, mlir::Location loc, WordKind kind, Value shared, Value thread,
               const Shape &shape)
      : builder(builder), loc(loc), kind(kind), shared(shared), thread(thread), shape(shape) {}

  /// Words from a slab's first one to one of A, where four in a row along k lie side by side.
  virtual Value leftPlace(Value row, Value word) = 0;
  /// The same of B, where four columns do.
  virtual Value rightPlace(Value word, Value column) = 0;

  /// This thread among those that bring slabs.
  Value loader() { return index.sub(thread, index.constant(shape.threads - shape.loaders)); }
  Value warp() { return index.div(thread, TensorCore::warp); }
  Value lane() { return index.rem(thread, TensorCore::warp); }

  mlir::OpBuilder &builder;
  mlir::Location loc;
  WordKind kind;
  Value shared, thread; ///< !llvm.ptr<3>; index.
  Shape shape;
  IndexMath index{builder, loc};
  DeviceMath device{builder, loc};

private:
  void forEachUnit(int64_t units, llvm::function_ref<void(Value unit)> body);
};

} // namespace tenon
#endif
