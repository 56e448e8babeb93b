// RUN: tenon-opt %s --tenon-form-kernels | FileCheck %s

// Sorting reads an element once if its key has 32 bits, and takes in what computes it.
// CHECK-LABEL: func.func @short_keys
// CHECK-NOT: tenon.dispatch @map
// CHECK: tenon.dispatch @order
func.func @short_keys(%x: tensor<4x8xf32>) -> tensor<4x8xi64> {
  %m = tenon.map %a = %x at %i, %j : (tensor<4x8xf32>) -> tensor<4x8xf32> {
    %0 = tenon.load %a[%i, %j] : tensor<4x8xf32>
    %1 = math.exp %0 : f32
    tenon.yield %1 : f32
  }
  %p = tenon.order %m over 1 : tensor<4x8xf32> -> tensor<4x8xi64>
  return %p : tensor<4x8xi64>
}

// Of 64 bits once for each half: computed before.
// CHECK-LABEL: func.func @long_keys
// CHECK: tenon.dispatch @map
// CHECK: tenon.dispatch @order
func.func @long_keys(%x: tensor<4x8xf64>) -> tensor<4x8xi64> {
  %m = tenon.map %a = %x at %i, %j : (tensor<4x8xf64>) -> tensor<4x8xf64> {
    %0 = tenon.load %a[%i, %j] : tensor<4x8xf64>
    %1 = math.absf %0 : f64
    tenon.yield %1 : f64
  }
  %p = tenon.order %m over 1 : tensor<4x8xf64> -> tensor<4x8xi64>
  return %p : tensor<4x8xi64>
}

// And a record's fields one after another.
// CHECK-LABEL: func.func @records
// CHECK: tenon.dispatch @map
// CHECK: tenon.dispatch @order
func.func @records(%x: tensor<4x8xf32>) -> tensor<4xi64> {
  %m = tenon.map %a = %x at %i, %j : (tensor<4x8xf32>) -> tensor<4x8xf32> {
    %0 = tenon.load %a[%i, %j] : tensor<4x8xf32>
    %1 = math.exp %0 : f32
    tenon.yield %1 : f32
  }
  %p = tenon.order %m over 0 records : tensor<4x8xf32> -> tensor<4xi64>
  return %p : tensor<4xi64>
}
