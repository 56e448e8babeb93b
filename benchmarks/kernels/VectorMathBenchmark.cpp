// Throughput of the elementary functions on arrays in the first-level cache.
//
// Each measurement alternates with the machine's fma peak and keeps the best of
// both. `fmas_per_16` is what 16 elements cost in fused multiply-adds of 16
// lanes: cycles where one such fma is issued a cycle (one 512-bit port, or two
// 256-bit ones), twice the cycles where two are.

#include "compiler/machine/Rates.h"
#include "tests/compiler/codegen/LoadedImage.h"
#include "tests/passes/lowering/ElementwiseKernel.h"
#include "tests/passes/lowering/UlpSweep.h"

#include <benchmark/benchmark.h>
#include <chrono>
#include <iostream>

#include "compiler/codegen/Codegen.h"
#include "mlir/IR/MLIRContext.h"

using namespace mlir;
using namespace tenon;

static constexpr unsigned elements = 2048, repeats = 16;

static double seconds(const std::function<void()> &work) {
  auto began = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

static void measureFunction(benchmark::State &state, MathKernel *kernel, const Level &level, unsigned arity) {
  std::vector<float> x(elements), y(elements), out(elements);
  for (unsigned i = 0; i < elements; ++i)
    x[i] = -4 + 8.0f * i / elements, y[i] = 1 + float(i) / elements;
  std::vector<float *> arrays = {x.data(), y.data()};
  arrays.resize(arity);
  arrays.push_back(out.data());
  double best = 1, bestPeak = 1; // seconds, and those of one fma of 16 lanes
  for (auto _ : state) {
    double time = seconds([&] {
      for (unsigned k = 0; k < repeats; ++k)
        runKernel(kernel, arrays, elements);
    });
    bestPeak = std::min(bestPeak, 32e-9 / measureMultiplyAdds(level.vectorBits));
    best = std::min(best, time / (repeats * elements / 16));
    state.SetIterationTime(time);
  }
  state.counters["ns_per_16"] = best * 1e9;
  state.counters["fmas_per_16"] = best / bestPeak;
  state.counters["peak_gflops"] = 32 / bestPeak * 1e-9;
}

static FailureOr<CodeImage> compileAll(const Level &level) {
  DialectRegistry registry;
  registerCodegenDialects(registry);
  MLIRContext context(registry);
  context.loadAllAvailableDialects();
  OwningOpRef<ModuleOp> module = ModuleOp::create(UnknownLoc::get(&context));
  for (const MathFunctionInfo &info : allMathFunctions())
    addElementwiseKernel(*module, info, Float32Type::get(&context), {level.lanes()}, info.name);
  return compileKernels(*module, level);
}

int main(int argc, char **argv) {
  llvm::Expected<Level> level = hostLevel();
  if (!level) {
    std::cerr << llvm::toString(level.takeError()) << "\n";
    return 1;
  }
  FailureOr<CodeImage> image = compileAll(*level);
  if (failed(image))
    return 1;
  LoadedImage loaded(image->bytes);
  for (const MathFunctionInfo &info : allMathFunctions()) {
    auto *kernel = loaded.find<MathKernel>(info.name.data());
    auto run = [=, &level](benchmark::State &state) { measureFunction(state, kernel, *level, info.arity); };
    benchmark::RegisterBenchmark(info.name.data(), run)->UseManualTime()->MinTime(0.1);
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
