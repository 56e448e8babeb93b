//===- launcher.cpp - Commands as launches on a GPU -----------------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/cuda/launcher.h"
#include "runtime/src/command_walker.h"

#include <algorithm>
#include <cstring>

namespace tenon::cuda {

using namespace format;

/// Threads of a worker kernel; a GPU holds more, but each has a stack and scratch of its own.
static constexpr uint64_t mostWorkers = 4096;
static constexpr uint32_t workersPerBlock = 32;
/// Scratch is not taken beyond this, unless one worker needs more.
static constexpr uint64_t mostScratch = uint64_t(256) << 20;
/// Through which a copy goes whose ranges overlap.
static constexpr uint64_t stagingBytes = uint64_t(1) << 20;
/// A graph of more launches takes longer to make than its runs save.
static constexpr uint64_t mostCaptured = 4096;

namespace {

/// The blocks and threads of a launch.
struct Shape {
  uint32_t blocks = 0;
  uint32_t threads = 0;
  uint64_t scratches = 0; ///< how many scratches it uses
};

class Launcher : public CommandWalker {
public:
  Launcher(RunContext &context, const Program &program, const Places &places, Stream stream)
      : CommandWalker(context.entry, context.plan, context.cancelled), context(context), program(program),
        driver(program.driver()), places(places), stream(stream),
        isTraced(context.trace || context.traceHook) {}

private:
  Status dispatch(uint32_t index, const CommandRecord &command, const Step &step) override;
  Status copy(uint32_t index, const CommandRecord &command, const Step &step) override;
  Status readFlag(const Step &step, bool &isSet) override;
  Status move(Address to, Address from, uint64_t bytes);
  void pack(uint32_t index, const CommandRecord &command, const Step &step);
  Status launch(const CommandRecord &command, const Kernel &kernel, const Shape &shape);
  /// Waits for what was launched and records it, if there is a trace.
  Status trace(const char *name, const CommandRecord &command, uint32_t tiles, uint64_t start);
  Address operand(const Step &step, uint32_t index) const {
    const Place &place = plan.places[step.firstOperand + index];
    return places.bases[place.base] + place.offset;
  }

