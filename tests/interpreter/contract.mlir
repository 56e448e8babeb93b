// RUN: tenon-interpret %s --input 0=iota --input 1=iota | FileCheck %s

// [0 1 2; 3 4 5] · [0 1; 2 3; 4 5]
// CHECK: @matmul f32[2, 2]: {{\[}}[10, 13], [28, 40]]
func.func @matmul(%a: tensor<2x3xf32>, %b: tensor<3x2xf32>) -> tensor<2x2xf32> {
  %r = tenon.contract "m k, k n -> m n" %a, %b : (tensor<2x3xf32>, tensor<3x2xf32>) -> tensor<2x2xf32>
  return %r : tensor<2x2xf32>
}

// The right operand by rows, the result transposed: the same products at other places.
// CHECK: @transposed f32[2, 2]: {{\[}}[5, 14], [14, 50]]
func.func @transposed(%a: tensor<2x3xf32>, %b: tensor<2x3xf32>) -> tensor<2x2xf32> {
  %r = tenon.contract "m k, n k -> n m" %a, %b : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x2xf32>
  return %r : tensor<2x2xf32>
}

// Two batches of a dot product.
// CHECK: @batched f32[2]: [1, 13]
func.func @batched(%a: tensor<2x2xf32>, %b: tensor<2x2xf32>) -> tensor<2xf32> {
  %r = tenon.contract "b k, b k -> b" %a, %b : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2xf32>
  return %r : tensor<2xf32>
}

// Index j is of the left operand alone: summed before the product. (0+1)·0, (0+1)·1, (2+3)·0, …
// CHECK: @lone f32[2, 2]: {{\[}}[0, 1], [0, 5]]
func.func @lone(%a: tensor<2x2xf32>, %b: tensor<2xf32>) -> tensor<2x2xf32> {
  %r = tenon.contract "i j, n -> i n" %a, %b : (tensor<2x2xf32>, tensor<2xf32>) -> tensor<2x2xf32>
  return %r : tensor<2x2xf32>
}

// Three columns in panels of 2: column 2 stands in the second panel, beside one of padding.
// CHECK: @panels f32[1, 3]: {{\[}}[2, 3, 6]]
func.func @panels(%a: tensor<1x2xf32>, %b: tensor<2x2x2xf32>) -> tensor<1x3xf32> {
  %r = tenon.contract "m k, k n -> m n" %a, %b panels 2 : (tensor<1x2xf32>, tensor<2x2x2xf32>) -> tensor<1x3xf32>
  return %r : tensor<1x3xf32>
}

// 8-bit integers wrap, or accumulate in 32 bits when told to: 100 · 2 = 200 = -56 modulo 256.
tenon.weight @hundred : tensor<1xi8> = dense<100> : tensor<1xi8>
tenon.weight @two : tensor<1xi8> = dense<2> : tensor<1xi8>
// CHECK: @wrapping i8[]: -56
func.func @wrapping() -> tensor<i8> {
  %a = tenon.get @hundred : tensor<1xi8>
  %b = tenon.get @two : tensor<1xi8>
  %r = tenon.contract "k, k -> " %a, %b : (tensor<1xi8>, tensor<1xi8>) -> tensor<i8>
  return %r : tensor<i8>
}
// CHECK: @widening i32[]: 200
func.func @widening() -> tensor<i32> {
  %a = tenon.get @hundred : tensor<1xi8>
  %b = tenon.get @two : tensor<1xi8>
  %r = tenon.contract "k, k -> " %a, %b accumulate i32 : (tensor<1xi8>, tensor<1xi8>) -> tensor<i32>
  return %r : tensor<i32>
}
