// RUN: tenon-opt %s --tenon-stream-sinkhorn | FileCheck %s
// RUN: tenon-interpret %s --check-passes=tenon-stream-sinkhorn --dim N=5 --dim M=7

tenon.symbol @N in [1, 4096]
tenon.symbol @M in [1, 4096]
!q = tensor<2x?x4xf32, #tenon.dims<[2, N, 4]>>
!k = tensor<2x?x4xf32, #tenon.dims<[2, M, 4]>>

// Rows, columns, then rows: the last are the softmax itself.
// CHECK-LABEL: func.func @odd
// CHECK: tenon.attention %arg0, (%arg1), {{.*}} also log_sum_exp
// CHECK: tenon.attention %arg1, (%arg0), {{.*}} also log_sum_exp
// CHECK: %[[O:.*]] = tenon.attention %arg0, (%arg1), (%arg2) captures ({{.*}}) normalise softmax empty zero layout ["h n d", "h n d", "h n d", "h n d"] :
// CHECK-NOT: sinkhorn
// CHECK: return %[[O]]
func.func @odd(%q: !q, %k: !k, %v: !k) -> !q {
  %o = tenon.attention %q, (%k), (%v) normalise sinkhorn 3 empty zero layout ["h n d", "h n d", "h n d", "h n d"] : (!q, !k, !k) -> !q
    score (%x, %b, %h, %i, %j) = %x * 0.25
    keep (%b, %h, %i, %j) = %j <= %i + 2
  return %o : !q
}

// Columns last: the weights themselves.
// CHECK-LABEL: func.func @even
// CHECK-COUNT-2: also log_sum_exp
// CHECK: tenon.attention %arg0, (%arg1), (%arg2) {{.*}} normalise none
// CHECK: math.exp
func.func @even(%q: !q, %k: !k, %v: !k) -> !q {
  %o = tenon.attention %q, (%k), (%v) normalise sinkhorn 2 empty zero layout ["h n d", "h n d", "h n d", "h n d"] : (!q, !k, !k) -> !q
  return %o : !q
}

// Near miss: few scores.
// CHECK-LABEL: func.func @few
// CHECK: normalise sinkhorn 3
func.func @few(%q: tensor<9x4xf32>) -> tensor<9x4xf32> {
  %o = tenon.attention %q, (%q), (%q) normalise sinkhorn 3 empty zero layout ["n d", "n d", "n d", "n d"]
     : (tensor<9x4xf32>, tensor<9x4xf32>, tensor<9x4xf32>) -> tensor<9x4xf32>
  return %o : tensor<9x4xf32>
}

// Near miss: two query heads share a key head, whose columns are two.
// CHECK-LABEL: func.func @shared
// CHECK: normalise sinkhorn 2
func.func @shared(%q: !q, %k: tensor<?x4xf32, #tenon.dims<[M, 4]>>) -> !q {
  %o = tenon.attention %q, (%k), (%k) normalise sinkhorn 2 empty zero layout ["h n d", "n d", "n d", "h n d"]
     : (!q, tensor<?x4xf32, #tenon.dims<[M, 4]>>, tensor<?x4xf32, #tenon.dims<[M, 4]>>) -> !q
  return %o : !q
}
