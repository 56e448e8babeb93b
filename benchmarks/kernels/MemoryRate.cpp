// Reads eight streams with the machine's vectors.

#include "benchmarks/kernels/MemoryRate.h"

#include <time.h>

namespace tenon {

double threadSeconds() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return time.tv_sec + time.tv_nsec * 1e-9;
}

namespace {
template <unsigned bits> [[gnu::always_inline]] inline float sumStreams(const float *data, size_t floats) {
  typedef float Vector __attribute__((vector_size(bits / 8)));
  constexpr int streams = 8, lanes = bits / 32;
  size_t length = floats / streams;
  Vector sums[streams] = {};
  for (size_t i = 0; i + lanes <= length; i += lanes)
    for (int stream = 0; stream < streams; ++stream)
      sums[stream] += *reinterpret_cast<const Vector *>(data + stream * length + i);
  float total = 0;
  for (Vector &sum : sums)
    total += sum[0];
  return total;
}

#if defined(__x86_64__)
[[gnu::noinline, gnu::target("avx512f")]] float sumStreams512(const float *data, size_t floats) {
  return sumStreams<512>(data, floats);
}
[[gnu::noinline, gnu::target("avx2")]] float sumStreams256(const float *data, size_t floats) {
  return sumStreams<256>(data, floats);
}
#endif
} // namespace

static float sumOf(const float *data, size_t floats, unsigned vectorBits) {
#if defined(__x86_64__)
  if (vectorBits == 512)
    return sumStreams512(data, floats);
  if (vectorBits == 256)
    return sumStreams256(data, floats);
#endif
  return sumStreams<128>(data, floats);
}

double measureRead(const float *data, size_t bytes, unsigned vectorBits) {
  static volatile float keep; // a sum nobody needs must still be computed
  double start = threadSeconds();
  keep = sumOf(data, bytes / sizeof(float), vectorBits);
  return bytes / (threadSeconds() - start) * 1e-9;
}

} // namespace tenon
