// RUN: tenon-opt %s --tenon-expand-fft | FileCheck %s
// RUN: tenon-interpret %s --check-passes=tenon-expand-fft --dim N=7
// RUN: tenon-interpret %s --check-passes=tenon-expand-fft --dim N=1
// RUN: tenon-interpret %s --check-passes=tenon-expand-fft --dim N=16
tenon.symbol @N in [1, 64]

// A symbol's length: products with cosines and sines, between dims n, p and k, q.
// CHECK-LABEL: func.func @symbolic(
// CHECK-NOT: tenon.fft
// CHECK: math.sin
// CHECK: math.cos
// CHECK: tenon.contract "d0 n p, n p k q -> d0 k q" %arg0
func.func @symbolic(%x: tensor<3x?x2xf32, #tenon.dims<[3, N, 2]>>) -> tensor<3x?x2xf32, #tenon.dims<[3, N, 2]>> {
  %y = tenon.fft %x length #tenon.dim<N> axis 1 parts 2 : tensor<3x?x2xf32, #tenon.dims<[3, N, 2]>> -> tensor<3x?x2xf32, #tenon.dims<[3, N, 2]>>
  return %y : tensor<3x?x2xf32, #tenon.dims<[3, N, 2]>>
}

// Backwards, from half of the frequencies, the real part alone; parts before the axis.
// CHECK-LABEL: func.func @inverse(
// CHECK-NOT: tenon.fft
// CHECK: tenon.contract "p d1 n, n p k q -> q d1 k" %arg0
func.func @inverse(%x: tensor<2x3x?xf32, #tenon.dims<[2, 3, N]>>) -> tensor<1x3x?xf32, #tenon.dims<[1, 3, 2 * N]>> {
  %y = tenon.fft inverse %x length #tenon.dim<2 * N> axis 2 parts 0 : tensor<2x3x?xf32, #tenon.dims<[2, 3, N]>> -> tensor<1x3x?xf32, #tenon.dims<[1, 3, 2 * N]>>
  return %y : tensor<1x3x?xf32, #tenon.dims<[1, 3, 2 * N]>>
}

// More points than the length: those behind it count nothing. Narrow elements are computed in f32.
// CHECK-LABEL: func.func @cut(
// CHECK: arith.extf
// CHECK: tenon.contract "d0 n p, n p k q -> d0 k q" {{.*}}xf32
// CHECK: arith.truncf
func.func @cut(%x: tensor<2x?x1xf16, #tenon.dims<[2, N + 3, 1]>>) -> tensor<2x?x2xf16, #tenon.dims<[2, N, 2]>> {
  %y = tenon.fft %x length #tenon.dim<N> axis 1 parts 2 : tensor<2x?x1xf16, #tenon.dims<[2, N + 3, 1]>> -> tensor<2x?x2xf16, #tenon.dims<[2, N, 2]>>
  return %y : tensor<2x?x2xf16, #tenon.dims<[2, N, 2]>>
}

// A constant length has a kernel of its own, whatever the batch is.
// CHECK-LABEL: func.func @constant(
// CHECK: tenon.fft
// CHECK-NOT: tenon.contract
func.func @constant(%x: tensor<?x12x2xf32, #tenon.dims<[N, 12, 2]>>) -> tensor<?x12x2xf32, #tenon.dims<[N, 12, 2]>> {
  %y = tenon.fft %x length #tenon.dim<12> axis 1 parts 2 : tensor<?x12x2xf32, #tenon.dims<[N, 12, 2]>> -> tensor<?x12x2xf32, #tenon.dims<[N, 12, 2]>>
  return %y : tensor<?x12x2xf32, #tenon.dims<[N, 12, 2]>>
}
