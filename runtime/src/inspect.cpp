//===- inspect.cpp - Describe artifacts and machines in words -------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// Plain text and JSON from the same tables. Both are written whole into a
// string; an artifact has a few hundred records besides its weights' bytes.
//
//===----------------------------------------------------------------------===//

#include "tenon/inspect.h"
#include "runtime/src/artifact.h"
#include "runtime/src/cpu.h"
#include "runtime/src/cuda/driver.h"
#include "runtime/src/dim.h"
#include "runtime/src/json.h"
#include "runtime/src/target.h"

#include <cinttypes>
#include <cstdlib>
#include <cstring>

using namespace tenon;
using namespace tenon::format;

//===- Words --------------------------------------------------------------===//

/// "180.2 KB", in units of 1000.
static std::string printBytes(uint64_t bytes) {
  if (bytes < 1000)
    return text("%" PRIu64 " B", bytes);
  const char *units[] = {"KB", "MB", "GB", "TB"};
  double value = double(bytes) / 1000;
  size_t unit = 0;
  for (; value >= 1000 && unit < 3; ++unit)
    value /= 1000;
  return text("%.1f %s", value, units[unit]);
}

static std::string join(const std::vector<std::string> &words) {
  std::string line;
  for (const std::string &word : words)
    line += (line.empty() ? "" : ", ") + word;
  return line;
}

namespace {

class Description {
public:
  explicit Description(const Artifact &artifact) : artifact(artifact), t(artifact.tables) {}
  std::string plain() const;
  std::string json() const;

private:
  std::vector<std::string> dims(Range range) const;
  std::string shape(Range range) const { return "[" + join(dims(range)) + "]"; }
  std::string tensor(const TensorRecord &record) const {
    return std::string(t.string(record.name)) + ": " + dataTypeName(DataType(record.dataType)) + " " +
           shape(record.dims);
  }
  std::string bound(const SymbolRecord &symbol) const;
  std::string operand(const EntryRecord &entry, const OperandRecord &operand) const;
  std::string commandKind(const CommandRecord &command) const;
  std::string command(const EntryRecord &entry, const CommandRecord &command) const;
  /// Calls visit(command, nesting) in table order.
  template <typename Visit> void forEachCommand(const EntryRecord &entry, Visit visit) const;
  /// The hash over all checksums, which names the content.
  std::string contentHash() const;

  void plainLevels(std::string &out) const;
  void plainEntry(std::string &out, const EntryRecord &entry) const;
  void jsonLevels(JsonWriter &json) const;
  void jsonTensors(JsonWriter &json, const char *key, Range tensors) const;
  void jsonEntry(JsonWriter &json, const EntryRecord &entry) const;
  void jsonWeights(JsonWriter &json) const;

  const Artifact &artifact;
  const Tables &t;
};

} // namespace

std::vector<std::string> Description::dims(Range range) const {
  std::vector<std::string> words;
  for (uint32_t i = 0; i < range.count; ++i)
    words.push_back(print(t, t.indices[range.first + i]));
  return words;
}

std::string Description::bound(const SymbolRecord &symbol) const {
  std::string line = text("%s in %" PRId64 "..", t.string(symbol.name), symbol.min);
  if (symbol.max != INT64_MAX)
    line += text("%" PRId64, symbol.max);
  if (symbol.divisor != 1)
    line += text(", a multiple of %" PRId64, symbol.divisor);
  return line + (symbol.isCounter ? ", a loop counter" : symbol.isKept ? ", kept by the session" : "");
}

std::string Description::operand(const EntryRecord &entry, const OperandRecord &operand) const {
  std::string place;
  switch (Space(operand.space)) {
  case Space::input:
    place = t.string(t.tensors[entry.inputs.first + operand.index].name);
    break;
  case Space::output:
    place = t.string(t.tensors[entry.outputs.first + operand.index].name);
    break;
  case Space::state:
    place = t.string(t.tensors[t.states[operand.index].tensor].name);
    break;
  case Space::weight:
    place = t.string(t.weights[operand.index].name);
    break;
  case Space::arena:
    place = text("%%%u", operand.index);
    break;
  }
  if (operand.offset != none)
    return place + " + " + print(t, operand.offset);
  return operand.constantOffset ? place + text(" + %" PRIu64, operand.constantOffset) : place;
}

std::string Description::commandKind(const CommandRecord &command) const {
  switch (CommandKind(command.kind)) {
  case CommandKind::dispatch:
    return t.string(t.kernels[command.kernel].name);
  case CommandKind::copy:
    return "copy";
  case CommandKind::branch:
    return "branch";
  case CommandKind::loop:
    return "loop";
  }
  return "?";
}

