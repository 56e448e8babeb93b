// How fast one core reads memory, measured beside the kernels: what a product
// with one row is a fraction of.
//
// Time is this thread's processor time, so that waiting for other programs does
// not count, though what they do to caches, memory and clock does: measure the
// ceiling and the kernel in turns and compare neighbours.

#pragma once

#include <cstddef>

namespace tenon {

/// Seconds of processor time of this thread.
double threadSeconds();

/// GB/s of one core reading `bytes` at `data` once, as eight streams, which reads
/// faster than one (18 against 14 GB/s on Zen 4), with vectors of `vectorBits`
/// (128, 256 or 512, which the machine must have).
double measureRead(const float *data, size_t bytes, unsigned vectorBits);

} // namespace tenon
