//===- plan.cpp - Everything a shape decides ------------------------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/plan.h"
#include "runtime/src/dim.h"
#include "runtime/src/shape.h"

#include <algorithm>
#include <cinttypes>
#include <numeric>

namespace tenon {

using namespace format;

static constexpr uint64_t arenaAlignment = 64;
static constexpr uint64_t maxBytes = uint64_t(1) << 62;

static uint64_t alignUp(uint64_t value) { return (value + arenaAlignment - 1) / arenaAlignment * arenaAlignment; }

BaseLayout::BaseLayout(const tenon_entry &entry)
    : outputs(entry.record.inputs.count), states(outputs + entry.record.outputs.count),
      weights(states + uint32_t(entry.model->tables().states.size())), arena(weights + 1), count(arena + 1) {}

Status stateBytes(const tenon_model &model, uint32_t state, uint64_t &bytes) {
  const Tables &t = model.tables();
  const TensorRecord &tensor = t.tensors[t.states[state].tensor];
  std::vector<int64_t> largest;
  for (const SymbolRecord &symbol : t.symbols)
    largest.push_back(symbol.max);
  bytes = elementBytes(DataType(tensor.dataType));
  for (uint32_t i = 0; i < tensor.dims.count; ++i) {
    int64_t size;
    if (!evaluate(t, t.indices[tensor.dims.first + i], largest.data(), nullptr, size) || size < 0 ||
        __builtin_mul_overflow(bytes, uint64_t(size), &bytes) || bytes > maxBytes)
      return failure(TENON_BAD_ARTIFACT, "state '%s': its dimension %u, %s, is not bounded", t.string(tensor.name), i,
                     print(t, t.indices[tensor.dims.first + i]).c_str());
  }
  return nullptr;
}

//===- Placing buffers ----------------------------------------------------===//

namespace {

/// Buffers that share memory, as one.
struct Group {
  uint64_t bytes = 0;
  uint32_t first = none, last = 0; ///< commands in which it lives
  uint64_t offset = 0;
};

class Planner {
public:
  Planner(const tenon_entry &entry, const Plan *reserved, Plan &plan)
      : entry(entry), t(entry.model->tables()), reserved(reserved), plan(plan) {}

  Status run();

private:
  Status sizeTensors();
  Status sizeBuffers(std::vector<uint32_t> &roots, std::vector<Group> &groups);
  Status placeBuffers();
  bool fitsReserved(const std::vector<uint32_t> &roots, const std::vector<Group> &groups) const;
  Status prepareSteps();
  Status resolveSteps(uint32_t first, uint32_t end);
  Status resolveRounds(const CommandRecord &loop, int64_t rounds, uint32_t first, uint32_t end);
  bool varies(const CommandRecord &command) const;
  bool usesCounter(uint32_t dimension) const;

