// RUN: tenon-interpret %s --input 0=iota | FileCheck %s

tenon.weight @places : tensor<2x1xi64> = dense<[[2], [0]]> : tensor<2x1xi64>
tenon.weight @twice : tensor<3x2xi64> = dense<[[1, 1], [0, 0], [1, 1]]> : tensor<3x2xi64>
tenon.weight @rows : tensor<2x2xf32> = dense<[[10.0, 11.0], [20.0, 21.0]]> : tensor<2x2xf32>
tenon.weight @ones : tensor<3xf32> = dense<[1.0, 2.0, 4.0]> : tensor<3xf32>

// Row 2 becomes the first update, row 0 the second.
// CHECK: @replace f32[3, 2]: {{\[}}[20, 21], [2, 3], [10, 11]]
func.func @replace(%x: tensor<3x2xf32>) -> tensor<3x2xf32> {
  %p = tenon.get @places : tensor<2x1xi64>
  %u = tenon.get @rows : tensor<2x2xf32>
  %r = tenon.scatter %u into %x at %p : tensor<2x2xf32> into tensor<3x2xf32> at tensor<2x1xi64>
  return %r : tensor<3x2xf32>
}
// A place named twice counts twice: 3 + 1 + 4.
// CHECK: @sum f32[2, 2]: {{\[}}[2, 1], [2, 8]]
func.func @sum(%x: tensor<2x2xf32>) -> tensor<2x2xf32> {
  %p = tenon.get @twice : tensor<3x2xi64>
  %u = tenon.get @ones : tensor<3xf32>
  %r = tenon.scatter %u into %x at %p by sum : tensor<3xf32> into tensor<2x2xf32> at tensor<3x2xi64>
  return %r : tensor<2x2xf32>
}
