// RUN: tenon-opt %s --tenon-group-products | FileCheck %s
// RUN: tenon-interpret %s --check-passes=tenon-group-products

module {
tenon.symbol @B in [1, 4]
tenon.weight @experts : tensor<3x32x8xf32> = #tenon.random<1, 0.5>
tenon.weight @ragged : tensor<3x24x8xf32> = #tenon.random<2, 0.5>
tenon.weight @many : tensor<9x16x8xf32> = #tenon.random<3, 0.5>

// Matrices [n, k] on the left: their panels, [expert * 2 + panel, k, column], read at what the row picked.
// CHECK: #tenon.recipe<transpose [@experts] {permutation = array<i64: 2, 0, 1>}>
// CHECK: #tenon.recipe<reshape
// CHECK: tenon.weight @[[PANELS:.*panels]] : tensor<6x8x16xf32> = #tenon.recipe<panels
// CHECK-LABEL: func.func @left
// CHECK: %[[X:.*]] = tenon.reshape %{{.*}} -> tensor<?x8xf32
// CHECK: %[[P:.*]] = tenon.get @[[PANELS]]
// CHECK: %[[W:.*]] = tenon.map %{{.*}} = %[[P]], %[[E:.*]] = %{{.*}} at %[[R:.*]], %[[K:.*]], %[[N:.*]] :
// CHECK: tenon.load %[[E]][%[[R]]]
// CHECK: arith.muli
// CHECK: arith.floordivsi %[[N]]
// CHECK: arith.remui %[[N]]
// CHECK: tenon.contract "m k, m k n -> m n" %[[X]], %[[W]]
// CHECK-NOT: tenon.contract
func.func @left(%x: tensor<?x8x1xf32, #tenon.dims<[2 * B, 8, 1]>>, %keys: tensor<?xf32, #tenon.dims<[2 * B]>>) -> tensor<?x32x1xf32, #tenon.dims<[2 * B, 32, 1]>> {
  %w = tenon.get @experts : tensor<3x32x8xf32>
  %e = tenon.map %t = %keys at %r : (tensor<?xf32, #tenon.dims<[2 * B]>>) -> tensor<?xi64, #tenon.dims<[2 * B]>> {
    %zero = arith.constant 0.0 : f32
    %one = arith.constant 2 : i64
    %two = arith.constant 0 : i64
    %0 = tenon.load %t[%r] : tensor<?xf32, #tenon.dims<[2 * B]>>
    %1 = arith.cmpf olt, %0, %zero : f32
    %2 = arith.select %1, %one, %two : i64
    tenon.yield %2 : i64
  }
  %g = tenon.map %t = %w, %p = %e at %r, %n, %k : (tensor<3x32x8xf32>, tensor<?xi64, #tenon.dims<[2 * B]>>) -> tensor<?x32x8xf32, #tenon.dims<[2 * B, 32, 8]>> {
    %0 = tenon.load %p[%r] : tensor<?xi64, #tenon.dims<[2 * B]>>
    %1 = arith.index_cast %0 : i64 to index
    %2 = tenon.load %t[%1, %n, %k] : tensor<3x32x8xf32>
    tenon.yield %2 : f32
  }
  %y = tenon.contract "b m k, b k n -> b m n" %g, %x : (tensor<?x32x8xf32, #tenon.dims<[2 * B, 32, 8]>>, tensor<?x8x1xf32, #tenon.dims<[2 * B, 8, 1]>>) -> tensor<?x32x1xf32, #tenon.dims<[2 * B, 32, 1]>>
  return %y : tensor<?x32x1xf32, #tenon.dims<[2 * B, 32, 1]>>
}

// Two dims pick, a third has rows of its own; the result wants columns before those rows, which a map gives.
// CHECK-LABEL: func.func @turned
// CHECK: tenon.map {{.*}} at %[[R:[^,]*]], %{{[^,]*}}, %{{[^,]*}} : (tensor<6x8x16xf32>, tensor<?x3xi64
// CHECK: arith.divui %[[R]]
// CHECK: %[[Y:.*]] = tenon.contract "m k, m k n -> m n"
// CHECK: %[[Z:.*]] = tenon.reshape %[[Y]]
// CHECK: tenon.map %{{.*}} = %[[Z]]
func.func @turned(%x: tensor<5x?x3x8xf32, #tenon.dims<[5, B, 3, 8]>>, %keys: tensor<?x3xf32, #tenon.dims<[B, 3]>>) -> tensor<?x3x32x5xf32, #tenon.dims<[B, 3, 32, 5]>> {
  %w = tenon.get @experts : tensor<3x32x8xf32>
  %e = tenon.map %t = %keys at %b, %h : (tensor<?x3xf32, #tenon.dims<[B, 3]>>) -> tensor<?x3xi64, #tenon.dims<[B, 3]>> {
    %zero = arith.constant 0.0 : f32
    %one = arith.constant 1 : i64
    %two = arith.constant 2 : i64
    %0 = tenon.load %t[%b, %h] : tensor<?x3xf32, #tenon.dims<[B, 3]>>
    %1 = arith.cmpf olt, %0, %zero : f32
    %2 = arith.select %1, %one, %two : i64
    tenon.yield %2 : i64
  }
  %g = tenon.map %t = %w, %p = %e at %b, %h, %k, %n : (tensor<3x32x8xf32>, tensor<?x3xi64, #tenon.dims<[B, 3]>>) -> tensor<?x3x8x32xf32, #tenon.dims<[B, 3, 8, 32]>> {
    %0 = tenon.load %p[%b, %h] : tensor<?x3xi64, #tenon.dims<[B, 3]>>
    %1 = arith.index_cast %0 : i64 to index
    %2 = tenon.load %t[%1, %n, %k] : tensor<3x32x8xf32>
    tenon.yield %2 : f32
  }
  %y = tenon.contract "m b h k, b h k n -> b h n m" %x, %g : (tensor<5x?x3x8xf32, #tenon.dims<[5, B, 3, 8]>>, tensor<?x3x8x32xf32, #tenon.dims<[B, 3, 8, 32]>>) -> tensor<?x3x32x5xf32, #tenon.dims<[B, 3, 32, 5]>>
  return %y : tensor<?x3x32x5xf32, #tenon.dims<[B, 3, 32, 5]>>
}

// Positions that pick; columns that leave a panel part empty; matrices so small that the walk over rows would count; a matrix that one
// of the columns picks.
// CHECK-LABEL: func.func @others
// CHECK-NOT: "m k, m k n -> m n"
// CHECK: return
func.func @others(%x: tensor<4x8xf32>, %e: tensor<4xi1>, %c: tensor<32xi1>) -> (tensor<4x32xf32>, tensor<4x24xf32>, tensor<4x16xf32>, tensor<4x32xf32>) {
  %w = tenon.get @experts : tensor<3x32x8xf32>
  %v = tenon.get @ragged : tensor<3x24x8xf32>
  %s = tenon.get @many : tensor<9x16x8xf32>
  %a = tenon.map %t = %w at %r, %n, %k : (tensor<3x32x8xf32>) -> tensor<4x32x8xf32> {
    %two = arith.constant 2 : index
    %0 = arith.floordivsi %r, %two : index
    %1 = tenon.load %t[%0, %n, %k] : tensor<3x32x8xf32>
    tenon.yield %1 : f32
  }
  %b = tenon.map %t = %v, %p = %e at %r, %n, %k : (tensor<3x24x8xf32>, tensor<4xi1>) -> tensor<4x24x8xf32> {
    %0 = tenon.load %p[%r] : tensor<4xi1>
    %1 = arith.index_castui %0 : i1 to index
    %2 = tenon.load %t[%1, %n, %k] : tensor<3x24x8xf32>
    tenon.yield %2 : f32
  }
  %d = tenon.map %t = %s, %p = %e at %r, %n, %k : (tensor<9x16x8xf32>, tensor<4xi1>) -> tensor<4x16x8xf32> {
    %0 = tenon.load %p[%r] : tensor<4xi1>
    %1 = arith.index_castui %0 : i1 to index
    %2 = tenon.load %t[%1, %n, %k] : tensor<9x16x8xf32>
    tenon.yield %2 : f32
  }
  %f = tenon.map %t = %w, %p = %c at %r, %n, %k : (tensor<3x32x8xf32>, tensor<32xi1>) -> tensor<4x32x8xf32> {
    %0 = tenon.load %p[%n] : tensor<32xi1>
    %1 = arith.index_castui %0 : i1 to index
    %2 = tenon.load %t[%1, %n, %k] : tensor<3x32x8xf32>
    tenon.yield %2 : f32
  }
  %0 = tenon.contract "r k, r n k -> r n" %x, %a : (tensor<4x8xf32>, tensor<4x32x8xf32>) -> tensor<4x32xf32>
  %1 = tenon.contract "r k, r n k -> r n" %x, %b : (tensor<4x8xf32>, tensor<4x24x8xf32>) -> tensor<4x24xf32>
  %2 = tenon.contract "r k, r n k -> r n" %x, %d : (tensor<4x8xf32>, tensor<4x16x8xf32>) -> tensor<4x16xf32>
  %3 = tenon.contract "r k, r n k -> r n" %x, %f : (tensor<4x8xf32>, tensor<4x32x8xf32>) -> tensor<4x32xf32>
  return %0, %1, %2, %3 : tensor<4x32xf32>, tensor<4x24xf32>, tensor<4x16xf32>, tensor<4x32xf32>
}
}
