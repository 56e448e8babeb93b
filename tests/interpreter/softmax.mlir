// RUN: tenon-interpret %s --input 0=0,0,0.693147180559945,inf,0,0,-inf,-inf,-inf | FileCheck %s

// Rows: 1/4, 1/4, 2/4 (ln 2 = 0.693…); +inf makes the row NaN; -inf throughout makes NaN.
// CHECK: @rows f32[3, 3]: {{\[}}[0.25, 0.25, 0.5], [nan, nan, nan], [nan, nan, nan]]
func.func @rows(%x: tensor<3x3xf32>) -> tensor<3x3xf32> {
  %r = tenon.softmax %x over 1 : tensor<3x3xf32>
  return %r : tensor<3x3xf32>
}