std::string Description::command(const EntryRecord &entry, const CommandRecord &command) const {
  std::string line = commandKind(command);
  if (CommandKind(command.kind) == CommandKind::dispatch)
    line += "<" + join(dims(command.dims)) + ">";
  else if (command.expression != none)
    line += "<" + print(t, command.expression) + ">";
  std::vector<std::string> operands;
  for (uint32_t i = 0; i < command.operands.count; ++i)
    operands.push_back(operand(entry, t.operands[command.operands.first + i]));
  return line + "(" + join(operands) + ")";
}

template <typename Visit> void Description::forEachCommand(const EntryRecord &entry, Visit visit) const {
  std::vector<uint32_t> ends; // of the bodies around the current command
  for (uint32_t i = 0; i < entry.commands.count; ++i) {
    while (!ends.empty() && ends.back() <= i)
      ends.pop_back();
    const CommandRecord &command = t.commands[entry.commands.first + i];
    visit(command, ends.size());
    if (command.body + command.elseBody)
      ends.push_back(i + 1 + command.body + command.elseBody);
  }
}

std::string Description::contentHash() const {
  uint64_t hash;
  std::memcpy(&hash, artifact.bytes.data() + artifact.bytes.size() - sizeof(hash), sizeof(hash));
  return text("%016" PRIx64, hash);
}

//===- Plain --------------------------------------------------------------===//

void Description::plainLevels(std::string &out) const {
  out += "levels:\n";
  for (const LevelRecord &level : t.levels) {
    std::string missing = lacks(level.machine, t.string(level.features));
    out += text("  %-16s %10s of code, %s", t.string(level.name), printBytes(level.bytes).c_str(),
                missing.empty() ? "this machine has it" : ("this machine lacks " + missing).c_str());
    out += text("; needs %s %s\n", machineName(level.machine).c_str(), t.string(level.features));
  }
}

void Description::plainEntry(std::string &out, const EntryRecord &entry) const {
  out += text("entry %s:\n", t.string(entry.name));
  for (uint32_t i = 0; i < entry.inputs.count; ++i)
    out += "  input  " + tensor(t.tensors[entry.inputs.first + i]) + "\n";
  for (uint32_t i = 0; i < entry.outputs.count; ++i)
    out += "  output " + tensor(t.tensors[entry.outputs.first + i]) + "\n";
  for (uint32_t i = 0; i < entry.states.count; ++i)
    out += "  state  " + tensor(t.tensors[t.states[t.indices[entry.states.first + i]].tensor]) + "\n";
  for (uint32_t i = 0; i < entry.checks.count; ++i) {
    const CheckRecord &check = t.checks[entry.checks.first + i];
    const char *relation = Relation(check.relation) == Relation::equal ? "=" : "<=";
    out += "  checks " + print(t, check.left) + " " + relation + " " + print(t, check.right) + ", for " +
           t.string(check.source) + "\n";
  }
  for (uint32_t i = 0; i < entry.advances.count; i += 2)
    out += text("  then   %s = ", t.string(t.symbols[t.indices[entry.advances.first + i]].name)) +
           print(t, t.indices[entry.advances.first + i + 1]) + "\n";
  out += text("  %u commands, %u arena buffers\n", entry.commands.count, entry.buffers.count);
  uint32_t number = 0;
  forEachCommand(entry, [&](const CommandRecord &each, size_t nesting) {
    out += text("  %4u  %*s", number++, int(2 * nesting), "") + command(entry, each);
    const char *source = t.string(each.source);
    out += *source ? std::string("  from ") + source + "\n" : "\n";
  });
}

std::string Description::plain() const {
  std::string out =
      text("%s: artifact of format %u.%u, %s, content %s\n", artifact.bytes.name().c_str(), artifact.major,
           artifact.minor, printBytes(artifact.bytes.size()).c_str(), contentHash().c_str());
  for (const MetadataRecord &record : t.metadata)
    out += text("  %s: %s\n", t.string(record.key), t.string(record.value));
  plainLevels(out);
  if (!t.symbols.empty())
    out += "dimensions:\n";
  for (const SymbolRecord &symbol : t.symbols)
    out += "  " + bound(symbol) + "\n";
  for (const EntryRecord &entry : t.entries)
    plainEntry(out, entry);
  out += text("%zu kernels; %zu weights, %s%s\n", t.kernels.size(), t.weights.size(),
              printBytes(t.weightDataBytes).c_str(), t.levels.size() > 1 ? ", the same for all levels" : "");
  for (const WeightRecord &weight : t.weights) {
    std::vector<std::string> extents;
    for (uint32_t i = 0; i < weight.shape.count; ++i)
      extents.push_back(std::to_string(t.extents[weight.shape.first + i]));
    out += text("  %s: %s [%s], %s\n", t.string(weight.name), dataTypeName(DataType(weight.dataType)),
                join(extents).c_str(), printBytes(weight.bytes).c_str());
  }
  return out;
}

