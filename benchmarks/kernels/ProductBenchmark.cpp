// Packed matrix products against the multiply-add peak, or where there is one
// row, against the read bandwidth. The weights rotate over 64 MB, so that each
// call finds them in memory as the layers of a model do.
//
// Counters: GFLOPs and peak (GBps and read) are medians; of_peak (of_read) is the
// median over pairs of a kernel run and a ceiling run next to each other; best
// sets the fastest twentieth of both against each other, which is what a machine
// that others use says about an idle one.

#include "benchmarks/kernels/FmaPeak.h"
#include "benchmarks/kernels/MemoryRate.h"
#include "tenon/kernel_abi.h"
#include "tests/compiler/codegen/LoadedImage.h"
#include "tests/passes/lowering/PlainProduct.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>

#include "benchmark/benchmark.h"

using namespace tenon;

namespace {

using Kernel = void(const tenon_kernel_args *, uint32_t, uint32_t);
using Buffer = std::unique_ptr<float[], decltype(&free)>;

Buffer allocate(size_t floats, float value) {
  Buffer buffer(static_cast<float *>(aligned_alloc(64, (floats * sizeof(float) + 63) / 64 * 64)), free);
  std::fill_n(buffer.get(), floats, value);
  return buffer;
}

double quantile(std::vector<double> values, double fraction) {
  std::sort(values.begin(), values.end());
  return values[size_t(fraction * (values.size() - 1))];
}
double median(const std::vector<double> &values) { return quantile(values, 0.5); }

constexpr size_t poolFloats = 64 << 18;
const float *weightPool() {
  static Buffer pool = allocate(poolFloats, 0.01f);
  return pool.get();
}

/// A level's product kernel and peak, compiled once.
class LevelKernels {
public:
  static const LevelKernels &get(const Level &level) {
    static std::map<LevelId, std::unique_ptr<LevelKernels>> known;
    std::unique_ptr<LevelKernels> &kernels = known[level.id];
    if (!kernels)
      kernels.reset(new LevelKernels(level));
    return *kernels;
  }

  /// Null if it did not compile.
  Kernel *product() const { return image.find<Kernel>("product"); }

  /// GFLOP/s of multiply-adds on registers, right now.
  double peak() const {
    constexpr uint32_t tiles = 40000; // about a millisecond
    float vectors[2 * 16] = {};
    void *operands[] = {vectors};
    uint32_t faults = 0;
    tenon_kernel_args args = {operands, nullptr, nullptr, &faults};
    double start = threadSeconds();
    image.find<Kernel>("fma_peak")(&args, 0, tiles);
    return 2.0 * tiles * fmasPerTile(level) * level.lanes() / (threadSeconds() - start) * 1e-9;
  }

private:
  explicit LevelKernels(const Level &level) : level(level), image(compile(level)) {}

  static std::string compile(const Level &level) {
    mlir::DialectRegistry registry;
    registerCodegenDialects(registry);
    mlir::MLIRContext context(registry);
    context.loadAllAvailableDialects();
    auto module = plainProductModule(context, level, ProductBlocking());
    addFmaPeakKernel(*module, level, "fma_peak");
    mlir::FailureOr<CodeImage> code = compileKernels(*module, level);
    return mlir::succeeded(code) ? code->bytes : "";
  }

  const Level &level;
  LoadedImage image;
};

struct Shape {
  int64_t m, k, n;
  double flops() const { return 2.0 * m * k * n; }
  size_t weightFloats() const { return (n + 15) / 16 * 16 * k; }
};

/// One shape's operands, and a call of the kernel on the next weights.
class ProductRun {
public:
  ProductRun(Kernel *kernel, Shape shape)
      : kernel(kernel), shape(shape), a(allocate(shape.m * shape.k, 0.5f)), c(allocate(shape.m * shape.n, 0)),
        scratch(allocate(packedProductScratch(ProductBlocking(), shape.k), 0)),
        copies(poolFloats / shape.weightFloats()) {}

  void once() {
    const float *weights = weightPool() + next++ % copies * shape.weightFloats();
    void *operands[] = {a.get(), const_cast<float *>(weights), c.get()};
    int64_t dims[] = {shape.m, shape.n, shape.k};
    uint32_t faults = 0;
    tenon_kernel_args args = {operands, dims, scratch.get(), &faults};
    kernel(&args, 0, plainProductGrid(ProductBlocking(), shape.m, shape.n));
  }

  /// Seconds of one call, from enough calls to time.
  double seconds() {
    int calls = std::max(1, int(6e7 / shape.flops()));
    double start = threadSeconds();
    for (int call = 0; call < calls; ++call)
      once();
    return (threadSeconds() - start) / calls;
  }

private:
  Kernel *kernel;
  Shape shape;
  Buffer a, c, scratch;
  size_t copies, next = 0;
};

void runProduct(benchmark::State &state, const Level &level, Shape shape) {
  const LevelKernels &kernels = LevelKernels::get(level);
  if (!kernels.product())
    return state.SkipWithError("the kernel does not compile");
  ProductRun run(kernels.product(), shape);
  run.once();
  bool readsOnce = shape.m == 1;
  std::vector<double> rates, ceilings, fractions;
  for (auto _ : state) {
    double seconds = run.seconds();
    double ceiling = readsOnce ? measureRead(weightPool(), poolFloats * sizeof(float), level.vectorBits)
                               : kernels.peak();
    double rate = (readsOnce ? shape.weightFloats() * sizeof(float) : shape.flops()) / seconds * 1e-9;
    rates.push_back(rate);
    ceilings.push_back(ceiling);
    fractions.push_back(rate / ceiling);
    state.SetIterationTime(seconds);
  }
  state.counters[readsOnce ? "GBps" : "GFLOPs"] = median(rates);
  state.counters[readsOnce ? "read" : "peak"] = median(ceilings);
  state.counters[readsOnce ? "of_read" : "of_peak"] = median(fractions);
  state.counters["best"] = quantile(rates, 0.95) / quantile(ceilings, 0.95);
}

void registerProducts() {
  static const Shape shapes[] = {{512, 512, 512}, {128, 384, 1536}, {128, 768, 768}, {128, 768, 3072},
                                 {128, 3072, 768}, {16, 768, 3072}, {17, 768, 3072}, {1, 768, 3072}};
  for (const Level &level : allLevels()) {
    if (level.id > LevelId::X86V4 && level.isa == Isa::X86_64)
      continue; // the same fp32 code as x86-64-v4
    if (!hostRuns(level))
      continue;
    for (const Shape &shape : shapes) {
      std::string name = "product/" + level.name.str() + "/" + std::to_string(shape.m) + "x" +
                         std::to_string(shape.k) + "x" + std::to_string(shape.n);
      benchmark::RegisterBenchmark(name.c_str(), [&level, shape](benchmark::State &state) {
        runProduct(state, level, shape);
      })->UseManualTime()->Iterations(101)->Unit(benchmark::kMicrosecond);
    }
  }
}
[[maybe_unused]] const bool registered = (registerProducts(), true);

} // namespace
