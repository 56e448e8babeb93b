// RUN: tenon-interpret %s --input 0=iota | FileCheck %s

tenon.weight @row : tensor<5xf32> = dense<[2.0, -0.0, 7.0, 0.0, 2.0]> : tensor<5xf32>
tenon.weight @holes : tensor<4xf32> = dense<[0x7FC00000, 1.0, 0xFFC00000, -1.0]> : tensor<4xf32>
tenon.weight @items : tensor<4x2xi32> = dense<[[1, 5], [0, 9], [1, 2], [0, 9]]> : tensor<4x2xi32>
tenon.weight @bytes : tensor<3x2xi8> = dense<[[3, -1], [1, 1], [2, 0]]> : tensor<3x2xi8>

// Both zeros are equal: the first stays first.
// CHECK: @ascending i64[5]: [1, 3, 0, 4, 2]
func.func @ascending() -> tensor<5xi64> {
  %x = tenon.get @row : tensor<5xf32>
  %p = tenon.order %x over 0 : tensor<5xf32> -> tensor<5xi64>
  return %p : tensor<5xi64>
}
// CHECK: @greatest i64[3]: [2, 0, 4]
func.func @greatest() -> tensor<3xi64> {
  %x = tenon.get @row : tensor<5xf32>
  %p = tenon.order %x over 0 descending : tensor<5xf32> -> tensor<3xi64>
  return %p : tensor<3xi64>
}
// A NaN of either sign is above all numbers.
// CHECK: @nan i64[4]: [3, 1, 0, 2]
func.func @nan() -> tensor<4xi64> {
  %x = tenon.get @holes : tensor<4xf32>
  %p = tenon.order %x over 0 : tensor<4xf32> -> tensor<4xi64>
  return %p : tensor<4xi64>
}
// CHECK: @columns i64[3, 2]: {{\[}}[1, 0], [2, 2], [0, 1]]
func.func @columns() -> tensor<3x2xi64> {
  %x = tenon.get @bytes : tensor<3x2xi8>
  %p = tenon.order %x over 0 : tensor<3x2xi8> -> tensor<3x2xi64>
  return %p : tensor<3x2xi64>
}
// -1 is 255.
// CHECK: @unsigned i64[2, 2]: {{\[}}[1, 2], [2, 1]]
func.func @unsigned() -> tensor<2x2xi64> {
  %x = tenon.get @bytes : tensor<3x2xi8>
  %p = tenon.order %x over 0 unsigned : tensor<3x2xi8> -> tensor<2x2xi64>
  return %p : tensor<2x2xi64>
}
// CHECK: @records i64[4]: [1, 3, 2, 0]
func.func @records() -> tensor<4xi64> {
  %x = tenon.get @items : tensor<4x2xi32>
  %p = tenon.order %x over 0 records : tensor<4x2xi32> -> tensor<4xi64>
  return %p : tensor<4xi64>
}
