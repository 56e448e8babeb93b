//===- RegionAnalysis.h - what the regions of an attention depend on ------------------===//
//
// Which algorithm computes an attention follows from two properties of every value in its regions.
//
// Dependence: the set of {x, b, h, i, j} it is a function of. An addend free of x and j cancels
// under softmax; a condition free of x is a mask.
//
// Shift invariance: unchanged by (i, j) -> (i + 1, j + 1), a function of j - i as far as
// positions go. Example: the T5 bucket `select(j - i < 8, j - i, 8 + (j - i) / 2)`, and then the bias
// `load %table[%h, bucket]`. Rule: an integer is, if its expression over i and j has the same normal form
// after the shift; a comparison is, if the difference of its sides has; any other operation is, if all its
// operands are; a load is, if its indices are. Limit: proven by normal forms, so a
// function of j - i written in a way they do not reach counts as general.
//
#ifndef TENON_PASSES_ATTENTION_REGIONANALYSIS_H
#define TENON_PASSES_ATTENTION_REGIONANALYSIS_H

#include "passes/simplify/IndexExpression.h"

namespace tenon {

/// Which arguments of a region a value is a function of.
struct Dependence {
  bool score = false, batch = false, head = false, query = false, key = false;

  Dependence operator|(const Dependence &other) const {
    return {score || other.score, batch || other.batch, head || other.head, query || other.query, key || other.key};
  }
  bool operator==(const Dependence &) const = default;
};

/// One region of a `tenon.attention`; the op must outlive it and keep its regions.
class RegionAnalysis {
public:
  /// `hasScore`: the first argument is x or p, as in score and weight.
  RegionAnalysis(mlir::Region &region, bool hasScore);

  Dependence dependenceOf(mlir::Value value);
  bool isShiftInvariant(mlir::Value value);
  /// An index j - i + c, c the same for the whole attention.
  bool isDistance(mlir::Value index);

private:
  bool isUnchangedByShift(const Dim &dim, mlir::Value self);

  unsigned first; ///< The argument that is b.
  IndexDomain domain;
  KnownIndices known;
  Dim query, key;
  llvm::DenseMap<mlir::Value, Dependence> dependence;
  llvm::DenseMap<mlir::Value, bool> invariant;
};

/// `select(p is NaN, 0, p)`: replaces NaN weights, which under softmax fill a row or do not occur in it.
bool isNaNGuard(mlir::Region &weight);

/// p times factors that do not depend on p, such as a table of j - i: Σ w V is then a sum of exp(y) factor V, divided at the end
/// by the Σ exp(y) that knows nothing of the factor.
bool isProportional(mlir::Region &weight);

} // namespace tenon
#endif
