//===- Rates.cpp - what this machine does at best, right now ---------------------------===//
#include "compiler/machine/Rates.h"

#include <algorithm>
#include <barrier>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <thread>
#include <vector>

#include <time.h>
#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace tenon {

double threadSeconds() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return time.tv_sec + time.tv_nsec * 1e-9;
}

//===----------------------------------------------------------------------------===//
// One thread
//===----------------------------------------------------------------------------===//

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

constexpr long chains = 12; // enough to cover the latency of every port

/// `steps` multiply-adds on each of so many registers; a sum nobody needs.
template <unsigned bits> [[gnu::always_inline]] inline float multiplyAdd(float factor, float term, long steps) {
  typedef float Vector __attribute__((vector_size(bits / 8)));
  Vector sums[chains], x = factor - Vector{}, y = term - Vector{};
  for (long chain = 0; chain < chains; ++chain)
    sums[chain] = y + float(chain);
  for (long step = 0; step < steps; ++step)
    for (Vector &sum : sums)
      sum = __builtin_elementwise_fma(sum, x, y);
  float total = 0;
  for (Vector &sum : sums)
    total += sum[0];
  return total;
}

#if defined(__x86_64__)
[[gnu::noinline, gnu::target("avx512f")]] float multiplyAdd512(float factor, float term, long steps) {
  return multiplyAdd<512>(factor, term, steps);
}
[[gnu::noinline, gnu::target("avx2,fma")]] float multiplyAdd256(float factor, float term, long steps) {
  return multiplyAdd<256>(factor, term, steps);
}
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
  [[maybe_unused]] static volatile float keep; // a sum nobody needs must still be computed
  double start = threadSeconds();
  keep = sumOf(data, bytes / sizeof(float), vectorBits);
  return bytes / (threadSeconds() - start) * 1e-9;
}

unsigned widestVectorBits() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f"))
    return 512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return 256;
#endif
  return 128;
}

static double flopsOf(unsigned vectorBits, long steps) {
  return 2.0 * double(vectorBits) / 32 * chains * double(steps);
}

static float multiplyAdds(unsigned vectorBits, long steps) {
  volatile float factor = 0.999f, term = 0.001f; // nothing folds
#if defined(__x86_64__)
  if (vectorBits == 512)
    return multiplyAdd512(factor, term, steps);
  if (vectorBits == 256)
    return multiplyAdd256(factor, term, steps);
#endif
  return multiplyAdd<128>(factor, term, steps);
}

double measureMultiplyAdds(unsigned vectorBits) {
  constexpr long steps = 320'000;
  [[maybe_unused]] static volatile float keep;
  double start = threadSeconds();
  keep = multiplyAdds(vectorBits, steps);
  return flopsOf(vectorBits, steps) / (threadSeconds() - start) * 1e-9;
}

//===----------------------------------------------------------------------------===//
// All threads
//===----------------------------------------------------------------------------===//

/// A sum nobody needs must still be computed.
static thread_local volatile float keepOfThread;

/// The least seconds of the clock, over some rounds, in which every thread does its `work(thread)`.
template <typename Work> static double fastest(unsigned threads, Work work) {
  constexpr int rounds = 6;
  using Clock = std::chrono::steady_clock;
  std::vector<Clock::time_point> marks; // of thread 0: before and after each round
  std::barrier<> together(threads);
  auto run = [&](unsigned thread) {
    for (int round = 0; round < rounds; ++round) {
      together.arrive_and_wait();
      if (thread == 0)
        marks.push_back(Clock::now());
      work(thread);
      together.arrive_and_wait();
      if (thread == 0)
        marks.push_back(Clock::now());
    }
  };
  std::vector<std::jthread> others;
  for (unsigned thread = 1; thread < threads; ++thread)
    others.emplace_back(run, thread);
  run(0);
  double least = 1e9;
  for (size_t i = 0; i + 1 < marks.size(); i += 2)
    least = std::min(least, std::chrono::duration<double>(marks[i + 1] - marks[i]).count());
  return least;
}

static float *takePages(size_t bytes) {
  constexpr size_t page = size_t(2) << 20;
  void *memory = std::aligned_alloc(page, (bytes + page - 1) / page * page);
#if defined(__linux__)
  if (memory)
    madvise(memory, bytes, MADV_HUGEPAGE); // what arrays of NumPy have
#endif
  return static_cast<float *>(memory);
}

ThreadRates::ThreadRates(unsigned threads, size_t largestRead)
    : threads(threads), memory(takePages(largestRead), std::free) {
  if (!memory)
    std::terminate();
  std::fill_n(memory.get(), largestRead / sizeof(float), 1.0f);
}

double ThreadRates::flopsPerSecond() const {
  constexpr long steps = 1'000'000;
  unsigned bits = widestVectorBits();
  double seconds = fastest(threads, [&](unsigned) { keepOfThread = multiplyAdds(bits, steps); });
  return flopsOf(bits, steps) * threads / seconds;
}

double ThreadRates::bytesPerSecond(size_t bytes) const {
  constexpr size_t leastBytes = size_t(256) << 20; // long enough for the clock
  unsigned bits = widestVectorBits();
  size_t part = bytes / sizeof(float) / threads / 1024 * 1024, passes = std::max(leastBytes / bytes, size_t(1));
  double seconds = fastest(threads, [&](unsigned thread) {
    for (size_t pass = 0; pass < passes; ++pass) {
      keepOfThread = sumOf(memory.get() + thread * part, part, bits);
      asm volatile("" ::: "memory"); // or every pass would be the first one's
    }
  });
  return double(part) * threads * passes * sizeof(float) / seconds;
}

} // namespace tenon