  const tenon_entry &entry;
  const Tables &t;
  const Plan *reserved;
  Plan &plan;
};

} // namespace

Status Planner::sizeTensors() {
  int64_t dims[maxRank];
  uint64_t bytes;
  for (uint32_t i = 0; i < entry.record.inputs.count; ++i) {
    if (Status failed = tensorDims(entry, entry.record.inputs.first + i, plan.symbols, dims, bytes))
      return failed;
    plan.tensorBytes.push_back(bytes);
  }
  for (uint32_t i = 0; i < entry.record.outputs.count; ++i) {
    if (Status failed = tensorDims(entry, entry.record.outputs.first + i, plan.symbols, dims, bytes))
      return failed;
    plan.tensorBytes.push_back(bytes);
    plan.outputDims.emplace_back(dims, dims + entry.outputs[i].info.rank);
  }
  return nullptr;
}

/// Sizes every buffer and gathers those that take over another's memory. The
/// root of a group is its first buffer.
Status Planner::sizeBuffers(std::vector<uint32_t> &roots, std::vector<Group> &groups) {
  uint32_t count = entry.record.buffers.count;
  roots.resize(count);
  groups.resize(count);
  for (uint32_t i = 0; i < count; ++i) {
    const BufferRecord &buffer = t.buffers[entry.record.buffers.first + i];
    int64_t bytes;
    if (Status failed = sizeOf(entry, buffer.bytes, plan.symbols, "arena buffer", bytes))
      return failed;
    if (uint64_t(bytes) > maxBytes)
      return failure(TENON_OUT_OF_MEMORY, "an arena buffer of %" PRId64 " bytes", bytes);
    roots[i] = buffer.aliasOf == none ? i : roots[buffer.aliasOf];
    Group &group = groups[roots[i]];
    group.bytes = std::max(group.bytes, uint64_t(bytes));
    group.first = std::min(group.first, buffer.firstLive);
    group.last = std::max(group.last, buffer.lastLive);
  }
  return nullptr;
}

/// The lowest offset at which `group` is free of every placed one it meets.
/// `placed` is in order of offset.
static uint64_t firstFit(const Group &group, const std::vector<Group *> &placed) {
  uint64_t offset = 0;
  for (const Group *other : placed) {
    if (other->first > group.last || group.first > other->last)
      continue;
    if (other->offset >= offset && other->offset - offset >= group.bytes)
      break;
    offset = std::max(offset, alignUp(other->offset + other->bytes));
  }
  return offset;
}

bool Planner::fitsReserved(const std::vector<uint32_t> &roots, const std::vector<Group> &groups) const {
  if (!reserved || plan.arenaBytes <= reserved->arenaBytes)
    return false;
  for (size_t i = 0; i < roots.size(); ++i)
    if (groups[roots[i]].bytes > reserved->bufferBytes[i])
      return false;
  return true;
}

Status Planner::placeBuffers() {
  std::vector<uint32_t> roots;
  std::vector<Group> groups;
  if (Status failed = sizeBuffers(roots, groups))
    return failed;

  std::vector<uint32_t> order(groups.size());
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    return groups[a].bytes != groups[b].bytes ? groups[a].bytes > groups[b].bytes : a < b;
  });
  std::vector<Group *> placed;
  for (uint32_t index : order) {
    Group &group = groups[index];
    if (group.bytes == 0)
      continue;
    group.offset = firstFit(group, placed);
    uint64_t end;
    if (__builtin_add_overflow(group.offset, group.bytes, &end) || end > maxBytes)
      return failure(TENON_OUT_OF_MEMORY, "an arena of more than %" PRIu64 " bytes", maxBytes);
    plan.arenaBytes = std::max(plan.arenaBytes, alignUp(end));
    placed.insert(std::upper_bound(placed.begin(), placed.end(), &group,
                                   [](const Group *a, const Group *b) { return a->offset < b->offset; }),
                  &group);
  }
  if (fitsReserved(roots, groups)) {
    plan.bufferOffsets = reserved->bufferOffsets;
    plan.bufferBytes = reserved->bufferBytes;
    plan.arenaBytes = reserved->arenaBytes;
    return nullptr;
  }
  for (uint32_t root : roots) {
    plan.bufferOffsets.push_back(groups[root].offset);
    plan.bufferBytes.push_back(groups[root].bytes);
  }
  return nullptr;
}

//===- Resolving commands -------------------------------------------------===//

bool Planner::usesCounter(uint32_t dimension) const {
  if (dimension == none)
    return false;
  Range ops = t.dimensions[dimension].ops;
  for (uint32_t i = 0; i < ops.count; ++i) {
    const DimOp &op = t.dimOps[ops.first + i];
    if (DimCode(op.code) == DimCode::symbol && t.symbols[op.value].isCounter)
      return true;
  }
  return false;
}

bool Planner::varies(const CommandRecord &command) const {
  if (usesCounter(command.expression))
    return true;
  for (uint32_t i = 0; i < command.dims.count; ++i)
    if (usesCounter(t.indices[command.dims.first + i]))
      return true;
  for (uint32_t i = 0; i < command.operands.count; ++i) {
    const OperandRecord &operand = t.operands[command.operands.first + i];
    if (usesCounter(operand.offset) || usesCounter(operand.bytes))
      return true;
  }
  return false;
}

