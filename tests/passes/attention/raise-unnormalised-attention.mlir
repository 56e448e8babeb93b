// RUN: tenon-opt %s --tenon-raise-unnormalised-attention | FileCheck %s
// RUN: tenon-opt %s --tenon-raise-unnormalised-attention --tenon-raise-keep | FileCheck %s --check-prefix=KEEP
// RUN: tenon-opt %s --tenon-raise-unnormalised-attention --tenon-reassociate-attention | FileCheck %s --check-prefix=ORDER
// RUN: tenon-interpret %s --check-passes=tenon-raise-unnormalised-attention,tenon-raise-keep --dim N=7
tenon.symbol @N in [1, 64]
tenon.weight @up : tensor<4x9xf32> = dense<0.25> : tensor<4x9xf32>
tenon.weight @down : tensor<9x5xf32> = dense<0.5> : tensor<9x5xf32>
!q = tensor<2x3x?x4xf32, #tenon.dims<[2, 3, N, 4]>>
!v = tensor<2x3x?x5xf32, #tenon.dims<[2, 3, N, 5]>>
!s = tensor<2x3x?x?xf32, #tenon.dims<[2, 3, N, N]>>
!x = tensor<2x?x4xf32, #tenon.dims<[2, N, 4]>>
!h = tensor<2x?x9xf32, #tenon.dims<[2, N, 9]>>
!y = tensor<2x?x5xf32, #tenon.dims<[2, N, 5]>>

