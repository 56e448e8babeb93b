//===- LinearScore.h - scores that are x times factors ---------------------------------===//
//
// A score x · Π f_s: attention without a softmax then is a product of matrices, and the factors decide in which order they
// may be taken. What a factor is a function of decides where it goes:
//
//   | factor of          | example                | goes to                                  |
//   |--------------------|------------------------|------------------------------------------|
//   | query (b, h, i)    | 1 / sqrt(d), %c[%h,%i] | the rows of Q                            |
//   | key (b, h, j)      | %g[%h, %j]             | the rows of K                            |
//   | both               | γ_h^(i - j)            | the decay of a recurrence (LinearScore::isDecay) |
//
#ifndef TENON_PASSES_ATTENTION_LINEARSCORE_H
#define TENON_PASSES_ATTENTION_LINEARSCORE_H

#include "passes/attention/AttentionRewriter.h"
#include "passes/attention/RegionAnalysis.h"

namespace tenon {

struct LinearScore {
  struct Factor {
    mlir::Value value;
    bool divides;
  };
  llvm::SmallVector<Factor> ofQuery, ofKey, ofBoth;

  /// None where the score is something else. Without a region it is x.
  static std::optional<LinearScore> match(AttentionOp op);
  /// Whether f(i, j) = Π_{j < t ≤ i} f(t, t - 1) for j ≤ i: a constant to the power of i - j, or exp(u(i) - u(j)).
  static bool isDecay(AttentionOp op, mlir::Value factor) { return isPower(op, factor) || isRatio(op, factor); }
  /// The first of the two, with one f(t, t - 1) for all t.
  static bool isPower(AttentionOp op, mlir::Value factor);

private:
  static bool isRatio(AttentionOp op, mlir::Value factor);
};

/// Why the products of an attention are not products of matrices alone, whatever its keep; empty where they are.
llvm::StringRef whyNotLinear(AttentionOp op);

/// What a pass over attentions without a softmax does with one of them.
struct LinearRewrite {
  llvm::StringRef pass, name;         ///< Of its remarks.
  llvm::StringRef taken, notTaken;    ///< Their text; the second is followed by the reason.
  llvm::function_ref<llvm::StringRef(AttentionOp)> whyNot; ///< Empty where it is rewritten.
  llvm::function_ref<mlir::Value(AttentionOp)> lower;
};

/// Rewrites those of `sum` and `none` whose algorithm is open and that `concerns` accepts.
void rewriteLinearAttentions(mlir::ModuleOp module, llvm::function_ref<bool(AttentionOp)> concerns,
                             const LinearRewrite &how);

/// The keep region is j ≤ i, and nothing else.
bool isCausal(AttentionOp op);

/// A rewrite that takes factors into the operands they belong to.
class LinearAttentionRewriter : protected AttentionRewriter {
protected:
  explicit LinearAttentionRewriter(AttentionOp op) : AttentionRewriter(op), factors(*LinearScore::match(op)) {}

  /// The operand times the factors of its row, which is named `row`.
  void scale(Worded &operand, llvm::ArrayRef<LinearScore::Factor> factors, llvm::StringRef row);
  /// `element` times the factors at b, h, i, j.
  mlir::Value scaled(mlir::OpBuilder &b, mlir::Value element, llvm::ArrayRef<LinearScore::Factor> factors,
                     mlir::ValueRange place, mlir::ValueRange captures);

  LinearScore factors;

private:
  llvm::SmallVector<mlir::Value> placeOf(mlir::OpBuilder &b, const Worded &operand, mlir::ValueRange at,
                                         llvm::StringRef row);
};

} // namespace tenon
#endif
