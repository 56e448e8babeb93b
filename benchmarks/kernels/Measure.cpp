// The peak kernel is compiled once per level and kept.

#include "benchmarks/kernels/Measure.h"

#include <map>

#include "benchmarks/kernels/FmaPeak.h"
#include "compiler/machine/Rates.h"
#include "compiler/codegen/Codegen.h"
#include "mlir/IR/MLIRContext.h"
#include "tenon/kernel_abi.h"
#include "tests/compiler/codegen/LoadedImage.h"

namespace tenon {

float *memoryPool() {
  static Buffer pool = allocateFloats(poolFloats, 0.01f);
  return pool.get();
}

static std::string compilePeak(const Level &level) {
  mlir::DialectRegistry registry;
  registerCodegenDialects(registry);
  mlir::MLIRContext context(registry);
  context.loadAllAvailableDialects();
  mlir::OwningOpRef<mlir::ModuleOp> module = mlir::ModuleOp::create(mlir::UnknownLoc::get(&context));
  addFmaPeakKernel(*module, level, "fma_peak");
  mlir::FailureOr<CodeImage> code = compileKernels(*module, level);
  return mlir::succeeded(code) ? code->bytes : "";
}

double measurePeak(const Level &level) {
  static std::map<LevelId, std::unique_ptr<LoadedImage>> images;
  std::unique_ptr<LoadedImage> &image = images[level.id];
  if (!image)
    image = std::make_unique<LoadedImage>(compilePeak(level));
  auto *kernel = image->find<void(const tenon_kernel_args *, uint32_t, uint32_t)>("fma_peak");
  constexpr uint32_t tiles = 40000;
  float vectors[2 * 16] = {};
  void *operands[] = {vectors};
  uint32_t faults = 0;
  tenon_kernel_args args = {operands, nullptr, nullptr, &faults};
  double start = threadSeconds();
  kernel(&args, 0, tiles);
  return 2.0 * tiles * fmasPerTile(level) * level.lanes() / (threadSeconds() - start) * 1e-9;
}

std::vector<const Level *> levelsToMeasure() {
  std::vector<const Level *> result;
  for (const Level &level : allLevels())
    if (hostRuns(level) && (level.isa != Isa::X86_64 || level.id <= LevelId::X86V4))
      result.push_back(&level);
  return result;
}

} // namespace tenon