// Sigmoid attention with a bias of each head, and a mask of the keys.
// CHECK-LABEL: func.func @sigmoid(
// CHECK: tenon.attention %arg0, (%arg1), (%arg2) captures ({{.*}}) normalise none empty zero {{.*}} score
// CHECK-NOT: tenon.contract
// KEEP-LABEL: func.func @sigmoid(
// KEEP: score
// KEEP-NOT: arith.select
// KEEP: keep (%[[B:[a-z0-9]+]], %{{[a-z0-9]+}}, %{{[a-z0-9]+}}, %[[J:[a-z0-9]+]], {{.*}}) {
// KEEP: tenon.load %{{.*}}[%[[B]], %[[J]]]
func.func @sigmoid(%q: !q, %k: !q, %v: !v, %t: tensor<3xf32>, %m: tensor<2x?xi1, #tenon.dims<[2, N]>>) -> !v {
  %s = tenon.contract "b h m k, b h n k -> b h m n" %q, %k : (!q, !q) -> !s
  %p = tenon.map %x = %s, %u = %t, %a = %m at %b, %h, %i, %j : (!s, tensor<3xf32>, tensor<2x?xi1, #tenon.dims<[2, N]>>) -> !s
    = select(%a[%b, %j], 1.0 / (1.0 + exp(0.0 - (%x[%b, %h, %i, %j] * 0.5 + %u[%h]))), 0.0)
  %o = tenon.contract "b h m k, b h k n -> b h m n" %p, %v : (!s, !v) -> !v
  return %o : !v
}

// A gated attention unit: squared ReLU, and a mask that is a factor.
// CHECK-LABEL: func.func @squared_relu(
// CHECK: tenon.attention
// KEEP-LABEL: func.func @squared_relu(
// KEEP: normalise none empty zero
// KEEP: arith.maximumf
// KEEP: keep (%{{[a-z0-9]+}}, %{{[a-z0-9]+}}, %[[I:[a-z0-9]+]], %[[J:[a-z0-9]+]]) {
// KEEP: arith.cmpi sle, %[[J]], %[[I]]
func.func @squared_relu(%q: !q, %k: !q, %v: !v) -> !v {
  %s = tenon.contract "b h n k, b h m k -> b h m n" %k, %q : (!q, !q) -> !s
  %r = tenon.map %x = %s at %b, %h, %i, %j : (!s) -> !s = max(%x[%b, %h, %i, %j], 0.0)
  %p = tenon.map %x = %r at %b, %h, %i, %j : (!s) -> !s = %x[%b, %h, %i, %j] * %x[%b, %h, %i, %j] * select(%j <= %i, 1.0, 0.0)
  %o = tenon.contract "b h k n, b h m k -> b h m n" %v, %p : (!v, !s) -> !v
  return %o : !v
}

// Three matrices in a row, the middle size a symbol: the last two first.
// CHECK-LABEL: func.func @three(
// CHECK: tenon.attention
// ORDER-LABEL: func.func @three(
// ORDER: tenon.contract {{.*}} -> tensor<2x3x4x5xf32>
func.func @three(%q: !q, %k: !q, %v: !v) -> !v {
  %s = tenon.contract "b h m k, b h n k -> b h m n" %q, %k : (!q, !q) -> !s
  %o = tenon.contract "b h m k, b h k n -> b h m n" %s, %v : (!s, !v) -> !v
  return %o : !v
}

// Near misses: a layer of weights; one whose weights are computed; one whose weights data picks (experts); sizes that are known, or few keys; scores that are wanted; a
// softmax between them; a result that is not (RaiseLinearAttention leaves it).
// CHECK-LABEL: func.func @layer(
// CHECK-NOT: tenon.attention
func.func @layer(%x: !x) -> !y {
  %u = tenon.get @up : tensor<4x9xf32>
  %d = tenon.get @down : tensor<9x5xf32>
  %s = tenon.contract "b m k, k n -> b m n" %x, %u : (!x, tensor<4x9xf32>) -> !h
  %p = tenon.map %a = %s at %b, %i, %j : (!h) -> !h = max(%a[%b, %i, %j], 0.0)
  %o = tenon.contract "b m k, k n -> b m n" %p, %d : (!h, tensor<9x5xf32>) -> !y
  return %o : !y
}

// CHECK-LABEL: func.func @layer_of_scaled_weights(
// CHECK-NOT: tenon.attention
func.func @layer_of_scaled_weights(%x: tensor<7x4xf32>) -> tensor<7x5xf32> {
  %u = tenon.get @up : tensor<4x9xf32>
  %d = tenon.get @down : tensor<9x5xf32>
  %t = tenon.map %a = %d at %j, %n : (tensor<9x5xf32>) -> tensor<9x5xf32> = %a[%j, %n] * %a[%j, %n]
  %s = tenon.contract "m k, k n -> m n" %x, %u : (tensor<7x4xf32>, tensor<4x9xf32>) -> tensor<7x9xf32>
  %p = tenon.map %a = %s at %i, %j : (tensor<7x9xf32>) -> tensor<7x9xf32> = max(%a[%i, %j], 0.0)
  %o = tenon.contract "m k, k n -> m n" %p, %t : (tensor<7x9xf32>, tensor<9x5xf32>) -> tensor<7x5xf32>
  return %o : tensor<7x5xf32>
}

// CHECK-LABEL: func.func @experts(
// CHECK-NOT: tenon.attention
func.func @experts(%x: tensor<2x1x4xf32>, %e: tensor<2xi1>) -> tensor<2x1x5xf32> {
  %u = tenon.get @ups : tensor<2x4x24xf32>
  %d = tenon.get @downs : tensor<2x24x5xf32>
  %p = tenon.map %t = %u, %g = %e at %b, %k, %n : (tensor<2x4x24xf32>, tensor<2xi1>) -> tensor<2x4x24xf32> {
    %0 = tenon.load %g[%b] : tensor<2xi1>
    %1 = arith.index_castui %0 : i1 to index
    %2 = tenon.load %t[%1, %k, %n] : tensor<2x4x24xf32>
    tenon.yield %2 : f32
  }
  %q = tenon.map %t = %d, %g = %e at %b, %k, %n : (tensor<2x24x5xf32>, tensor<2xi1>) -> tensor<2x24x5xf32> {
    %0 = tenon.load %g[%b] : tensor<2xi1>
    %1 = arith.index_castui %0 : i1 to index
    %2 = tenon.load %t[%1, %k, %n] : tensor<2x24x5xf32>
    tenon.yield %2 : f32
  }
  %s = tenon.contract "b m k, b k n -> b m n" %x, %p : (tensor<2x1x4xf32>, tensor<2x4x24xf32>) -> tensor<2x1x24xf32>
  %r = tenon.map %a = %s at %b, %i, %j : (tensor<2x1x24xf32>) -> tensor<2x1x24xf32> = max(%a[%b, %i, %j], 0.0)
  %o = tenon.contract "b m k, b k n -> b m n" %r, %q : (tensor<2x1x24xf32>, tensor<2x24x5xf32>) -> tensor<2x1x5xf32>
  return %o : tensor<2x1x5xf32>
}
tenon.weight @ups : tensor<2x4x24xf32> = #tenon.random<5, 0.5>
tenon.weight @downs : tensor<2x24x5xf32> = #tenon.random<6, 0.5>

// CHECK-LABEL: func.func @three_of_known_sizes(
// CHECK-NOT: tenon.attention
func.func @three_of_known_sizes(%a: tensor<3x3xf32>, %b: tensor<3x3xf32>, %c: tensor<3x3xf32>) -> tensor<3x3xf32> {
  %s = tenon.contract "m k, k n -> m n" %a, %b : (tensor<3x3xf32>, tensor<3x3xf32>) -> tensor<3x3xf32>
  %o = tenon.contract "m k, k n -> m n" %s, %c : (tensor<3x3xf32>, tensor<3x3xf32>) -> tensor<3x3xf32>
  return %o : tensor<3x3xf32>
}

// CHECK-LABEL: func.func @few_keys(
// CHECK-NOT: tenon.attention
func.func @few_keys(%q: tensor<2x50x4xf32>, %k: tensor<2x15x4xf32>, %v: tensor<2x15x5xf32>) -> tensor<2x50x5xf32> {
  %s = tenon.contract "b m k, b n k -> b m n" %q, %k : (tensor<2x50x4xf32>, tensor<2x15x4xf32>) -> tensor<2x50x15xf32>
  %p = tenon.map %x = %s at %b, %i, %j : (tensor<2x50x15xf32>) -> tensor<2x50x15xf32> = max(%x[%b, %i, %j], 0.0)
  %o = tenon.contract "b m k, b k n -> b m n" %p, %v : (tensor<2x50x15xf32>, tensor<2x15x5xf32>) -> tensor<2x50x5xf32>
  return %o : tensor<2x50x5xf32>
}

// CHECK-LABEL: func.func @wanted(
// CHECK-NOT: tenon.attention
func.func @wanted(%q: !q, %k: !q, %v: !v) -> (!v, !s) {
  %s = tenon.contract "b h m k, b h n k -> b h m n" %q, %k : (!q, !q) -> !s
  %p = tenon.map %x = %s at %b, %h, %i, %j : (!s) -> !s = max(%x[%b, %h, %i, %j], 0.0)
  %o = tenon.contract "b h m k, b h k n -> b h m n" %p, %v : (!s, !v) -> !v
  return %o, %p : !v, !s
}

// CHECK-LABEL: func.func @softmax(
// CHECK-NOT: tenon.attention
func.func @softmax(%q: !q, %k: !q, %v: !v) -> !v {
  %s = tenon.contract "b h m k, b h n k -> b h m n" %q, %k : (!q, !q) -> !s
  %n = tenon.softmax %s over 2 : !s
  %p = tenon.map %x = %n at %b, %h, %i, %j : (!s) -> !s = max(%x[%b, %h, %i, %j], 0.25)
  %o = tenon.contract "b h m k, b h k n -> b h m n" %p, %v : (!s, !v) -> !v
  return %o : !v
}

// CHECK-LABEL: func.func @unused(
// CHECK-NOT: tenon.attention
func.func @unused(%q: !q, %k: !q, %v: !v) -> !v {
  %s = tenon.contract "b h m k, b h n k -> b h m n" %q, %k : (!q, !q) -> !s
  %p = tenon.map %x = %s at %b, %h, %i, %j : (!s) -> !s = max(%x[%b, %h, %i, %j], 0.0)
  %o = tenon.contract "b h m k, b h k n -> b h m n" %p, %v : (!s, !v) -> !v
  return %v : !v
}
