// RUN: tenon-opt %s --tenon-sink-interpolations | FileCheck %s
// RUN: tenon-interpret %s --check-passes=tenon-sink-interpolations

!p = tensor<?x4x16xf32, #tenon.dims<[B, 4, 16]>>
!a = tensor<?x4x64xf32, #tenon.dims<[B, 4, 64]>>
!u = tensor<?x16x64xf32, #tenon.dims<[B, 16, 64]>>
!v = tensor<?x2x64xf32, #tenon.dims<[B, 2, 64]>>
!j = tensor<?x16x128xf32, #tenon.dims<[B, 16, 128]>>
!y = tensor<?x16x32xf32, #tenon.dims<[B, 16, 32]>>

module {
tenon.symbol @B in [1, 2]
tenon.weight @project : tensor<16x64xf32> = #tenon.random<1, 0.5>
tenon.weight @bias : tensor<64xf32> = #tenon.random<2, 0.5>
tenon.weight @mix : tensor<128x32xf32> = #tenon.random<3, 0.5>
tenon.weight @square : tensor<64x64xf32> = #tenon.random<4, 0.5>
tenon.weight @down : tensor<64x3xf32> = #tenon.random<5, 0.5>
tenon.weight @up : tensor<3x4xf32> = #tenon.random<6, 0.5>
tenon.weight @words : tensor<200x64xf32> = #tenon.random<7, 0.5>
tenon.weight @wide : tensor<64x512xf32> = #tenon.random<8, 0.5>
tenon.weight @half : tensor<64x64xf16> = #tenon.random<9, 0.5>

// Two tensors joined, one of them a product with a bias that was made four times as long: each is multiplied where it is short.
// CHECK-DAG: tenon.weight @mix.slice : tensor<64x32xf32> = #tenon.recipe<slice [@mix] {axis = 0 : i64, begin = 0 : i64}>
// CHECK-DAG: tenon.weight @project.product : tensor<16x32xf32> = #tenon.recipe<product [@project, @mix.slice]>
// CHECK-DAG: tenon.weight @mix.slice_0 : tensor<64x32xf32> = #tenon.recipe<slice [@mix] {axis = 0 : i64, begin = 64 : i64}>
// CHECK-LABEL: func.func @joined
// CHECK-DAG: %[[W:.*]] = tenon.get @project.product
// CHECK-DAG: %[[V:.*]] = tenon.get @mix.slice_0
// CHECK-DAG: tenon.contract "m0 m1 k, k n -> m0 m1 n" %arg0, %[[W]] : (tensor<?x4x16xf32, {{.*}}>, tensor<16x32xf32>)
// CHECK-DAG: tenon.contract "m0 m1 k, k n -> m0 m1 n" %arg1, %[[V]] : (tensor<?x2x64xf32, {{.*}}>, tensor<64x32xf32>)
// CHECK-NOT: tenon.contract
// CHECK: return
func.func @joined(%x: !p, %s: !v) -> !y {
  %w = tenon.get @project : tensor<16x64xf32>
  %b = tenon.get @bias : tensor<64xf32>
  %p = tenon.contract "b m k, k n -> b m n" %x, %w : (!p, tensor<16x64xf32>) -> !a
  %a = tenon.map %t = %p, %q = %b at %n, %i, %c : (!a, tensor<64xf32>) -> !a = %t[%n, %i, %c] + %q[%c]
  %u = tenon.map %t = %a at %n, %i, %c : (!a) -> !u = %t[%n, %i / 4, %c] * 0.75 + 0.25 * %t[%n, min((%i + 2) / 4, 3), %c]
  %j = tenon.map %t = %u, %q = %s at %n, %i, %c : (!u, !v) -> !j = select(%c < 64, %t[%n, %i, select(%c < 64, %c, 0)], %q[%n, %i / 8, select(%c >= 64, %c - 64, 0)])
  %m = tenon.get @mix : tensor<128x32xf32>
  %r = tenon.contract "b m k, k n -> b m n" %j, %m : (!j, tensor<128x32xf32>) -> !y
  return %r : !y
}

// Rows and channels of zeros around: what no channel changes stays a choice, and channels of zeros bring nothing.
// CHECK-LABEL: func.func @padded
// CHECK: %[[P:.*]] = tenon.contract "m0 k, k n -> m0 n" %arg0
// CHECK: tenon.map %[[T:.*]] = %[[P]] at %[[I:.*]], %[[N:.*]] : (tensor<4x32xf32>) -> tensor<20x32xf32>
// CHECK: tenon.load %[[T]][%{{.*}}, %[[N]]]
// CHECK: arith.select
// CHECK-NEXT: tenon.yield
// CHECK-NOT: tenon.contract
// CHECK: return
func.func @padded(%x: tensor<4x64xf32>) -> tensor<20x32xf32> {
  %j = tenon.map %t = %x at %i, %c : (tensor<4x64xf32>) -> tensor<20x128xf32> = select(%c < 64 and %i < 16, %t[min(%i / 4, 3), select(%c < 64, %c, 0)], 0.0)
  %m = tenon.get @mix : tensor<128x32xf32>
  %r = tenon.contract "m k, k n -> m n" %j, %m : (tensor<20x128xf32>, tensor<128x32xf32>) -> tensor<20x32xf32>
  return %r : tensor<20x32xf32>
}

// Channels in front of pixels, through a reshape: turned for the product, and back.
// CHECK-LABEL: func.func @planes
// CHECK: %[[T:.*]] = tenon.map %{{.*}} = %arg0
// CHECK: %[[P:.*]] = tenon.contract "m0 m1 k, k n -> m0 m1 n" %[[T]], %{{.*}} : (tensor<2x3x64xf32>, tensor<64x64xf32>)
// CHECK: %[[Q:.*]] = tenon.map %{{.*}} = %[[P]]
// CHECK: tenon.map %{{.*}} = %[[Q]]
// CHECK: tenon.reshape
func.func @planes(%x: tensor<2x64x3xf32>) -> tensor<2x12x64xf32> {
  %u = tenon.map %t = %x at %n, %i, %j, %c : (tensor<2x64x3xf32>) -> tensor<2x3x4x64xf32> = %t[%n, %c, %i]
  %rows = tenon.reshape %u : tensor<2x3x4x64xf32> -> tensor<2x12x64xf32>
  %w = tenon.get @square : tensor<64x64xf32>
  %r = tenon.contract "b m k, k n -> b m n" %rows, %w : (tensor<2x12x64xf32>, tensor<64x64xf32>) -> tensor<2x12x64xf32>
  return %r : tensor<2x12x64xf32>
}

// Rows of a table of words: the product with a small one is a weight.
// CHECK-LABEL: func.func @chosen
// CHECK-NOT: tenon.contract
// CHECK: %[[W:.*]] = tenon.get @words.product
// CHECK: tenon.map %{{.*}} = %arg0, %{{.*}} = %[[W]]
// CHECK-NOT: tenon.contract
// CHECK: return
func.func @chosen(%ids: tensor<12xi64>) -> tensor<12x64xf32> {
  %table = tenon.get @words : tensor<200x64xf32>
  %x = tenon.map %t = %table, %d = %ids at %i, %c : (tensor<200x64xf32>, tensor<12xi64>) -> tensor<12x64xf32> = %t[%d[%i], %c]
  %w = tenon.get @square : tensor<64x64xf32>
  %r = tenon.contract "m k, k n -> m n" %x, %w : (tensor<12x64xf32>, tensor<64x64xf32>) -> tensor<12x64xf32>
  return %r : tensor<12x64xf32>
}

// Two products in turn, and the first has another reader: it stays, and the second is no longer behind it.
// CHECK-LABEL: func.func @products
// CHECK: tenon.contract "m k, k n -> m n" %arg0, %{{.*}} : (tensor<5x16xf32>, tensor<16x64xf32>)
// CHECK: tenon.contract "m0 k, k n -> m0 n" %arg0, %{{.*}} : (tensor<5x16xf32>, tensor<16x64xf32>)
func.func @products(%x: tensor<5x16xf32>) -> (tensor<5x64xf32>, tensor<5x64xf32>) {
  %w = tenon.get @project : tensor<16x64xf32>
  %p = tenon.contract "m k, k n -> m n" %x, %w : (tensor<5x16xf32>, tensor<16x64xf32>) -> tensor<5x64xf32>
  %s = tenon.get @square : tensor<64x64xf32>
  %r = tenon.contract "m k, k n -> m n" %p, %s : (tensor<5x64xf32>, tensor<64x64xf32>) -> tensor<5x64xf32>
  return %p, %r : tensor<5x64xf32>, tensor<5x64xf32>
}

// A matrix of low rank is left as two.
// CHECK-LABEL: func.func @narrow
// CHECK: tenon.contract "m k, k n -> m n"
// CHECK: tenon.contract "m k, k n -> m n"
func.func @narrow(%x: tensor<5x64xf32>) -> tensor<5x4xf32> {
  %w = tenon.get @down : tensor<64x3xf32>
  %p = tenon.contract "m k, k n -> m n" %x, %w : (tensor<5x64xf32>, tensor<64x3xf32>) -> tensor<5x3xf32>
  %v = tenon.get @up : tensor<3x4xf32>
  %r = tenon.contract "m k, k n -> m n" %p, %v : (tensor<5x3xf32>, tensor<3x4xf32>) -> tensor<5x4xf32>
  return %r : tensor<5x4xf32>
}

// Rows that are repeated, as those below are, are multiplied once.
// CHECK-LABEL: func.func @repeated
// CHECK: tenon.contract "m0 k, k n -> m0 n" %arg0, %{{.*}} : (tensor<3x64xf32>, tensor<64x64xf32>)
func.func @repeated(%x: tensor<3x64xf32>) -> tensor<12x64xf32> {
  %u = tenon.map %t = %x at %i, %c : (tensor<3x64xf32>) -> tensor<12x64xf32> = %t[%i / 4, %c]
  %w = tenon.get @square : tensor<64x64xf32>
  %r = tenon.contract "m k, k n -> m n" %u, %w : (tensor<12x64xf32>, tensor<64x64xf32>) -> tensor<12x64xf32>
  return %r : tensor<12x64xf32>
}

// An activation between; a factor that channels change; a channel other than its own; a part of the channels; a constant
// that is added; a reader besides the product.
// CHECK-LABEL: func.func @others
// CHECK-COUNT-6: tenon.contract "m k, k n -> m n" %{{.*}}, %{{.*}} : (tensor<12x64xf32>, tensor<64x64xf32>)
// CHECK-NOT: tenon.contract
// CHECK: return
func.func @others(%x: tensor<3x64xf32>, %z: tensor<3x96xf32>) -> (tensor<12x64xf32>, tensor<12x64xf32>, tensor<12x64xf32>, tensor<12x64xf32>, tensor<12x64xf32>, tensor<12x64xf32>, tensor<12x64xf32>) {
  %w = tenon.get @square : tensor<64x64xf32>
  %b = tenon.get @bias : tensor<64xf32>
  %activated = tenon.map %t = %x at %i, %c : (tensor<3x64xf32>) -> tensor<12x64xf32> = tanh(%t[%i / 4, %c])
  %scaled = tenon.map %t = %x, %s = %b at %i, %c : (tensor<3x64xf32>, tensor<64xf32>) -> tensor<12x64xf32> = %t[%i / 4, %c] * %s[%c]
  %turned = tenon.map %t = %x at %i, %c : (tensor<3x64xf32>) -> tensor<12x64xf32> = %t[%i / 4, 63 - %c]
  %part = tenon.map %t = %z at %i, %c : (tensor<3x96xf32>) -> tensor<12x64xf32> = %t[%i / 4, %c]
  %shifted = tenon.map %t = %x at %i, %c : (tensor<3x64xf32>) -> tensor<12x64xf32> = %t[%i / 4, %c] + 1.0
  %shared = tenon.map %t = %x at %i, %c : (tensor<3x64xf32>) -> tensor<12x64xf32> = %t[%i / 4, %c]
  %0 = tenon.contract "m k, k n -> m n" %activated, %w : (tensor<12x64xf32>, tensor<64x64xf32>) -> tensor<12x64xf32>
  %1 = tenon.contract "m k, k n -> m n" %scaled, %w : (tensor<12x64xf32>, tensor<64x64xf32>) -> tensor<12x64xf32>
  %2 = tenon.contract "m k, k n -> m n" %turned, %w : (tensor<12x64xf32>, tensor<64x64xf32>) -> tensor<12x64xf32>
  %3 = tenon.contract "m k, k n -> m n" %part, %w : (tensor<12x64xf32>, tensor<64x64xf32>) -> tensor<12x64xf32>
  %4 = tenon.contract "m k, k n -> m n" %shifted, %w : (tensor<12x64xf32>, tensor<64x64xf32>) -> tensor<12x64xf32>
  %5 = tenon.contract "m k, k n -> m n" %shared, %w : (tensor<12x64xf32>, tensor<64x64xf32>) -> tensor<12x64xf32>
  return %0, %1, %2, %3, %4, %5, %shared : tensor<12x64xf32>, tensor<12x64xf32>, tensor<12x64xf32>, tensor<12x64xf32>, tensor<12x64xf32>, tensor<12x64xf32>, tensor<12x64xf32>
}

// A table that would be larger than 65536 elements; few channels, where to repeat the columns takes as long; weights of float16.
// CHECK-LABEL: func.func @dear
// CHECK: tenon.contract "m k, k n -> m n" %{{.*}} : (tensor<12x64xf32>, tensor<64x512xf32>)
// CHECK: tenon.contract "m k, k n -> m n" %{{.*}} : (tensor<12x3xf32>, tensor<3x4xf32>)
// CHECK: tenon.contract "m k, k n -> m n" %{{.*}} : (tensor<12x64xf16>, tensor<64x64xf16>)
func.func @dear(%ids: tensor<12xi64>, %few: tensor<3x3xf32>, %short: tensor<3x64xf16>) -> (tensor<12x512xf32>, tensor<12x4xf32>, tensor<12x64xf16>) {
  %table = tenon.get @words : tensor<200x64xf32>
  %x = tenon.map %t = %table, %d = %ids at %i, %c : (tensor<200x64xf32>, tensor<12xi64>) -> tensor<12x64xf32> = %t[%d[%i], %c]
  %wide = tenon.get @wide : tensor<64x512xf32>
  %0 = tenon.contract "m k, k n -> m n" %x, %wide : (tensor<12x64xf32>, tensor<64x512xf32>) -> tensor<12x512xf32>
  %u = tenon.map %t = %few at %i, %c : (tensor<3x3xf32>) -> tensor<12x3xf32> = %t[%i / 4, %c]
  %up = tenon.get @up : tensor<3x4xf32>
  %1 = tenon.contract "m k, k n -> m n" %u, %up : (tensor<12x3xf32>, tensor<3x4xf32>) -> tensor<12x4xf32>
  %h = tenon.map %t = %short at %i, %c : (tensor<3x64xf16>) -> tensor<12x64xf16> = %t[%i / 4, %c]
  %half = tenon.get @half : tensor<64x64xf16>
  %2 = tenon.contract "m k, k n -> m n" %h, %half : (tensor<12x64xf16>, tensor<64x64xf16>) -> tensor<12x64xf16>
  return %0, %1, %2 : tensor<12x512xf32>, tensor<12x4xf32>, tensor<12x64xf16>
}
}
