// RUN: tenon-opt %s --tenon-fold-weight-moves --cse | FileCheck %s
// RUN: tenon-interpret %s --check-passes=tenon-fold-weight-moves

tenon.weight @w : tensor<6x3x2x2xf32> = #tenon.random<1, 0.1>
tenon.weight @qkv : tensor<4x12xf32> = #tenon.random<2, 0.1>
// CHECK-DAG: tenon.weight @w.reshape : tensor<6x12xf32> = #tenon.recipe<reshape [@w]>
// CHECK-DAG: tenon.weight @w.reshape.transpose : tensor<12x6xf32> = #tenon.recipe<transpose [@w.reshape] {permutation = array<i64: 1, 0>}>
// CHECK-DAG: tenon.weight @[[S:.*]] : tensor<4x1x4xf32> = #tenon.recipe<slice [@qkv.reshape] {axis = 1 : i64, begin = 2 : i64}>

// The kernel of a convolution as a matrix.
// CHECK-LABEL: func.func @patches
// CHECK: %[[W:.*]] = tenon.get @w.reshape.transpose
// CHECK: tenon.contract "m k, k n -> m n" %arg0, %[[W]]
func.func @patches(%x: tensor<5x12xf32>) -> tensor<5x6xf32> {
  %w = tenon.get @w : tensor<6x3x2x2xf32>
  %r = tenon.reshape %w : tensor<6x3x2x2xf32> -> tensor<6x12xf32>
  %t = tenon.map %a = %r at %k, %n : (tensor<6x12xf32>) -> tensor<12x6xf32> {
    %0 = tenon.load %a[%n, %k] : tensor<6x12xf32>
    tenon.yield %0 : f32
  }
  %y = tenon.contract "m k, k n -> m n" %x, %t : (tensor<5x12xf32>, tensor<12x6xf32>) -> tensor<5x6xf32>
  return %y : tensor<5x6xf32>
}

// CHECK-LABEL: func.func @third
// CHECK-NOT: tenon.map
// CHECK: return
func.func @third() -> tensor<4x4xf32> {
  %w = tenon.get @qkv : tensor<4x12xf32>
  %v = tenon.map %a = %w at %k, %n : (tensor<4x12xf32>) -> tensor<4x4xf32> {
    %c8 = arith.constant 8 : index
    %0 = arith.addi %n, %c8 : index
    %1 = tenon.load %a[%k, %0] : tensor<4x12xf32>
    tenon.yield %1 : f32
  }
  return %v : tensor<4x4xf32>
}

// A broadcast would be stored as many times.
// CHECK-LABEL: func.func @broadcast
// CHECK: tenon.map
func.func @broadcast() -> tensor<7x4x12xf32> {
  %w = tenon.get @qkv : tensor<4x12xf32>
  %v = tenon.map %a = %w at %r, %k, %n : (tensor<4x12xf32>) -> tensor<7x4x12xf32> {
    %0 = tenon.load %a[%k, %n] : tensor<4x12xf32>
    tenon.yield %0 : f32
  }
  return %v : tensor<7x4x12xf32>
}
