//===- session.cpp - Runs on a GPU ----------------------------------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/cuda/session.h"

#include <algorithm>

namespace tenon::cuda {

using namespace format;

/// Of every tensor and the arena, as cuMemAlloc aligns; and so much can be read of a tensor without elements.
static constexpr uint64_t alignment = 256;

static uint64_t placeBytes(uint64_t bytes) {
  return (std::max(bytes, alignment) + alignment - 1) / alignment * alignment;
}

namespace {

/// A plan's graph and where its memory was when it was captured.
class CapturedPlan : public DeviceForm {
public:
  explicit CapturedPlan(const PrimaryContext &context) : context(context) {}
  ~CapturedPlan() override { drop(); }

  void drop() {
    if (exec) {
      Current current(context);
      context.driver().cuGraphExecDestroy(exec);
    }
    exec = nullptr;
  }

  GraphExec exec = nullptr; ///< null: not captured yet
  Places places;

private:
  const PrimaryContext &context;
};

} // namespace

//===- Making -------------------------------------------------------------===//

Session::Session(const Program &program, std::vector<Block> &states)
    : program(program), driver(program.driver()), arena(program.context()), scratch(program.context()),
      hostStates(states) {}

Session::~Session() {
  Current current(program.context());
  if (stream) {
    driver.cuStreamSynchronize(stream); // a run that failed may have left copies to the host's memory
    driver.cuStreamDestroy_v2(stream);
  }
  entries.clear();
  states.clear();
  arena.release();
  scratch.release();
}

Status Session::prepare() {
  Current current(program.context());
  auto what = [&] { return "cannot start a session on " + program.context().device().name; };
  if (Status failed = program.check(driver.cuStreamCreate(&stream, streamNonBlocking), what)) {
    stream = nullptr;
    return failed;
  }
  for (const Block &host : hostStates) {
    states.emplace_back(program.context());
    if (Status failed = states.back().reserve(placeBytes(host.size()), "a state"))
      return failed;
  }
  isHostNewer.assign(states.size(), true);
  return nullptr;
}

//===- States -------------------------------------------------------------===//

void Session::sendStates() { isHostNewer.assign(states.size(), true); }

Status Session::fetchState(size_t index) {
  if (isHostNewer[index])
    return nullptr;
  if (Status failed = program.checkAlive())
    return failed;
  Block &host = hostStates[index];
  if (host.size() == 0)
    return nullptr;
  Current current(program.context());
  auto what = [] { return std::string("cannot bring a state back from the GPU"); };
  if (Status failed = program.check(
          driver.cuMemcpyDtoHAsync_v2(host.data(), states[index].address(), host.size(), stream), what))
    return failed;
  if (Status failed = program.check(driver.cuStreamSynchronize(stream), what))
    return failed;
  isHostNewer[index] = true; // whoever asked may write to it
  return nullptr;
}

Status Session::sendChangedStates() {
  for (size_t i = 0; i < states.size(); ++i) {
    if (!isHostNewer[i])
      continue;
    const Block &host = hostStates[i];
    if (host.size())
      if (Status failed =
              program.check(driver.cuMemcpyHtoDAsync_v2(states[i].address(), host.data(), host.size(), stream),
                            [] { return std::string("cannot send a state to the GPU"); }))
        return failed;
    isHostNewer[i] = false;
  }
  return nullptr;
}

//===- Memory -------------------------------------------------------------===//

Status Session::reserve(const tenon_entry &entry, const Plan &plan) {
  if (Status failed = program.checkAlive())
    return failed;
  Current current(program.context());
  while (entries.size() <= entry.index)
    entries.push_back({DeviceBlock(program.context()), DeviceBlock(program.context()), {}});
  EntryMemory &memory = entries[entry.index];
  uint64_t tensorBytes = 0;
  for (uint64_t bytes : plan.tensorBytes)
    tensorBytes += placeBytes(bytes);
  size_t commands = std::max<size_t>(entry.record.commands.count, 1);
  memory.faultBits.resize(commands);
  if (Status failed = arena.reserve(plan.arenaBytes + alignment, "the arena"))
    return failed;
  if (Status failed = scratch.reserve(scratchNeeded(entry, plan, program), "scratch"))
    return failed;
  if (Status failed = memory.tensors.reserve(tensorBytes, "inputs and outputs"))
    return failed;
  return memory.faults.reserve(commands * sizeof(uint32_t), "fault words");
}

Places Session::placesOf(const tenon_entry &entry, const Plan &plan) const {
  const EntryMemory &memory = entries[entry.index];
  Places places;
  Address next = memory.tensors.address();
  for (uint64_t bytes : plan.tensorBytes) {
    places.bases.push_back(next);
    next += placeBytes(bytes);
  }
  for (const DeviceBlock &state : states)
    places.bases.push_back(state.address());
  places.bases.push_back(program.weights());
  places.bases.push_back(arena.address());
  places.scratch = scratch.address();
  places.scratchBytes = scratch.size();
  places.faults = memory.faults.address();
  return places;
}

//===- Running ------------------------------------------------------------===//

Status Session::send(const RunContext &context, const Places &places) {
  auto what = [] { return std::string("cannot send the inputs to the GPU"); };
  for (size_t i = 0; i < context.entry.inputs.size(); ++i)
    if (uint64_t bytes = context.plan.tensorBytes[i])
      if (Status failed =
              program.check(driver.cuMemcpyHtoDAsync_v2(places.bases[i], context.bases[i], bytes, stream), what))
        return failed;
  if (Status failed = sendChangedStates())
    return failed;
  size_t faultBytes = entries[context.entry.index].faultBits.size() * sizeof(uint32_t);
  return program.check(driver.cuMemsetD8Async(places.faults, 0, faultBytes, stream), what);
}

Status Session::bringBack(const RunContext &context, const Places &places) {
  std::vector<uint32_t> &faults = entries[context.entry.index].faultBits;
  auto what = [&] {
    return text("entry %s failed on %s (a trace says at which command)", tenon_entry_name(&context.entry),
                program.context().device().name.c_str());
  };
  for (size_t i = context.entry.inputs.size(); i < context.plan.tensorBytes.size(); ++i)
    if (uint64_t bytes = context.plan.tensorBytes[i])
      if (Status failed =
              program.check(driver.cuMemcpyDtoHAsync_v2(context.bases[i], places.bases[i], bytes, stream), what))
        return failed;
  if (Status failed = program.check(
          driver.cuMemcpyDtoHAsync_v2(faults.data(), places.faults, faults.size() * sizeof(uint32_t), stream), what))
    return failed;
  return program.check(driver.cuStreamSynchronize(stream), what);
}

/// Makes a graph of the plan's launches.
Status Session::capture(RunContext &context, const Places &places, GraphExec &exec) {
  auto what = [&] { return text("cannot make a graph of entry %s", tenon_entry_name(&context.entry)); };
  if (Status failed = program.check(driver.cuStreamBeginCapture_v2(stream, captureThisThread), what))
    return failed;
  Status failed = launchCommands(context, program, places, stream);
  Graph graph = nullptr;
  Result error = driver.cuStreamEndCapture(stream, &graph); // also after a failure: the stream is to be used again
  if (!failed)
    failed = program.check(error, what);
  if (!failed)
    failed = program.check(driver.cuGraphInstantiateWithFlags(&exec, graph, 0), what);
  if (graph)
    driver.cuGraphDestroy(graph);
  return failed;
}

Status Session::launch(RunContext &context, const Places &places) {
  Plan &plan = context.plan;
  bool isTraced = context.trace || context.traceHook;
  if (!plan.deviceForm) { // its first run
    if (isFixed(context.entry, plan))
      plan.deviceForm = std::make_unique<CapturedPlan>(program.context());
    return launchCommands(context, program, places, stream);
  }
  if (isTraced)
    return launchCommands(context, program, places, stream);
  CapturedPlan &captured = static_cast<CapturedPlan &>(*plan.deviceForm);
  if (captured.exec && !(captured.places == places)) // memory has moved
    captured.drop();
  if (!captured.exec) {
    GraphExec exec = nullptr;
    if (Status failed = capture(context, places, exec))
      return failed;
    captured.exec = exec;
    captured.places = places;
  }
  return program.check(driver.cuGraphLaunch(captured.exec, stream), [&] {
    return text("cannot launch the graph of entry %s", tenon_entry_name(&context.entry));
  });
}

Status Session::checkFaults(const tenon_entry &entry) {
  const Tables &t = entry.model->tables();
  for (uint32_t i = 0; i < entry.record.commands.count; ++i) {
    const CommandRecord &command = t.commands[entry.record.commands.first + i];
    if (Status failed = faultStatus(entries[entry.index].faultBits[i], t.string(command.source)))
      return failed;
  }
  return nullptr;
}

Status Session::runAll(RunContext &context) {
  Places places = placesOf(context.entry, context.plan);
  if (Status failed = send(context, places))
    return failed;
  if (Status failed = launch(context, places))
    return failed;
  if (Status failed = bringBack(context, places))
    return failed;
  return checkFaults(context.entry);
}

Status Session::run(RunContext &context) {
  if (Status failed = program.checkAlive())
    return failed;
  Current current(program.context());
  Status failed = runAll(context);
  if (failed)
    driver.cuStreamSynchronize(stream); // nothing may still write to the caller's memory
  return failed;
}

} // namespace tenon::cuda
