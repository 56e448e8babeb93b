//===- KernelRange.h - kernels that a Fourier transform would lose the small values of ---===//
//
// What a transform in f32 loses is measured by the largest |g|: some 4e-7 of it times the norm of what it multiplies, in every row. A
// row that only small values of g reach may have no digits left: of g[n] = 2ⁿ the first forty rows are noise. So transforms are for
// kernels with
//
//   |g[n]| <= 100 max |g[m]| over m < first
//
// and the rows that all of g[m] reach are right to 4e-5. `first` is 1 where g is of all channels, which attentions have, and 16 where each
// channel has one of its own: responses of recurrences and filters of long convolutions may begin with zeros. A NaN is in no range.
//
#ifndef TENON_PASSES_FFT_RPE_KERNELRANGE_H
#define TENON_PASSES_FFT_RPE_KERNELRANGE_H

#include <cstdint>

namespace tenon {

inline constexpr float kernelRange = 100;
inline constexpr int64_t firstOfChannelKernel = 16;

} // namespace tenon
#endif
