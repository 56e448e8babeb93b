// RUN: tenon-opt %s --tenon-place-batch-first | FileCheck %s
// RUN: tenon-interpret %s --check-passes=tenon-place-batch-first

// The head, the innermost index of the result, is one of the batch.
// CHECK-LABEL: func.func @heads_last(
// CHECK: %[[P:.*]] = tenon.contract "b c l h n, b c s h n -> b c h l s" %{{.*}} -> tensor<2x3x2x4x5xf32>
// CHECK: %[[T:.*]] = tenon.map %[[A:.*]] = %[[P]] at %[[B:.*]], %[[C:.*]], %[[L:.*]], %[[S:.*]], %[[H:.*]] : {{.*}} -> tensor<2x3x4x5x2xf32>
// CHECK: tenon.load %[[A]][%[[B]], %[[C]], %[[H]], %[[L]], %[[S]]]
// CHECK: return %[[T]]
func.func @heads_last(%c: tensor<2x3x4x2x8xf32>, %b: tensor<2x3x5x2x8xf32>) -> tensor<2x3x4x5x2xf32> {
  %g = tenon.contract "b c l h n, b c s h n -> b c l s h" %c, %b : (tensor<2x3x4x2x8xf32>, tensor<2x3x5x2x8xf32>) -> tensor<2x3x4x5x2xf32>
  return %g : tensor<2x3x4x5x2xf32>
}

// A dim of one element behind it changes nothing; what the sum is accumulated in stays.
// CHECK-LABEL: func.func @one_behind(
// CHECK: tenon.contract "l h n, s h n e -> h l s e" %{{.*}} accumulate f32 : {{.*}} -> tensor<2x4x5x1xf16>
func.func @one_behind(%c: tensor<4x2x8xf16>, %b: tensor<5x2x8x1xf16>) -> tensor<4x5x2x1xf16> {
  %g = tenon.contract "l h n, s h n e -> l s h e" %c, %b accumulate f32 : (tensor<4x2x8xf16>, tensor<5x2x8x1xf16>) -> tensor<4x5x2x1xf16>
  return %g : tensor<4x5x2x1xf16>
}

// Operands that end in the batch are turned too.
// CHECK-LABEL: func.func @operands_apart(
// CHECK-SAME: %[[A:.*]]: tensor<5x16x4xf32>, %[[B:.*]]: tensor<3x4x16xf32>, %[[C:.*]]: tensor<?x16x4xf32, {{.*}}>, %[[D:.*]]: tensor<8x16x4xf32>)
// CHECK: %[[L:.*]] = tenon.map %[[T:.*]] = %[[A]] at %[[H:.*]], %[[I:.*]], %[[K:.*]] : {{.*}} -> tensor<4x5x16xf32>
// CHECK-NEXT: tenon.load %[[T]][%[[I]], %[[K]], %[[H]]]
// CHECK: tenon.contract "h i k, j h k -> h i j" %[[L]], %[[B]]
// CHECK: %[[L:.*]] = tenon.map %{{.*}} = %[[C]]
// CHECK: %[[R:.*]] = tenon.map %{{.*}} = %[[D]]
// CHECK: tenon.contract "h i k, h j k -> h i j" %[[L]], %[[R]]
func.func @operands_apart(%a: tensor<5x16x4xf32>, %b: tensor<3x4x16xf32>, %c: tensor<?x16x4xf32, #tenon.dims<[S, 16, 4]>>, %d: tensor<8x16x4xf32>)
    -> (tensor<5x3x4xf32>, tensor<?x8x4xf32, #tenon.dims<[S, 8, 4]>>) {
  %r = tenon.contract "i k h, j h k -> i j h" %a, %b : (tensor<5x16x4xf32>, tensor<3x4x16xf32>) -> tensor<5x3x4xf32>
  %s = tenon.contract "i k h, j k h -> i j h" %c, %d : (tensor<?x16x4xf32, #tenon.dims<[S, 16, 4]>>, tensor<8x16x4xf32>) -> tensor<?x8x4xf32, #tenon.dims<[S, 8, 4]>>
  return %r, %s : tensor<5x3x4xf32>, tensor<?x8x4xf32, #tenon.dims<[S, 8, 4]>>
}

// Must not: too few steps of the sum, or columns, for the copies.
// CHECK-LABEL: func.func @small(
// CHECK-NOT: tenon.map
// CHECK: return
func.func @small(%a: tensor<64x15x4xf32>, %b: tensor<64x4x15xf32>, %c: tensor<64x16x4xf32>, %d: tensor<7x16x4xf32>) -> (tensor<64x64x4xf32>, tensor<64x7x4xf32>) {
  %r = tenon.contract "i k h, j h k -> i j h" %a, %b : (tensor<64x15x4xf32>, tensor<64x4x15xf32>) -> tensor<64x64x4xf32>
  %s = tenon.contract "i k h, j k h -> i j h" %c, %d : (tensor<64x16x4xf32>, tensor<7x16x4xf32>) -> tensor<64x7x4xf32>
  return %r, %s : tensor<64x64x4xf32>, tensor<64x7x4xf32>
}

// Must not: rows of one matrix, nothing summed, and one filter a channel.
// CHECK-LABEL: func.func @stays(
// CHECK-NOT: tenon.map
// CHECK: return
func.func @stays(%c: tensor<4x2x8xf32>, %b: tensor<5x2x8xf32>, %o: tensor<4x2xf32>, %p: tensor<5x2xf32>, %x: tensor<3x4x6x2xf32>,
    %w: tensor<6x2xf32>) -> (tensor<2x4x5xf32>, tensor<4x5x2xf32>, tensor<3x4x2xf32>) {
  %r = tenon.contract "l h n, s h n -> h l s" %c, %b : (tensor<4x2x8xf32>, tensor<5x2x8xf32>) -> tensor<2x4x5xf32>
  %s = tenon.contract "l h, s h -> l s h" %o, %p : (tensor<4x2xf32>, tensor<5x2xf32>) -> tensor<4x5x2xf32>
  %t = tenon.contract "b m k g, k g -> b m g" %x, %w : (tensor<3x4x6x2xf32>, tensor<6x2xf32>) -> tensor<3x4x2xf32>
  return %r, %s, %t : tensor<2x4x5xf32>, tensor<4x5x2xf32>, tensor<3x4x2xf32>
}
