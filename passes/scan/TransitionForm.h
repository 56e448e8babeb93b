//===- TransitionForm.h - how a recurrence with a dense transition is computed ---------------===//
//
// With keys k and queries q that are the same at every step, S = A S + k vᵀ, o = qᵀ S is a convolution with g[n] = qᵀ Aⁿ k.
// Time of one core for all N steps, depth d, H heads, e columns of B batch items (1 where they are not known):
//
//   steps     2 N B e (d² + H d) operations / rate(columns of a tile)
//   toeplitz  2 N² H B e / rate of products: all shifts of the input, times the responses
//   fft       what ToeplitzCost.h says of N x N, of a kernel for each head and column (5/16 of it where one number a step is the input
//             of all heads), or for each head, and N H B e moves
//
// and for both of the latter N (d² + H d) for the responses, unless they follow from weights alone, in which case they are computed by
// the compiler. Rates: ScanRates.def.
//
#ifndef TENON_PASSES_SCAN_TRANSITIONFORM_H
#define TENON_PASSES_SCAN_TRANSITIONFORM_H

#include "dialects/tenon/Tenon.h"

namespace tenon {

/// On a recurrence with a transition, as `tenon.form` beside "steps".
inline constexpr llvm::StringLiteral toeplitzScanForm = "toeplitz", transformedScanForm = "fft";

struct TransitionCost {
  double steps, toeplitz, fft; ///< Microseconds.
};

/// Why a recurrence is no convolution of known length; empty where it is one.
llvm::StringRef whyNoConvolution(ScanOp op);
/// Of one that is.
TransitionCost costOfTransition(ScanOp op);
/// Whether the columns of all heads are channels of one product, each with a kernel of its own: few columns would leave lanes empty.
bool hasKernelsOfChannels(ScanOp op);

/// A tensor that follows from weights alone.
bool isOfWeights(mlir::Value tensor);

} // namespace tenon
#endif
