// RUN: tenon-opt %s --tenon-fuse-contraction-operands | FileCheck %s
// RUN: tenon-interpret %s --check-passes=tenon-fuse-contraction-operands

// CHECK-LABEL: func.func @transposed_and_scaled
// CHECK-NEXT: %[[Y:.*]] = tenon.contract "b m h k, b h k n -> b h m n" %arg0, %arg1
// CHECK-NEXT: tenon.map %{{.*}} = %[[Y]]
// CHECK-NEXT: arith.constant 5.000000e-01
func.func @transposed_and_scaled(%q: tensor<2x5x3x4xf32>, %k: tensor<2x3x4x5xf32>) -> tensor<2x3x5x5xf32> {
  %t = tenon.map %x = %q at %b, %h, %m, %d : (tensor<2x5x3x4xf32>) -> tensor<2x3x5x4xf32> {
    %c = arith.constant 0.5 : f32
    %0 = tenon.load %x[%b, %m, %h, %d] : tensor<2x5x3x4xf32>
    %1 = arith.mulf %0, %c : f32
    tenon.yield %1 : f32
  }
  %y = tenon.contract "b h m k, b h k n -> b h m n" %t, %k : (tensor<2x3x5x4xf32>, tensor<2x3x4x5xf32>) -> tensor<2x3x5x5xf32>
  return %y : tensor<2x3x5x5xf32>
}

// Heads split from the columns become a word; heads shared by broadcast lose theirs.
// CHECK-LABEL: func.func @split_and_broadcast
// CHECK-NEXT: %[[R:.*]] = tenon.reshape %arg0 : tensor<5x12xf32> -> tensor<5x3x4xf32>
// CHECK-NEXT: tenon.contract "m h k, k n -> h m n" %[[R]], %arg1
func.func @split_and_broadcast(%q: tensor<5x12xf32>, %w: tensor<4x6xf32>) -> tensor<3x5x6xf32> {
  %t = tenon.map %x = %q at %h, %m, %d : (tensor<5x12xf32>) -> tensor<3x5x4xf32> {
    %c4 = arith.constant 4 : index
    %0 = arith.muli %h, %c4 : index
    %1 = arith.addi %0, %d : index
    %2 = tenon.load %x[%m, %1] : tensor<5x12xf32>
    tenon.yield %2 : f32
  }
  %e = tenon.map %x = %w at %h, %d, %n : (tensor<4x6xf32>) -> tensor<3x4x6xf32> {
    %0 = tenon.load %x[%d, %n] : tensor<4x6xf32>
    tenon.yield %0 : f32
  }
  %y = tenon.contract "h m k, h k n -> h m n" %t, %e : (tensor<3x5x4xf32>, tensor<3x4x6xf32>) -> tensor<3x5x6xf32>
  return %y : tensor<3x5x6xf32>
}

// CHECK-LABEL: func.func @transposed_result
// CHECK-NEXT: tenon.contract "m k, k n -> n m"
// CHECK-NEXT: return
func.func @transposed_result(%a: tensor<5x4xf32>, %b: tensor<4x6xf32>) -> tensor<6x5xf32> {
  %y = tenon.contract "m k, k n -> m n" %a, %b : (tensor<5x4xf32>, tensor<4x6xf32>) -> tensor<5x6xf32>
  %t = tenon.map %x = %y at %n, %m : (tensor<5x6xf32>) -> tensor<6x5xf32> {
    %0 = tenon.load %x[%m, %n] : tensor<5x6xf32>
    tenon.yield %0 : f32
  }
  return %t : tensor<6x5xf32>
}

// A slice is no permutation, and a sum is no movement.
// CHECK-LABEL: func.func @stays
// CHECK: tenon.contract "m k, k n -> m n" %{{[0-9]+}}, %{{[0-9]+}}
func.func @stays(%a: tensor<5x8xf32>, %b: tensor<4x6xf32>) -> tensor<5x6xf32> {
  %s = tenon.map %x = %a at %m, %k : (tensor<5x8xf32>) -> tensor<5x4xf32> {
    %c4 = arith.constant 4 : index
    %0 = arith.addi %k, %c4 : index
    %1 = tenon.load %x[%m, %0] : tensor<5x8xf32>
    tenon.yield %1 : f32
  }
  %t = tenon.map %x = %b at %k, %n : (tensor<4x6xf32>) -> tensor<4x6xf32> {
    %0 = tenon.load %x[%k, %n] : tensor<4x6xf32>
    %1 = arith.addf %0, %0 : f32
    tenon.yield %1 : f32
  }
  %y = tenon.contract "m k, k n -> m n" %s, %t : (tensor<5x4xf32>, tensor<4x6xf32>) -> tensor<5x6xf32>
  return %y : tensor<5x6xf32>
}

// Near miss: the first rows of the result are a slice of it.
// CHECK-LABEL: func.func @first_rows
// CHECK: tenon.contract "m k, k n -> m n"
// CHECK: tenon.map
func.func @first_rows(%a: tensor<5x4xf32>, %b: tensor<4x6xf32>) -> tensor<4x6xf32> {
  %y = tenon.contract "m k, k n -> m n" %a, %b : (tensor<5x4xf32>, tensor<4x6xf32>) -> tensor<5x6xf32>
  %t = tenon.map %x = %y at %m, %n : (tensor<5x6xf32>) -> tensor<4x6xf32> = %x[%m, %n]
  return %t : tensor<4x6xf32>
}
