// RUN: tenon-opt %s --tenon-lower-kernels | FileCheck %s

module attributes {tenon.target = #tenon.target<"x86-64-v4", vector_bits = 512, vector_registers = 32, row_tile = 14, l1 = 32768, l2 = 1048576>} {

// One pass over the axis, not one for each element: a loop over rows and one along the row.
// CHECK-LABEL: func.func @running
// CHECK-COUNT-2: scf.for
// CHECK-NOT: scf.for
// CHECK: return
tenon.kernel @running(%x: tensor<?x?xi64, #tenon.dims<[d0, d1]>>) -> tensor<?x?xi64, #tenon.dims<[d0, d1]>> {
  %0 = tenon.map %a = %x at %b, %i, %t : (tensor<?x?xi64, #tenon.dims<[d0, d1]>>) -> tensor<?x?x?xi64, #tenon.dims<[d0, d1, d1]>> {
    %zero = arith.constant 0 : i64
    %v = tenon.load %a[%b, %t] : tensor<?x?xi64, #tenon.dims<[d0, d1]>>
    %c = arith.cmpi sle, %t, %i : index
    %s = arith.select %c, %v, %zero : i64
    tenon.yield %s : i64
  }
  %1 = tenon.reduce sum %0 over [2] : tensor<?x?x?xi64, #tenon.dims<[d0, d1, d1]>> -> tensor<?x?xi64, #tenon.dims<[d0, d1]>>
  tenon.return %1 : tensor<?x?xi64, #tenon.dims<[d0, d1]>>
}

// From each element on, along a dimension that is not the last: lanes along the last, 48 of them in three rounds.
// CHECK-LABEL: func.func @from_each_on
// CHECK-COUNT-3: scf.for
// CHECK-NOT: scf.for
// CHECK: return
tenon.kernel @from_each_on(%x: tensor<?x48xf32, #tenon.dims<[d0, 48]>>) -> tensor<?x48xf32, #tenon.dims<[d0, 48]>> {
  %0 = tenon.map %a = %x at %i, %j, %t : (tensor<?x48xf32, #tenon.dims<[d0, 48]>>) -> tensor<?x48x?xf32, #tenon.dims<[d0, 48, d0]>> {
    %one = arith.constant 1.0 : f32
    %v = tenon.load %a[%t, %j] : tensor<?x48xf32, #tenon.dims<[d0, 48]>>
    %c = arith.cmpi slt, %i, %t : index
    %s = arith.select %c, %v, %one : f32
    tenon.yield %s : f32
  }
  %1 = tenon.reduce product %0 over [2] : tensor<?x48x?xf32, #tenon.dims<[d0, 48, d0]>> -> tensor<?x48xf32, #tenon.dims<[d0, 48]>>
  tenon.return %1 : tensor<?x48xf32, #tenon.dims<[d0, 48]>>
}

// A term that depends on the row of the triangle is no running sum: every row is summed for itself.
// CHECK-LABEL: func.func @depends
// CHECK: arith.cmpi sle
// CHECK: vector.reduction
tenon.kernel @depends(%x: tensor<?xf32, #tenon.dims<[d0]>>) -> tensor<?xf32, #tenon.dims<[d0]>> {
  %0 = tenon.map %a = %x at %i, %t : (tensor<?xf32, #tenon.dims<[d0]>>) -> tensor<?x?xf32, #tenon.dims<[d0, d0]>> {
    %zero = arith.constant 0.0 : f32
    %v = tenon.load %a[%t] : tensor<?xf32, #tenon.dims<[d0]>>
    %w = tenon.load %a[%i] : tensor<?xf32, #tenon.dims<[d0]>>
    %p = arith.mulf %v, %w : f32
    %c = arith.cmpi sle, %t, %i : index
    %s = arith.select %c, %p, %zero : f32
    tenon.yield %s : f32
  }
  %1 = tenon.reduce sum %0 over [1] : tensor<?x?xf32, #tenon.dims<[d0, d0]>> -> tensor<?xf32, #tenon.dims<[d0]>>
  tenon.return %1 : tensor<?xf32, #tenon.dims<[d0]>>
}

// Nor is a sum whose terms outside of the triangle count.
// CHECK-LABEL: func.func @others_count
// CHECK: vector.reduction
tenon.kernel @others_count(%x: tensor<?xf32, #tenon.dims<[d0]>>) -> tensor<?xf32, #tenon.dims<[d0]>> {
  %0 = tenon.map %a = %x at %i, %t : (tensor<?xf32, #tenon.dims<[d0]>>) -> tensor<?x?xf32, #tenon.dims<[d0, d0]>> {
    %one = arith.constant 1.0 : f32
    %v = tenon.load %a[%t] : tensor<?xf32, #tenon.dims<[d0]>>
    %c = arith.cmpi sle, %t, %i : index
    %s = arith.select %c, %v, %one : f32
    tenon.yield %s : f32
  }
  %1 = tenon.reduce sum %0 over [1] : tensor<?x?xf32, #tenon.dims<[d0, d0]>> -> tensor<?xf32, #tenon.dims<[d0]>>
  tenon.return %1 : tensor<?xf32, #tenon.dims<[d0]>>
}
}