//===- JSON ---------------------------------------------------------------===//

void Description::jsonLevels(JsonWriter &json) const {
  json.key("levels").openList();
  for (const LevelRecord &level : t.levels) {
    json.openObject().field("name", t.string(level.name)).field("machine", machineName(level.machine));
    json.field("needs", t.string(level.features)).field("lacks", lacks(level.machine, t.string(level.features)));
    json.field("code_bytes", level.bytes).closeObject();
  }
  json.closeList();
}

void Description::jsonTensors(JsonWriter &json, const char *key, Range tensors) const {
  json.key(key).openList();
  for (uint32_t i = 0; i < tensors.count; ++i) {
    const TensorRecord &record = t.tensors[tensors.first + i];
    json.openObject().field("name", t.string(record.name)).field("dtype", dataTypeName(DataType(record.dataType)));
    json.key("dims").openList();
    for (const std::string &dim : dims(record.dims))
      json.value(dim);
    json.closeList().closeObject();
  }
  json.closeList();
}

void Description::jsonEntry(JsonWriter &json, const EntryRecord &entry) const {
  json.openObject().field("name", t.string(entry.name));
  jsonTensors(json, "inputs", entry.inputs);
  jsonTensors(json, "outputs", entry.outputs);
  json.key("states").openList();
  for (uint32_t i = 0; i < entry.states.count; ++i)
    json.value(t.string(t.tensors[t.states[t.indices[entry.states.first + i]].tensor].name));
  json.closeList().key("buffers").openList();
  for (uint32_t i = 0; i < entry.buffers.count; ++i) {
    const BufferRecord &buffer = t.buffers[entry.buffers.first + i];
    json.openObject().field("bytes", print(t, buffer.bytes)).field("first", buffer.firstLive);
    json.field("last", buffer.lastLive).closeObject();
  }
  json.closeList().key("commands").openList();
  forEachCommand(entry, [&](const CommandRecord &each, size_t nesting) {
    json.openObject().field("what", commandKind(each)).field("nesting", nesting);
    json.key("dims").openList();
    for (const std::string &dim : dims(each.dims))
      json.value(dim);
    json.closeList().key("operands").openList();
    for (uint32_t i = 0; i < each.operands.count; ++i)
      json.value(operand(entry, t.operands[each.operands.first + i]));
    json.closeList().field("source", t.string(each.source)).closeObject();
  });
  json.closeList().closeObject();
}

void Description::jsonWeights(JsonWriter &json) const {
  json.field("weight_bytes", t.weightDataBytes).key("weights").openList();
  for (const WeightRecord &weight : t.weights) {
    json.openObject().field("name", t.string(weight.name)).field("dtype", dataTypeName(DataType(weight.dataType)));
    json.key("shape").openList();
    for (uint32_t i = 0; i < weight.shape.count; ++i)
      json.value(t.extents[weight.shape.first + i]);
    json.closeList().field("bytes", weight.bytes).closeObject();
  }
  json.closeList();
}

std::string Description::json() const {
  JsonWriter json;
  json.openObject().field("file", artifact.bytes.name());
  json.field("format", text("%u.%u", artifact.major, artifact.minor)).field("bytes", artifact.bytes.size());
  json.field("content", contentHash()).key("metadata").openObject();
  for (const MetadataRecord &record : t.metadata)
    json.field(t.string(record.key), t.string(record.value));
  json.closeObject();
  jsonLevels(json);
  json.key("dimensions").openList();
  for (const SymbolRecord &symbol : t.symbols) {
    json.openObject().field("name", t.string(symbol.name)).field("min", symbol.min);
    json.field("max", symbol.max).field("divisor", symbol.divisor).closeObject();
  }
  json.closeList().key("entries").openList();
  for (const EntryRecord &entry : t.entries)
    jsonEntry(json, entry);
  json.closeList().key("kernels").openList();
  for (const KernelRecord &kernel : t.kernels)
    json.value(t.string(kernel.name));
  json.closeList();
  jsonWeights(json);
  return json.closeObject().text();
}

//===- The machine --------------------------------------------------------===//

