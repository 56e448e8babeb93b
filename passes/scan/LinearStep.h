//===- LinearStep.h - one step of a linear recurrence, in the terms of tenon.scan ---------------===//
//
//     S' = a S + k v                        a: decay, k: key, v: value
//     S' = a S + k β (v - Σ_d k a S)        with a rate β
//     S' = Σ_e A[d, e] S[e] + k v            with a transition A
//
// A term that is a product is split by what its factors depend on: those that know the dim a read sums over are the key.
//
#ifndef TENON_PASSES_SCAN_LINEARSTEP_H
#define TENON_PASSES_SCAN_LINEARSTEP_H

#include "passes/scan/StepExpression.h"

namespace tenon {

/// A product as a number and its other factors.
struct StepProduct {
  double number = 1;
  llvm::SmallVector<StepTree> factors;

  static StepProduct of(StepTracer &tracer, StepTree tree);
  /// Adds the factors of a tree; those of a tensor that maps made by multiplying are theirs.
  void take(StepTracer &tracer, StepTree tree);
  /// Leaves out the factors of `other`; false where one of them is missing.
  bool drop(const StepProduct &other);
  StepTree tree(StepTracer &tracer, mlir::Type type) const;
};

struct LinearStep {
  StepTree key, value, decay, rate; ///< Null: no decay, no rate.
  StepTree added;                   ///< key * value as it was written; null where it is none.
  StepTree transition = nullptr;    ///< A[d, e], d the index of the state, e `column`; null where there is none.
  Dim column = Dim(0);
  unsigned rows = 0;                ///< The dim a transition mixes.

  /// tree = factor * carried + rest + foundBy * found. Null for zero.
  struct Parts {
    StepTree factor = nullptr, rest = nullptr, foundBy = nullptr, found = nullptr;
  };

  /// None where the tree is no such step of the state at `state`, whose dim `depth` is summed by reads, if any is.
  static std::optional<LinearStep> of(StepTracer &tracer, StepTree tree, llvm::ArrayRef<Dim> state,
                                      std::optional<unsigned> depth);
  /// None where the tree is not linear in what is carried at `state`, and in one sum over it, `found`.
  static std::optional<Parts> split(StepTracer &tracer, StepTree tree, llvm::ArrayRef<Dim> state);
};

} // namespace tenon
#endif
