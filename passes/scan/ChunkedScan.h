//===- ChunkedScan.h - a recurrence that was written in chunks ----------------------------------===//
//
// Mamba-2 without a kernel of its own (transformers' plain PyTorch) is written as sums within chunks of Q steps, and
// sums over chunks. With a(c, l) the logarithm of the decay at step l of chunk c, and A(c; s, l] its sum over
// s < k <= l:
//
//     diagonal(c, l) = Σ_{s <= l} (C(c, l) · B(c, s)) exp(A(c; s, l]) X(c, s)          within a chunk
//     state(c)       = Σ_m B(c, m) exp(A(c; m, Q)) X(c, m)ᵀ                            what a chunk leaves behind
//     start(c)       = Σ_{z < c} exp(sum of A(k; all) over z < k < c) state(z)         what it finds
//     y(c, l)        = diagonal(c, l) + C(c, l)ᵀ start(c) exp(A(c; all k <= l))
//
// where state(-1) is given, or 0.
//
// That is S ← exp(a_t) S + B_t X_tᵀ, y_t = C_tᵀ S at step t = Q c + l, because the decays from step s of chunk z to
// step l of chunk c multiply: exp(A(z; s, Q)) · exp(chunks between) · exp(A(c; all k <= l)) is the product of all
// factors behind s.
//
// Found by the sums alone: y, traced through maps, contractions and reductions down to tensors that several operations
// read, is one tree (StepExpression.h), whose masks are comparisons of indices.
//
#ifndef TENON_PASSES_SCAN_CHUNKEDSCAN_H
#define TENON_PASSES_SCAN_CHUNKEDSCAN_H

#include "passes/scan/StepExpression.h"

namespace tenon {

struct ChunkedScan {
  llvm::SmallVector<Dim, 4> at;         ///< The indices of y; 0 for a dim of 1.
  Dim chunk, step, depth, column;       ///< c, l, the index y = Cᵀ S sums over, and the column of X.
  llvm::SmallVector<Dim, 2> states;     ///< What else y is over: each has a state of its own.
  StepTree query, key, value, logDecay; ///< C, B, X and a at c and l.
  StepTree initial = nullptr;           ///< What the first chunk finds; null for zeros.

  /// None where `sum`, a map that adds, is no such y.
  static std::optional<ChunkedScan> match(MapOp sum, StepTracer &tracer);
};

} // namespace tenon
#endif
