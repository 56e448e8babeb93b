//===- session.cpp - One run at a time ------------------------------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/session.h"
#include "runtime/src/cpu.h"
#include "runtime/src/shape.h"

#include <algorithm>
#include <cinttypes>
#include <cstring>

using namespace tenon;
using namespace tenon::format;

static constexpr size_t keptPlans = 8;

//===- Making -------------------------------------------------------------===//

tenon_session::tenon_session(tenon_model &model, const tenon_session_options &given)
    : model(model), options(given), allocator(given.allocator ? *given.allocator : systemAllocator()) {
  ++model.holders;
  if (given.executor) {
    executor = *given.executor;
    hasExecutor = true;
  }
  arena = Block(&allocator);
  scratch = Block(&allocator);
}

tenon_session::~tenon_session() {
  entries.clear(); // plans may hold graphs of the model's GPU
  gpu.reset();
  tenon_model_release(&model);
}

Status tenon_session::prepare() {
  uint32_t wanted = model.gpu ? 1 : options.threads ? options.threads : hostThreads();
  if (!hasExecutor && wanted > 1)
    pool = std::make_unique<Pool>(wanted);
  if (pool && pool->threads() < wanted)
    log(TENON_LOG_WARNING, text("the system gave %u of %u threads", pool->threads(), wanted));
  faults.resize(threads());
  operands.resize(maxKernelOperands);
  for (const tenon_entry &entry : model.entries) {
    EntryState &state = entries.emplace_back();
    state.inputs.resize(entry.inputs.size());
    state.outputs.resize(entry.outputs.size());
    state.inputDims.resize(entry.inputs.size());
    for (BoundOutput &output : state.outputs)
      output.own = Block(&allocator);
  }
  for (uint32_t i = 0; i < model.tables().states.size(); ++i) {
    uint64_t bytes;
    if (Status failed = stateBytes(model, i, bytes))
      return failed;
    states.emplace_back(&allocator);
    if (Status failed = states.back().reserve(bytes, "a state"))
      return failed;
  }
  if (model.gpu) {
    gpu = std::make_unique<cuda::Session>(*model.gpu, states);
    if (Status failed = gpu->prepare())
      return failed;
  }
  return resetStates();
}

void tenon_session::log(tenon_log_level level, const std::string &message) const {
  if (options.log)
    options.log(options.log_user, level, message.c_str());
}

//===- States -------------------------------------------------------------===//

Status tenon_session::resetStates() {
  const Tables &t = model.tables();
  kept = keptAtFirst(t);
  for (size_t i = 0; i < states.size(); ++i) {
    uint32_t initial = t.states[i].initial;
    uint64_t copied = 0;
    if (initial != none) {
      copied = std::min(states[i].size(), t.weights[initial].bytes);
      std::memcpy(states[i].data(), model.artifact.weightData() + t.weights[initial].offset, copied);
    }
    if (states[i].size() > copied)
      std::memset(states[i].data() + copied, 0, states[i].size() - copied);
  }
  if (gpu)
    gpu->sendStates();
  return nullptr;
}

Status tenon_session::getState(const char *name, void **data, size_t *bytes) {
  const Tables &t = model.tables();
  std::string names;
  for (size_t i = 0; i < states.size(); ++i) {
    const char *each = t.string(t.tensors[t.states[i].tensor].name);
    if (std::strcmp(each, name) == 0) {
      if (gpu)
        if (Status failed = gpu->fetchState(i))
          return failed;
      *data = states[i].data();
      *bytes = states[i].size();
      return nullptr;
    }
    names += (names.empty() ? "" : ", ") + std::string(each);
  }
  return failure(TENON_NOT_FOUND, "no state '%s'; there are: %s", name, names.empty() ? "none" : names.c_str());
}

/// The number of the kept symbol of this name.
Status tenon_session::findKept(const char *name, size_t &number) const {
  const Tables &t = model.tables();
  std::string names;
  for (size_t i = 0; i < t.symbols.size(); ++i) {
    if (!t.symbols[i].isKept)
      continue;
    const char *each = t.string(t.symbols[i].name);
    if (std::strcmp(each, name) == 0) {
      number = i;
      return nullptr;
    }
    names += (names.empty() ? "" : ", ") + std::string(each);
  }
  return failure(TENON_NOT_FOUND, "no kept symbol '%s'; there are: %s", name, names.empty() ? "none" : names.c_str());
}

Status tenon_session::getKept(const char *name, int64_t *value) {
  size_t number;
  if (Status failed = findKept(name, number))
    return failed;
  *value = kept[number];
  return nullptr;
}

