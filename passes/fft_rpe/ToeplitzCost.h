//===- ToeplitzCost.h - what the forms of a Toeplitz product cost ---------------------===//
//
// Nanoseconds for one batch item and head, of one core of a CPU or of a whole GPU: M rows of N columns, R features (1 without),
// C channels.
//
//   direct  M N (2 R + 2 C + 2) / rate, of which causal computes half (flash attention; without features a product: 2 M N C)
//   fft     transforms of period L >= M + N - 1, forwards and back, for each feature and each pair of vectors of channels:
//           2 · 5 L log2 L + 6 L operations a complex channel / rate(L), lanes that no channel fills counted; and the
//           same for R channels more where rows are divided by their sums
//   blocks  of B rows and columns: for each of them half of such transforms, of period L >= 2 B - 1, and 8 L operations / rate of
//           products for each pair of blocks, of which causal leaves out half. The B of least cost, of 2, 4 or 8 blocks
//
// On a GPU (docs/decisions/0011-nvptx.md) transforms of up to 8192 points are done in shared memory, by a block some columns with all of
// their features: few of them leave multiprocessors without work. Longer ones are done by workers: a tile, which is a vector or two of
// channels with all of its features, takes one thread's time, however many others run beside it. So the fft form takes at
// least that, shared by the heads.
//
// The rates are those of ToeplitzRates.def. A program is the same for all levels of an artifact. CPUs have one set of rates: only
// their quotient decides, and the multiply-add unit and the vector's width, which differ, are in both.
//
#ifndef TENON_PASSES_FFT_RPE_TOEPLITZCOST_H
#define TENON_PASSES_FFT_RPE_TOEPLITZCOST_H

#include "llvm/ADT/StringRef.h"

#include <cstdint>

namespace tenon {

struct ToeplitzSizes {
  int64_t rows, columns, features, channels; ///< M, N, R (0: none), C.
  bool causal = false, normalised = false, perChannel = false;
  int64_t heads = 1; ///< Of all batch items, as far as known: what runs at once.
};

struct ToeplitzCost {
  double direct, fft;      ///< Nanoseconds.
  int64_t period;          ///< Of the transform.
  double blocks = 0;       ///< Of the best block; meaningless where there is none.
  int64_t block = 0;       ///< Its rows; 0 where no blocks are possible.
  int64_t blockPeriod = 0; ///< Of its transforms.

  bool isBestInBlocks() const { return block && blocks < fft && blocks < direct; }
};

/// Of a CPU; of a GPU where `level` is one that ToeplitzRates.def has rates of: there blocks are never best.
ToeplitzCost costOf(const ToeplitzSizes &sizes, llvm::StringRef level = {});
/// Nanoseconds in blocks of that many rows, of a CPU.
double costOfBlocks(const ToeplitzSizes &sizes, int64_t block);

/// Of a GPU that ToeplitzRates.def has rates of; 0 of any other level.
int64_t multiprocessorsOf(llvm::StringRef level);

/// Floating-point operations of the fft form, as its kernels do them: grows as N log N.
double fftOperations(const ToeplitzSizes &sizes);

} // namespace tenon
#endif
