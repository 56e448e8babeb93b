//===- pool.h - The session's own threads -----------------------*- C++ -*-===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// One thread, the leader, walks the command table; for each dispatch it calls
// `run`, and the work is done in shares, one per thread, of a few parts each. A
// thread takes the parts of its own share first (its caches know it from the
// dispatch before), in order, and then whatever others have not begun, their last
// parts first; the leader waits only for parts that were begun. So a worker that
// is asleep, slower, or kept from running by the system holds up nobody for long,
// and results do not depend on who did what.
//
// Between two dispatches of a run a worker has nothing to do for a microsecond
// or so, and waking a sleeper takes fifty: so it spins first and sleeps only
// when nothing came for that long. An idle pool uses no CPU.
//
// Words shared between threads:
//
//   epoch     counts dispatches; a worker that sees it change looks for shares
//   claims    per part of a share, the last epoch in which it was taken. Taking
//             one of epoch e is to change its claim from e-1 to e. Every claim
//             moves in every epoch, so a late worker, still looking for parts of
//             an older epoch, finds none; and who has taken one keeps its epoch
//             from ending, so it may read what the leader published.
//   finished  parts done in this epoch
//   bell      what sleepers sleep on (futex); changes when they are to wake
//   sleepers  1 if anybody may be asleep whom the bell has not rung for since:
//             no system call otherwise
//
// A sleeper sets `sleepers` before it looks at `epoch` a last time, and the
// leader changes `epoch` before it looks at `sleepers`; so either the worker
// sees the work or the leader sees the sleeper. It reads the bell before that:
// a wake that clears `sleepers` again then rings a bell it has not heard.
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
  /// Does part `part` of share `index` on thread `thread`, 0 being the leader.
  using Part = void (*)(void *context, uint32_t index, uint32_t part, uint32_t thread);

  static constexpr uint32_t mostParts = 4; ///< of a share

  /// Starts `threads - 1` workers, fewer if the system refuses.
  explicit Pool(uint32_t threads);
  ~Pool();

  uint32_t threads() const { return uint32_t(workers.size()) + 1; }

  /// Does shares 0 .. count-1, at most threads(), in `parts` parts each, and returns when all are done.
  void run(Part part, void *context, uint32_t count, uint32_t parts);

  /// Wakes sleepers, who will spin for a while: a run is about to begin.
  void wake();

private:
  struct alignas(64) Claims { ///< of a share
    std::atomic<uint32_t> epochs[mostParts] = {};
  };

  void work(uint32_t worker);
  void takeParts(uint32_t current, uint32_t thread);
  void takePart(uint32_t current, uint32_t index, uint32_t number, uint32_t thread);
  /// Waits for another epoch than `seen` and returns it.
  uint32_t await(uint32_t seen);
  void sleep(uint32_t seen);
  void awaitFinish();

  static constexpr size_t cacheLine = 64;
  alignas(cacheLine) std::atomic<uint32_t> epoch{0};
  Part part = nullptr;
  void *context = nullptr;
  uint32_t count = 0; ///< parts of all shares
  std::atomic<bool> stopping{false};
  alignas(cacheLine) std::atomic<uint32_t> finished{0};
  std::atomic<uint32_t> leaderSleeps{0};
  alignas(cacheLine) std::atomic<uint32_t> bell{0};
  std::atomic<uint32_t> sleepers{0};
  /// Spinning while there are more threads than CPUs keeps the others from working.
  uint64_t spinNanoseconds;
  std::vector<Claims> claims; ///< one per thread
  std::vector<std::unique_ptr<Thread>> workers;
};

} // namespace tenon

#endif // TENON_RUNTIME_POOL_H
