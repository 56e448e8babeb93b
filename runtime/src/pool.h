//===- pool.h - The session's own threads -----------------------*- C++ -*-===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// One thread, the leader, walks the command table; for each dispatch it calls
// `run`, and every worker does its share. Between two dispatches of a run a
// worker has nothing to do for a microsecond or so, and waking a sleeper takes
// fifty: so it spins first and sleeps only when nothing came for that long. An
// idle pool uses no CPU.
//
// Words shared between threads:
//
//   epoch     counts dispatches; a worker that sees it change takes its share
//   pending   workers that have not finished the current one
//   bell      what sleepers sleep on (futex); changes when they are to wake
//   sleepers  how many may be asleep: no system call when nobody is
//
// A sleeper counts itself in `sleepers` before it looks at `epoch` a last time,
// and the leader changes `epoch` before it looks at `sleepers`; so either the
// worker sees the work or the leader sees the sleeper.
//
//===----------------------------------------------------------------------===//

#ifndef TENON_RUNTIME_POOL_H
#define TENON_RUNTIME_POOL_H

#include "runtime/src/thread.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

namespace tenon {

class Pool {
public:
  using Share = void (*)(void *context, uint32_t worker);

  /// Starts `threads - 1` workers, fewer if the system refuses.
  explicit Pool(uint32_t threads);
  ~Pool();

  uint32_t threads() const { return uint32_t(workers.size()) + 1; }

  /// Calls share(context, w) for each w < threads(), on its own thread, 0 on the
  /// caller's, and returns when all are done.
  void run(Share share, void *context);

  /// Wakes sleepers, who will spin for a while: a run is about to begin.
  void wake();

private:
  void work(uint32_t worker);
  /// Waits for another epoch than `seen` and returns it.
  uint32_t await(uint32_t seen);
  void sleep(uint32_t seen);
  void awaitFinish();

  static constexpr size_t cacheLine = 64;
  alignas(cacheLine) std::atomic<uint32_t> epoch{0};
  Share share = nullptr;
  void *context = nullptr;
  std::atomic<bool> stopping{false};
  alignas(cacheLine) std::atomic<uint32_t> pending{0};
  std::atomic<uint32_t> leaderSleeps{0};
  alignas(cacheLine) std::atomic<uint32_t> bell{0};
  std::atomic<uint32_t> sleepers{0};
  /// Spinning while there are more threads than CPUs keeps the others from working.
  uint64_t spinNanoseconds;
  std::vector<std::unique_ptr<Thread>> workers;
};

} // namespace tenon

#endif // TENON_RUNTIME_POOL_H
