// Attention against the multiply-add peak: 12 heads of 64, queries, keys and values slices of
// one merged product as a model has them. The code is an artifact's.
//
// FLOPs are those of the two products over *live* pairs of query and key, 4 d a pair: a
// mask whose dead tiles were computed would lower the share, not raise it.

#include "benchmarks/kernels/ArtifactKernel.h"
#include "benchmarks/kernels/Measure.h"
#include "compiler/machine/Rates.h"

#include <random>

using namespace tenon;

namespace {

constexpr int64_t heads = 12, depth = 64;

/// Regions beside the product of a query and a key; `live` counts the keys of query i of n.
struct Variant {
  const char *name;
  const char *regions;
  int64_t (*live)(int64_t i, int64_t n);
  bool hasTable = false; ///< [heads, 2 n - 1], by distance
};

int64_t allKeys(int64_t, int64_t n) { return n; }
int64_t pastKeys(int64_t i, int64_t) { return i + 1; }
int64_t nearKeys(int64_t i, int64_t) { return std::min<int64_t>(i + 1, 256); }

constexpr Variant variants[] = {
    {"plain", "score (%x, %b, %h, %i, %j) = %x * 0.125", allKeys},
    {"tanh_cap", "score (%x, %b, %h, %i, %j) = tanh(%x * 0.00625) * 20", allKeys},
    {"causal", "score (%x, %b, %h, %i, %j) = %x * 0.125 keep (%b, %h, %i, %j) = %j <= %i", pastKeys},
    {"window_256",
     "score (%x, %b, %h, %i, %j) = %x * 0.125 keep (%b, %h, %i, %j) = %j <= %i and %i - %j < 256", nearKeys},
    // What ALiBi and T5's bias are once their terms of j - i are a table.
    {"distance_bias", R"(score (%x, %b, %h, %i, %j, %w) {
       %c = arith.constant 0.125 : f32
       %y = arith.mulf %x, %c : f32
       %distance = arith.subi %j, %i : index
       %last = tenon.size #tenon.dim<N - 1>
       %at = arith.addi %distance, %last : index
       %bias = tenon.load %w[%h, %at] : tensor<12x?xf32, #tenon.dims<[12, 2 * N - 1]>>
       %z = arith.addf %y, %bias : f32
       tenon.yield %z : f32
     })", allKeys, true}};

std::string programOf(const Variant &variant) {
  std::string in = "tensor<?x?x3x12x64xf32, #tenon.dims<[B, N, 3, 12, 64]>>";
  std::string out = "tensor<?x?x12x64xf32, #tenon.dims<[B, N, 12, 64]>>";
  std::string table = "tensor<12x?xf32, #tenon.dims<[12, 2 * N - 1]>>";
  return "tenon.symbol @B in [1, 64]\ntenon.symbol @N in [1, 65536]\n"
         "func.func @main(%q: " + in + " {tenon.name = \"q\"}" +
         (variant.hasTable ? ", %t: " + table + " {tenon.name = \"t\"}" : "") + ") -> (" + out +
         " {tenon.name = \"y\"}) attributes {tenon.entry} {\n"
         "%o = tenon.attention %q, (%q), (%q)" + (variant.hasTable ? " captures (%t)" : "") +
         " normalise softmax empty zero layout [\"b n 0 h d\", \"b n 1 h d\", \"b n 2 h d\", \"b n h d\"]"
         " algorithm flash : (" + in + ", " + in + ", " + in + (variant.hasTable ? ", " + table : "") + ") -> " + out +
         "\n" + variant.regions + "\nreturn %o : " + out + "\n}\n";
}

Buffer randomFloats(size_t count) {
  Buffer buffer = allocateFloats(count, 0);
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::generate_n(buffer.get(), count, [&] { return normal(random); });
  return buffer;
}

void runAttention(benchmark::State &state, const Level &level, const Variant &variant, int64_t n) {
  auto kernel = ArtifactKernel::compile(level, programOf(variant), {1, n});
  if (!kernel)
    return state.SkipWithError(llvm::toString(kernel.takeError()).c_str());
  Buffer merged = randomFloats(n * 3 * heads * depth), table = randomFloats(heads * (2 * n - 1)),
         result = allocateFloats(n * heads * depth, 0);
  void *plain[] = {merged.get(), result.get()}, *biased[] = {merged.get(), table.get(), result.get()};
  auto once = [&] { (*kernel)->run(variant.hasTable ? biased : plain); };
  once();
  double pairs = 0;
  for (int64_t i = 0; i < n; ++i)
    pairs += variant.live(i, n);
  double flops = 4.0 * depth * heads * pairs;
  Samples samples;
  for (auto _ : state) {
    int calls = std::max(1, int(2e8 / flops));
    double start = threadSeconds();
    for (int call = 0; call < calls; ++call)
      once();
    double seconds = (threadSeconds() - start) / calls;
    samples.add(flops / seconds * 1e-9, measureMultiplyAdds(level.vectorBits));
    state.SetIterationTime(seconds);
  }
  samples.report(state, "GFLOPs", "peak");
}

void registerAttention() {
  for (const Level *level : levelsToMeasure())
    for (const Variant &variant : variants)
      for (int64_t n : {128, 512, 2048}) {
        std::string name = "attention/" + level->name.str() + "/" + variant.name + "/" + std::to_string(n);
        benchmark::RegisterBenchmark(
            name.c_str(), [=, &variant](benchmark::State &state) { runAttention(state, *level, variant, n); })
            ->UseManualTime()
            ->Iterations(n > 1000 ? 11 : 51)
            ->Unit(benchmark::kMillisecond);
      }
}
[[maybe_unused]] const bool registered = (registerAttention(), true);

} // namespace
