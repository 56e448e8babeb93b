// Normalisation and softmax of rows, against the read bandwidth. The code is an
// artifact's. The rows rotate over 64 MB ("cold": the kernel should be as fast as
// memory), or stay the same ("warm": what another kernel has just written).

#include "benchmarks/kernels/ArtifactKernel.h"
#include "benchmarks/kernels/Measure.h"
#include "compiler/machine/Rates.h"

using namespace tenon;

namespace {

struct Rows {
  const char *name;
  int64_t rows, length;
  size_t floats() const { return rows * length; }

  std::string program() const {
    std::string n = std::to_string(length), vector = "tensor<" + n + "xf32>";
    std::string type = "tensor<?x" + n + "xf32, #tenon.dims<[M, " + n + "]>>";
    bool isNorm = std::string(name) == "layer_norm";
    std::string text = "tenon.symbol @M in [0, 65536]\n";
    if (isNorm)
      text += "tenon.weight @g : " + vector + " = #tenon.random<1, 1.0>\n"
              "tenon.weight @b : " + vector + " = #tenon.random<2, 1.0>\n";
    text += "func.func @main(%x: " + type + " {tenon.name = \"x\"}) -> (" + type +
            " {tenon.name = \"y\"}) attributes {tenon.entry} {\n";
    if (isNorm)
      text += "  %g = tenon.get @g : " + vector + "\n  %b = tenon.get @b : " + vector + "\n"
              "  %y = tenon.norm layer %x scale %g : " + vector + " shift %b : " + vector +
              " over 1 epsilon 1.0e-5 : " + type + " -> " + type + "\n";
    else
      text += "  %y = tenon.softmax %x over 1 : " + type + "\n";
    return text + "  return %y : " + type + "\n}\n";
  }
};

void runRows(benchmark::State &state, const Level &level, Rows rows, bool cold) {
  auto kernel = ArtifactKernel::compile(level, rows.program(), {rows.rows});
  if (!kernel)
    return state.SkipWithError(llvm::toString(kernel.takeError()).c_str());
  Buffer parameters = allocateFloats(2 * rows.length, 1), result = allocateFloats(rows.floats(), 0);
  size_t copies = cold ? poolFloats / rows.floats() : 1, next = 0;
  bool isNorm = std::string(rows.name) == "layer_norm";
  auto once = [&] {
    float *input = memoryPool() + next++ % copies * rows.floats();
    void *norm[] = {input, parameters.get(), parameters.get() + rows.length, result.get()};
    void *softmax[] = {input, result.get()};
    (*kernel)->run(isNorm ? norm : softmax);
  };
  once();
  Samples samples;
  for (auto _ : state) {
    constexpr int calls = 16;
    if (!cold)
      once(); // what measured the read bandwidth has emptied the caches
    double start = threadSeconds();
    for (int call = 0; call < calls; ++call)
      once();
    double seconds = (threadSeconds() - start) / calls;
    samples.add(rows.floats() * sizeof(float) / seconds * 1e-9,
                measureRead(memoryPool(), poolFloats * sizeof(float), level.vectorBits));
    state.SetIterationTime(seconds);
  }
  samples.report(state, "GBps", "read");
}

void registerRows() {
  static const Rows shapes[] = {{"layer_norm", 128, 384}, {"layer_norm", 128, 768}, {"softmax", 1536, 128},
                                {"softmax", 512, 512}};
  for (const Level *level : levelsToMeasure())
    for (const Rows &rows : shapes)
      for (bool cold : {false, true}) {
        std::string size = std::to_string(rows.rows) + "x" + std::to_string(rows.length);
        std::string name = std::string(rows.name) + "/" + level->name.str() + "/" + size + (cold ? "/cold" : "/warm");
        benchmark::RegisterBenchmark(name.c_str(),
                                     [=](benchmark::State &state) { runRows(state, *level, rows, cold); })
            ->UseManualTime()
            ->Iterations(51)
            ->Unit(benchmark::kMicrosecond);
      }
}
[[maybe_unused]] const bool registered = (registerRows(), true);

} // namespace