Status tenon_session::setKept(const char *name, int64_t value) {
  size_t number;
  if (Status failed = findKept(name, number))
    return failed;
  const SymbolRecord &symbol = model.tables().symbols[number];
  if (value < symbol.min || value > symbol.max || value % symbol.divisor != 0)
    return failure(TENON_INVALID_ARGUMENT,
                   "kept symbol '%s': wanted a multiple of %" PRId64 " in %" PRId64 "..%" PRId64 ", found %" PRId64,
                   name, symbol.divisor, symbol.min, symbol.max, value);
  kept[number] = value;
  return nullptr;
}

//===- Binding ------------------------------------------------------------===//

Status tenon_session::bindInput(const tenon_entry &entry, size_t index, const tenon_tensor &tensor) {
  const tenon_tensor_info &info = entry.inputs[index].info;
  if (tensor.dtype != info.dtype)
    return failure(TENON_BAD_SHAPE, "input '%s': wanted %s, found %s", info.name, tenon_dtype_name(info.dtype),
                   tenon_dtype_name(tensor.dtype));
  if (tensor.rank != info.rank || (tensor.rank && !tensor.dims)) {
    std::string wanted;
    for (uint32_t i = 0; i < info.rank; ++i)
      wanted += std::string(i ? ", " : "") + info.dims[i];
    return failure(TENON_BAD_SHAPE, "input '%s': wanted rank %u, [%s], found rank %u%s%s", info.name, info.rank,
                   wanted.c_str(), tensor.rank, tensor.dims ? ", " : "",
                   tensor.dims ? printDims(tensor.dims, std::min(tensor.rank, maxRank)).c_str() : "");
  }
  bool isEmpty = std::any_of(tensor.dims, tensor.dims + tensor.rank, [](int64_t dim) { return dim == 0; });
  if (!tensor.data && !isEmpty)
    return failure(TENON_INVALID_ARGUMENT, "input '%s': its data is a null pointer", info.name);
  BoundInput &input = entries[entry.index].inputs[index];
  input.isBound = true;
  input.data = tensor.data;
  input.dims.assign(tensor.dims, tensor.dims + tensor.rank);
  return nullptr;
}

Status tenon_session::bindOutput(const tenon_entry &entry, size_t index, void *data, size_t bytes) {
  BoundOutput &output = entries[entry.index].outputs[index];
  output.data = data;
  output.bytes = data ? bytes : 0;
  return nullptr;
}

//===- Planning -----------------------------------------------------------===//

/// The plan for state.symbols, kept or new, at the front of state.plans.
Status tenon_session::findPlan(const tenon_entry &entry, EntryState &state, Plan *&plan) {
  auto &plans = state.plans;
  auto found = std::find_if(plans.begin(), plans.end(),
                            [&](const std::unique_ptr<Plan> &each) { return each->symbols == state.symbols; });
  if (found == plans.end()) {
    auto made = std::make_unique<Plan>();
    if (Status failed = makePlan(entry, state.symbols, state.reserved.get(), *made))
      return failed;
    log(TENON_LOG_DEBUG, text("entry %s: new shape, %" PRIu64 " bytes of arena, %" PRIu64 " of scratch per thread",
                              tenon_entry_name(&entry), made->arenaBytes, made->scratchBytes));
    if (plans.size() == keptPlans) {
      if (state.finished == plans.back().get())
        state.finished = nullptr;
      plans.pop_back();
    }
    found = plans.insert(plans.begin(), std::move(made));
  }
  std::rotate(plans.begin(), found, found + 1);
  plan = plans.front().get();
  return nullptr;
}

/// So many bytes can be read at the start of a tensor without elements: code that chooses between two tensors loads
/// from both (RegionEmitter.h), a vector at most.
static constexpr size_t readableBytes = 256;

Status tenon_session::takeWorkingMemory(const Plan &plan) {
  if (Status failed = arena.reserve(plan.arenaBytes + readableBytes, "the arena"))
    return failed;
  uint64_t scratchBytes;
  if (__builtin_mul_overflow(plan.scratchBytes, uint64_t(threads()), &scratchBytes))
    scratchBytes = UINT64_MAX;
  return scratch.reserve(scratchBytes, "scratch");
}

