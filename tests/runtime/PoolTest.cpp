//===- PoolTest.cpp - The session's threads, held up everywhere ------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// The pool is compiled once more here, over atomics before and after which a
// thread may lose its processor for a while. A wake-up that can be lost between
// two accesses, which takes days to see otherwise, is then lost within seconds,
// and a test that waits for it is ended by an alarm.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/cpu.h"
#include "runtime/src/thread.h"

#include <atomic>
#include <chrono>
#include <climits>
#include <cstdint>
#include <gtest/gtest.h>
#include <linux/futex.h>
#include <memory>
#include <random>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

/// Now and then the processor goes to somebody else.
static void dawdle() {
  thread_local std::minstd_rand random(std::random_device{}());
  if (unsigned chance = random() % 16; chance < 4)
    ::usleep(chance * 40);
}

namespace std {
template <typename T> struct dawdling_atomic : atomic<T> {
  using Base = atomic<T>;
  using Base::Base;
  template <typename Access> static T held(Access access) {
    dawdle();
    T result = access();
    dawdle();
    return result;
  }
  T load(memory_order order = memory_order_seq_cst) const {
    if (order != memory_order_seq_cst) // a thread that spins
      return Base::load(order);
    return held([&] { return Base::load(order); });
  }
  void store(T value, memory_order order = memory_order_seq_cst) {
    dawdle();
    Base::store(value, order);
    dawdle();
  }
  T operator=(T value) { return store(value), value; }
  T exchange(T value) {
    return held([&] { return Base::exchange(value); });
  }
  T fetch_add(T value) {
    return held([&] { return Base::fetch_add(value); });
  }
};
} // namespace std

#define atomic dawdling_atomic
#include "runtime/src/pool.cpp"
#undef atomic

using namespace tenon;

namespace {

struct Sums {
  std::atomic<long> parts{0}, numbers{0};
};

/// Each part has a number of its own.
void addPart(void *context, uint32_t index, uint32_t part, uint32_t) {
  auto &sums = *static_cast<Sums *>(context);
  sums.parts += 1;
  sums.numbers += 1 << (index * Pool::mostParts + part);
}

/// Pools that work now and then, as a session that is run with pauses, and end.
void useAndEnd(uint32_t threads) {
  constexpr int pools = 80, runs = 12;
  ::alarm(100); // of a thread that nobody wakes
  for (int i = 0; i < pools; ++i) {
    Sums sums;
    long parts = 0, numbers = 0;
    {
      Pool pool(threads);
      for (int run = 0; run < runs; ++run) {
        uint32_t shares = 1 + uint32_t(i + run) % pool.threads(),
                 partsEach = 1 + uint32_t(i + run / 2) % Pool::mostParts;
        pool.wake();
        pool.run(addPart, &sums, shares, partsEach);
        parts += shares * partsEach;
        for (uint32_t share = 0; share < shares; ++share)
          numbers += ((1 << partsEach) - 1) << (share * Pool::mostParts);
        ASSERT_EQ(parts, sums.parts) << "after run " << run << " of pool " << i;
        ::usleep(unsigned(50 + (i * 17 + run * 5) % 60)); // about as long as idle threads spin
      }
    }
    EXPECT_EQ(numbers, sums.numbers);
  }
  ::alarm(0);
}

TEST(Pool, losesNoWakeUpWithOneWorker) { useAndEnd(2); }
TEST(Pool, losesNoWakeUpWithManyWorkers) { useAndEnd(5); }

/// A worker is kept from running for a while; what it has not begun of its share is done by the leader.
TEST(Pool, leaderTakesPartsOfAWorkerThatIsHeldUp) {
  struct Held {
    std::atomic<uint32_t> byLeader{0}, begun{0};
    uint32_t done() const { return byLeader + begun; }
  } held;
  auto part = [](void *context, uint32_t index, uint32_t, uint32_t thread) {
    auto &held = *static_cast<Held *>(context);
    if (index == 0)
      return;
    if (thread == 0) {
      held.byLeader += 1;
      return;
    }
    held.begun += 1;
    while (held.done() < Pool::mostParts) // until the leader has done the others
      ::usleep(10);
  };
  Pool pool(2);
  ::alarm(100);
  pool.wake();
  pool.run(part, &held, 2, Pool::mostParts);
  ::alarm(0);
  EXPECT_EQ(held.done(), Pool::mostParts);
  EXPECT_LE(held.begun, 1u);
}

} // namespace
