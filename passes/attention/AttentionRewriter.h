//===- AttentionRewriter.h - an attention as contractions and maps ----------------------===//
//
// What every rewrite of `tenon.attention` into contractions needs: its operands with their dims named by
// words (b; h, or g and r where r query heads share key head g; i or j; d), its regions inlined into maps,
// and a result put into the op's layout.
//
#ifndef TENON_PASSES_ATTENTION_ATTENTIONREWRITER_H
#define TENON_PASSES_ATTENTION_ATTENTIONREWRITER_H

#include "dialects/tenon/AttentionLayout.h"
#include "dialects/tenon/Tenon.h"
#include "mlir/IR/Builders.h"

namespace tenon {

/// A tensor whose dims are named by words of a contraction.
struct Worded {
  mlir::Value tensor;
  llvm::SmallVector<std::string> words;

  bool has(llvm::StringRef word) const { return llvm::is_contained(words, word); }
};

/// New operations are inserted before the attention.
class AttentionRewriter {
protected:
  explicit AttentionRewriter(AttentionOp op);

  using Body = llvm::function_ref<mlir::Value(mlir::OpBuilder &, mlir::ValueRange tensors, mlir::ValueRange at)>;

  /// The operands in the score's type, without their fixed dims, heads split where they are grouped; the keys and the
  /// values of all sources one after another.
  Worded query();
  Worded key();
  Worded value();
  bool isGrouped() const { return sizes.keyHeads != sizes.heads && sizes.keyHeads != Dim(1); }
  /// Those of h, g, r that occur.
  static llvm::SmallVector<std::string> headWords(const Worded &query);
  /// b where `a` or `b` has it, the heads, i, and `last` unless it is empty.
  static llvm::SmallVector<std::string> words(const Worded &a, const Worded &b, llvm::ArrayRef<std::string> heads,
                                              llvm::StringRef last);
  /// The contraction, its result under the dims `shape` of equal row-major order.
  mlir::Value contract(const Worded &a, const Worded &b, llvm::ArrayRef<std::string> result, llvm::ArrayRef<Dim> shape);

  mlir::Value map(mlir::Type element, llvm::ArrayRef<Dim> shape, mlir::ValueRange inputs, Body body);
  mlir::Value cast(mlir::OpBuilder &b, mlir::Value scalar, mlir::Type wanted);
  mlir::Value number(mlir::OpBuilder &b, double value);
  mlir::Value size(mlir::OpBuilder &b, const Dim &dim);
  /// The value of a region, or of `inner` in it; `scalar` is null for keep.
  mlir::Value inlined(mlir::OpBuilder &b, mlir::Region &region, mlir::Value scalar, mlir::ValueRange at,
                      mlir::ValueRange captures, mlir::Value inner = {});
  llvm::SmallVector<mlir::Value> withCaptures(llvm::ArrayRef<mlir::Value> tensors);
  /// A map in the result's layout and element type; `at` of its body is batch, head, query, depth.
  mlir::Value place(mlir::ValueRange tensors, Body body);

  AttentionOp op;
  mlir::OpBuilder builder;
  mlir::Location loc;
  AttentionOp::Sizes sizes;
  mlir::Type type;

  /// The tensor in the score's type without its fixed dims; n is the word `rows`.
  Worded operand(mlir::Value tensor, llvm::StringRef layout, llvm::StringRef rows);

private:
  Worded sourcesOf(mlir::ValueRange tensors, unsigned first);
  mlir::Value keysFirst(mlir::Value tensor, llvm::StringRef layout);
  mlir::Value converted(mlir::Value tensor, const AttentionLayout &layout, const Shape &kept);
  void splitHeads(Worded &query);
  Worded withKeyHeads(Worded operand) const;
};

} // namespace tenon
#endif
