// Compiles in memory and takes the kernel, its dims and its grid from the
// runtime's own model and plan.

#include "benchmarks/kernels/ArtifactKernel.h"

#include <cstdlib>

#include "compiler/driver/Compiler.h"
#include "runtime/src/plan.h"

namespace tenon {

struct ArtifactKernel::Loaded {
  ~Loaded() {
    if (model)
      tenon_model_release(model);
    free(scratch);
  }

  ArtifactBytes bytes; // outlives the model
  tenon_model *model = nullptr;
  Plan plan;
  tenon_kernel_fn kernel = nullptr;
  void *scratch = nullptr;
};

static llvm::Error toError(const tenon_status &status) { return llvm::createStringError(status.message); }

ArtifactKernel::ArtifactKernel(std::unique_ptr<Loaded> loaded) : loaded(std::move(loaded)) {}
ArtifactKernel::~ArtifactKernel() = default;

static llvm::Expected<ArtifactBytes> compileToMemory(const Level &level, const std::string &program) {
  Compiler compiler({.targets = level.name.str()});
  llvm::Expected<Model> model = compiler.loadBytes(program, ModelFormat::Mlir, "benchmark");
  if (!model)
    return model.takeError();
  llvm::Expected<CompiledModel> compiled = compiler.compile(std::move(*model));
  if (!compiled)
    return compiled.takeError();
  return compiled->toMemory();
}

llvm::Expected<std::unique_ptr<ArtifactKernel>>
ArtifactKernel::compile(const Level &level, const std::string &program, std::vector<int64_t> symbols) {
  auto loaded = std::make_unique<Loaded>();
  llvm::Expected<ArtifactBytes> bytes = compileToMemory(level, program);
  if (!bytes)
    return bytes.takeError();
  loaded->bytes = std::move(*bytes);
  Status failed(tenon_model_load_memory(loaded->bytes.data(), loaded->bytes.size(), nullptr, &loaded->model));
  if (failed)
    return toError(*failed);
  const tenon_entry &entry = *tenon_model_find_entry(loaded->model, "main");
  if (entry.record.commands.count != 1)
    return llvm::createStringError("wanted a program of one command, found " +
                                   std::to_string(entry.record.commands.count));
  if (Status refused = makePlan(entry, std::move(symbols), nullptr, loaded->plan))
    return toError(*refused);
  const format::CommandRecord &command = loaded->model->tables().commands[entry.record.commands.first];
  loaded->kernel = loaded->model->kernels[command.kernel];
  loaded->scratch = std::aligned_alloc(64, loaded->plan.scratchBytes + 64);
  return std::unique_ptr<ArtifactKernel>(new ArtifactKernel(std::move(loaded)));
}

void ArtifactKernel::run(void *const *operands) const {
  const Plan &plan = loaded->plan;
  uint32_t faults = 0;
  tenon_kernel_args arguments = {operands, plan.dims.data() + plan.steps[0].firstDim, loaded->scratch, &faults};
  loaded->kernel(&arguments, 0, plan.steps[0].grid);
}

} // namespace tenon
