// What this machine can do at best, in the minutes of a benchmark:
//
//     tenon-machine-rates THREADS
//
// prints one JSON line: fma (GFLOP/s, fp32), read_l2, read_32m and read_512m (GB/s, over 256 KiB a thread, 32 MiB
// and 512 MiB), each of all threads together and the best of several rounds.

#include "compiler/machine/Rates.h"

#include <cstdio>
#include <cstdlib>

int main(int argc, char **argv) {
  constexpr int mostThreads = 256;
  int threads = argc == 2 ? std::atoi(argv[1]) : 0;
  if (threads < 1 || threads > mostThreads) {
    std::fprintf(stderr, "usage: tenon-machine-rates THREADS (1 to %d)\n", mostThreads);
    return 2;
  }
  constexpr size_t kibibyte = 1024, mebibyte = 1024 * kibibyte, largest = 512 * mebibyte;
  tenon::ThreadRates rates(threads, largest);
  std::printf("{\"threads\": %d, \"fma\": %.1f, \"read_l2\": %.1f, \"read_32m\": %.1f, \"read_512m\": %.1f}\n", threads,
              rates.flopsPerSecond() * 1e-9, rates.bytesPerSecond(256 * kibibyte * threads) * 1e-9,
              rates.bytesPerSecond(32 * mebibyte) * 1e-9, rates.bytesPerSecond(largest) * 1e-9);
  return 0;
}
