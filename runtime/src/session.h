//===- session.h - One run at a time ----------------------------*- C++ -*-===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// A session owns what a run writes to: arena, scratch, states, outputs nobody
// bound, and the plans of the last shapes. `Claim` keeps a second thread out.
//
//===----------------------------------------------------------------------===//

#ifndef TENON_RUNTIME_SESSION_H
#define TENON_RUNTIME_SESSION_H

#include "runtime/src/command_runner.h"
#include "runtime/src/cuda/session.h"
#include "runtime/src/memory.h"
#include "runtime/src/plan.h"
#include "runtime/src/pool.h"
#include "runtime/src/trace.h"

#include <atomic>
#include <memory>
#include <vector>

namespace tenon {

struct BoundInput {
  bool isBound = false;
  const void *data = nullptr;
  std::vector<int64_t> dims;
};

struct BoundOutput {
  void *data = nullptr; ///< the caller's, or null
  uint64_t bytes = 0;
  Block own;
  void *result = nullptr; ///< where the last run put it
};

/// What a session knows of one entry.
struct EntryState {
  std::vector<BoundInput> inputs;
  std::vector<BoundOutput> outputs;
  std::vector<const int64_t *> inputDims;   ///< of the bound inputs
  std::vector<int64_t> symbols;             ///< as last bound
  std::vector<std::unique_ptr<Plan>> plans; ///< the latest first
  std::unique_ptr<Plan> reserved;
  Plan *finished = nullptr; ///< the plan of the last successful run
};

} // namespace tenon

struct tenon_session {
  tenon_session(tenon_model &model, const tenon_session_options &options);
  ~tenon_session();
  tenon::Status prepare();

  tenon::Status bindInput(const tenon_entry &entry, size_t index, const tenon_tensor &tensor);
  tenon::Status bindOutput(const tenon_entry &entry, size_t index, void *data, size_t bytes);
  tenon::Status run(const tenon_entry &entry);
  tenon::Status getOutput(const tenon_entry &entry, size_t index, tenon_tensor &tensor);
  tenon::Status reserve(const tenon_entry &entry, const int64_t *const *dims);
  tenon::Status resetStates();
  tenon::Status getState(const char *name, void **data, size_t *bytes);
  tenon::Status getKept(const char *name, int64_t *value);
  tenon::Status setKept(const char *name, int64_t value);

  uint32_t threads() const { return pool ? pool->threads() : hasExecutor ? executor.threads : 1; }
  uint64_t memoryBytes() const { return arena.size() + scratch.size() + (gpu ? gpu->memoryBytes() : 0); }

  tenon_model &model;
  std::atomic<bool> busy{false};
  std::atomic<bool> cancelled{false};
  tenon::Trace trace;

private:
  tenon::Status findKept(const char *name, size_t &number) const;
  void log(tenon_log_level level, const std::string &message) const;
  tenon::Status findPlan(const tenon_entry &entry, tenon::EntryState &state, tenon::Plan *&plan);
  tenon::Status takeWorkingMemory(const tenon::Plan &plan);
  tenon::Status takeMemory(const tenon_entry &entry, tenon::EntryState &state, const tenon::Plan &plan,
                           bool isReservation);
  void setBases(const tenon_entry &entry, tenon::EntryState &state, const tenon::Plan &plan);

  tenon_session_options options;
  tenon_executor executor{};
  bool hasExecutor = false;
  tenon_allocator allocator;
  std::unique_ptr<tenon::Pool> pool; ///< none with an executor or a single thread
  std::vector<tenon::EntryState> entries;
  std::vector<tenon::Block> states;
  std::unique_ptr<tenon::cuda::Session> gpu; ///< if the model's level is a GPU's: runs there, pool and arena unused
  std::vector<int64_t> kept; ///< of each symbol, 0 for those a session does not keep
  tenon::Block arena;
  tenon::Block scratch;
  std::vector<uint8_t *> bases;            ///< as BaseLayout
  std::vector<tenon::WorkerFaults> faults; ///< one per worker
  std::vector<void *> operands;            ///< of the command that runs
};

namespace tenon {

/// The right to use a session, if nobody else has it.
class Claim {
public:
  explicit Claim(tenon_session &session) : session(session), isHeld(!session.busy.exchange(true)) {}
  ~Claim() {
    if (isHeld)
      session.busy.store(false);
  }
  explicit operator bool() const { return isHeld; }

private:
  tenon_session &session;
  bool isHeld;
};

} // namespace tenon

#endif // TENON_RUNTIME_SESSION_H
