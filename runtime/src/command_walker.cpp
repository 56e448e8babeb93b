//===- command_walker.cpp - The order in which commands run ---------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/command_walker.h"

namespace tenon {

using namespace format;

Status CommandWalker::runBranch(uint32_t index, const CommandRecord &command) {
  bool isTaken = plan.steps[index].expression != 0;
  if (command.expression == none)
    if (Status failed = readFlag(plan.steps[index], isTaken))
      return failed;
  uint32_t body = index + 1, elseBody = body + command.body;
  return isTaken ? runRange(body, elseBody) : runRange(elseBody, elseBody + command.elseBody);
}

Status CommandWalker::runLoop(uint32_t index, const CommandRecord &command) {
  const int64_t rounds = plan.steps[index].expression;
  for (int64_t round = 0; round < rounds; ++round) {
    bool goesOn = true;
    if (command.operands.count)
      if (Status failed = readFlag(plan.steps[index], goesOn))
        return failed;
    if (!goesOn)
      break;
    if (command.counter != none)
      plan.current[command.counter] = round;
    if (Status failed = runRange(index + 1, index + 1 + command.body))
      return failed;
  }
  return nullptr;
}

/// A command whose sizes depend on a loop counter, for the counter's value now.
Status CommandWalker::resolveAgain(uint32_t index, const CommandRecord &command) {
  if (Status failed = resolveStep(entry, index, plan))
    return failed;
  if (plan.scratchBytes > scratchBytes)
    return failure(TENON_BAD_ARTIFACT,
                   "%s: needs more scratch in a middle round of its loop than in the first and last",
                   t.string(command.source));
  return nullptr;
}

Status CommandWalker::runOne(uint32_t index, const CommandRecord &command) {
  const Step &step = plan.steps[index];
  if (step.varies)
    if (Status failed = resolveAgain(index, command))
      return failed;
  switch (CommandKind(command.kind)) {
  case CommandKind::dispatch:
    return dispatch(index, command, step);
  case CommandKind::copy:
    return copy(index, command, step);
  case CommandKind::branch:
    return runBranch(index, command);
  case CommandKind::loop:
    return runLoop(index, command);
  }
  return nullptr;
}

Status CommandWalker::runRange(uint32_t first, uint32_t end) {
  for (uint32_t i = first; i < end;) {
    if (cancelled.load(std::memory_order_relaxed))
      return failure(TENON_CANCELLED, "cancelled");
    const CommandRecord &command = t.commands[entry.record.commands.first + i];
    if (Status failed = runOne(i, command))
      return failed;
    i += 1 + command.body + command.elseBody;
  }
  return nullptr;
}

} // namespace tenon
