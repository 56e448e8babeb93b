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

// Filters times windows: windows times panels of filters.
tenon.weight @filters : tensor<32x9xf32> = #tenon.random<1, 0.1>
// CHECK: tenon.weight @[[TURNED:.*]] : tensor<9x32xf32> = #tenon.recipe<transpose [@filters]
// CHECK: tenon.weight @[[FILTERS:.*]] : tensor<2x9x16xf32> = #tenon.recipe<panels [@[[TURNED]]]
// CHECK-LABEL: func.func @windows
// CHECK: %[[P:.*]] = tenon.get @[[FILTERS]]
// CHECK: tenon.contract "b m k, k n -> b n m" %{{.*}}, %[[P]] panels 16 : (tensor<2x5x9xf32>, tensor<2x9x16xf32>) -> tensor<2x32x5xf32>
func.func @windows(%x: tensor<2x3x7xf32>) -> tensor<2x32x5xf32> {
  %w = tenon.get @filters : tensor<32x9xf32>
  %c = tenon.map %a = %x at %i, %p, %k, %t : (tensor<2x3x7xf32>) -> tensor<2x5x3x3xf32> {
    %0 = arith.addi %p, %t : index
    %1 = tenon.load %a[%i, %k, %0] : tensor<2x3x7xf32>
    tenon.yield %1 : f32
  }
  %f = tenon.reshape %c : tensor<2x5x3x3xf32> -> tensor<2x5x9xf32>
  %y = tenon.contract "n k, b m k -> b n m" %w, %f : (tensor<32x9xf32>, tensor<2x5x9xf32>) -> tensor<2x32x5xf32>
  return %y : tensor<2x32x5xf32>
}

// 20 filters would be panels of 32: too much padding.
tenon.weight @odd : tensor<20x9xf32> = #tenon.random<1, 0.1>
// CHECK-LABEL: func.func @padding
// CHECK-NOT: panels 16
// CHECK: return
func.func @padding(%x: tensor<2x3x7xf32>) -> tensor<2x20x5xf32> {
  %w = tenon.get @odd : tensor<20x9xf32>
  %c = tenon.map %a = %x at %i, %p, %k, %t : (tensor<2x3x7xf32>) -> tensor<2x5x3x3xf32> {
    %0 = arith.addi %p, %t : index
    %1 = tenon.load %a[%i, %k, %0] : tensor<2x3x7xf32>
    tenon.yield %1 : f32
  }
  %f = tenon.reshape %c : tensor<2x5x3x3xf32> -> tensor<2x5x9xf32>
  %y = tenon.contract "n k, b m k -> b n m" %w, %f : (tensor<20x9xf32>, tensor<2x5x9xf32>) -> tensor<2x20x5xf32>
  return %y : tensor<2x20x5xf32>
}

// Filters for rows that are no windows.
// CHECK-LABEL: func.func @rows
// CHECK-NOT: panels 16
// CHECK: return
func.func @rows(%x: tensor<2x5x9xf32>) -> tensor<2x32x5xf32> {
  %w = tenon.get @filters : tensor<32x9xf32>
  %y = tenon.contract "n k, b m k -> b n m" %w, %x : (tensor<32x9xf32>, tensor<2x5x9xf32>) -> tensor<2x32x5xf32>
  return %y : tensor<2x32x5xf32>
}

// 16 positions fill a vector, and 9 channels are few: lanes stay along positions.
// CHECK-LABEL: func.func @pointwise
// CHECK-NOT: panels 16
// CHECK: return
func.func @pointwise(%x: tensor<2x9x16xf32>) -> tensor<2x32x16xf32> {
  %w = tenon.get @filters : tensor<32x9xf32>
  %c = tenon.map %a = %x at %i, %p, %k : (tensor<2x9x16xf32>) -> tensor<2x16x9xf32> {
    %0 = tenon.load %a[%i, %k, %p] : tensor<2x9x16xf32>
    tenon.yield %0 : f32
  }
  %y = tenon.contract "n k, b m k -> b n m" %w, %c : (tensor<32x9xf32>, tensor<2x16x9xf32>) -> tensor<2x32x16xf32>
  return %y : tensor<2x32x16xf32>
}

// One filter a channel over short rows: taps first, for lanes along channels.
tenon.weight @each : tensor<16x3xf32> = #tenon.random<1, 0.1>
// CHECK: tenon.weight @[[TAPS:.*]] : tensor<3x16xf32> = #tenon.recipe<transpose [@each]
// CHECK-LABEL: func.func @short_rows
// CHECK: %[[W:.*]] = tenon.get @[[TAPS]]
// CHECK: tenon.contract "k g, b g m k -> b g m" %[[W]], %{{.*}} : (tensor<3x16xf32>, tensor<2x16x5x3xf32>) -> tensor<2x16x5xf32>
func.func @short_rows(%x: tensor<2x16x7xf32>) -> tensor<2x16x5xf32> {
  %w = tenon.get @each : tensor<16x3xf32>
  %c = tenon.map %a = %x at %i, %g, %p, %t : (tensor<2x16x7xf32>) -> tensor<2x16x5x3xf32> {
    %0 = arith.addi %p, %t : index
    %1 = tenon.load %a[%i, %g, %0] : tensor<2x16x7xf32>
    tenon.yield %1 : f32
  }
  %y = tenon.contract "g k, b g m k -> b g m" %w, %c : (tensor<16x3xf32>, tensor<2x16x5x3xf32>) -> tensor<2x16x5xf32>
  return %y : tensor<2x16x5xf32>
}

// Longer rows fill lanes along positions.
// CHECK-LABEL: func.func @long_rows
// CHECK: tenon.contract "g k, b g m k -> b g m"
func.func @long_rows(%x: tensor<2x16x20xf32>) -> tensor<2x16x18xf32> {
  %w = tenon.get @each : tensor<16x3xf32>
  %c = tenon.map %a = %x at %i, %g, %p, %t : (tensor<2x16x20xf32>) -> tensor<2x16x18x3xf32> {
    %0 = arith.addi %p, %t : index
    %1 = tenon.load %a[%i, %g, %0] : tensor<2x16x20xf32>
    tenon.yield %1 : f32
  }
  %y = tenon.contract "g k, b g m k -> b g m" %w, %c : (tensor<16x3xf32>, tensor<2x16x18x3xf32>) -> tensor<2x16x18xf32>
  return %y : tensor<2x16x18xf32>
}
