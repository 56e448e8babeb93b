// RUN: tenon-opt %s --tenon-narrow-products | FileCheck %s
// RUN: sed 's/"bf16"}/"f8"}/' %s | not tenon-opt --tenon-narrow-products 2>&1 | FileCheck %s --check-prefix=BAD
// RUN: sed 's/tenon.products = "bf16"//' %s | tenon-opt --tenon-narrow-products | FileCheck %s --check-prefix=OFF
// BAD: tenon.products wants "bf16", found "f8"
// OFF-NOT: bf16

module attributes {tenon.products = "bf16"} {
tenon.weight @w : tensor<8x20xf32> = #tenon.random<1, 0.1>
// CHECK: tenon.weight @w.cast : tensor<8x20xbf16> = #tenon.recipe<cast [@w]>

// Both operands are rounded; the sum stays f32.
// CHECK-LABEL: func.func @linear
// CHECK: %[[X:.*]] = tenon.map {{.*}} -> tensor<5x8xbf16>
// CHECK: arith.truncf %{{.*}} : f32 to bf16
// CHECK: %[[W:.*]] = tenon.get @w.cast : tensor<8x20xbf16>
// CHECK: tenon.contract "m k, k n -> m n" %[[X]], %[[W]] : (tensor<5x8xbf16>, tensor<8x20xbf16>) -> tensor<5x20xf32>
func.func @linear(%x: tensor<5x8xf32>) -> tensor<5x20xf32> {
  %w = tenon.get @w : tensor<8x20xf32>
  %y = tenon.contract "m k, k n -> m n" %x, %w : (tensor<5x8xf32>, tensor<8x20xf32>) -> tensor<5x20xf32>
  return %y : tensor<5x20xf32>
}

// A product of activations stays as it is.
// CHECK-LABEL: func.func @activations
// CHECK-NOT: bf16
// CHECK: return
func.func @activations(%x: tensor<5x8xf32>, %y: tensor<8x4xf32>) -> tensor<5x4xf32> {
  %z = tenon.contract "m k, k n -> m n" %x, %y : (tensor<5x8xf32>, tensor<8x4xf32>) -> tensor<5x4xf32>
  return %z : tensor<5x4xf32>
}
}
