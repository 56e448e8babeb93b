// RUN: tenon-opt %s --tenon-raise-linear-attention | FileCheck %s
// RUN: tenon-opt %s --tenon-raise-linear-attention --canonicalize --tenon-scan-attention | FileCheck %s --check-prefix=SCAN
// RUN: tenon-interpret %s --check-passes=tenon-raise-linear-attention --dim N=7
tenon.symbol @N in [1, 64]
!q = tensor<2x3x?x4xf32, #tenon.dims<[2, 3, N, 4]>>
!v = tensor<2x3x?x5xf32, #tenon.dims<[2, 3, N, 5]>>
!s = tensor<2x3x?x?xf32, #tenon.dims<[2, 3, N, N]>>
!d = tensor<3x?x?xf32, #tenon.dims<[3, N, N]>>

// RetNet: the decay is a tensor of its own, zero where the key is behind the query.
// CHECK-LABEL: func.func @retention(
// CHECK: tenon.attention {{.*}} captures (%arg3) normalise none {{.*}} score
// CHECK: math.powf
// CHECK: arith.cmpi sle
// SCAN-LABEL: func.func @retention(
// SCAN: tenon.scan {{.*}} layout ["b h n d", "b h n d", "b h n d", "h", "b h n d"]
func.func @retention(%q: !q, %k: !q, %v: !v, %g: tensor<3xf32>) -> !v {
  %d = tenon.map %l = %g at %h, %i, %j : (tensor<3xf32>) -> !d = select(%i - %j >= 0, pow(0.5 + 0.0625 * %l[%h] * %l[%h], %i - %j), 0.0)
  %s = tenon.contract "b h m k, b h n k -> b h m n" %q, %k : (!q, !q) -> !s
  %p = tenon.map %x = %s, %f = %d at %b, %h, %i, %j : (!s, !d) -> !s = %x[%b, %h, %i, %j] * %f[%h, %i, %j] * 0.5
  %o = tenon.contract "b h m k, b h k n -> b h m n" %p, %v : (!s, !v) -> !v
  return %o : !v
}

// No decay, the mask by the contrary, and the weights on the right.
// CHECK-LABEL: func.func @masked(
// CHECK: tenon.attention
// CHECK-NOT: score (
// SCAN-LABEL: func.func @masked(
// SCAN: tenon.scan
func.func @masked(%q: !q, %k: !q, %v: !v) -> !v {
  %s = tenon.contract "b h n k, b h m k -> b h m n" %k, %q : (!q, !q) -> !s
  %p = tenon.map %x = %s at %b, %h, %i, %j : (!s) -> !s = select(%j > %i, 0.0, %x[%b, %h, %i, %j])
  %o = tenon.contract "b h k n, b h m k -> b h m n" %v, %p : (!v, !s) -> !v
  return %o : !v
}

// Near misses: no mask; a mask of later keys; scores that go through a function.
// CHECK-LABEL: func.func @unmasked(
// CHECK-NOT: tenon.attention
func.func @unmasked(%q: !q, %k: !q, %v: !v) -> !v {
  %s = tenon.contract "b h m k, b h n k -> b h m n" %q, %k : (!q, !q) -> !s
  %p = tenon.map %x = %s at %b, %h, %i, %j : (!s) -> !s = %x[%b, %h, %i, %j] * 0.5
  %o = tenon.contract "b h m k, b h k n -> b h m n" %p, %v : (!s, !v) -> !v
  return %o : !v
}

// CHECK-LABEL: func.func @other_mask(
// CHECK-NOT: tenon.attention
func.func @other_mask(%q: !q, %k: !q, %v: !v) -> !v {
  %s = tenon.contract "b h m k, b h n k -> b h m n" %q, %k : (!q, !q) -> !s
  %p = tenon.map %x = %s at %b, %h, %i, %j : (!s) -> !s = select(%j < %i, %x[%b, %h, %i, %j], 0.0)
  %o = tenon.contract "b h m k, b h k n -> b h m n" %p, %v : (!s, !v) -> !v
  return %o : !v
}

// CHECK-LABEL: func.func @function(
// CHECK-NOT: tenon.attention
func.func @function(%q: !q, %k: !q, %v: !v) -> !v {
  %s = tenon.contract "b h m k, b h n k -> b h m n" %q, %k : (!q, !q) -> !s
  %p = tenon.map %x = %s at %b, %h, %i, %j : (!s) -> !s = select(%j <= %i, exp(%x[%b, %h, %i, %j]), 0.0)
  %o = tenon.contract "b h m k, b h k n -> b h m n" %p, %v : (!s, !v) -> !v
  return %o : !v
}
