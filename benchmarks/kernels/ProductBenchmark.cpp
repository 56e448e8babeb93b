// Matrix products against the multiply-add peak, or where there is one row, against
// the read bandwidth. The code is an artifact's, compiled in memory from a program of
// one product; the weights rotate over 64 MB, so that each call finds them in memory
// as the layers of a model do.

#include "benchmarks/kernels/ArtifactKernel.h"
#include "benchmarks/kernels/Measure.h"
#include "compiler/machine/Rates.h"

using namespace tenon;

namespace {

struct Product {
  int64_t m, k, n;
  double flops() const { return 2.0 * m * k * n; }
  size_t weightFloats() const { return (n + 15) / 16 * 16 * k; }
  std::string name() const { return std::to_string(m) + "x" + std::to_string(k) + "x" + std::to_string(n); }

  /// y = x w for any number of rows.
  std::string program() const {
    auto rows = [](int64_t columns) {
      std::string c = std::to_string(columns);
      return "tensor<?x" + c + "xf32, #tenon.dims<[M, " + c + "]>>";
    };
    std::string weight = "tensor<" + std::to_string(k) + "x" + std::to_string(n) + "xf32>";
    return "tenon.symbol @M in [0, 4096]\n"
           "tenon.weight @w : " + weight + " = #tenon.random<7, 0.05>\n"
           "func.func @main(%x: " + rows(k) + " {tenon.name = \"x\"}) -> (" + rows(n) +
           " {tenon.name = \"y\"}) attributes {tenon.entry} {\n"
           "  %w = tenon.get @w : " + weight + "\n"
           "  %y = tenon.contract \"m k, k n -> m n\" %x, %w : (" + rows(k) + ", " + weight + ") -> " + rows(n) + "\n"
           "  return %y : " + rows(n) + "\n}\n";
  }
};

/// One product's operands, and a call of its kernel on the next weights.
class ProductRun {
public:
  ProductRun(const ArtifactKernel &kernel, Product product)
      : kernel(kernel), product(product), a(allocateFloats(product.m * product.k, 0.5f)),
        c(allocateFloats(product.m * product.n, 0)), copies(poolFloats / product.weightFloats()) {}

  void once() {
    float *weights = memoryPool() + next++ % copies * product.weightFloats();
    void *operands[] = {a.get(), weights, c.get()};
    kernel.run(operands);
  }

  /// Seconds of one call, from enough calls to time.
  double seconds() {
    int calls = std::max(1, int(6e7 / product.flops()));
    double start = threadSeconds();
    for (int call = 0; call < calls; ++call)
      once();
    return (threadSeconds() - start) / calls;
  }

private:
  const ArtifactKernel &kernel;
  Product product;
  Buffer a, c;
  size_t copies, next = 0;
};

void runProduct(benchmark::State &state, const Level &level, Product product) {
  auto kernel = ArtifactKernel::compile(level, product.program(), {product.m});
  if (!kernel)
    return state.SkipWithError(llvm::toString(kernel.takeError()).c_str());
  ProductRun run(**kernel, product);
  run.once();
  bool readsOnce = product.m == 1;
  Samples samples;
  for (auto _ : state) {
    double seconds = run.seconds();
    if (readsOnce)
      samples.add(product.weightFloats() * sizeof(float) / seconds * 1e-9,
                  measureRead(memoryPool(), poolFloats * sizeof(float), level.vectorBits));
    else
      samples.add(product.flops() / seconds * 1e-9, measureMultiplyAdds(level.vectorBits));
    state.SetIterationTime(seconds);
  }
  samples.report(state, readsOnce ? "GBps" : "GFLOPs", readsOnce ? "read" : "peak");
}

void registerProducts() {
  static const Product products[] = {{512, 512, 512}, {128, 384, 1536}, {128, 768, 768}, {128, 768, 3072},
                                     {128, 3072, 768}, {1024, 384, 1536}, {16, 768, 3072}, {17, 768, 3072},
                                     {8, 768, 3072}, {12, 768, 3072}, {1, 768, 3072}};
  for (const Level *level : levelsToMeasure())
    for (const Product &product : products) {
      std::string name = "product/" + level->name.str() + "/" + product.name();
      benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State &state) { runProduct(state, *level, product); })
          ->UseManualTime()
          ->Iterations(101)
          ->Unit(benchmark::kMicrosecond);
    }
}
[[maybe_unused]] const bool registered = (registerProducts(), true);

} // namespace
