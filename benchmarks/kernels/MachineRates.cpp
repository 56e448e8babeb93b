// What this machine can do at best, in the minutes of a benchmark:
//
//     tenon-machine-rates THREADS [BYTES...]
//
// prints one JSON line: fma (GFLOP/s, fp32), read_l2, read_32m and read_512m (GB/s, over 256 KiB a thread, 32 MiB
// and 512 MiB) and read_BYTES, each of all threads together and the best of several rounds.

#include "compiler/machine/Rates.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

static int usage() {
  std::fprintf(stderr, "usage: tenon-machine-rates THREADS [BYTES...] (1 to 256 threads, 1 MiB to 64 GiB)\n");
  return 2;
}

int main(int argc, char **argv) {
  constexpr int mostThreads = 256;
  constexpr size_t kibibyte = 1024, mebibyte = 1024 * kibibyte, mostBytes = 65536 * mebibyte;
  int threads = argc >= 2 ? std::atoi(argv[1]) : 0;
  if (threads < 1 || threads > mostThreads)
    return usage();
  size_t largest = 512 * mebibyte;
  std::vector<size_t> sizes;
  for (char **at = argv + 2; *at; ++at) {
    sizes.push_back(std::strtoull(*at, nullptr, 10));
    if (sizes.back() < mebibyte || sizes.back() > mostBytes)
      return usage();
    largest = std::max(largest, sizes.back());
  }
  tenon::ThreadRates rates(threads, largest);
  std::printf("{\"threads\": %d, \"fma\": %.1f, \"read_l2\": %.1f, \"read_32m\": %.1f, \"read_512m\": %.1f", threads,
              rates.flopsPerSecond() * 1e-9, rates.bytesPerSecond(256 * kibibyte * threads) * 1e-9,
              rates.bytesPerSecond(32 * mebibyte) * 1e-9, rates.bytesPerSecond(512 * mebibyte) * 1e-9);
  for (size_t bytes : sizes)
    std::printf(", \"read_%zu\": %.1f", bytes, rates.bytesPerSecond(bytes) * 1e-9);
  std::printf("}\n");
  return 0;
}
