// RUN: tenon-opt %s --tenon-pack-weights | FileCheck %s
// RUN: tenon-opt %s --tenon-pack-weights=width=8 | FileCheck %s --check-prefix=EIGHT
// RUN: tenon-interpret %s --check-passes=tenon-pack-weights

tenon.weight @w : tensor<8x20xf32> = #tenon.random<1, 0.1>
tenon.weight @half : tensor<8x20xf16> = #tenon.random<1, 0.1>
// CHECK: tenon.weight @w.panels : tensor<2x8x16xf32> = #tenon.recipe<panels [@w] {width = 16 : i64}>
// EIGHT: tenon.weight @w.panels : tensor<3x8x8xf32>

// Two readers share one packed weight.
// CHECK-LABEL: func.func @twice
// CHECK: tenon.get @w.panels
// CHECK: tenon.contract "m k, k n -> m n" %arg0, %{{.*}} panels 16 :
// CHECK: tenon.contract "r c, c o -> r o" %arg1, %{{.*}} panels 16 :
func.func @twice(%x: tensor<5x8xf32>, %z: tensor<3x8xf32>) -> (tensor<5x20xf32>, tensor<3x20xf32>) {
  %w = tenon.get @w : tensor<8x20xf32>
  %a = tenon.contract "m k, k n -> m n" %x, %w : (tensor<5x8xf32>, tensor<8x20xf32>) -> tensor<5x20xf32>
  %b = tenon.contract "r c, c o -> r o" %z, %w : (tensor<3x8xf32>, tensor<8x20xf32>) -> tensor<3x20xf32>
  return %a, %b : tensor<5x20xf32>, tensor<3x20xf32>
}

// bf16 stands in pairs along k, zeros making up tiles of 16 pairs.
tenon.weight @narrow : tensor<7x20xbf16> = #tenon.random<1, 0.1>
// CHECK-LABEL: func.func @pairs
// CHECK: tenon.contract "m k, k n -> m n" %arg0, %{{.*}} panels 16 : (tensor<5x7xbf16>, tensor<2x16x32xbf16>) -> tensor<5x20xf32>
func.func @pairs(%x: tensor<5x7xbf16>) -> tensor<5x20xf32> {
  %w = tenon.get @narrow : tensor<7x20xbf16>
  %y = tenon.contract "m k, k n -> m n" %x, %w : (tensor<5x7xbf16>, tensor<7x20xbf16>) -> tensor<5x20xf32>
  return %y : tensor<5x20xf32>
}

// Products of activations, other element types, other orders.
// CHECK-LABEL: func.func @stays
// CHECK-NOT: panels 16
// CHECK: return
func.func @stays(%x: tensor<5x8xf32>, %y: tensor<8x4xf32>, %h: tensor<5x8xf16>) -> (tensor<5x4xf32>, tensor<5x20xf16>, tensor<20x5xf32>) {
  %w = tenon.get @w : tensor<8x20xf32>
  %half = tenon.get @half : tensor<8x20xf16>
  %a = tenon.contract "m k, k n -> m n" %x, %y : (tensor<5x8xf32>, tensor<8x4xf32>) -> tensor<5x4xf32>
  %b = tenon.contract "m k, k n -> m n" %h, %half : (tensor<5x8xf16>, tensor<8x20xf16>) -> tensor<5x20xf16>
  %c = tenon.contract "m k, k n -> n m" %x, %w : (tensor<5x8xf32>, tensor<8x20xf32>) -> tensor<20x5xf32>
  return %a, %b, %c : tensor<5x4xf32>, tensor<5x20xf16>, tensor<20x5xf32>
}
