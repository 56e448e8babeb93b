//===- command_runner.h - Walking the command table -------------*- C++ -*-===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// The thread that called run walks the table. A dispatch splits its tiles into
// one contiguous share per worker, and a share into parts that others may take;
// a single tile, or a small copy, is done on the spot without telling anyone.
//
//===----------------------------------------------------------------------===//

#ifndef TENON_RUNTIME_COMMAND_RUNNER_H
#define TENON_RUNTIME_COMMAND_RUNNER_H

#include "runtime/src/plan.h"
#include "runtime/src/pool.h"
#include "runtime/src/trace.h"

namespace tenon {

/// The fault bits one worker's kernels set, on a cache line of their own.
struct alignas(64) WorkerFaults {
  uint32_t bits = 0;
};

/// What a run needs of its session. Pointers are to memory of the session.
struct RunContext {
  const tenon_entry &entry;
  Plan &plan;
  uint8_t *const *bases; ///< as BaseLayout
  uint8_t *scratch;      ///< scratchBytes per worker
  uint64_t scratchBytes;
  WorkerFaults *faults; ///< one per worker, zero
  void **operands;      ///< room for the operands of any command
  uint32_t workers;
  Pool *pool;                     ///< or null
  const tenon_executor *executor; ///< or null; neither: the caller's thread alone
  const std::atomic<bool> &cancelled;
  Trace *trace; ///< or null
  tenon_trace_fn traceHook;
  void *traceUser;
};

/// Runs every command of the entry.
Status runCommands(RunContext &context);

/// What fault bits of the kernel of `source` mean; nothing for none.
Status faultStatus(uint32_t bits, const char *source);

} // namespace tenon

#endif // TENON_RUNTIME_COMMAND_RUNNER_H
