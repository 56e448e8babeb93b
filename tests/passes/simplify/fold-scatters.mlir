// RUN: tenon-opt %s --tenon-fold-scatters | FileCheck %s
// RUN: tenon-interpret %s --check-passes=tenon-fold-scatters

// x[:, 2] = y: a tuple for each batch item, its second member wrapped as exporters do.
// CHECK-LABEL: func.func @slice
// CHECK: %[[P:.*]] = tenon.reshape %arg0 : tensor<?x8xf32, {{.*}}> -> tensor<?x1x8xf32, #tenon.dims<[B, 1, 8]>>
// CHECK: tenon.map %[[U:.*]] = %[[P]], %[[X:.*]] = %arg1 at %[[B:.*]], %[[N:.*]], %[[D:.*]] :
// CHECK: arith.cmpi eq, %[[N]], %{{.*}}
// CHECK: tenon.load %[[U]][%[[B]], %{{.*}}, %[[D]]]
// CHECK: tenon.load %[[X]][%[[B]], %[[N]], %[[D]]]
// CHECK-NOT: tenon.scatter
tenon.symbol @B in [1, 64]
!y = tensor<?x8xf32, #tenon.dims<[B, 8]>>
!x = tensor<?x9x8xf32, #tenon.dims<[B, 9, 8]>>
!t = tensor<?x2xi64, #tenon.dims<[B, 2]>>
func.func @slice(%y: !y, %x: !x) -> !x {
  %n = tenon.map at %r, %k : () -> !t = select(%k < 1, %r, 2)
  %p = tenon.map %m = %n at %r, %k : (!t) -> !t = select(%m[%r, %k] < 0, %m[%r, %k] + 9, %m[%r, %k])
  %o = tenon.scatter %y into %x at %p : !y into !x at !t
  return %o : !x
}

// The same by single elements: every combination of batch item and channel.
// CHECK-LABEL: func.func @elements
// CHECK: tenon.reshape %arg0 : {{.*}} -> tensor<?x1x8xf32, #tenon.dims<[B, 1, 8]>>
// CHECK-NOT: tenon.scatter
!f = tensor<?xf32, #tenon.dims<[8 * B]>>
!g = tensor<?x3xi64, #tenon.dims<[8 * B, 3]>>
func.func @elements(%y: !f, %x: !x) -> !x {
  %p = tenon.map at %r, %k : () -> !g = select(%k == 1, 5, select(%k == 0, %r / 8, mod(%r, 8)))
  %o = tenon.scatter %y into %x at %p : !f into !x at !g
  return %o : !x
}

// Writes that fill a dim are its parts side by side; of two to the same position the last counts.
// CHECK-LABEL: func.func @filled
// CHECK: tenon.map %{{.*}} = %arg2, %{{.*}} = %arg0, %{{.*}} = %arg1 at
// CHECK-NOT: tenon.scatter
!r = tensor<1x4xf32>
!m = tensor<3x4xf32>
!i = tensor<1x1xi64>
func.func @filled(%a: !r, %b: !r, %c: !r, %x: !m) -> !m {
  %0 = tenon.map at %r, %k : () -> !i = 0
  %1 = tenon.map at %r, %k : () -> !i = 1
  %2 = tenon.map at %r, %k : () -> !i = 2
  %p = tenon.scatter %b into %x at %0 : !r into !m at !i
  %q = tenon.scatter %a into %p at %1 : !r into !m at !i
  %s = tenon.scatter %b into %q at %2 : !r into !m at !i
  %o = tenon.scatter %c into %s at %0 : !r into !m at !i
  return %o : !m
}

// What is in between is read: each write is a map of its own.
// CHECK-LABEL: func.func @in_between
// CHECK: %[[P:.*]] = tenon.map %{{.*}} = %arg0, %{{.*}} = %arg2 at
// CHECK: tenon.map %{{.*}} = %arg1, %{{.*}} = %[[P]] at
// CHECK-NOT: tenon.scatter
func.func @in_between(%a: tensor<1x4xf32>, %b: tensor<1x4xf32>, %x: tensor<2x4xf32>) -> (tensor<2x4xf32>, tensor<2x4xf32>) {
  %0 = tenon.map at %r, %k : () -> !i = 0
  %1 = tenon.map at %r, %k : () -> !i = 1
  %p = tenon.scatter %a into %x at %0 : tensor<1x4xf32> into tensor<2x4xf32> at !i
  %q = tenon.scatter %b into %p at %1 : tensor<1x4xf32> into tensor<2x4xf32> at !i
  return %p, %q : tensor<2x4xf32>, tensor<2x4xf32>
}

// All tuples name one place: the last counts, which is no map of positions.
// CHECK-LABEL: func.func @same_place
// CHECK: tenon.scatter
func.func @same_place(%y: tensor<4x8xf32>, %x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %p = tenon.map at %r, %k : () -> tensor<4x1xi64> = 2
  %o = tenon.scatter %y into %x at %p : tensor<4x8xf32> into tensor<4x8xf32> at tensor<4x1xi64>
  return %o : tensor<4x8xf32>
}

// Backwards is not in order.
// CHECK-LABEL: func.func @backwards
// CHECK: tenon.scatter
func.func @backwards(%y: tensor<4x8xf32>, %x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %p = tenon.map at %r, %k : () -> tensor<4x1xi64> = 3 - %r
  %o = tenon.scatter %y into %x at %p : tensor<4x8xf32> into tensor<4x8xf32> at tensor<4x1xi64>
  return %o : tensor<4x8xf32>
}

// CHECK-LABEL: func.func @added
// CHECK: tenon.scatter {{.*}} by sum
func.func @added(%y: tensor<1x8xf32>, %x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %p = tenon.map at %r, %k : () -> !i = 2
  %o = tenon.scatter %y into %x at %p by sum : tensor<1x8xf32> into tensor<4x8xf32> at !i
  return %o : tensor<4x8xf32>
}
