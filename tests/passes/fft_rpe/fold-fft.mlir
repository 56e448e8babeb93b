// RUN: tenon-opt %s --canonicalize | FileCheck %s

// Forwards and back is nothing.
// CHECK-LABEL: func.func @there_and_back(
// CHECK-NEXT: return %arg0
func.func @there_and_back(%x: tensor<12x2xf32>) -> tensor<12x2xf32> {
  %y = tenon.fft %x length #tenon.dim<12> axis 0 parts 1 : tensor<12x2xf32> -> tensor<12x2xf32>
  %z = tenon.fft inverse %y length #tenon.dim<12> axis 0 parts 1 : tensor<12x2xf32> -> tensor<12x2xf32>
  return %z : tensor<12x2xf32>
}

// One point is its own transform.
// CHECK-LABEL: func.func @one(
// CHECK-NEXT: return %arg0
func.func @one(%x: tensor<1x2xf32>) -> tensor<1x2xf32> {
  %y = tenon.fft %x length #tenon.dim<1> axis 0 parts 1 : tensor<1x2xf32> -> tensor<1x2xf32>
  return %y : tensor<1x2xf32>
}

// Half of the frequencies do not give the points back; nor does the same direction twice.
// CHECK-LABEL: func.func @half(
// CHECK-COUNT-2: tenon.fft
func.func @half(%x: tensor<12x2xf32>) -> tensor<12x2xf32> {
  %y = tenon.fft %x length #tenon.dim<12> axis 0 parts 1 : tensor<12x2xf32> -> tensor<7x2xf32>
  %z = tenon.fft inverse %y length #tenon.dim<12> axis 0 parts 1 : tensor<7x2xf32> -> tensor<12x2xf32>
  return %z : tensor<12x2xf32>
}

// CHECK-LABEL: func.func @twice(
// CHECK-COUNT-2: tenon.fft
func.func @twice(%x: tensor<12x2xf32>) -> tensor<12x2xf32> {
  %y = tenon.fft %x length #tenon.dim<12> axis 0 parts 1 : tensor<12x2xf32> -> tensor<12x2xf32>
  %z = tenon.fft %y length #tenon.dim<12> axis 0 parts 1 : tensor<12x2xf32> -> tensor<12x2xf32>
  return %z : tensor<12x2xf32>
}
