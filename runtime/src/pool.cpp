//===- pool.cpp - The session's own threads -------------------------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/pool.h"
#include "runtime/src/cpu.h"

#include <chrono>
#include <climits>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace tenon {

static void relax() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb" ::: "memory"); // yield is a no-op on most cores; isb takes a pause's time
#endif
}

static uint64_t now() {
  return uint64_t(
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
          .count());
}

/// Returns when the word is not `value`, or for no reason.
static void futexWait(std::atomic<uint32_t> &word, uint32_t value) {
  ::syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
}

static void futexWake(std::atomic<uint32_t> &word) {
  ::syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

/// Spins until `done` or the time is over; says which.
template <typename Done> static bool spinUntil(uint64_t nanoseconds, Done done) {
  constexpr int looksPerClock = 64; // the clock costs as much as some pauses
  for (uint64_t end = 0;;) {
    for (int i = 0; i < looksPerClock; ++i) {
      if (done())
        return true;
      relax();
    }
    uint64_t time = now();
    if (end == 0)
      end = time + nanoseconds;
    if (time >= end)
      return false;
  }
}

Pool::Pool(uint32_t threads) : claims(threads) {
  spinNanoseconds = threads <= hostThreads() ? 60'000 : 0;
  for (uint32_t worker = 1; worker < threads; ++worker) {
    workers.push_back(std::make_unique<Thread>());
    if (!workers.back()->start([this, worker] { work(worker); })) {
      workers.pop_back();
      break;
    }
  }
}

Pool::~Pool() {
  stopping = true;
  epoch.fetch_add(1);
  wake();
  workers.clear(); // joins
}

void Pool::wake() {
  if (sleepers.load() == 0 || sleepers.exchange(0) == 0)
    return;
  bell.fetch_add(1);
  futexWake(bell);
}

void Pool::sleep(uint32_t seen) {
  uint32_t rung = bell.load();
  sleepers.store(1);
  if (epoch.load() == seen)
    futexWait(bell, rung);
}

uint32_t Pool::await(uint32_t seen) {
  uint32_t current = seen;
  auto changed = [&] { return (current = epoch.load(std::memory_order_acquire)) != seen; };
  while (!spinUntil(spinNanoseconds, changed))
    sleep(seen);
  return current;
}

void Pool::takePart(uint32_t current, uint32_t index, uint32_t number, uint32_t thread) {
  uint32_t before = current - 1;
  std::atomic<uint32_t> &claim = claims[index].epochs[number];
  if (claim.load(std::memory_order_relaxed) != before ||
      !claim.compare_exchange_strong(before, current, std::memory_order_acq_rel))
    return;
  const uint32_t all = count; // after the last part the leader may go on
  part(context, index, number, thread);
  if (finished.fetch_add(1) + 1 == all && leaderSleeps.load())
    futexWake(finished);
}

/// Does parts of the current epoch until none is left, its own first; others' from their ends, which their owners
/// reach last.
void Pool::takeParts(uint32_t current, uint32_t thread) {
  for (uint32_t number = 0; number < mostParts; ++number)
    takePart(current, thread, number, thread);
  for (uint32_t i = 1; i < claims.size(); ++i)
    for (uint32_t number = mostParts; number-- > 0;)
      takePart(current, uint32_t((thread + i) % claims.size()), number, thread);
}

void Pool::work(uint32_t worker) {
  for (uint32_t seen = 0;;) {
    seen = await(seen);
    if (stopping)
      return;
    takeParts(seen, worker);
  }
}

void Pool::awaitFinish() {
  auto allFinished = [&] { return finished.load(std::memory_order_acquire) == count; };
  while (!spinUntil(spinNanoseconds, allFinished)) {
    leaderSleeps.store(1);
    uint32_t done = finished.load();
    if (done != count)
      futexWait(finished, done);
    leaderSleeps.store(0);
  }
}

void Pool::run(Part newPart, void *newContext, uint32_t shares, uint32_t parts) {
  part = newPart;
  context = newContext;
  count = shares * parts;
  finished.store(0, std::memory_order_relaxed);
  const uint32_t next = epoch.load(std::memory_order_relaxed) + 1;
  for (uint32_t index = 0; index < claims.size(); ++index)
    for (uint32_t unused = index < shares ? parts : 0; unused < mostParts; ++unused)
      claims[index].epochs[unused].store(next, std::memory_order_relaxed);
  epoch.store(next); // publishes all above
  wake();
  takeParts(next, 0);
  awaitFinish();
}

} // namespace tenon
