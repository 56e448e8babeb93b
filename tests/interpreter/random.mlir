// SplitMix64 with seed 0 begins e220a8397b1dcdaf 6e789e6aa1b965f4: (2 · 0.883309 - 1) / 2, …
// RUN: tenon-interpret %s | FileCheck %s
tenon.weight @r : tensor<2xf32> = #tenon.random<0, 0.5>

// CHECK: @main f32[2]: [0.383311, -0.068472]
func.func @main() -> tensor<2xf32> {
  %r = tenon.get @r : tensor<2xf32>
  return %r : tensor<2xf32>
}
