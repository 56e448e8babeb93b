//===- ToeplitzCost.h - what the forms of a Toeplitz product cost ---------------------===//
//
// Time of one core, in nanoseconds, for one batch item and head: M rows of N columns, R features (1 without), C channels.
//
//   direct  M N (2 R + 2 C + 2) / rate, of which causal computes half (flash attention; without features a product: 2 M N C)
//   fft     transforms of period L >= M + N - 1, forwards and back, for each feature and each pair of vectors of channels:
//           2 · 5 L log2 L + 6 L operations a complex channel / rate(L), lanes that no channel fills counted; and the
//           same for R channels more where rows are divided by their sums
//
// The rates are those of ToeplitzRates.def. The program is the same for every level, so they are, too: only their quotient decides,
// and the multiply-add unit and the vector's width, which differ, are in both.
//
#ifndef TENON_PASSES_FFT_RPE_TOEPLITZCOST_H
#define TENON_PASSES_FFT_RPE_TOEPLITZCOST_H

#include <cstdint>

namespace tenon {

struct ToeplitzSizes {
  int64_t rows, columns, features, channels; ///< M, N, R (0: none), C.
  bool causal = false, normalised = false, perChannel = false;
};

struct ToeplitzCost {
  double direct, fft; ///< Nanoseconds.
  int64_t period;     ///< Of the transform.
};

ToeplitzCost costOf(const ToeplitzSizes &sizes);

/// Floating-point operations of the fft form, as its kernels do them: grows as N log N.
double fftOperations(const ToeplitzSizes &sizes);

} // namespace tenon
#endif
