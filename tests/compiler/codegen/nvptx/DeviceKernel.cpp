// From the text of a kernel to code for a GPU, and its run in the emulator.

#include "DeviceKernel.h"

#include "compiler/codegen/Codegen.h"
#include "compiler/codegen/nvptx/LowerKernelsForDevice.h"
#include "compiler/pipeline/Pipeline.h"
#include "dialects/tenon/Tenon.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"

#include <cstring>

using namespace mlir;

namespace tenon {

namespace {
struct alignas(128) Line {
  char bytes[128];
};
} // namespace

DeviceKernel::DeviceKernel(const std::string &text, const std::string &level) { error = compile(text, level); }

std::string DeviceKernel::compile(const std::string &text, const std::string &levelName) {
  DialectRegistry registry;
  registry.insert<TenonDialect>();
  registerCodegenDialects(registry);
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  context.loadAllAvailableDialects();
  std::string errors;
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) { errors += diagnostic.str() + "\n"; });
  OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(text, &context);
  if (!module)
    return errors;
  const Level &level = *findLevel(levelName);
  (*module)->setAttr("tenon.target", TargetAttr::get(&context, level.name, level.vectorBits, level.vectorRegisters,
                                                     level.tileRows, level.l1Bytes, level.l2Bytes));
  PassManager passes(&context);
  addLoweringPasses(passes, createLowerKernelsForDevice());
  if (failed(passes.run(*module)))
    return errors;
  auto function = module->lookupSymbol<func::FuncOp>("k");
  tiles = function->getAttrOfType<DimAttr>("tenon.tiles").getValue();
  threads = unsigned(function->getAttrOfType<IntegerAttr>("tenon.block_threads").getInt());
  sharedBytes = unsigned(function->getAttrOfType<IntegerAttr>("tenon.shared_bytes").getInt());
  formText = function->getAttrOfType<StringAttr>("tenon.form").getValue().str();
  FailureOr<TranslatedKernels> kernels = translateKernels(*module, level);
  if (failed(kernels))
    return errors;
  auto made = emulator::Emulator::create(std::move(kernels->context), std::move(kernels->module));
  if (!made)
    return llvm::toString(made.takeError());
  emulator = std::move(*made);
  return "";
}

std::string DeviceKernel::run(const std::vector<Buffer> &buffers, const std::vector<int64_t> &dims) {
  if (!error.empty() || threads == 1)
    return error.empty() ? formText : error;
  emulator::Launch launch;
  std::vector<uint64_t> parameter;
  auto add = [&](const std::string &name, void *data, uint64_t bytes, bool isWritable) {
    parameter.push_back(emulator::deviceAddress(unsigned(launch.memory.size()), data));
    launch.memory.push_back({name, static_cast<char *>(data), bytes, isWritable});
  };
  // Device memory starts on a cache line.
  std::vector<std::vector<Line>> memory;
  for (const Buffer &buffer : buffers) {
    memory.emplace_back(buffer.bytes / sizeof(Line) + 1);
    std::memcpy(memory.back().data(), buffer.data, buffer.bytes);
    add("operand " + std::to_string(memory.size() - 1), memory.back().data(), buffer.bytes, buffer.isResult);
  }
  for (int64_t dim : dims)
    parameter.push_back(uint64_t(dim));
  parameter.insert(parameter.end(), {0, 0}); // scratch
  uint32_t faults = 0;
  add("faults", &faults, sizeof(faults), true);
  launch.blocks = unsigned(*tiles.evaluate([&](std::string_view name) -> std::optional<int64_t> {
    return dims[size_t(std::stoi(std::string(name.substr(1))))];
  }));
  parameter.push_back(launch.blocks);
  launch.threads = threads;
  launch.sharedBytes = sharedBytes;
  launch.parameter = parameter.data();
  launch.parameterBytes = 8 * parameter.size();
  if (llvm::Error failure = emulator->run("k", launch))
    return llvm::toString(std::move(failure));
  for (auto [buffer, lines] : llvm::zip_equal(buffers, memory))
    if (buffer.isResult)
      std::memcpy(buffer.data, lines.data(), buffer.bytes);
  return faults ? "faults: " + std::to_string(faults) : "";
}

double DeviceKernel::tensorShare() const {
  emulator::Counters all = counters();
  return double(all.mmaMultiplyAdds) / double(all.mmaMultiplyAdds + all.scalarMultiplyAdds);
}

double DeviceKernel::coalescedShare() const {
  emulator::Counters all = counters();
  return double(all.coalescedAccesses) / double(all.globalAccesses);
}

double DeviceKernel::bankPasses() const {
  emulator::Counters all = counters();
  return double(all.sharedPasses) / double(all.fewestSharedPasses);
}

} // namespace tenon
