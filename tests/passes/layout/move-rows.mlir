// RUN: tenon-opt %s --tenon-move-rows --canonicalize | FileCheck %s
// RUN: tenon-interpret %s --check-passes=tenon-move-rows

tenon.symbol @B in [1, 4]
tenon.weight @w : tensor<6x5xf32> = dense<0.5> : tensor<6x5xf32>
tenon.weight @filters : tensor<9x4xf32> = dense<0.25> : tensor<9x4xf32>

// Rows moved behind a product are moved before it; the bias is added behind.
// CHECK-LABEL: func.func @behind
// CHECK: %[[MOVED:.*]] = tenon.map {{.*}} = %arg0 at %[[M:.*]], %[[K:.*]] : {{.*}} -> tensor<?x6xf32, #tenon.dims<[7 * B, 6]>>
// CHECK: tenon.load %{{.*}}[%{{.*}}, %[[K]]]
// CHECK: %[[P:.*]] = tenon.contract "m k, k n -> m n" %[[MOVED]], %{{.*}}
// CHECK: %[[Y:.*]] = tenon.reshape %[[P]] : {{.*}} -> tensor<?x7x5xf32, #tenon.dims<[B, 7, 5]>>
// CHECK: tenon.map {{.*}} at %[[I:.*]], %[[S:.*]], %[[N:.*]] :
// CHECK: tenon.load %{{.*}}[%[[I]], %[[S]], %[[N]]]
// CHECK-NOT: tenon.map
func.func @behind(%x: tensor<?x6xf32, #tenon.dims<[B * 7, 6]>>, %bias: tensor<5xf32>, %residual: tensor<?x7x5xf32, #tenon.dims<[B, 7, 5]>>) -> tensor<?x7x5xf32, #tenon.dims<[B, 7, 5]>> {
  %w = tenon.get @w : tensor<6x5xf32>
  %p = tenon.contract "m k, k n -> m n" %x, %w : (tensor<?x6xf32, #tenon.dims<[B * 7, 6]>>, tensor<6x5xf32>) -> tensor<?x5xf32, #tenon.dims<[B * 7, 5]>>
  %r = tenon.reshape %p : tensor<?x5xf32, #tenon.dims<[B * 7, 5]>> -> tensor<?x7x5xf32, #tenon.dims<[B, 7, 5]>>
  %b = tenon.map %a = %r, %c = %bias at %i, %s, %n : (tensor<?x7x5xf32, #tenon.dims<[B, 7, 5]>>, tensor<5xf32>) -> tensor<?x7x5xf32, #tenon.dims<[B, 7, 5]>> {
    %0 = tenon.load %a[%i, %s, %n] : tensor<?x7x5xf32, #tenon.dims<[B, 7, 5]>>
    %1 = tenon.load %c[%n] : tensor<5xf32>
    %2 = arith.addf %0, %1 : f32
    tenon.yield %2 : f32
  }
  %y = tenon.map %a = %b, %c = %residual at %i, %s, %n : (tensor<?x7x5xf32, #tenon.dims<[B, 7, 5]>>, tensor<?x7x5xf32, #tenon.dims<[B, 7, 5]>>) -> tensor<?x7x5xf32, #tenon.dims<[B, 7, 5]>> {
    %c3 = arith.constant 3 : index
    %c7 = arith.constant 7 : index
    %0 = arith.addi %s, %c3 : index
    %1 = arith.remui %0, %c7 : index
    %2 = tenon.load %a[%i, %1, %n] : tensor<?x7x5xf32, #tenon.dims<[B, 7, 5]>>
    %3 = tenon.load %c[%i, %s, %n] : tensor<?x7x5xf32, #tenon.dims<[B, 7, 5]>>
    %4 = arith.addf %2, %3 : f32
    tenon.yield %4 : f32
  }
  return %y : tensor<?x7x5xf32, #tenon.dims<[B, 7, 5]>>
}

// A chain of moves and reshapes before a product is one map over its rows.
// CHECK-LABEL: func.func @before
// CHECK: %[[ROWS:.*]] = tenon.map {{.*}} = %arg0 at %{{.*}}, %[[K:.*]] : {{.*}} -> tensor<?x6xf32, #tenon.dims<[4 * B, 6]>>
// CHECK: tenon.load %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}, %[[K]]]
// CHECK: tenon.contract "m k, k n -> m n" %[[ROWS]]
func.func @before(%x: tensor<?x2x2x6xf32, #tenon.dims<[B, 2, 2, 6]>>) -> tensor<?x5xf32, #tenon.dims<[B * 4, 5]>> {
  %w = tenon.get @w : tensor<6x5xf32>
  %t = tenon.map %a = %x at %i, %r, %c, %k : (tensor<?x2x2x6xf32, #tenon.dims<[B, 2, 2, 6]>>) -> tensor<?x2x2x6xf32, #tenon.dims<[B, 2, 2, 6]>> {
    %0 = tenon.load %a[%i, %c, %r, %k] : tensor<?x2x2x6xf32, #tenon.dims<[B, 2, 2, 6]>>
    tenon.yield %0 : f32
  }
  %f = tenon.reshape %t : tensor<?x2x2x6xf32, #tenon.dims<[B, 2, 2, 6]>> -> tensor<?x6xf32, #tenon.dims<[B * 4, 6]>>
  %y = tenon.contract "m k, k n -> m n" %f, %w : (tensor<?x6xf32, #tenon.dims<[B * 4, 6]>>, tensor<6x5xf32>) -> tensor<?x5xf32, #tenon.dims<[B * 4, 5]>>
  return %y : tensor<?x5xf32, #tenon.dims<[B * 4, 5]>>
}

// Others read the moved rows: they are in memory anyway.
// CHECK-LABEL: func.func @read_by_others
// CHECK: %[[F:.*]] = tenon.reshape
// CHECK: tenon.contract "m k, k n -> m n" %[[F]]
func.func @read_by_others(%x: tensor<?x2x2x6xf32, #tenon.dims<[B, 2, 2, 6]>>) -> (tensor<?x5xf32, #tenon.dims<[B * 4, 5]>>, tensor<?x2x2x6xf32, #tenon.dims<[B, 2, 2, 6]>>) {
  %w = tenon.get @w : tensor<6x5xf32>
  %t = tenon.map %a = %x at %i, %r, %c, %k : (tensor<?x2x2x6xf32, #tenon.dims<[B, 2, 2, 6]>>) -> tensor<?x2x2x6xf32, #tenon.dims<[B, 2, 2, 6]>> {
    %0 = tenon.load %a[%i, %c, %r, %k] : tensor<?x2x2x6xf32, #tenon.dims<[B, 2, 2, 6]>>
    tenon.yield %0 : f32
  }
  %f = tenon.reshape %t : tensor<?x2x2x6xf32, #tenon.dims<[B, 2, 2, 6]>> -> tensor<?x6xf32, #tenon.dims<[B * 4, 6]>>
  %y = tenon.contract "m k, k n -> m n" %f, %w : (tensor<?x6xf32, #tenon.dims<[B * 4, 6]>>, tensor<6x5xf32>) -> tensor<?x5xf32, #tenon.dims<[B * 4, 5]>>
  return %y, %t : tensor<?x5xf32, #tenon.dims<[B * 4, 5]>>, tensor<?x2x2x6xf32, #tenon.dims<[B, 2, 2, 6]>>
}

// Overlapping windows: filters times windows instead of windows times filters.
// CHECK-LABEL: func.func @windows
// CHECK: tenon.contract "n k, b m k -> b n m" %{{.*}}, %{{.*}} : (tensor<4x9xf32>, {{.*}}[B, 5, 9]>>) -> {{.*}}[B, 4, 5]>>
func.func @windows(%x: tensor<?x3x5xf32, #tenon.dims<[B, 3, 5]>>) -> tensor<?x4x5xf32, #tenon.dims<[B, 4, 5]>> {
  %w = tenon.get @filters : tensor<9x4xf32>
  %c = tenon.map %a = %x at %i, %p, %k, %t : (tensor<?x3x5xf32, #tenon.dims<[B, 3, 5]>>) -> tensor<?x5x3x3xf32, #tenon.dims<[B, 5, 3, 3]>> {
    %zero = arith.constant 0.0 : f32
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c5 = arith.constant 5 : index
    %0 = arith.addi %p, %t : index
    %1 = arith.subi %0, %c1 : index
    %2 = arith.cmpi sge, %1, %c0 : index
    %3 = arith.cmpi slt, %1, %c5 : index
    %4 = arith.andi %2, %3 : i1
    %5 = arith.select %4, %1, %c0 : index
    %6 = tenon.load %a[%i, %k, %5] : tensor<?x3x5xf32, #tenon.dims<[B, 3, 5]>>
    %7 = arith.select %4, %6, %zero : f32
    tenon.yield %7 : f32
  }
  %f = tenon.reshape %c : tensor<?x5x3x3xf32, #tenon.dims<[B, 5, 3, 3]>> -> tensor<?x9xf32, #tenon.dims<[B * 5, 9]>>
  %m = tenon.contract "m k, k n -> m n" %f, %w : (tensor<?x9xf32, #tenon.dims<[B * 5, 9]>>, tensor<9x4xf32>) -> tensor<?x4xf32, #tenon.dims<[B * 5, 4]>>
  %r = tenon.reshape %m : tensor<?x4xf32, #tenon.dims<[B * 5, 4]>> -> tensor<?x5x4xf32, #tenon.dims<[B, 5, 4]>>
  %y = tenon.map %a = %r at %i, %n, %p : (tensor<?x5x4xf32, #tenon.dims<[B, 5, 4]>>) -> tensor<?x4x5xf32, #tenon.dims<[B, 4, 5]>> {
    %0 = tenon.load %a[%i, %p, %n] : tensor<?x5x4xf32, #tenon.dims<[B, 5, 4]>>
    tenon.yield %0 : f32
  }
  return %y : tensor<?x4x5xf32, #tenon.dims<[B, 4, 5]>>
}

// Of sixteen filters, which make panels, readers that want rows get the product as it is.
tenon.weight @sixteen : tensor<9x16xf32> = #tenon.random<2, 0.1>
// CHECK-LABEL: func.func @rows_of_windows
// CHECK: tenon.contract "m k, k n -> m n" %{{.*}}, %{{.*}} : ({{.*}}[5 * B, 9]>>, tensor<9x16xf32>) -> {{.*}}[5 * B, 16]>>
func.func @rows_of_windows(%x: tensor<?x3x5xf32, #tenon.dims<[B, 3, 5]>>) -> tensor<?x16xf32, #tenon.dims<[B * 5, 16]>> {
  %w = tenon.get @sixteen : tensor<9x16xf32>
  %c = tenon.map %a = %x at %i, %p, %k, %t : (tensor<?x3x5xf32, #tenon.dims<[B, 3, 5]>>) -> tensor<?x5x3x3xf32, #tenon.dims<[B, 5, 3, 3]>> {
    %zero = arith.constant 0.0 : f32
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c5 = arith.constant 5 : index
    %0 = arith.addi %p, %t : index
    %1 = arith.subi %0, %c1 : index
    %2 = arith.cmpi sge, %1, %c0 : index
    %3 = arith.cmpi slt, %1, %c5 : index
    %4 = arith.andi %2, %3 : i1
    %5 = arith.select %4, %1, %c0 : index
    %6 = tenon.load %a[%i, %k, %5] : tensor<?x3x5xf32, #tenon.dims<[B, 3, 5]>>
    %7 = arith.select %4, %6, %zero : f32
    tenon.yield %7 : f32
  }
  %f = tenon.reshape %c : tensor<?x5x3x3xf32, #tenon.dims<[B, 5, 3, 3]>> -> tensor<?x9xf32, #tenon.dims<[B * 5, 9]>>
  %y = tenon.contract "m k, k n -> m n" %f, %w : (tensor<?x9xf32, #tenon.dims<[B * 5, 9]>>, tensor<9x16xf32>) -> tensor<?x16xf32, #tenon.dims<[B * 5, 16]>>
  return %y : tensor<?x16xf32, #tenon.dims<[B * 5, 16]>>
}
