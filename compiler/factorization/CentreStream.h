//===- CentreStream.h - LayerNorms as RMSNorms, their streams centred -------------------------===//
//
// The step `rms_norms` (Jiang et al. 2023). LayerNorm is RMSNorm of x - mean(x). A stream x that is a sum of products with weights,
// biases and rows of tables has mean zero if each of them has: W - W 11ᵀ/d makes rows of W, and so x W, centred. So the mean is
// subtracted from the weights, once, and no norm computes it.
//
// Worked example. x = t[i] + u W + b, read by norms alone, d = 2: with W = [[1, 3]], W' = [[-1, 1]], and norms of x' = t'[i] + u W' + b'
// divide by sqrt(mean(x'²) + ε) only.
//
// It is exact only where every reader of the stream is a LayerNorm over the last dim, or adds to it, and everything that is added
// is known to the compiler: so not behind a norm (post-norm transformers), nor where the stream is an output.
//
#ifndef TENON_COMPILER_FACTORIZATION_CENTRESTREAM_H
#define TENON_COMPILER_FACTORIZATION_CENTRESTREAM_H

#include "compiler/factorization/Factorize.h"
#include "compiler/factorization/ModelWeights.h"

namespace tenon {

/// The weight less its means along `axis`; an error names it.
llvm::Expected<WeightOp> centred(WeightOp weight, unsigned axis, ModelWeights &weights);

/// Rewrites the streams for which it is exact, and with `compress` leaves out their last channel (CompressStream.h); an error if there
/// is none says what stands in the way.
llvm::Error centreStreams(mlir::ModuleOp module, ModelWeights &weights, bool compress,
                          std::vector<FactorizedWeight> &reports);

} // namespace tenon
#endif
