//===- CompressStream.h - a centred stream without its last channel -------------------------------------===//
//
// The step `rms_norms` with `compress` (Pre-CRMSNorm). The channels of a centred stream add up to 0, so the last of the d is minus the
// sum of the others, c, and is not stored. A norm of them is
//
//     CRMS(c) = c / sqrt((Σ c² + (Σ c)²) / d + ε)
//
// and a product that read n · g + b of d channels reads those of c: with V = diag(g) W, row k becomes V[k] - V[d], and b W is added.
//
// Worked example. d = 2, x = [3, -3]: c = [3], CRMS(c) = 3 / sqrt((9 + 9) / 2) = 1; x = [1, -1] of RMSNorm gave W[0] - W[1], and so
// does V[0] - V[1].
//
#ifndef TENON_COMPILER_FACTORIZATION_COMPRESSSTREAM_H
#define TENON_COMPILER_FACTORIZATION_COMPRESSSTREAM_H

#include "compiler/factorization/NormProducts.h"
#include "compiler/factorization/ResidualStream.h"

namespace tenon {

/// Why the last channel has to stay: what reads it, named; "" if nothing does.
std::string problemOfCompression(const ResidualStream &stream, LinearAnalysis &linear);

/// Leaves out the last channel of a stream all of whose weights already have: of its tensors, and of what reads its norms.
llvm::Error compressStream(const ResidualStream &stream, LinearAnalysis &linear,
                           std::vector<FactorizedWeight> &reports);

} // namespace tenon
#endif
