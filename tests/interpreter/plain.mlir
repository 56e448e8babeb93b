// 2^24 + 1 + 1: f32 loses each 1, f64 keeps both. The interpreter rounds after every operation only when told to.
// RUN: tenon-interpret %s --digits 10 | FileCheck %s
// RUN: tenon-interpret %s --digits 10 --plain | FileCheck %s --check-prefix=PLAIN
tenon.weight @x : tensor<3xf32> = dense<[16777216.0, 1.0, 1.0]> : tensor<3xf32>

// CHECK: @sum f32[]: 16777218
// PLAIN: @sum f32[]: 16777216
func.func @sum() -> tensor<f32> {
  %x = tenon.get @x : tensor<3xf32>
  %r = tenon.reduce sum %x over [0] : tensor<3xf32> -> tensor<f32>
  return %r : tensor<f32>
}
// CHECK: @truncated f16[]: 2049
// PLAIN: @truncated f16[]: 2048
func.func @truncated() -> tensor<f16> {
  %r = tenon.map at () : () -> tensor<f16> {
    %v = arith.constant 2049.0 : f32
    %t = arith.truncf %v : f32 to f16
    tenon.yield %t : f16
  }
  return %r : tensor<f16>
}
