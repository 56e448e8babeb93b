// RUN: tenon-opt %s --tenon-move-row-factors | FileCheck %s
// RUN: tenon-opt %s --tenon-move-row-factors --tenon-raise-linear-attention --tenon-raise-unnormalised-attention | FileCheck %s --check-prefix=ATTENTION
// RUN: tenon-interpret %s --check-passes=tenon-move-row-factors --dim N=7
tenon.symbol @N in [1, 64]
tenon.weight @down : tensor<9x5xf32> = dense<0.5> : tensor<9x5xf32>
!q = tensor<2x3x?x4xf32, #tenon.dims<[2, 3, N, 4]>>
!v = tensor<2x3x?x5xf32, #tenon.dims<[2, 3, N, 5]>>
!s = tensor<2x3x?x?xf32, #tenon.dims<[2, 3, N, N]>>
!l = tensor<2x3x?xf32, #tenon.dims<[2, 3, N]>>

// Squared ReLU over its sum: one product gives both.
// CHECK-LABEL: func.func @normalised(
// CHECK: %[[A:.*]] = tenon.map
// CHECK: %[[R:.*]] = tenon.contract {{.*}} %[[A]], %{{.*}} -> tensor<2x3x?x6xf32,
// CHECK-NOT: tenon.reduce
// CHECK: %[[L:.*]] = tenon.map {{.*}} = %[[R]]
// CHECK: %[[O:.*]] = tenon.map
// CHECK: arith.divf
// CHECK: return %[[O]]
// ATTENTION-LABEL: func.func @normalised(
// ATTENTION: tenon.attention {{.*}} normalise none
func.func @normalised(%q: !q, %k: !q, %v: !v) -> !v {
  %s = tenon.contract "b h m k, b h n k -> b h m n" %q, %k : (!q, !q) -> !s
  %a = tenon.map %x = %s at %b, %h, %i, %j : (!s) -> !s = max(%x[%b, %h, %i, %j], 0.0) * max(%x[%b, %h, %i, %j], 0.0)
  %l = tenon.reduce sum %a over [3] : !s -> !l
  %w = tenon.map %y = %a, %z = %l at %b, %h, %i, %j : (!s, !l) -> !s = %y[%b, %h, %i, %j] / (%z[%b, %h, %i] + 0.001)
  %o = tenon.contract "b h m k, b h k n -> b h m n" %w, %v : (!s, !v) -> !v
  return %o : !v
}

// Linear attention under a causal mask, weights on the right, whose arithmetic stands in two maps; values come after the sum.
// CHECK-LABEL: func.func @causal(
// CHECK: tenon.contract {{.*}} -> tensor<2x3x?x6xf32,
// CHECK-NOT: tenon.reduce
// ATTENTION-LABEL: func.func @causal(
// ATTENTION: tenon.attention {{.*}} normalise none
// ATTENTION: keep
func.func @causal(%q: !q, %k: !q, %v: !v) -> !v {
  %s = tenon.contract "b h m k, b h n k -> b h m n" %q, %k : (!q, !q) -> !s
  %a = tenon.map %x = %s at %b, %h, %i, %j : (!s) -> !s = %x[%b, %h, %i, %j] * select(%j <= %i, 1.0, 0.0)
  %l = tenon.reduce sum %a over [3] : !s -> !l
  %r = tenon.map %z = %l at %b, %h, %i : (!l) -> !l = 1.0 / max(abs(%z[%b, %h, %i]), 1.0)
  %w = tenon.map %x = %s, %z = %r at %b, %h, %i, %j : (!s, !l) -> !s = (%x[%b, %h, %i, %j] * select(%j <= %i, 1.0, 0.0)) * %z[%b, %h, %i]
  %u = tenon.map %x = %v at %b, %h, %i, %d : (!v) -> !v = %x[%b, %h, %i, %d] * 2.0
  %o = tenon.contract "b h k n, b h m k -> b h m n" %u, %w : (!v, !s) -> !v
  return %o : !v
}