/// Makes arena, scratch and the outputs nobody bound large enough. A GPU has arena and scratch of its own.
Status tenon_session::takeMemory(const tenon_entry &entry, EntryState &state, const Plan &plan, bool isReservation) {
  if (Status failed = gpu ? gpu->reserve(entry, plan) : takeWorkingMemory(plan))
    return failed;
  for (size_t i = 0; i < state.outputs.size(); ++i) {
    BoundOutput &output = state.outputs[i];
    uint64_t needed = plan.tensorBytes[state.inputs.size() + i];
    const char *name = entry.outputs[i].info.name;
    if (output.data && output.bytes < needed && !isReservation)
      return failure(TENON_BAD_SHAPE, "output '%s': wanted %" PRIu64 " bytes for %s, found a buffer of %" PRIu64, name,
                     needed, printDims(plan.outputDims[i].data(), uint32_t(plan.outputDims[i].size())).c_str(),
                     output.bytes);
    if (!output.data)
      if (Status failed = output.own.reserve(needed, name))
        return failed;
  }
  return nullptr;
}

Status tenon_session::reserve(const tenon_entry &entry, const int64_t *const *dims) {
  EntryState &state = entries[entry.index];
  std::vector<int64_t> symbols;
  if (Status failed = bindSymbols(entry, kept, dims, symbols))
    return failed;
  auto plan = std::make_unique<Plan>();
  if (Status failed = makePlan(entry, std::move(symbols), nullptr, *plan))
    return failed;
  if (Status failed = takeMemory(entry, state, *plan, true))
    return failed;
  state.reserved = std::move(plan);
  return nullptr;
}

//===- Running ------------------------------------------------------------===//

void tenon_session::setBases(const tenon_entry &entry, EntryState &state, const Plan &plan) {
  alignas(64) static const uint8_t nothing[readableBytes] = {};
  BaseLayout layout(entry);
  bases.resize(layout.count);
  auto baseOf = [&](size_t tensor, const void *data) {
    return static_cast<uint8_t *>(const_cast<void *>(plan.tensorBytes[tensor] ? data : nothing));
  };
  for (size_t i = 0; i < state.inputs.size(); ++i)
    bases[i] = baseOf(i, state.inputs[i].data);
  for (size_t i = 0; i < state.outputs.size(); ++i) {
    BoundOutput &output = state.outputs[i];
    output.result = output.data ? output.data : output.own.data();
    bases[layout.outputs + i] = baseOf(layout.outputs + i, output.result);
  }
  for (size_t i = 0; i < states.size(); ++i)
    bases[layout.states + i] = states[i].data();
  bases[layout.weights] = const_cast<uint8_t *>(model.artifact.weightData());
  bases[layout.arena] = arena.data();
}

Status tenon_session::run(const tenon_entry &entry) {
  EntryState &state = entries[entry.index];
  cancelled.store(false);
  state.finished = nullptr;
  if (pool)
    pool->wake();
  for (size_t i = 0; i < state.inputs.size(); ++i) {
    if (!state.inputs[i].isBound)
      return failure(TENON_INVALID_ARGUMENT, "input '%s' of entry %s is missing: nothing is bound to it",
                     entry.inputs[i].info.name, tenon_entry_name(&entry));
    state.inputDims[i] = state.inputs[i].dims.data();
  }
  if (Status failed = bindSymbols(entry, kept, state.inputDims.data(), state.symbols))
    return failed;
  Plan *plan = nullptr;
  if (Status failed = findPlan(entry, state, plan))
    return failed;
  if (Status failed = takeMemory(entry, state, *plan, false))
    return failed;
  setBases(entry, state, *plan);
  std::fill(faults.begin(), faults.end(), WorkerFaults());
  RunContext context = {entry,
                        *plan,
                        bases.data(),
                        scratch.data(),
                        plan->scratchBytes,
                        faults.data(),
                        operands.data(),
                        threads(),
                        pool.get(),
                        hasExecutor ? &executor : nullptr,
                        cancelled,
                        trace.isOn() ? &trace : nullptr,
                        options.trace,
                        options.trace_user};
  if (Status failed = gpu ? gpu->run(context) : runCommands(context))
    return failed;
  if (Status failed = advanceKept(entry, state.symbols, kept))
    return failed;
  state.finished = plan;
  return nullptr;
}

Status tenon_session::getOutput(const tenon_entry &entry, size_t index, tenon_tensor &tensor) {
  EntryState &state = entries[entry.index];
  if (!state.finished)
    return failure(TENON_INVALID_ARGUMENT, "output '%s': entry %s has not run, or its last run failed",
                   entry.outputs[index].info.name, tenon_entry_name(&entry));
  const std::vector<int64_t> &dims = state.finished->outputDims[index];
  tensor.dtype = entry.outputs[index].info.dtype;
  tensor.rank = uint32_t(dims.size());
  tensor.dims = dims.data();
  tensor.data = state.outputs[index].result;
  return nullptr;
}
