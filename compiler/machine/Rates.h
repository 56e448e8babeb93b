//===- Rates.h - what this machine does at best, right now -----------------------------===//
//
// The roof a kernel is under: multiply-adds on registers, and reading memory.
//
// A single rate is in this thread's processor time, so that waiting for other programs
// does not count, though what they do to caches, memory and clock does: measure the
// ceiling and the kernel in turns and compare neighbours.
//
#ifndef TENON_COMPILER_MACHINE_RATES_H
#define TENON_COMPILER_MACHINE_RATES_H

#include <cstddef>
#include <memory>

namespace tenon {

/// Seconds of processor time of this thread.
double threadSeconds();

/// GFLOP/s of float32 multiply-adds, two operations each, on registers of `vectorBits` (128, 256 or 512,
/// which the machine must have); takes about a millisecond.
double measureMultiplyAdds(unsigned vectorBits);

/// GB/s of one core reading `bytes` at `data` once, as eight streams, which reads
/// faster than one (18 against 14 GB/s on Zen 4).
double measureRead(const float *data, size_t bytes, unsigned vectorBits);

/// The widest of those vectors this machine has.
unsigned widestVectorBits();

/// All threads together, each on a part of its own, with the widest vectors: the best of several rounds, in
/// seconds of the clock.
class ThreadRates {
public:
  /// Takes `largestRead` bytes, which later reads stay within, in huge pages where the system gives them.
  ThreadRates(unsigned threads, size_t largestRead);

  double flopsPerSecond() const;                 ///< multiply-adds
  double bytesPerSecond(size_t bytes) const;     ///< reading so many bytes, again and again where they are few

private:
  unsigned threads;
  std::unique_ptr<float[], void (*)(void *)> memory;
};

} // namespace tenon
#endif
