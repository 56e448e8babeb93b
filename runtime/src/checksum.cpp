//===- checksum.cpp - Finding damage in an artifact -----------------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/checksum.h"
#include "runtime/src/cpu.h"
#include "runtime/src/thread.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <atomic>
#include <cinttypes>
#include <cstring>

namespace tenon {

using namespace format;

Status compareChecksums(const Bytes &bytes, uint64_t checksumStart, unsigned threads) {
  const char *name = bytes.name().c_str();
  uint64_t chunks = (checksumStart + chunkBytes - 1) / chunkBytes;
  if (bytes.size() - checksumStart != (chunks + 1) * sizeof(uint64_t))
    return failure(TENON_BAD_ARTIFACT, "%s: damaged: wanted %" PRIu64 " checksums at its end, found %" PRIu64 " bytes",
                   name, chunks + 1, bytes.size() - checksumStart);
  std::vector<uint64_t> stored(chunks + 1);
  std::memcpy(stored.data(), bytes.data() + checksumStart, stored.size() * sizeof(uint64_t));
  if (XXH3_64bits(stored.data(), chunks * sizeof(uint64_t)) != stored.back())
    return failure(TENON_BAD_ARTIFACT, "%s: damaged: its list of checksums does not match its own checksum", name);

  // Asking the system for its CPUs takes longer than one chunk.
  if (chunks > 1 && threads == 0)
    threads = hostThreads();
  std::atomic<uint64_t> next{0};
  std::atomic<uint64_t> firstBad{chunks};
  runOnThreads(std::min<uint64_t>(threads, chunks), [&] {
    for (uint64_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < firstBad;) {
      uint64_t start = i * chunkBytes;
      if (XXH3_64bits(bytes.data() + start, std::min(chunkBytes, checksumStart - start)) == stored[i])
        continue;
      for (uint64_t bad = firstBad; i < bad && !firstBad.compare_exchange_weak(bad, i);) {
      }
    }
  });
  if (firstBad == chunks)
    return nullptr;
  uint64_t start = firstBad * chunkBytes;
  return failure(TENON_BAD_ARTIFACT,
                 "%s: damaged: bytes %" PRIu64 " to %" PRIu64 " do not match their checksum; copy or compile it again",
                 name, start, std::min(start + chunkBytes, checksumStart) - 1);
}

} // namespace tenon