  RunContext &context;
  const Program &program;
  const DriverTable &driver;
  const Places &places;
  Stream stream;
  bool isTraced;
  std::vector<uint64_t> parameter; ///< of the launch under way
};

} // namespace

//===- Shapes -------------------------------------------------------------===//

/// `scratchLimit` is for all scratches together.
static Shape shapeOf(const Kernel &kernel, uint32_t tiles, uint64_t scratchBytes, uint64_t scratchLimit) {
  if (kernel.blockThreads != 1)
    return {tiles, kernel.blockThreads, tiles};
  uint64_t workers = std::min<uint64_t>(tiles, mostWorkers);
  if (scratchBytes)
    workers = std::min(workers, scratchLimit / scratchBytes);
  uint32_t threads = uint32_t(std::min<uint64_t>(workers, workersPerBlock));
  uint32_t blocks = threads ? uint32_t(workers / threads) : 0;
  return {blocks, threads, uint64_t(blocks) * threads};
}

uint64_t scratchNeeded(const tenon_entry &entry, const Plan &plan, const Program &program) {
  const Tables &t = entry.model->tables();
  uint64_t needed = plan.scratchBytes;
  for (uint32_t i = 0; i < entry.record.commands.count; ++i) {
    const CommandRecord &command = t.commands[entry.record.commands.first + i];
    const Step &step = plan.steps[i];
    if (CommandKind(command.kind) == CommandKind::copy)
      needed = std::max(needed, stagingBytes);
    if (CommandKind(command.kind) != CommandKind::dispatch)
      continue;
    uint64_t limit = std::max(mostScratch, step.scratchBytes);
    Shape shape = shapeOf(program.kernel(command.kernel), step.grid, step.scratchBytes, limit);
    needed = std::max(needed, shape.scratches * step.scratchBytes);
  }
  return needed;
}

//===- What can be captured -----------------------------------------------===//

/// Commands that run in first .. end-1, loops unrolled; more than mostCaptured if they are not the same each time.
static uint64_t countCommands(const tenon_entry &entry, const Plan &plan, uint32_t first, uint32_t end) {
  const Tables &t = entry.model->tables();
  uint64_t count = 0;
  for (uint32_t i = first; i < end && count <= mostCaptured;) {
    const CommandRecord &command = t.commands[entry.record.commands.first + i];
    uint32_t after = i + 1 + command.body + command.elseBody;
    bool isLoop = CommandKind(command.kind) == CommandKind::loop,
         isBranch = CommandKind(command.kind) == CommandKind::branch;
    if ((isLoop && command.operands.count) || (isBranch && command.expression == none))
      return mostCaptured + 1;
    uint64_t body = countCommands(entry, plan, i + 1, after);
    uint64_t rounds = isLoop ? uint64_t(plan.steps[i].expression) : 1;
    if (isLoop && body && rounds > mostCaptured / body)
      return mostCaptured + 1;
    count += isLoop ? rounds * body : 1 + body;
    i = after;
  }
  return count;
}

bool isFixed(const tenon_entry &entry, const Plan &plan) {
  return countCommands(entry, plan, 0, entry.record.commands.count) <= mostCaptured;
}

//===- Commands -----------------------------------------------------------===//

void Launcher::pack(uint32_t index, const CommandRecord &command, const Step &step) {
  parameter.clear();
  for (uint32_t i = 0; i < command.operands.count; ++i)
    parameter.push_back(operand(step, i));
  for (uint32_t i = 0; i < command.dims.count; ++i)
    parameter.push_back(uint64_t(plan.dims[step.firstDim + i]));
  parameter.push_back(step.scratchBytes ? places.scratch : 0);
  parameter.push_back(step.scratchBytes);
  parameter.push_back(places.faults + index * sizeof(uint32_t));
  parameter.push_back(step.grid); // little-endian: the upper half is the padding
}

Status Launcher::launch(const CommandRecord &command, const Kernel &kernel, const Shape &shape) {
  void *parameters[] = {parameter.data()};
  Result error = driver.cuLaunchKernel(kernel.function, shape.blocks, 1, 1, shape.threads, 1, 1,
                                       kernel.sharedBytes, stream, parameters, nullptr);
  return program.check(error, [&] {
    return text("%s: kernel %s cannot be launched in %u blocks of %u threads", t.string(command.source),
                t.string(t.kernels[command.kernel].name), shape.blocks, shape.threads);
  });
}

Status Launcher::dispatch(uint32_t index, const CommandRecord &command, const Step &step) {
  if (step.grid == 0)
    return nullptr;
  const Kernel &kernel = program.kernel(command.kernel);
  Shape shape = shapeOf(kernel, step.grid, step.scratchBytes, places.scratchBytes);
  if (shape.blocks > INT32_MAX)
    return failure(TENON_BAD_SHAPE, "%s: %u tiles, a GPU takes %d", t.string(command.source), shape.blocks, INT32_MAX);
  if (shape.blocks == 0 || (step.scratchBytes && shape.scratches > places.scratchBytes / step.scratchBytes))
    return failure(TENON_BAD_ARTIFACT, "%s: needs more scratch in a round of its loop than in the first",
                   t.string(command.source));
  uint64_t start = isTraced ? traceClock() : 0;
  pack(index, command, step);
  if (Status failed = launch(command, kernel, shape))
    return failed;
  return trace(t.string(t.kernels[command.kernel].name), command, step.grid, start);
}

/// As memmove, in pieces through scratch where the ranges overlap.
Status Launcher::move(Address to, Address from, uint64_t bytes) {
  auto copyOne = [&](Address into, Address out, uint64_t count) {
    return program.check(driver.cuMemcpyDtoDAsync_v2(into, out, count, stream),
                         [&] { return text("a copy of %llu bytes on the GPU", (unsigned long long)count); });
  };
  if (to == from)
    return nullptr;
  if (from + bytes <= to || to + bytes <= from)
    return copyOne(to, from, bytes);
  uint64_t piece = std::min(bytes, places.scratchBytes);
  for (uint64_t done = 0; done < bytes; done += piece) {
    uint64_t count = std::min(piece, bytes - done), at = to < from ? done : bytes - done - count;
    if (Status failed = copyOne(places.scratch, from + at, count))
      return failed;
    if (Status failed = copyOne(to + at, places.scratch, count))
      return failed;
  }
  return nullptr;
}

Status Launcher::copy(uint32_t, const CommandRecord &command, const Step &step) {
  uint64_t bytes = uint64_t(step.expression), start = isTraced ? traceClock() : 0;
  if (bytes == 0)
    return nullptr;
  if (Status failed = move(operand(step, 1), operand(step, 0), bytes))
    return failed;
  return trace("copy", command, 1, start);
}

Status Launcher::readFlag(const Step &step, bool &isSet) {
  uint8_t byte = 0;
  auto what = [] { return std::string("reading a condition from the GPU"); };
  if (Status failed = program.check(driver.cuMemcpyDtoHAsync_v2(&byte, operand(step, 0), 1, stream), what))
    return failed;
  if (Status failed = program.check(driver.cuStreamSynchronize(stream), what))
    return failed;
  isSet = byte != 0;
  return nullptr;
}

Status Launcher::trace(const char *name, const CommandRecord &command, uint32_t tiles, uint64_t start) {
  if (!isTraced)
    return nullptr;
  const char *source = t.string(command.source);
  if (Status failed = program.check(driver.cuStreamSynchronize(stream),
                                    [&] { return text("%s: kernel %s failed", source, name); }))
    return failed;
  tenon_trace_event event = {name, source, tiles, start, traceClock()};
  if (context.trace)
    context.trace->add(0, event);
  if (context.traceHook)
    context.traceHook(context.traceUser, &event);
  return nullptr;
}

Status launchCommands(RunContext &context, const Program &program, const Places &places, Stream stream) {
  return Launcher(context, program, places, stream).run();
}

} // namespace tenon::cuda
