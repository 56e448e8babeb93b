//===- FourierPlan.h - how a Fourier transform of a constant length is taken apart -----===//
//
// Example. 360 = 8 · 9 · 5 points are taken apart as radices 5, 3, 3, 8: odd ones first, so that frequencies 0 and N / 2 of a
// real signal, which no factor but 1 and -1 touches then, are exactly real. A stage of radix r turns n interleaved points into r
// transforms of n / r: with m = n / r, for p < m, of a transform that has s others interleaved with it (q < s):
//
//   a_j = x[q + s (p + m j)]                 j < r
//   y[q + s (r p + k)] = w^(p k) Σ_j a_j v^(j k)          k < r,  w = e^(-2πi/n),  v = e^(-2πi/r)
//
// and then n becomes m, s becomes s r. After the last stage (m = 1: no factors) y is the transform, in order: this is
// Stockham's form, which needs no reordering but a second buffer. All transforms of a batch go through it side by side in
// the lanes of vectors, so that nothing ever crosses lanes and every w is a scalar.
//
// | length | way | operations |
// |---|---|---|
// | factors 2, 3, 5, 7, 11, 13 | stages | about 5 N log2 N |
// | any other | Bluestein: n k = (n² + k² - (k - n)²) / 2 makes it a convolution of a length with such factors | three to five times as many |
//
// Error in f32, relative L2: 1e-7 to 1.7e-7 up to 16384, below 3e-7 by Bluestein. Factors are computed in double.
//
#ifndef TENON_PASSES_FFT_RPE_FOURIERPLAN_H
#define TENON_PASSES_FFT_RPE_FOURIERPLAN_H

#include "llvm/ADT/SmallVector.h"

#include <complex>
#include <cstdint>
#include <vector>

namespace tenon {

using Complex = std::complex<double>;

/// The radices of a length, the first stage's first; none if it has a factor above 13. Of powers of two, at most `widest`: 8
/// where registers hold sixteen vectors and more, else 4.
llvm::SmallVector<int64_t> radicesOf(int64_t length, int64_t widest);

/// The length from `least` on whose transform costs least.
int64_t convolutionLength(int64_t least);

/// e^(-2πi n / length), exact to a double however large n is.
Complex rootOfUnity(int64_t n, int64_t length);

/// w^(p k) for p < m and 0 < k < radix, of a stage of n = m · radix points.
std::vector<Complex> stageFactors(int64_t m, int64_t radix);

/// Bluestein: e^(-πi n² / length) for n < count.
std::vector<Complex> chirp(int64_t length, int64_t count);

/// Bluestein: the transform, of `period` points and divided by `period`, of e^(+πi d² / length) for |d| < length.
std::vector<Complex> chirpSpectrum(int64_t length, int64_t period);

} // namespace tenon
#endif
