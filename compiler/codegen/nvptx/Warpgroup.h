//===- Warpgroup.h - Hopper's instructions: wgmma, mbarrier, bulk copies ------------===//
//
// A warpgroup, four warps, multiplies D[64][n] += A[64][16] B[16][n] of bf16 or f16 into sums in f32 by one instruction,
// which runs beside them. Thread t, in warp w with g = t % 32 / 4 and c = t % 4, holds
//
//   | tile | thread holds                                                                              |
//   |------|-------------------------------------------------------------------------------------------|
//   | A    | words, pairs along k: A[16w+g][c] A[16w+g+8][c] A[16w+g][c+4] A[16w+g+8][c+4]              |
//   | D    | for each 8 columns from j on: D[16w+g][j+2c] D[16w+g][j+2c+1] D[16w+g+8][j+2c] D[16w+g+8][j+2c+1] |
//
// B is in shared memory: pieces of 8 columns by 8 steps of k, 128 bytes each, a column behind the other. A descriptor
// says where the first one is and how far it is to the next columns and steps.
//
// What the instruction reads and writes is its own until the group it was committed in has been waited for. The fence before
// and the wait behind take and return the registers they are about, so that no code for these can pass them.
//
// Shared memory is a `!llvm.ptr<3>`; places in it are in words, as index. Barriers take two words.
//
#ifndef TENON_COMPILER_CODEGEN_NVPTX_WARPGROUP_H
#define TENON_COMPILER_CODEGEN_NVPTX_WARPGROUP_H

#include "compiler/codegen/nvptx/TensorCore.h"

namespace tenon {

class Warpgroup {
public:
  using Value = mlir::Value;

  static constexpr int64_t threads = 128;
  static constexpr int64_t rows = 64;      ///< Of D.
  static constexpr int64_t stepWords = 8;  ///< Of k.
  static constexpr int64_t wordsOfA = 4;   ///< Of a thread, for 8 words of k.
  static constexpr int64_t pieceBytes = 128;

  /// `kind` is one of pairs.
  Warpgroup(mlir::OpBuilder &builder, mlir::Location loc, WordKind kind, Value shared)
      : builder(builder), loc(loc), kind(kind), shared(shared) {}

  //===--------------------------------------------------------------------===//
  // Products
  //===--------------------------------------------------------------------===//

  /// B from word `at` on, of which the next 8 steps of k are `stepBytes` further and the next 8 columns 128.
  Value descriptor(Value at, int64_t stepBytes);
  /// The same `words` further.
  Value advance(Value descriptor, int64_t words);
  /// Sums and words of A, f32 and i32, that products may read.
  void fence(llvm::MutableArrayRef<Value> registers);
  /// sums += a B, with 2 sums for each column of B.
  void multiplyAdd(llvm::MutableArrayRef<Value> sums, llvm::ArrayRef<Value> a, Value descriptor);
  /// Ends a group of products.
  void commit();
  /// Waits for all groups.
  void await(llvm::MutableArrayRef<Value> sums);

  //===--------------------------------------------------------------------===//
  // Barriers and copies
  //===--------------------------------------------------------------------===//

  /// A barrier whose phases end when `arrivals` threads have come. Seen by others behind fence() and a barrier of the block.
  void initBarrier(Value at, int64_t arrivals);
  void arrive(Value at);
  /// The phase of now wants `bytes` of bulk copies as well.
  void expect(Value at, int64_t bytes);
  /// Waits until the phase of `parity` (index; 0 of the first one) has ended.
  void awaitPhase(Value at, Value parity);
  /// Products and bulk copies see what this thread has written to shared memory.
  void fenceWrites();
  /// `bytes`, a multiple of 16, from global memory at `from` to word `to`; the barrier is told.
  void copyBulk(Value from, Value to, int64_t bytes, Value barrier);
  /// This warp's threads have come here, and see what each other has done.
  void syncWarp();
  /// `number` (index), known to be the same in a whole warp.
  Value uniform(Value number);

private:
  void pass(llvm::MutableArrayRef<Value> registers, llvm::StringRef text);
  Value address(Value at) { return device.address(shared, at); }
  Value i32(int64_t value) { return mlir::arith::ConstantIntOp::create(builder, loc, value, 32); }
  Value i64(int64_t value) { return mlir::arith::ConstantIntOp::create(builder, loc, value, 64); }
  Value call(mlir::Type type, llvm::StringRef name, llvm::ArrayRef<Value> operands);
  void call(llvm::StringRef name, llvm::ArrayRef<Value> operands);

  mlir::OpBuilder &builder;
  mlir::Location loc;
  WordKind kind;
  Value shared;
  DeviceMath device{builder, loc};
};

} // namespace tenon
#endif
