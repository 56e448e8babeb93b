// RUN: tenon-interpret %s --input 0=iota | FileCheck %s

// CHECK: @sum f32[3]: [3, 5, 7]
func.func @sum(%x: tensor<2x3xf32>) -> tensor<3xf32> {
  %r = tenon.reduce sum %x over [0] : tensor<2x3xf32> -> tensor<3xf32>
  return %r : tensor<3xf32>
}
// CHECK: @product i32[]: 0
func.func @product(%x: tensor<2x2xi32>) -> tensor<i32> {
  %r = tenon.reduce product %x over [0, 1] : tensor<2x2xi32> -> tensor<i32>
  return %r : tensor<i32>
}
// CHECK: @max f32[2]: [2, 5]
func.func @max(%x: tensor<2x3xf32>) -> tensor<2xf32> {
  %r = tenon.reduce max %x over [1] : tensor<2x3xf32> -> tensor<2xf32>
  return %r : tensor<2xf32>
}
// A NaN is neither skipped by max nor by min.
tenon.weight @withNaN : tensor<3xf32> = dense<[1.0, 0x7fc00000, 2.0]> : tensor<3xf32>
// CHECK: @nan f32[]: nan
func.func @nan() -> tensor<f32> {
  %x = tenon.get @withNaN : tensor<3xf32>
  %r = tenon.reduce min %x over [0] : tensor<3xf32> -> tensor<f32>
  return %r : tensor<f32>
}
// Nothing to reduce: the neutral elements.
// CHECK: @emptySum f32[2]: [0, 0]
func.func @emptySum(%x: tensor<2x0xf32>) -> tensor<2xf32> {
  %r = tenon.reduce sum %x over [1] : tensor<2x0xf32> -> tensor<2xf32>
  return %r : tensor<2xf32>
}
// CHECK: @emptyMax f32[]: -inf
func.func @emptyMax(%x: tensor<0xf32>) -> tensor<f32> {
  %r = tenon.reduce max %x over [0] : tensor<0xf32> -> tensor<f32>
  return %r : tensor<f32>
}
// CHECK: @emptyMin i8[]: 127
func.func @emptyMin(%x: tensor<0xi8>) -> tensor<i8> {
  %r = tenon.reduce min %x over [0] : tensor<0xi8> -> tensor<i8>
  return %r : tensor<i8>
}