// Near misses: a sum over the queries; one of other weights; a factor of each key; a sum that is a result; a layer of weights.
// CHECK-LABEL: func.func @over_queries(
// CHECK: tenon.reduce
func.func @over_queries(%q: !q, %k: !q, %v: !v) -> !v {
  %s = tenon.contract "b h m k, b h n k -> b h m n" %q, %k : (!q, !q) -> !s
  %l = tenon.reduce sum %s over [2] : !s -> !l
  %w = tenon.map %y = %s, %z = %l at %b, %h, %i, %j : (!s, !l) -> !s = %y[%b, %h, %i, %j] / %z[%b, %h, %i]
  %o = tenon.contract "b h m k, b h k n -> b h m n" %w, %v : (!s, !v) -> !v
  return %o : !v
}

// CHECK-LABEL: func.func @of_others(
// CHECK: tenon.reduce
func.func @of_others(%q: !q, %k: !q, %v: !v) -> !v {
  %s = tenon.contract "b h m k, b h n k -> b h m n" %q, %k : (!q, !q) -> !s
  %a = tenon.map %x = %s at %b, %h, %i, %j : (!s) -> !s = abs(%x[%b, %h, %i, %j])
  %l = tenon.reduce sum %a over [3] : !s -> !l
  %w = tenon.map %y = %s, %z = %l at %b, %h, %i, %j : (!s, !l) -> !s = max(%y[%b, %h, %i, %j], 0.0) / (%z[%b, %h, %i] + 0.001)
  %o = tenon.contract "b h m k, b h k n -> b h m n" %w, %v : (!s, !v) -> !v
  return %o : !v
}

// CHECK-LABEL: func.func @of_each_key(
// CHECK: tenon.reduce
func.func @of_each_key(%q: !q, %k: !q, %v: !v) -> !v {
  %s = tenon.contract "b h m k, b h n k -> b h m n" %q, %k : (!q, !q) -> !s
  %l = tenon.reduce sum %s over [3] : !s -> !l
  %w = tenon.map %y = %s, %z = %l at %b, %h, %i, %j : (!s, !l) -> !s = %y[%b, %h, %i, %j] / %z[%b, %h, %j]
  %o = tenon.contract "b h m k, b h k n -> b h m n" %w, %v : (!s, !v) -> !v
  return %o : !v
}

// CHECK-LABEL: func.func @wanted(
// CHECK: tenon.reduce
func.func @wanted(%q: !q, %k: !q, %v: !v) -> (!v, !l) {
  %s = tenon.contract "b h m k, b h n k -> b h m n" %q, %k : (!q, !q) -> !s
  %l = tenon.reduce sum %s over [3] : !s -> !l
  %w = tenon.map %y = %s, %z = %l at %b, %h, %i, %j : (!s, !l) -> !s = %y[%b, %h, %i, %j] / %z[%b, %h, %i]
  %o = tenon.contract "b h m k, b h k n -> b h m n" %w, %v : (!s, !v) -> !v
  return %o, %l : !v, !l
}

// CHECK-LABEL: func.func @layer(
// CHECK: tenon.reduce
func.func @layer(%x: tensor<7x4xf32>, %k: tensor<9x4xf32>) -> tensor<7x5xf32> {
  %d = tenon.get @down : tensor<9x5xf32>
  %s = tenon.contract "m k, n k -> m n" %x, %k : (tensor<7x4xf32>, tensor<9x4xf32>) -> tensor<7x9xf32>
  %l = tenon.reduce sum %s over [1] : tensor<7x9xf32> -> tensor<7xf32>
  %w = tenon.map %y = %s, %z = %l at %i, %j : (tensor<7x9xf32>, tensor<7xf32>) -> tensor<7x9xf32> = %y[%i, %j] / %z[%i]
  %o = tenon.contract "m k, k n -> m n" %w, %d : (tensor<7x9xf32>, tensor<9x5xf32>) -> tensor<7x5xf32>
  return %o : tensor<7x5xf32>
}
