#include "compiler/codegen/nvptx/emulator/EmulatedProgram.h"

#include "llvm/Support/FormatVariadic.h"

using namespace llvm;

namespace tenon::emulator {

Expected<std::unique_ptr<EmulatedProgram>> EmulatedProgram::create(std::unique_ptr<LLVMContext> context,
                                                                   std::unique_ptr<Module> module,
                                                                   std::vector<KernelShape> shapes) {
  auto emulator = Emulator::create(std::move(context), std::move(module));
  if (!emulator)
    return emulator.takeError();
  auto program = std::make_unique<EmulatedProgram>();
  program->emulator = std::move(*emulator);
  for (KernelShape &shape : shapes)
    program->kernels.push_back({std::move(shape), program.get()});
  std::vector<void *> contexts;
  for (Kernel &kernel : program->kernels)
    contexts.push_back(&kernel);
  auto entries = program->emulator->makeEntries(contexts, &enter);
  if (!entries)
    return entries.takeError();
  program->entries = std::move(*entries);
  return std::move(program);
}

//===----------------------------------------------------------------------===//
// A run of some tiles
//===----------------------------------------------------------------------===//

namespace {
/// The parameter of a launch, as DeviceFunction.h lays it out.
class Parameter {
public:
  Parameter(const KernelShape &shape, const tenon_kernel_args &args, const Launch &launch) {
    for (unsigned k = 0; k < shape.operandBytes.size(); ++k)
      words.push_back(deviceAddress(k, launch.memory[k].data));
    words.insert(words.end(), args.dims, args.dims + shape.dims);
    scratch = words.size();
    words.insert(words.end(), {0, 0, 0, launch.blocks});
  }
  void setScratch(uint64_t address, uint64_t bytes) {
    words[scratch] = address;
    words[scratch + 1] = bytes;
  }
  void setFaults(uint64_t address) { words[scratch + 2] = address; }
  const void *data() const { return words.data(); }
  uint64_t bytes() const { return 8 * words.size(); }

private:
  std::vector<uint64_t> words;
  size_t scratch;
};

/// Values of a kernel's dims, for its expressions.
class Dims {
public:
  Dims(const KernelShape &shape, const tenon_kernel_args &args) {
    for (unsigned k = 0; k < shape.dims; ++k)
      values["d" + std::to_string(k)] = args.dims[k];
  }
  /// The runtime has evaluated the same before: that an expression has no value cannot be here.
  uint64_t operator()(const Dim &dim) const { return uint64_t(std::max<int64_t>(dim.evaluate(values).value_or(0), 0)); }

private:
  std::map<std::string, int64_t, std::less<>> values;
};
} // namespace

static Launch launchOf(const KernelShape &shape, const tenon_kernel_args &args, const Dims &dims) {
  Launch launch;
  launch.blocks = unsigned(dims(shape.tiles));
  launch.threads = shape.blockThreads;
  launch.sharedBytes = shape.sharedBytes;
  size_t operands = shape.operandBytes.size();
  for (size_t k = 0; k < operands; ++k)
    launch.memory.push_back({"operand " + std::to_string(k), static_cast<char *>(args.operands[k]),
                             dims(shape.operandBytes[k]), k + shape.results >= operands});
  launch.memory.push_back({"scratch", static_cast<char *>(args.scratch), dims(shape.scratchBytes), true});
  launch.memory.push_back({"the fault word", reinterpret_cast<char *>(args.faults), sizeof *args.faults, true});
  return launch;
}

/// A worker's T threads are `tiles` blocks of one thread here: block t has tile t alone. A tile's scratch is the
/// runtime's for this thread of the CPU; the kernel looks for it at scratch + tile * scratchBytes.
Error EmulatedProgram::run(const KernelShape &shape, const tenon_kernel_args &args, uint32_t firstTile,
                           uint32_t lastTile) {
  Dims dims(shape, args);
  Launch launch = launchOf(shape, args, dims);
  unsigned scratchIndex = unsigned(shape.operandBytes.size());
  uint64_t scratch = deviceAddress(scratchIndex, args.scratch), scratchBytes = launch.memory[scratchIndex].bytes;
  Parameter parameter(shape, args, launch);
  parameter.setFaults(deviceAddress(scratchIndex + 1, args.faults));
  launch.parameter = parameter.data();
  launch.parameterBytes = parameter.bytes();
  if (!scratchBytes) {
    parameter.setScratch(scratch, 0);
    return emulator->run(shape.name, launch, firstTile, lastTile);
  }
  for (uint32_t tile = firstTile; tile < lastTile; ++tile) {
    parameter.setScratch(scratch - tile * scratchBytes, scratchBytes);
    if (Error error = emulator->run(shape.name, launch, tile, tile + 1))
      return error;
  }
  return Error::success();
}

void EmulatedProgram::enter(void *kernel, const tenon_kernel_args *args, uint32_t firstTile, uint32_t lastTile) {
  auto &[shape, program] = *static_cast<Kernel *>(kernel);
  if (program->hasFault)
    return;
  Error error = program->run(shape, *args, firstTile, lastTile);
  if (!error)
    return;
  std::lock_guard lock(program->mutex);
  std::string fault = toString(std::move(error));
  if (!program->hasFault.exchange(true))
    program->firstFault = fault;
}

std::string EmulatedProgram::fault() const {
  std::lock_guard lock(mutex);
  return firstFault;
}

//===----------------------------------------------------------------------===//
// The report
//===----------------------------------------------------------------------===//

static constexpr const char *rowFormat = "{0,-28} {1,8} {2,9} {3,9} {4,10} {5,8} {6,7} {7,9}\n";

static std::string percent(uint64_t part, uint64_t whole) {
  return whole ? formatv("{0:F1} %", 100.0 * double(part) / double(whole)).str() : "-";
}

static std::string ratio(uint64_t found, uint64_t best) {
  return best ? formatv("{0:F2}", double(found) / double(best)).str() : "-";
}

static std::string row(StringRef name, const Twine &threads, const Counters &c) {
  return formatv(rowFormat, name, threads.str(), c.blocks,
                 percent(c.mmaMultiplyAdds, c.mmaMultiplyAdds + c.scalarMultiplyAdds),
                 percent(c.coalescedAccesses, c.globalAccesses), ratio(c.sectors, c.fewestSectors),
                 ratio(c.sharedPasses, c.fewestSharedPasses), c.barriers);
}

std::string EmulatedProgram::report() const {
  std::string text =
      formatv(rowFormat, "kernel", "threads", "blocks", "mma.sync", "coalesced", "sectors", "banks", "barriers");
  Counters all;
  for (const Kernel &kernel : kernels) {
    const KernelShape &shape = kernel.shape;
    Counters counters = emulator->counters(shape.name);
    all += counters;
    if (counters.blocks)
      text += row(shape.name, shape.blockThreads == 1 ? Twine("worker") : Twine(shape.blockThreads), counters);
  }
  return text + row("all", "", all);
}

} // namespace tenon::emulator
