//===- check.cpp - No table is believed -----------------------------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// Tables are checked in the order of dependence: strings and symbols, then dim
// expressions, then what uses them. Every helper returns false after having
// noted what is wrong, so checks read as conjunctions.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/check.h"
#include "runtime/src/dim.h"
#include "runtime/src/elf_image.h"

#include <algorithm>
#include <cinttypes>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <set>
#include <string_view>

namespace tenon {

using namespace format;

namespace {

/// What a dim expression refers to.
struct DimUse {
  std::vector<uint32_t> symbols;
  uint32_t kernelDims = 0; ///< one more than the largest it names
};

class Checker {
public:
  explicit Checker(const Artifact &artifact) : artifact(artifact), t(artifact.tables) {}

  Status run() {
    bool good = checkSymbols() && checkDims() && checkTensors() && checkWeights() && checkStates() && checkKernels() &&
                checkLevels() && checkEntries() && checkMetadata();
    if (good)
      return nullptr;
    return failure(TENON_BAD_ARTIFACT, "%s: inconsistent: %s", artifact.bytes.name().c_str(), problem.c_str());
  }

private:
  bool wrong(const char *format, ...) __attribute__((format(printf, 2, 3)));

  bool checkString(StringRef ref, const char *table, size_t index);
  bool checkRange(Range range, size_t size, const char *what, const char *table, size_t index);

  bool checkSymbols();
  bool checkDims();
  bool checkDim(uint32_t index);
  bool checkTensors();
  bool checkWeights();
  bool checkWeight(uint32_t index);
  bool checkStates();
  bool checkKernels();
  bool checkLevels();
  bool checkLevel(const LevelRecord &level, uint32_t index);
  bool checkDeviceCode(const LevelRecord &level);
  bool checkMachineCode(const LevelRecord &level);
  bool checkMetadata();

  bool checkEntries();
  bool checkEntry(const EntryRecord &entry, uint32_t index);
  bool checkNames(Range tensors, const char *what);
  bool bindSymbols(const EntryRecord &entry);
  bool checkTensorsOf(const EntryRecord &entry);
  bool checkBuffers(const EntryRecord &entry);
  bool checkCommands(const EntryRecord &entry, uint32_t first, uint32_t end, uint32_t nesting);
  bool checkCommand(const EntryRecord &entry, uint32_t index);
  bool checkBodies(const CommandRecord &command, uint32_t index, uint32_t end, uint32_t nesting);
  bool checkOperand(const EntryRecord &entry, const OperandRecord &operand, bool written, uint32_t command);
  bool checkDimUse(uint32_t dimension, const char *what, size_t index);
  bool checkKernelDim(uint32_t dimension, uint32_t dimCount, const char *what, const char *level, uint32_t kernel);
  bool checkOptionalDim(uint32_t dimension, const char *what, size_t index) {
    return dimension == none || checkDimUse(dimension, what, index);
  }