/// "allowed", "refused by the system" or "not in this CPU".
static const char *amxState() {
  return !hostHas("amx-tile") ? "not in this CPU" : requestAmx() ? "allowed" : "refused by the system";
}

/// "9.0".
static std::string printCapability(int capability) { return text("%d.%d", capability / 10, capability % 10); }

static std::string gpusPlain() {
  const cuda::Driver &driver = cuda::driver();
  std::string lines = "GPU:     ";
  if (!driver.table)
    return lines + "no NVIDIA driver (" + driver.problem + ")\n";
  lines += "NVIDIA driver" + (driver.version ? " of " + cuda::versionName(driver.version) : "");
  lines += driver.problem.empty() ? "\n" : "; " + driver.problem + "\n";
  for (const cuda::Gpu &gpu : driver.gpus)
    lines += "         " + gpu.name + ", compute capability " + printCapability(gpu.capability) + ", " +
             printBytes(gpu.bytes) + "\n";
  return lines;
}

static void gpusJson(JsonWriter &json) {
  const cuda::Driver &driver = cuda::driver();
  json.key("nvidia").openObject();
  json.field("driver", driver.version ? cuda::versionName(driver.version) : "").field("problem", driver.problem);
  json.key("gpus").openList();
  for (const cuda::Gpu &gpu : driver.gpus)
    json.openObject().field("name", gpu.name).field("capability", printCapability(gpu.capability))
        .field("bytes", gpu.bytes).closeObject();
  json.closeList().closeObject();
}

static std::string hostPlain() {
  unsigned quota = cgroupCpus();
  return "CPU:     " + machineName(hostMachine()) + "; " + join(hostFeatures()) + "\n" + "AMX:     " + amxState() +
         "\n" + text("threads: %u (CPUs this process may use)\n", hostThreads()) +
         "cgroup:  " + (quota ? text("%u CPUs", quota) : "no CPU limit") + "\n" + gpusPlain() +
         "runtime: " + tenon_version() + text(", artifact format %u.%u\n", majorVersion, minorVersion);
}

static std::string hostJson() {
  JsonWriter json;
  json.openObject().field("machine", machineName(hostMachine())).key("features").openList();
  for (const std::string &feature : hostFeatures())
    json.value(feature);
  json.closeList().field("amx", amxState()).field("threads", hostThreads());
  if (unsigned quota = cgroupCpus())
    json.field("cgroup_cpus", quota);
  gpusJson(json);
  json.field("runtime", tenon_version()).field("format", text("%u.%u", majorVersion, minorVersion));
  return json.closeObject().text();
}

//===- C interface --------------------------------------------------------===//

static tenon_status *give(const std::string &content, char **out) {
  *out = ::strdup(content.c_str());
  return *out ? nullptr : failure(TENON_OUT_OF_MEMORY, "no memory for %zu bytes of text", content.size()).release();
}

static tenon_status *describe(Artifact &artifact, tenon_text_format format, char **out) {
  if (Status failed = artifact.open(0))
    return failed.release();
  Description description(artifact);
  return give(format == TENON_JSON ? description.json() : description.plain(), out);
}

extern "C" {

tenon_status *tenon_inspect_file(const char *path, tenon_text_format format, char **out) {
  if (!path || !out)
    return failure(TENON_INVALID_ARGUMENT, "%s: a null pointer where none may be", __func__).release();
  *out = nullptr;
  Artifact artifact;
  if (Status failed = artifact.bytes.mapFile(path))
    return failed.release();
  return describe(artifact, format, out);
}

tenon_status *tenon_inspect_memory(const void *data, size_t bytes, tenon_text_format format, char **out) {
  if (!data || !out)
    return failure(TENON_INVALID_ARGUMENT, "%s: a null pointer where none may be", __func__).release();
  *out = nullptr;
  Artifact artifact;
  if (Status failed = artifact.bytes.useMemory(data, bytes))
    return failed.release();
  return describe(artifact, format, out);
}

tenon_status *tenon_describe_host(tenon_text_format format, char **out) {
  if (!out)
    return failure(TENON_INVALID_ARGUMENT, "%s: a null pointer where none may be", __func__).release();
  return give(format == TENON_JSON ? hostJson() : hostPlain(), out);
}

tenon_status *tenon_host_lacks(uint32_t machine, const char *features, char **out) {
  if (!features || !out)
    return failure(TENON_INVALID_ARGUMENT, "%s: a null pointer where none may be", __func__).release();
  return give(lacks(machine, features), out);
}

void tenon_text_free(char *content) { std::free(content); }

} // extern "C"
