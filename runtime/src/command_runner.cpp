//===- command_runner.cpp - Walking the command table ---------------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/command_runner.h"
#include "runtime/src/command_walker.h"
#include "runtime/src/cpu.h"

#include <algorithm>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace tenon {

using namespace format;

/// A copy is split when it is larger than this; below, waking others costs more.
static constexpr uint64_t copyTileBytes = uint64_t(256) << 10;

namespace {

/// Puts the floating-point environment kernels are promised (kernel_abi.h) in
/// place of the calling thread's, which may flush denormals, and back.
class FloatingPointMode {
public:
#if defined(__x86_64__)
  FloatingPointMode() : saved(_mm_getcsr()) { _mm_setcsr(0x1f80); }
  ~FloatingPointMode() { _mm_setcsr(saved); }

private:
  unsigned saved;
#elif defined(__aarch64__)
  FloatingPointMode() {
    __asm__ volatile("mrs %0, fpcr" : "=r"(saved));
    __asm__ volatile("msr fpcr, %0" ::"r"(uint64_t(0)));
  }
  ~FloatingPointMode() { __asm__ volatile("msr fpcr, %0" ::"r"(saved)); }

private:
  uint64_t saved;
#endif
};

/// A grid of tiles to be shared by workers: a kernel's, or the pieces of a copy.
struct Work {
  RunContext &context;
  const CommandRecord &command;
  const Step &step;
  uint32_t tiles;
  uint32_t grain; ///< neighbouring tiles that share work
  tenon_kernel_fn kernel; ///< null: a copy
  const char *name;
  uint32_t shares = 1; ///< of about as many tiles each
  uint32_t parts = 1;  ///< of each share

  /// Where part `part` of share `index` begins.
  uint32_t begin(uint32_t index, uint32_t part) const;
};

class CommandRunner : public CommandWalker {
public:
  explicit CommandRunner(RunContext &context)
      : CommandWalker(context.entry, context.plan, context.cancelled), context(context) {}

private:
  Status dispatch(uint32_t index, const CommandRecord &command, const Step &step) override;
  Status copy(uint32_t index, const CommandRecord &command, const Step &step) override;
  Status readFlag(const Step &step, bool &isSet) override;
  Status runWork(Work &work);
  void share(Work &work);
  Status collectFaults(const CommandRecord &command);
  uint8_t *operand(const Step &step, uint32_t index) const {
    const Place &place = plan.places[step.firstOperand + index];
    return context.bases[place.base] + place.offset;
  }

  RunContext &context;
};

} // namespace

//===- One worker's share -------------------------------------------------===//

/// Shares are even, whatever the grain; within them parts begin where grains do.
uint32_t Work::begin(uint32_t index, uint32_t part) const {
  uint64_t first = uint64_t(tiles) * index / shares, end = uint64_t(tiles) * (index + 1) / shares;
  if (part == 0 || part == parts)
    return uint32_t(part ? end : first);
  uint64_t even = first + (end - first) * part / parts;
  return uint32_t(std::clamp((even + grain / 2) / grain * grain, first, end));
}

static void copyTiles(const Work &work, uint32_t first, uint32_t last) {
  uint64_t bytes = uint64_t(work.step.expression), start = first * copyTileBytes;
  uint64_t end = std::min(bytes, last * copyTileBytes);
  const uint8_t *from = static_cast<const uint8_t *>(work.context.operands[0]);
  uint8_t *to = static_cast<uint8_t *>(work.context.operands[1]);
  if (start < end)
    std::memmove(to + start, from + start, end - start);
}

static void kernelTiles(const Work &work, uint32_t worker, uint32_t first, uint32_t last) {
  RunContext &context = work.context;
  tenon_kernel_args arguments;
  arguments.operands = context.operands;
  arguments.dims = context.plan.dims.data() + work.step.firstDim;
  arguments.scratch = context.scratch ? context.scratch + worker * context.scratchBytes : nullptr;
  arguments.faults = &context.faults[worker].bits;
  arguments.hints = hostHints();
  work.kernel(&arguments, first, last);
}

