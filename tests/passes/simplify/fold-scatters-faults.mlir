// RUN: tenon-opt %s --tenon-fold-scatters | FileCheck %s

// Places that are data may be out of range.
// CHECK-LABEL: func.func @data
// CHECK: tenon.scatter
func.func @data(%y: tensor<1x8xf32>, %x: tensor<4x8xf32>, %p: tensor<1x1xi64>) -> tensor<4x8xf32> {
  %o = tenon.scatter %y into %x at %p : tensor<1x8xf32> into tensor<4x8xf32> at tensor<1x1xi64>
  return %o : tensor<4x8xf32>
}

// This one is, and is reported where it runs.
// CHECK-LABEL: func.func @out_of_range
// CHECK: tenon.scatter
func.func @out_of_range(%y: tensor<1x8xf32>, %x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %p = tenon.map at %r, %k : () -> tensor<1x1xi64> = 4
  %o = tenon.scatter %y into %x at %p : tensor<1x8xf32> into tensor<4x8xf32> at tensor<1x1xi64>
  return %o : tensor<4x8xf32>
}
