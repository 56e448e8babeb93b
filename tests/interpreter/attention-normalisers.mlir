// Two queries, 1 and 3, on three keys, 1, 2 and 2, whose values are 1, 10 and 100: scores [1 2 2] and [3 6 6].
// RUN: tenon-interpret %s --input 0=1,3 --input 1=1,2,2 --input 2=1,10,100 --digits 4 | FileCheck %s

!q = tensor<2x1xf32>
!k = tensor<3x1xf32>

// The first of the two that are greatest.
// CHECK: @hard f32[2, 1]: {{\[}}[10], [10]]
func.func @hard(%q: !q, %k: !k, %v: !k) -> !q {
  %o = tenon.attention %q, (%k), (%v) normalise hard empty zero layout ["n d", "n d", "n d", "n d"] : (!q, !k, !k) -> !q
  return %o : !q
}

// Equal ones all stay: two keys share the weight.
// CHECK: @top f32[2, 1]: {{\[}}[55], [55]]
func.func @top(%q: !q, %k: !k, %v: !k) -> !q {
  %o = tenon.attention %q, (%k), (%v) normalise topk_softmax 1 empty zero layout ["n d", "n d", "n d", "n d"] : (!q, !k, !k) -> !q
  return %o : !q
}

// The second query has every key.
// CHECK: @taken f32[2, 1]: {{\[}}[0], [111]]
func.func @taken(%q: !q, %k: !k, %v: !k) -> !q {
  %o = tenon.attention %q, (%k), (%v) normalise hard over queries empty zero layout ["n d", "n d", "n d", "n d"] : (!q, !k, !k) -> !q
  return %o : !q
}

// Scores as weights, 1 / 4 to 3 / 4 of a column.
// CHECK: @shared f32[2, 1]: {{\[}}[27.75], [83.25]]
func.func @shared(%q: !q, %k: !k, %v: !k) -> !q {
  %o = tenon.attention %q, (%k), (%v) normalise sum over queries empty zero layout ["n d", "n d", "n d", "n d"] : (!q, !k, !k) -> !q
  return %o : !q
}

// One half-step is a softmax: e / (e + 2 e^2) = 0.1554 and so on.
// CHECK: @rows f32[2, 1]: {{\[}}[46.61], [53.69]]
func.func @rows(%q: !q, %k: !k, %v: !k) -> !q {
  %o = tenon.attention %q, (%k), (%v) normalise sinkhorn 1 empty zero layout ["n d", "n d", "n d", "n d"] : (!q, !k, !k) -> !q
  return %o : !q
}

// log(e + 2 e^2) and log(e^3 + 2 e^6); the scores; what is dead is -inf.
// CHECK: @more f32[1, 1, 2]: {{\[\[\[}}2.862, 6.718]]]
// CHECK: @more f32[1, 1, 2, 3]: {{\[\[\[\[}}1, 2, 2], [3, 6, 6]]]]
func.func @more(%q: !q, %k: !k, %v: !k) -> (tensor<1x1x2xf32>, tensor<1x1x2x3xf32>) {
  %o, %l, %s = tenon.attention %q, (%k), (%v) normalise softmax empty zero layout ["n d", "n d", "n d", "n d"] also log_sum_exp, scores : (!q, !k, !k) -> (!q, tensor<1x1x2xf32>, tensor<1x1x2x3xf32>)
  return %l, %s : tensor<1x1x2xf32>, tensor<1x1x2x3xf32>
}
