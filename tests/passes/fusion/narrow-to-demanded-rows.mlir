// RUN: tenon-opt %s --tenon-narrow-to-demanded-rows | FileCheck %s
// RUN: tenon-interpret %s --check-passes=tenon-narrow-to-demanded-rows

tenon.weight @w : tensor<4x6xf32> = #tenon.random<1, 0.1>

// Norm, residual and product of the first token; the residual's other reader wants the same row.
// CHECK-LABEL: func.func @first_token
// CHECK: %[[R:.*]] = tenon.map {{.*}} -> tensor<3x1x4xf32>
// CHECK: %[[P:.*]] = tenon.contract {{.*}} -> tensor<3x1x4xf32>
// CHECK: %[[S:.*]] = tenon.map {{.*}} -> tensor<3x1x4xf32>
// CHECK: %[[N:.*]] = tenon.norm layer %[[S]] {{.*}} -> tensor<3x1x4xf32>
// CHECK: %[[C:.*]] = tenon.map {{.*}} -> tensor<3x4xf32>
// CHECK: tenon.contract "m k, k n -> m n" %[[C]]
func.func @first_token(%x: tensor<3x5x4xf32>, %v: tensor<4x4xf32>) -> tensor<3x6xf32> {
  %w = tenon.get @w : tensor<4x6xf32>
  %p = tenon.contract "b s k, k n -> b s n" %x, %v : (tensor<3x5x4xf32>, tensor<4x4xf32>) -> tensor<3x5x4xf32>
  %s = tenon.map %a = %p, %r = %x at %b, %s, %k : (tensor<3x5x4xf32>, tensor<3x5x4xf32>) -> tensor<3x5x4xf32> {
    %0 = tenon.load %a[%b, %s, %k] : tensor<3x5x4xf32>
    %1 = tenon.load %r[%b, %s, %k] : tensor<3x5x4xf32>
    %2 = arith.addf %0, %1 : f32
    tenon.yield %2 : f32
  }
  %n = tenon.norm layer %s over 1 epsilon 1.0e-5 : tensor<3x5x4xf32> -> tensor<3x5x4xf32>
  %c = tenon.map %a = %n at %b, %k : (tensor<3x5x4xf32>) -> tensor<3x4xf32> {
    %c0 = arith.constant 0 : index
    %0 = tenon.load %a[%b, %c0, %k] : tensor<3x5x4xf32>
    tenon.yield %0 : f32
  }
  %y = tenon.contract "m k, k n -> m n" %c, %w : (tensor<3x4xf32>, tensor<4x6xf32>) -> tensor<3x6xf32>
  return %y : tensor<3x6xf32>
}

// Of attention the queries shrink, keys and values do not.
// CHECK-LABEL: func.func @one_query
// CHECK: tenon.contract "h i d, h j d -> h i j" %{{.*}}, %arg1 : (tensor<2x1x4xf32>, tensor<2x5x4xf32>) -> tensor<2x1x5xf32>
// CHECK: tenon.softmax %{{.*}} over 2 : tensor<2x1x5xf32>
// CHECK: tenon.contract {{.*}} -> tensor<2x1x4xf32>
func.func @one_query(%q: tensor<2x5x4xf32>, %k: tensor<2x5x4xf32>, %v: tensor<2x5x4xf32>) -> tensor<2x4xf32> {
  %s = tenon.contract "h i d, h j d -> h i j" %q, %k : (tensor<2x5x4xf32>, tensor<2x5x4xf32>) -> tensor<2x5x5xf32>
  %p = tenon.softmax %s over 2 : tensor<2x5x5xf32>
  %o = tenon.contract "h i j, h j d -> h i d" %p, %v : (tensor<2x5x5xf32>, tensor<2x5x4xf32>) -> tensor<2x5x4xf32>
  %c = tenon.map %a = %o at %h, %d : (tensor<2x5x4xf32>) -> tensor<2x4xf32> {
    %c3 = arith.constant 3 : index
    %0 = tenon.load %a[%h, %c3, %d] : tensor<2x5x4xf32>
    tenon.yield %0 : f32
  }
  return %c : tensor<2x4xf32>
}

// Everything is returned, two rows are read, the normalised dimension is read at one position: nothing shrinks.
// CHECK-LABEL: func.func @stays
// CHECK: tenon.norm layer %{{.*}} -> tensor<3x5x4xf32>
// CHECK: tenon.norm layer %{{.*}} -> tensor<3x5x4xf32>
// CHECK: tenon.norm layer %{{.*}} -> tensor<3x5x4xf32>
func.func @stays(%x: tensor<3x5x4xf32>, %y: tensor<3x5x4xf32>, %z: tensor<3x5x4xf32>) -> (tensor<3x5x4xf32>, tensor<3x4xf32>, tensor<3x4xf32>, tensor<3x5xf32>) {
  %n = tenon.norm layer %x over 1 epsilon 1.0e-5 : tensor<3x5x4xf32> -> tensor<3x5x4xf32>
  %m = tenon.norm layer %y over 1 epsilon 1.0e-5 : tensor<3x5x4xf32> -> tensor<3x5x4xf32>
  %l = tenon.norm layer %z over 1 epsilon 1.0e-5 : tensor<3x5x4xf32> -> tensor<3x5x4xf32>
  %c = tenon.map %a = %n at %b, %k : (tensor<3x5x4xf32>) -> tensor<3x4xf32> {
    %c0 = arith.constant 0 : index
    %0 = tenon.load %a[%b, %c0, %k] : tensor<3x5x4xf32>
    tenon.yield %0 : f32
  }
  %d = tenon.map %a = %m at %b, %k : (tensor<3x5x4xf32>) -> tensor<3x4xf32> {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %0 = tenon.load %a[%b, %c0, %k] : tensor<3x5x4xf32>
    %1 = tenon.load %a[%b, %c1, %k] : tensor<3x5x4xf32>
    %2 = arith.addf %0, %1 : f32
    tenon.yield %2 : f32
  }
  %e = tenon.map %a = %l at %b, %s : (tensor<3x5x4xf32>) -> tensor<3x5xf32> {
    %c0 = arith.constant 0 : index
    %0 = tenon.load %a[%b, %s, %c0] : tensor<3x5x4xf32>
    tenon.yield %0 : f32
  }
  return %n, %c, %d, %e : tensor<3x5x4xf32>, tensor<3x4xf32>, tensor<3x4xf32>, tensor<3x5xf32>
}
