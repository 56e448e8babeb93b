//===- command_walker.h - The order in which commands run -------*- C++ -*-===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// Branches, loops, counters and cancelling are the same wherever kernels run;
// who derives from this says what a dispatch and a copy are, and how a byte of
// the program's memory is read.
//
//===----------------------------------------------------------------------===//

#ifndef TENON_RUNTIME_COMMAND_WALKER_H
#define TENON_RUNTIME_COMMAND_WALKER_H

#include "runtime/src/plan.h"

#include <atomic>

namespace tenon {

class CommandWalker {
public:
  CommandWalker(const tenon_entry &entry, Plan &plan, const std::atomic<bool> &cancelled)
      : entry(entry), t(entry.model->tables()), plan(plan), cancelled(cancelled), scratchBytes(plan.scratchBytes) {}
  virtual ~CommandWalker() = default;

  /// Runs every command of the entry.
  Status run() { return runRange(0, entry.record.commands.count); }

protected:
  /// The command of this index in the entry, its sizes in `step` those of this moment.
  virtual Status dispatch(uint32_t index, const format::CommandRecord &command, const Step &step) = 0;
  virtual Status copy(uint32_t index, const format::CommandRecord &command, const Step &step) = 0;
  /// Whether the first byte of the step's only operand is not 0.
  virtual Status readFlag(const Step &step, bool &isSet) = 0;

  const tenon_entry &entry;
  const Tables &t;
  Plan &plan;

private:
  Status runRange(uint32_t first, uint32_t end);
  Status runOne(uint32_t index, const format::CommandRecord &command);
  Status runBranch(uint32_t index, const format::CommandRecord &command);
  Status runLoop(uint32_t index, const format::CommandRecord &command);
  Status resolveAgain(uint32_t index, const format::CommandRecord &command);

  const std::atomic<bool> &cancelled;
  const uint64_t scratchBytes; ///< per worker, as planned
};

} // namespace tenon

#endif // TENON_RUNTIME_COMMAND_WALKER_H
