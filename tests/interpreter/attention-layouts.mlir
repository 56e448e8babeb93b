// Query heads 0 and 1 share key head 0, and 2 and 3 key head 1; keys and values are two slices of one tensor.
// RUN: tenon-interpret %s --input 0=0,0,0,0 --input 1=iota | FileCheck %s

// All scores are 0, so the result is the mean value: slice 1 holds 2, 3 at the first row and 6, 7 at the second.
// CHECK: @grouped f32[1, 1, 4, 1]: {{\[\[\[}}[4], [4], [5], [5]]]]
func.func @grouped(%q: tensor<1x1x4x1xf32>, %kv: tensor<1x2x2x2x1xf32>) -> tensor<1x1x4x1xf32> {
  %o = tenon.attention %q, (%kv), (%kv) normalise softmax empty nan layout ["b n h d", "b n 0 h d", "b n 1 h d", "b n h d"]
     : (tensor<1x1x4x1xf32>, tensor<1x2x2x2x1xf32>, tensor<1x2x2x2x1xf32>) -> tensor<1x1x4x1xf32>
  return %o : tensor<1x1x4x1xf32>
}