/// Part `part` of share `index`, on thread `thread`, with scratch and faults of `worker`.
static void doPart(const Work &work, uint32_t index, uint32_t part, uint32_t worker, uint32_t thread) {
  uint32_t first = work.begin(index, part), last = work.begin(index, part + 1);
  if (first == last)
    return;
  FloatingPointMode mode;
  Trace *trace = work.context.trace;
  uint64_t start = trace ? traceClock() : 0;
  if (work.kernel)
    kernelTiles(work, worker, first, last);
  else
    copyTiles(work, first, last);
  if (trace)
    trace->add(thread,
               {work.name, work.context.entry.model->string(work.command.source), last - first, start, traceClock()});
}

/// A thread of the pool does one part at a time, so it is the worker.
static void doOnPool(void *pointer, uint32_t index, uint32_t part, uint32_t thread) {
  doPart(*static_cast<const Work *>(pointer), index, part, thread, thread);
}

/// An executor's threads have no numbers, so its tasks stand for them.
static void doTask(void *pointer, uint32_t index) {
  const Work &work = *static_cast<const Work *>(pointer);
  if (index < work.shares)
    doPart(work, index, 0, index, index);
}

//===- Commands -----------------------------------------------------------===//

void CommandRunner::share(Work &work) {
  work.shares = std::min(context.workers, work.tiles);
  if (work.shares <= 1)
    return doPart(work, 0, 0, 0, 0);
  if (context.executor)
    return context.executor->parallel_for(context.executor->user, work.shares, doTask, &work);
  uint32_t grains = work.tiles / work.shares / work.grain;
  work.parts = std::clamp(grains, 1u, Pool::mostParts);
  context.pool->run(doOnPool, &work, work.shares, work.parts);
}

Status faultStatus(uint32_t bits, const char *source) {
  if (!bits)
    return nullptr;
  if (bits & TENON_FAULT_INDEX)
    return failure(TENON_BAD_VALUE, "%s: an index in its input is out of range", source);
  return failure(TENON_BAD_VALUE, "%s: fault 0x%x", source, bits);
}

Status CommandRunner::collectFaults(const CommandRecord &command) {
  uint32_t bits = 0;
  for (uint32_t worker = 0; worker < context.workers; ++worker) {
    bits |= context.faults[worker].bits;
    context.faults[worker].bits = 0;
  }
  return faultStatus(bits, t.string(command.source));
}

Status CommandRunner::runWork(Work &work) {
  if (work.tiles == 0)
    return nullptr;
  for (uint32_t i = 0; i < work.command.operands.count; ++i)
    context.operands[i] = operand(work.step, i);
  uint64_t start = context.traceHook ? traceClock() : 0;
  share(work);
  if (context.traceHook) {
    tenon_trace_event event = {work.name, t.string(work.command.source), work.tiles, start, traceClock()};
    context.traceHook(context.traceUser, &event);
  }
  return work.kernel ? collectFaults(work.command) : nullptr;
}

Status CommandRunner::dispatch(uint32_t, const CommandRecord &command, const Step &step) {
  tenon_kernel_fn kernel = entry.model->kernels[command.kernel];
  Work work{context, command, step, step.grid, step.grain, kernel, t.string(t.kernels[command.kernel].name)};
  return runWork(work);
}

Status CommandRunner::readFlag(const Step &step, bool &isSet) {
  isSet = *operand(step, 0) != 0;
  return nullptr;
}

Status CommandRunner::copy(uint32_t, const CommandRecord &command, const Step &step) {
  uint64_t bytes = uint64_t(step.expression);
  const uint8_t *from = operand(step, 0);
  uint8_t *to = operand(step, 1);
  bool overlap = from < to + bytes && to < from + bytes;
  if (overlap) { // its pieces must not be moved in any order
    std::memmove(to, from, bytes);
    return nullptr;
  }
  Work work{context, command, step, uint32_t((bytes + copyTileBytes - 1) / copyTileBytes), 1, nullptr, "copy"};
  return runWork(work);
}

Status runCommands(RunContext &context) { return CommandRunner(context).run(); }

} // namespace tenon
