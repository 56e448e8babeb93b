// RUN: tenon-interpret %s --input 0=iota | FileCheck %s

tenon.weight @t : tensor<1x5xf32> = dense<[[0.0, 10.0, 1.0, 100.0, 0.0]]> : tensor<1x5xf32>
tenon.weight @q : tensor<1x1x3x2xf32> = dense<[[[[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]]]> : tensor<1x1x3x2xf32>
tenon.weight @near : tensor<1x2x4x2xf32> = dense<[[[[1.0, 10.0], [1.0, 10.0], [1.0, 10.0], [1.0, 10.0]], [[0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]]]> : tensor<1x2x4x2xf32>
tenon.weight @delay : tensor<1x2x4xf32> = dense<[[[1.0, 0.0, -1.0, 0.0], [0.0, -1.0, 0.0, 1.0]]]> : tensor<1x2x4xf32>

// 0, 1, 2, 3: the sum is 6, Y[1] = -2 + 2i.
// CHECK: @real f32[4, 2]: {{\[\[}}6, 0], [-2, 2], [-2, {{.*}}], [-2, -2]]
func.func @real(%x: tensor<4x1xf32>) -> tensor<4x2xf32> {
  %y = tenon.fft %x length #tenon.dim<4> axis 0 parts 1 : tensor<4x1xf32> -> tensor<4x2xf32>
  return %y : tensor<4x2xf32>
}
// (0 + i, 2 + 3i), sum and difference, halved; of the three only two are read.
// CHECK: @inverse f32[2, 2]: {{\[\[}}1, 2], [-1, -1]]
func.func @inverse(%x: tensor<3x2xf32>) -> tensor<2x2xf32> {
  %y = tenon.fft inverse %x length #tenon.dim<2> axis 0 parts 1 : tensor<3x2xf32> -> tensor<2x2xf32>
  return %y : tensor<2x2xf32>
}
// Two points and two zeros; the first of four frequencies; the parts are the first dimension. x = 0, 1 and 2, 3.
// CHECK: @padded f32[2, 2, 2]: {{\[\[\[}}1, {{.*}}], [5, 2]], {{\[\[}}0, -1], [0, -3]]]
func.func @padded(%x: tensor<1x2x2xf32>) -> tensor<2x2x2xf32> {
  %y = tenon.fft %x length #tenon.dim<4> axis 2 parts 0 : tensor<1x2x2xf32> -> tensor<2x2x2xf32>
  return %y : tensor<2x2x2xf32>
}
// 0, 1, 2 times weights of the distance: 100 for the next, 10 for the one before.
// CHECK: @toeplitz f32[1, 1, 3, 1]: {{\[\[\[\[}}100], [201], [12]]]]
func.func @toeplitz(%x: tensor<1x1x3x1xf32>) -> tensor<1x1x3x1xf32> {
  %t = tenon.get @t : tensor<1x5xf32>
  %y = tenon.toeplitz %x diagonals %t : (tensor<1x1x3x1xf32>, tensor<1x5xf32>) -> tensor<1x1x3x1xf32>
  return %y : tensor<1x1x3x1xf32>
}
// CHECK: @causal f32[1, 1, 3, 1]: {{\[\[\[\[}}0], [1], [12]]]]
func.func @causal(%x: tensor<1x1x3x1xf32>) -> tensor<1x1x3x1xf32> {
  %t = tenon.get @t : tensor<1x5xf32>
  %y = tenon.toeplitz %x diagonals %t causal : (tensor<1x1x3x1xf32>, tensor<1x5xf32>) -> tensor<1x1x3x1xf32>
  return %y : tensor<1x1x3x1xf32>
}
// Rows 0 and 1 have products of features 0: what is left is j = 2 with row 1, and row 2 with itself twice.
// CHECK: @features f32[1, 1, 3, 1]: {{\[\[\[\[}}0], [201], [14]]]]
func.func @features(%x: tensor<1x1x3x1xf32>) -> tensor<1x1x3x1xf32> {
  %t = tenon.get @t : tensor<1x5xf32>
  %q = tenon.get @q : tensor<1x1x3x2xf32>
  %y = tenon.toeplitz %x diagonals %t features %q, %q
     : (tensor<1x1x3x1xf32>, tensor<1x5xf32>, tensor<1x1x3x2xf32>, tensor<1x1x3x2xf32>) -> tensor<1x1x3x1xf32>
  return %y : tensor<1x1x3x1xf32>
}
// A delay by one of 0, 1, 2 and a zero.
// CHECK: @circulant f32[1, 1, 4, 1]: {{.*}}, [1], [2]]]]
func.func @circulant(%x: tensor<1x1x3x1xf32>) -> tensor<1x1x4x1xf32> {
  %s = tenon.get @delay : tensor<1x2x4xf32>
  %y = tenon.circulant %x spectrum %s : (tensor<1x1x3x1xf32>, tensor<1x2x4xf32>) -> tensor<1x1x4x1xf32>
  return %y : tensor<1x1x4x1xf32>
}
// Blocks of two: 0, 1, 2, 3 plus ten times the same row of the block before, of which the first has none.
// CHECK: @blocks f32[1, 1, 4, 1]: {{.*}}, [1], [2], [13]]]]
func.func @blocks(%x: tensor<1x1x4x1xf32>) -> tensor<1x1x4x1xf32> {
  %s = tenon.get @near : tensor<1x2x4x2xf32>
  %y = tenon.circulant %x spectrum %s block 2 : (tensor<1x1x4x1xf32>, tensor<1x2x4x2xf32>) -> tensor<1x1x4x1xf32>
  return %y : tensor<1x1x4x1xf32>
}