namespace {

/// One command's operands, dims, grid and scratch from the values of symbols.
class Resolver {
public:
  Resolver(const tenon_entry &entry, uint32_t index, Plan &plan)
      : entry(entry), t(entry.model->tables()), plan(plan), step(plan.steps[index]),
        command(t.commands[entry.record.commands.first + index]), source(t.string(command.source)) {}

  Status run();

private:
  Status value(uint32_t dimension, const char *what, int64_t &result) {
    if (Status failed = sizeOf(entry, dimension, plan.current, source, result))
      return failed;
    return nullptr;
  }
  Status operand(const OperandRecord &record, uint64_t minimum, Place &place);
  /// Where an operand's whole is and how large.
  void whole(const OperandRecord &record, Place &place, uint64_t &bytes) const;
  Status dim(uint32_t dimension, int64_t &result);
  Status kernel();
  Status kernelSize(uint32_t dimension, const char *what, int64_t &result);

  const tenon_entry &entry;
  const Tables &t;
  Plan &plan;
  Step &step;
  const CommandRecord &command;
  const char *source;
};

} // namespace

void Resolver::whole(const OperandRecord &record, Place &place, uint64_t &bytes) const {
  BaseLayout bases(entry);
  switch (Space(record.space)) {
  case Space::input:
    place = {record.index, 0};
    bytes = plan.tensorBytes[record.index];
    return;
  case Space::output:
    place = {bases.outputs + record.index, 0};
    bytes = plan.tensorBytes[bases.outputs + record.index];
    return;
  case Space::state:
    place = {bases.states + record.index, 0};
    if (stateBytes(*entry.model, record.index, bytes))
      bytes = 0;
    return;
  case Space::weight:
    place = {bases.weights, t.weights[record.index].offset};
    bytes = t.weights[record.index].bytes;
    return;
  case Space::arena:
    place = {bases.arena, plan.bufferOffsets[record.index]};
    bytes = plan.bufferBytes[record.index];
    return;
  }
}

Status Resolver::operand(const OperandRecord &record, uint64_t minimum, Place &place) {
  uint64_t bytes, offset = record.constantOffset;
  whole(record, place, bytes);
  int64_t evaluated;
  if (record.offset != none) {
    if (Status failed = value(record.offset, "offset", evaluated))
      return failed;
    offset = uint64_t(evaluated);
  }
  uint64_t needed = minimum;
  if (record.bytes != none) {
    if (Status failed = value(record.bytes, "bytes", evaluated))
      return failed;
    needed = std::max(needed, uint64_t(evaluated));
  }
  if (offset > bytes || needed > bytes - offset)
    return failure(TENON_BAD_ARTIFACT,
                   "%s: an operand takes %" PRIu64 " bytes from %" PRIu64 " on, there are %" PRIu64 " for these shapes",
                   source, needed, offset, bytes);
  place.offset += offset;
  return nullptr;
}

Status Resolver::kernelSize(uint32_t dimension, const char *what, int64_t &result) {
  if (evaluate(t, dimension, plan.current.data(), plan.dims.data() + step.firstDim, result) && result >= 0 &&
      result <= int64_t(UINT32_MAX))
    return nullptr;
  return failure(TENON_BAD_SHAPE, "%s: kernel %s has no usable %s for these shapes", source,
                 t.string(t.kernels[command.kernel].name), what);
}

/// A dim of a kernel may be negative: indices are computed from it too, as from the N - 1 of a
/// reversed dimension. The sizes of operands have been checked.
Status Resolver::dim(uint32_t dimension, int64_t &result) {
  if (evaluate(t, dimension, plan.current.data(), nullptr, result))
    return nullptr;
  return failure(TENON_BAD_SHAPE, "%s: %s overflows or divides by zero for these shapes", source,
                 print(t, dimension).c_str());
}