  const Artifact &artifact;
  const Tables &t;
  std::string problem;
  std::vector<DimUse> uses;
  std::vector<bool> bound; ///< symbols that have a value where the check stands
  std::string entryName;
};

bool Checker::wrong(const char *format, ...) {
  char buffer[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(buffer, sizeof(buffer), format, arguments);
  va_end(arguments);
  problem = buffer;
  return false;
}

//===- Strings and ranges -------------------------------------------------===//

bool Checker::checkString(StringRef ref, const char *table, size_t index) {
#ifndef TENON_PLANTED_BUG // scripts/fuzz planted: a fuzzer must notice that this is missing
  if (ref.offset >= t.stringBytes || ref.length >= t.stringBytes - ref.offset ||
      t.strings[ref.offset + ref.length] != 0 || std::memchr(t.strings + ref.offset, 0, ref.length))
    return wrong("%s %zu: its text lies outside the strings", table, index);
#endif
  return true;
}

bool Checker::checkRange(Range range, size_t size, const char *what, const char *table, size_t index) {
  if (range.first > size || range.count > size - range.first)
    return wrong("%s %zu: its %s are %u from %u on, there are %zu", table, index, what, range.count, range.first, size);
  return true;
}

//===- Symbols and dim expressions ----------------------------------------===//

bool Checker::checkSymbols() {
  for (size_t i = 0; i < t.symbols.size(); ++i) {
    const SymbolRecord &symbol = t.symbols[i];
    if (!checkString(symbol.name, "symbol", i))
      return false;
    if (symbol.min < 0 || symbol.min > symbol.max || symbol.divisor < 1)
      return wrong("symbol %s: no value is in %" PRId64 "..%" PRId64 " in steps of %" PRId64, t.string(symbol.name),
                   symbol.min, symbol.max, symbol.divisor);
    if (symbol.isKept && (symbol.isCounter || symbol.max == INT64_MAX || symbol.min % symbol.divisor != 0))
      return wrong("symbol %s: is kept, and a loop counter, unbounded, or not of its divisor at first",
                   t.string(symbol.name));
  }
  return true;
}

bool Checker::checkDim(uint32_t index) {
  Range ops = t.dimensions[index].ops;
  if (!checkRange(ops, t.dimOps.size(), "steps", "dimension", index))
    return false;
  if (ops.count > maxDimSteps)
    return wrong("dimension %u: has %u steps, the most is %u", index, ops.count, maxDimSteps);
  DimUse &use = uses[index];
  uint32_t depth = 0;
  for (uint32_t i = 0; i < ops.count; ++i) {
    const DimOp &op = t.dimOps[ops.first + i];
    bool isLeaf = op.code >= uint32_t(DimCode::constant) && op.code <= uint32_t(DimCode::kernelDim);
    if (op.code < uint32_t(DimCode::constant) || op.code > uint32_t(DimCode::max))
      return wrong("dimension %u: step %u has the unknown code %u", index, i, op.code);
    if (isLeaf ? depth == maxDimStack : depth < 2)
      return wrong("dimension %u: step %u %s", index, i, isLeaf ? "nests too deeply" : "lacks an operand");
    depth += isLeaf ? 1 : -1;
    if (op.code == uint32_t(DimCode::symbol)) {
      if (uint64_t(op.value) >= t.symbols.size())
        return wrong("dimension %u: names symbol %" PRId64 ", there are %zu", index, op.value, t.symbols.size());
      if (std::find(use.symbols.begin(), use.symbols.end(), op.value) == use.symbols.end())
        use.symbols.push_back(uint32_t(op.value));
    }
    if (op.code == uint32_t(DimCode::kernelDim)) {
      if (uint64_t(op.value) >= maxKernelDims)
        return wrong("dimension %u: names kernel dim %" PRId64, index, op.value);
      use.kernelDims = std::max(use.kernelDims, uint32_t(op.value) + 1);
    }
  }
  return depth == 1 || wrong("dimension %u: leaves %u values, wanted one", index, depth);
}

bool Checker::checkDims() {
  uses.resize(t.dimensions.size());
  for (uint32_t i = 0; i < t.dimensions.size(); ++i)
    if (!checkDim(i))
      return false;
  return true;
}

/// A dimension of the program: it exists and its symbols have values here.
bool Checker::checkDimUse(uint32_t dimension, const char *what, size_t index) {
  const char *entry = entryName.c_str();
  if (dimension >= uses.size())
    return wrong("%s%s %zu: names dimension %u, there are %zu", entry, what, index, dimension, uses.size());
  if (uses[dimension].kernelDims)
    return wrong("%s%s %zu: names kernel dims, which only grid and scratch may", entry, what, index);
  for (uint32_t symbol : uses[dimension].symbols)
    if (!bound[symbol])
      return wrong("%s%s %zu: needs %s, which no input's shape gives", entry, what, index,
                   t.string(t.symbols[symbol].name));
  return true;
}

//===- Tensors, weights, states, kernels, levels --------------------------===//

bool Checker::checkTensors() {
  for (size_t i = 0; i < t.tensors.size(); ++i) {
    const TensorRecord &tensor = t.tensors[i];
    if (!checkString(tensor.name, "tensor", i) || !checkRange(tensor.dims, t.indices.size(), "dims", "tensor", i))
      return false;
    if (elementBytes(DataType(tensor.dataType)) == 0)
      return wrong("tensor %s: unknown data type %u", t.string(tensor.name), tensor.dataType);
    if (tensor.dims.count > maxRank)
      return wrong("tensor %s: rank %u, the most is %u", t.string(tensor.name), tensor.dims.count, maxRank);
  }
  return true;
}

bool Checker::checkWeight(uint32_t index) {
  const WeightRecord &weight = t.weights[index];
  if (!checkString(weight.name, "weight", index) ||
      !checkRange(weight.shape, t.extents.size(), "extents", "weight", index))
    return false;
  const char *name = t.string(weight.name);
  uint64_t bytes = elementBytes(DataType(weight.dataType));
  if (bytes == 0)
    return wrong("weight %s: unknown data type %u", name, weight.dataType);
  if (weight.shape.count > maxRank)
    return wrong("weight %s: rank %u, the most is %u", name, weight.shape.count, maxRank);
  for (uint32_t i = 0; i < weight.shape.count; ++i) {
    int64_t extent = t.extents[weight.shape.first + i];
    if (extent < 0 || __builtin_mul_overflow(bytes, uint64_t(extent), &bytes))
      return wrong("weight %s: impossible extent %" PRId64, name, extent);
  }
  if (bytes != weight.bytes)
    return wrong("weight %s: has %" PRIu64 " bytes, its shape needs %" PRIu64, name, weight.bytes, bytes);
  if (weight.offset % weightAlignment != 0 || weight.offset > t.weightDataBytes ||
      weight.bytes > t.weightDataBytes - weight.offset)
    return wrong("weight %s: lies outside the weight data", name);
  return true;
}

bool Checker::checkWeights() {
  if (t.weightDataOffset % weightAlignment != 0)
    return wrong("the weight data starts at %" PRIu64 ", wanted a multiple of %" PRIu64, t.weightDataOffset,
                 weightAlignment);
  for (uint32_t i = 0; i < t.weights.size(); ++i)
    if (!checkWeight(i))
      return false;
  return true;
}

bool Checker::checkStates() {
  bound.resize(t.symbols.size());
  for (size_t i = 0; i < t.symbols.size(); ++i) // states are sized by the symbols' bounds
    bound[i] = !t.symbols[i].isCounter;
  for (size_t i = 0; i < t.states.size(); ++i) {
    const StateRecord &state = t.states[i];
    if (state.tensor >= t.tensors.size())
      return wrong("state %zu: names tensor %u, there are %zu", i, state.tensor, t.tensors.size());
    if (state.initial != none && state.initial >= t.weights.size())
      return wrong("state %zu: names weight %u, there are %zu", i, state.initial, t.weights.size());
    Range dims = t.tensors[state.tensor].dims;
    for (uint32_t d = 0; d < dims.count; ++d)
      if (!checkDimUse(t.indices[dims.first + d], "state", i))
        return false;
  }
  return true;
}

bool Checker::checkKernels() {
  for (size_t i = 0; i < t.kernels.size(); ++i) {
    const KernelRecord &kernel = t.kernels[i];
    if (!checkString(kernel.name, "kernel", i))
      return false;
    if (kernel.operandCount > maxKernelOperands || kernel.resultCount > kernel.operandCount ||
        kernel.dimCount > maxKernelDims)
      return wrong("kernel %s: %u operands, %u results, %u dims", t.string(kernel.name), kernel.operandCount,
                   kernel.resultCount, kernel.dimCount);
  }
  return true;
}

bool Checker::checkKernelDim(uint32_t dimension, uint32_t dimCount, const char *what, const char *level,
                             uint32_t kernel) {
  const char *name = t.string(t.kernels[kernel].name);
  if (dimension >= uses.size())
    return wrong("level %s, kernel %s: %s names dimension %u, there are %zu", level, name, what, dimension,
                 uses.size());
  if (!uses[dimension].symbols.empty() || uses[dimension].kernelDims > dimCount)
    return wrong("level %s, kernel %s: %s may name d0 up to %u dims only", level, name, what, dimCount);
  return true;
}

/// PTX with one NUL, its last byte, and kernels that can be launched.
bool Checker::checkDeviceCode(const LevelRecord &level) {
  const char *name = t.string(level.name);
  const uint8_t *image = artifact.image(level);
  if (level.bytes < 2 || std::memchr(image, 0, level.bytes) != image + level.bytes - 1)
    return wrong("level %s: its code is refused: wanted PTX with a NUL at its end", name);
  for (uint32_t i = 0; i < level.kernelCode.count; ++i) {
    const KernelCodeRecord &code = t.kernelCode[level.kernelCode.first + i];
    const KernelRecord &kernel = t.kernels[i];
    if (code.blockThreads == 0 || code.blockThreads > maxBlockThreads)
      return wrong("level %s, kernel %s: blocks of %u threads, wanted 1 to %u", name, t.string(kernel.name),
                   code.blockThreads, maxBlockThreads);
    if (deviceParameterBytes(kernel) > maxDeviceParameterBytes)
      return wrong("level %s, kernel %s: %u operands and %u dims are more than one launch takes", name,
                   t.string(kernel.name), kernel.operandCount, kernel.dimCount);
  }
  return true;
}

bool Checker::checkMachineCode(const LevelRecord &level) {
  const char *name = t.string(level.name);
  std::string reason;
  ElfImage image;
  if (!image.read(artifact.image(level), level.bytes, level.machine, reason))
    return wrong("level %s: its code is refused: %s", name, reason.c_str());
  for (uint32_t i = 0; i < level.kernelCode.count; ++i)
    if (uint64_t address = t.kernelCode[level.kernelCode.first + i].address; !image.isCode(address))
      return wrong("level %s, kernel %s: address %" PRIu64 " is not code", name, t.string(t.kernels[i].name), address);
  return true;
}

bool Checker::checkLevel(const LevelRecord &level, uint32_t index) {
  if (!checkString(level.name, "level", index) || !checkString(level.features, "level", index) ||
      !checkRange(level.kernelCode, t.kernelCode.size(), "kernels", "level", index))
    return false;
  const char *name = t.string(level.name);
  if (level.kernelCode.count != t.kernels.size())
    return wrong("level %s: has code for %u kernels, there are %zu", name, level.kernelCode.count, t.kernels.size());
  if (level.offset > artifact.bytes.size() || level.bytes > artifact.bytes.size() - level.offset ||
      level.offset % 8 != 0)
    return wrong("level %s: its code lies outside the file", name);
  if (!(level.machine == machineCuda ? checkDeviceCode(level) : checkMachineCode(level)))
    return false;
  for (uint32_t i = 0; i < level.kernelCode.count; ++i) {
    const KernelCodeRecord &code = t.kernelCode[level.kernelCode.first + i];
    if (!checkKernelDim(code.grid, t.kernels[i].dimCount, "grid", name, i) ||
        !checkKernelDim(code.scratch, t.kernels[i].dimCount, "scratch", name, i))
      return false;
  }
  return true;
}

bool Checker::checkLevels() {
  for (uint32_t i = 0; i < t.levels.size(); ++i)
    if (!checkLevel(t.levels[i], i))
      return false;
  return true;
}

bool Checker::checkMetadata() {
  for (size_t i = 0; i < t.metadata.size(); ++i)
    if (!checkString(t.metadata[i].key, "metadata", i) || !checkString(t.metadata[i].value, "metadata", i))
      return false;
  return true;
}

//===- Entries ------------------------------------------------------------===//

bool Checker::checkNames(Range tensors, const char *what) {
  std::set<std::string_view> names;
  for (uint32_t i = 0; i < tensors.count; ++i) {
    const char *name = t.string(t.tensors[tensors.first + i].name);
    if (!names.insert(name).second)
      return wrong("%stwo %ss are called %s", entryName.c_str(), what, name);
  }
  return true;
}

/// Notes which symbols the inputs' shapes give: bare ones, and those with a
/// single possible value.
bool Checker::bindSymbols(const EntryRecord &entry) {
  for (size_t i = 0; i < t.symbols.size(); ++i)
    bound[i] = t.symbols[i].isKept || (!t.symbols[i].isCounter && t.symbols[i].min == t.symbols[i].max);
  for (uint32_t i = 0; i < entry.inputs.count; ++i) {
    Range dims = t.tensors[entry.inputs.first + i].dims;
    for (uint32_t d = 0; d < dims.count; ++d) {
      uint32_t dimension = t.indices[dims.first + d];
      if (dimension >= uses.size())
        return wrong("%sinput %u: names dimension %u, there are %zu", entryName.c_str(), i, dimension, uses.size());
      uint32_t symbol = uses[dimension].symbols.empty() ? none : asSymbol(t, dimension);
      if (symbol != none && t.symbols[symbol].isCounter)
        return wrong("%sinput %u: its shape has the loop counter %s", entryName.c_str(), i,
                     t.string(t.symbols[symbol].name));
      if (symbol != none)
        bound[symbol] = true;
    }
  }
  return true;
}

bool Checker::checkTensorsOf(const EntryRecord &entry) {
  for (Range tensors : {entry.inputs, entry.outputs})
    for (uint32_t i = 0; i < tensors.count; ++i) {
      Range dims = t.tensors[tensors.first + i].dims;
      for (uint32_t d = 0; d < dims.count; ++d)
        if (!checkDimUse(t.indices[dims.first + d], "tensor", tensors.first + i))
          return false;
    }
  for (uint32_t i = 0; i < entry.states.count; ++i)
    if (t.indices[entry.states.first + i] >= t.states.size())
      return wrong("%suses state %u, there are %zu", entryName.c_str(), t.indices[entry.states.first + i],
                   t.states.size());
  for (uint32_t i = 0; i < entry.checks.count; ++i) {
    const CheckRecord &check = t.checks[entry.checks.first + i];
    if (!checkString(check.source, "check", entry.checks.first + i) || !checkDimUse(check.left, "check", i) ||
        !checkDimUse(check.right, "check", i))
      return false;
    if (check.relation != uint32_t(Relation::equal) && check.relation != uint32_t(Relation::lessEqual))
      return wrong("%scheck %u: unknown relation %u", entryName.c_str(), i, check.relation);
  }
  if (entry.advances.count % 2)
    return wrong("%sits advances are not pairs", entryName.c_str());
  for (uint32_t i = 0; i < entry.advances.count; i += 2) {
    uint32_t symbol = t.indices[entry.advances.first + i];
    if (symbol >= t.symbols.size() || !t.symbols[symbol].isKept)
      return wrong("%sadvance %u: names symbol %u, which no session keeps", entryName.c_str(), i / 2, symbol);
    if (!checkDimUse(t.indices[entry.advances.first + i + 1], "advance", i / 2))
      return false;
  }
  return true;
}

bool Checker::checkBuffers(const EntryRecord &entry) {
  for (uint32_t i = 0; i < entry.buffers.count; ++i) {
    const BufferRecord &buffer = t.buffers[entry.buffers.first + i];
    if (!checkDimUse(buffer.bytes, "buffer", i))
      return false;
    if (buffer.firstLive > buffer.lastLive || buffer.lastLive >= entry.commands.count)
      return wrong("%sbuffer %u: lives in commands %u to %u of %u", entryName.c_str(), i, buffer.firstLive,
                   buffer.lastLive, entry.commands.count);
    if (buffer.aliasOf != none && buffer.aliasOf >= i)
      return wrong("%sbuffer %u: takes over buffer %u, which is not an earlier one", entryName.c_str(), i,
                   buffer.aliasOf);
  }
  return true;
}

bool Checker::checkOperand(const EntryRecord &entry, const OperandRecord &operand, bool written, uint32_t command) {
  const char *name = entryName.c_str();
  size_t count = 0;
  switch (Space(operand.space)) {
  case Space::input:
    count = entry.inputs.count;
    break;
  case Space::output:
    count = entry.outputs.count;
    break;
  case Space::state:
    count = t.states.size();
    break;
  case Space::weight:
    count = t.weights.size();
    break;
  case Space::arena:
    count = entry.buffers.count;
    break;
  default:
    return wrong("%scommand %u: an operand is in the unknown space %u", name, command, operand.space);
  }
  if (operand.index >= count)
    return wrong("%scommand %u: an operand is number %u of %zu in space %u", name, command, operand.index, count,
                 operand.space);
  if (written && (operand.space == uint32_t(Space::input) || operand.space == uint32_t(Space::weight)))
    return wrong("%scommand %u: writes to an input or a weight", name, command);
  if (operand.space == uint32_t(Space::arena)) {
    const BufferRecord &buffer = t.buffers[entry.buffers.first + operand.index];
    if (command < buffer.firstLive || command > buffer.lastLive)
      return wrong("%scommand %u: uses buffer %u, which lives in commands %u to %u", name, command, operand.index,
                   buffer.firstLive, buffer.lastLive);
  }
  return checkOptionalDim(operand.offset, "operand of command", command) &&
         checkOptionalDim(operand.bytes, "operand of command", command);
}

bool Checker::checkCommand(const EntryRecord &entry, uint32_t index) {
  uint32_t place = entry.commands.first + index;
  const CommandRecord &command = t.commands[place];
  const char *name = entryName.c_str();
  if (!checkString(command.source, "command", place) ||
      !checkRange(command.operands, t.operands.size(), "operands", "command", place) ||
      !checkRange(command.dims, t.indices.size(), "dims", "command", place) ||
      !checkOptionalDim(command.expression, "command", index))
    return false;
  CommandKind kind = CommandKind(command.kind);
  uint32_t results = 0;
  if (kind == CommandKind::dispatch) {
    if (command.kernel >= t.kernels.size())
      return wrong("%scommand %u: runs kernel %u, there are %zu", name, index, command.kernel, t.kernels.size());
    const KernelRecord &kernel = t.kernels[command.kernel];
    if (command.operands.count != kernel.operandCount || command.dims.count != kernel.dimCount)
      return wrong("%scommand %u: %u operands and %u dims, kernel %s takes %u and %u", name, index,
                   command.operands.count, command.dims.count, t.string(kernel.name), kernel.operandCount,
                   kernel.dimCount);
    results = kernel.resultCount;
  } else if (kind == CommandKind::copy) {
    if (command.operands.count != 2 || command.expression == none)
      return wrong("%scommand %u: a copy needs from, to and bytes", name, index);
    results = 1;
  } else if (kind == CommandKind::branch) {
    if (command.operands.count != (command.expression == none ? 1u : 0u))
      return wrong("%scommand %u: a branch needs an expression or an operand", name, index);
  } else if (kind == CommandKind::loop) {
    if (command.expression == none || command.operands.count > 1 || command.elseBody != 0)
      return wrong("%scommand %u: a loop needs its number of rounds, one body and at most one operand", name, index);
  } else {
    return wrong("%scommand %u: unknown kind %u", name, index, command.kind);
  }
  for (uint32_t i = 0; i < command.operands.count; ++i)
    if (!checkOperand(entry, t.operands[command.operands.first + i], i + results >= command.operands.count, index))
      return false;
  for (uint32_t i = 0; i < command.dims.count; ++i)
    if (!checkDimUse(t.indices[command.dims.first + i], "command", index))
      return false;
  return true;
}

/// The bodies of a branch or loop; a loop's counter has a value inside it.
bool Checker::checkBodies(const CommandRecord &command, uint32_t index, uint32_t end, uint32_t nesting) {
  bool isLoop = CommandKind(command.kind) == CommandKind::loop;
  if (!isLoop && CommandKind(command.kind) != CommandKind::branch) {
    if (command.body || command.elseBody)
      return wrong("command %u: a body where none can be", index);
    return true;
  }
  return command.body <= end - index - 1 && command.elseBody <= end - index - 1 - command.body
             ? nesting < maxNesting || wrong("command %u: nests deeper than %u", index, maxNesting)
             : wrong("command %u: its bodies reach behind what holds it", index);
}

bool Checker::checkCommands(const EntryRecord &entry, uint32_t first, uint32_t end, uint32_t nesting) {
  for (uint32_t i = first; i < end; ++i) {
    const CommandRecord &command = t.commands[entry.commands.first + i];
    if (!checkCommand(entry, i) || !checkBodies(command, i, end, nesting))
      return false;
    uint32_t counter = CommandKind(command.kind) == CommandKind::loop ? command.counter : none;
    if (counter != none && (counter >= t.symbols.size() || !t.symbols[counter].isCounter || bound[counter]))
      return wrong("%scommand %u: symbol %u cannot be its counter", entryName.c_str(), i, counter);
    if (counter != none)
      bound[counter] = true;
    if (!checkCommands(entry, i + 1, i + 1 + command.body, nesting + 1) ||
        !checkCommands(entry, i + 1 + command.body, i + 1 + command.body + command.elseBody, nesting + 1))
      return false;
    if (counter != none)
      bound[counter] = false;
    i += command.body + command.elseBody;
  }
  return true;
}

bool Checker::checkEntry(const EntryRecord &entry, uint32_t index) {
  if (!checkString(entry.name, "entry", index) ||
      !checkRange(entry.inputs, t.tensors.size(), "inputs", "entry", index) ||
      !checkRange(entry.outputs, t.tensors.size(), "outputs", "entry", index) ||
      !checkRange(entry.states, t.indices.size(), "states", "entry", index) ||
      !checkRange(entry.advances, t.indices.size(), "advances", "entry", index) ||
      !checkRange(entry.checks, t.checks.size(), "checks", "entry", index) ||
      !checkRange(entry.buffers, t.buffers.size(), "buffers", "entry", index) ||
      !checkRange(entry.commands, t.commands.size(), "commands", "entry", index))
    return false;
  entryName = "entry " + std::string(t.string(entry.name)) + ", ";
  return checkNames(entry.inputs, "input") && checkNames(entry.outputs, "output") && bindSymbols(entry) &&
         checkTensorsOf(entry) && checkBuffers(entry) && checkCommands(entry, 0, entry.commands.count, 0);
}

bool Checker::checkEntries() {
  std::set<std::string_view> names;
  for (uint32_t i = 0; i < t.entries.size(); ++i) {
    if (!checkEntry(t.entries[i], i))
      return false;
    if (!names.insert(t.string(t.entries[i].name)).second)
      return wrong("two entries are called %s", t.string(t.entries[i].name));
  }
  entryName.clear();
  return !t.entries.empty() || wrong("it has no entry");
}

} // namespace

Status checkTables(const Artifact &artifact) { return Checker(artifact).run(); }

} // namespace tenon
