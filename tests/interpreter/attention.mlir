// One head, two queries, two keys with values 1 and 3.
// RUN: tenon-interpret %s --input 0=0,1 --input 1=0,0.693147180559945 --input 2=1,3 | FileCheck %s

// Query 0 scores 0, 0: the mean 2. Query 1 scores 0, ln 2: (1·1 + 2·3) / 3.
// CHECK: @plain f32[1, 1, 2, 1]: {{\[\[\[}}[2], [2.33333]]]]
func.func @plain(%q: tensor<1x1x2x1xf32>, %k: tensor<1x1x2x1xf32>, %v: tensor<1x1x2x1xf32>) -> tensor<1x1x2x1xf32> {
  %o = tenon.attention %q, (%k), (%v) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
     : (tensor<1x1x2x1xf32>, tensor<1x1x2x1xf32>, tensor<1x1x2x1xf32>) -> tensor<1x1x2x1xf32>
  return %o : tensor<1x1x2x1xf32>
}

// Causal: query 0 sees key 0 only.
// CHECK: @causal f32[1, 1, 2, 1]: {{\[\[\[}}[1], [2.33333]]]]
func.func @causal(%q: tensor<1x1x2x1xf32>, %k: tensor<1x1x2x1xf32>, %v: tensor<1x1x2x1xf32>) -> tensor<1x1x2x1xf32> {
  %o = tenon.attention %q, (%k), (%v) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
     : (tensor<1x1x2x1xf32>, tensor<1x1x2x1xf32>, tensor<1x1x2x1xf32>) -> tensor<1x1x2x1xf32>
    keep (%b, %h, %i, %j) {
      %live = arith.cmpi sle, %j, %i : index
      tenon.yield %live : i1
    }
  return %o : tensor<1x1x2x1xf32>
}

// normalise none: Σ (x + 1) v, then each weight times 10. Query 0: 10·(1·1 + 1·3); query 1: 10·(1 + 1.693·3).
// CHECK: @none f32[1, 1, 2, 1]: {{\[\[\[}}[40], [60.7944]]]]
func.func @none(%q: tensor<1x1x2x1xf32>, %k: tensor<1x1x2x1xf32>, %v: tensor<1x1x2x1xf32>) -> tensor<1x1x2x1xf32> {
  %o = tenon.attention %q, (%k), (%v) normalise none empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
     : (tensor<1x1x2x1xf32>, tensor<1x1x2x1xf32>, tensor<1x1x2x1xf32>) -> tensor<1x1x2x1xf32>
    score (%x, %b, %h, %i, %j) {
      %one = arith.constant 1.0 : f32
      %y = arith.addf %x, %one : f32
      tenon.yield %y : f32
    } weight (%p, %b, %h, %i, %j) {
      %ten = arith.constant 10.0 : f32
      %w = arith.mulf %p, %ten : f32
      tenon.yield %w : f32
    }
  return %o : tensor<1x1x2x1xf32>
}