Status Resolver::kernel() {
  for (uint32_t i = 0; i < command.dims.count; ++i)
    if (Status failed = dim(t.indices[command.dims.first + i], plan.dims[step.firstDim + i]))
      return failed;
  const KernelCodeRecord &code = t.kernelCode[entry.model->level->kernelCode.first + command.kernel];
  int64_t grid, scratch;
  if (Status failed = kernelSize(code.grid, "grid", grid))
    return failed;
  if (Status failed = kernelSize(code.scratch, "scratch", scratch))
    return failed;
  step.grid = uint32_t(grid);
  step.grain = std::max(code.grain, 1u);
  step.scratchBytes = alignUp(uint64_t(scratch));
  plan.scratchBytes = std::max(plan.scratchBytes, step.scratchBytes);
  return nullptr;
}

Status Resolver::run() {
  uint64_t minimum = 0;
  CommandKind kind = CommandKind(command.kind);
  if (command.expression != none)
    if (Status failed = value(command.expression, "expression", step.expression))
      return failed;
  if (kind == CommandKind::copy)
    minimum = uint64_t(step.expression);
  else if (kind != CommandKind::dispatch)
    minimum = 1; // the byte a branch or loop looks at
  for (uint32_t i = 0; i < command.operands.count; ++i)
    if (Status failed = operand(t.operands[command.operands.first + i], minimum, plan.places[step.firstOperand + i]))
      return failed;
  return kind == CommandKind::dispatch ? kernel() : nullptr;
}

Status resolveStep(const tenon_entry &entry, uint32_t command, Plan &plan) {
  return Resolver(entry, command, plan).run();
}

/// Resolves the body of a loop, with its counter at the last and then at the
/// first round: scratch takes the larger of the two.
Status Planner::resolveRounds(const CommandRecord &loop, int64_t rounds, uint32_t first, uint32_t end) {
  if (rounds == 0)
    return nullptr;
  if (loop.counter == none)
    return resolveSteps(first, end);
  plan.current[loop.counter] = rounds - 1;
  Status failed = resolveSteps(first, end);
  plan.current[loop.counter] = 0;
  return failed ? std::move(failed) : resolveSteps(first, end);
}

/// Resolves the commands first .. end-1 except those this shape never reaches,
/// whose sizes may make no sense.
Status Planner::resolveSteps(uint32_t first, uint32_t end) {
  for (uint32_t i = first; i < end;) {
    const CommandRecord &command = t.commands[entry.record.commands.first + i];
    if (Status failed = resolveStep(entry, i, plan))
      return failed;
    const Step &step = plan.steps[i];
    uint32_t body = i + 1, elseBody = body + command.body, after = elseBody + command.elseBody;
    bool isLoop = CommandKind(command.kind) == CommandKind::loop;
    bool isDecided = !isLoop && command.expression != none && !step.varies;
    Status failed;
    if (isLoop)
      failed = resolveRounds(command, step.expression, body, after);
    else
      failed = resolveSteps(isDecided && !step.expression ? elseBody : body,
                            isDecided && step.expression ? elseBody : after);
    if (failed)
      return failed;
    i = after;
  }
  return nullptr;
}

Status Planner::prepareSteps() {
  for (uint32_t i = 0; i < entry.record.commands.count; ++i) {
    const CommandRecord &command = t.commands[entry.record.commands.first + i];
    Step step;
    step.firstOperand = uint32_t(plan.places.size());
    step.firstDim = uint32_t(plan.dims.size());
    step.varies = varies(command);
    plan.places.resize(plan.places.size() + command.operands.count);
    plan.dims.resize(plan.dims.size() + command.dims.count);
    plan.steps.push_back(step);
  }
  plan.current = plan.symbols;
  return resolveSteps(0, entry.record.commands.count);
}

Status Planner::run() {
  if (Status failed = sizeTensors())
    return failed;
  if (Status failed = placeBuffers())
    return failed;
  return prepareSteps();
}

Status makePlan(const tenon_entry &entry, std::vector<int64_t> symbols, const Plan *reserved, Plan &plan) {
  plan = Plan();
  plan.symbols = std::move(symbols);
  return Planner(entry, reserved, plan).run();
}

} // namespace tenon
