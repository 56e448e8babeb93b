//===- OperandWords.h - an operand of a kernel as tensor cores take it --------------===//
#ifndef TENON_COMPILER_CODEGEN_NVPTX_OPERANDWORDS_H
#define TENON_COMPILER_CODEGEN_NVPTX_OPERANDWORDS_H

#include "compiler/codegen/nvptx/NativeLowerings.h"
#include "compiler/codegen/nvptx/TensorCore.h"

namespace tenon {

/// A tensor in global memory, an argument of the kernel, read in words of a kind (TensorCore.h). Elements of another
/// type become f32 on their way.
class OperandWords {
public:
  using Value = mlir::Value;

  /// Bytes of an asynchronous copy.
  static constexpr int64_t copyBytes = 16;

  OperandWords(DeviceLowering &device, Value tensor, WordKind kind);

  /// Elements of the tensor that one copy brings; 0 where it holds another type than the words.
  int64_t copiedElements() const { return isWhole ? copyBytes / 4 * elementsOf(kind) : 0; }
  /// Whether copies may start this many elements apart.
  bool mayCopy(const Dim &distance) const { return isWhole && distance.knownDivisor({}) % copiedElements() == 0; }
  /// Of the word that element `at` is in, in global memory.
  Value address(Value at) const;
  /// Copies the words from element `at` on.
  void copy(Value at, Value shared, Value to, Value exists) const;

  /// The word of step k, of pairs also step k + 1: those of `count` steps are at element `at(step)`, behind them are zeros.
  Value word(Value k, Value count, llvm::function_ref<Value(Value step)> at) const;
  /// The first step of word number `word`.
  Value stepOf(Value word) const;

private:
  Value element(Value step, Value count, llvm::function_ref<Value(Value step)> at) const;

  DeviceLowering &device;
  mlir::OpBuilder &builder;
  mlir::Location loc;
  Value tensor;
  WordKind kind;
  bool isWhole; ///< The tensor holds what the words are made of.
};

} // namespace tenon
#endif
