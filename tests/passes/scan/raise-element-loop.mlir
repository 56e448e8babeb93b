// RUN: tenon-opt %s --tenon-raise-scan | FileCheck %s
// RUN: tenon-interpret %s --check-passes=tenon-raise-scan
!k = tensor<5x3xf32>
!c = tensor<3xf32>
!p = tensor<1x3xf32>
!g = tensor<2x5x3xf32>
!s = tensor<2x3xf32>
!q = tensor<2x1x3xf32>

// RWKV: the greatest exponent so far is known first, then the sums it scales. y_t reads what stood there before step t, so there
// are four updates of five rows; before the first stand constants.
// CHECK-LABEL: func.func @rwkv(
// CHECK: %[[W0:.*]] = tenon.map {{.*}} -> tensor<5x3xf32>
// CHECK: %[[W1:.*]] = tenon.map %{{.*}} = %[[W0]],
// CHECK: %[[W2:.*]] = tenon.map %{{.*}} = %[[W1]],
// CHECK: %[[M:.*]] = tenon.map %{{.*}} = %[[W2]],
// CHECK: tenon.map {{.*}} = %[[M]], {{.*}} -> tensor<4x3xf32>
// CHECK: tenon.scan %{{.*}}, %{{.*}}, %{{.*}} decay(%{{.*}} : tensor<4x3xf32>) layout ["d", "d", "n h", "n h", "n h"]
// CHECK: tenon.scan
// CHECK-NOT: tenon.scan
// CHECK: return
func.func @rwkv(%k: !k, %v: !k, %w: !c, %u: !c) -> !k {
  %y0 = tenon.map %r = %k, %s = %v, %x = %u at %i, %d : (!k, !k, !c) -> !p = let %o = max(%x[%d] + %r[0, %d], -99.0) in (exp(-99.0 - %o) * 0.0 + exp(%x[%d] + %r[0, %d] - %o) * %s[0, %d]) / (exp(-99.0 - %o) * 0.0 + exp(%x[%d] + %r[0, %d] - %o))
  %m1 = tenon.map %r = %k, %z = %w at %d : (!k, !c) -> !c = max(%z[%d] + -99.0, %r[0, %d])
  %a1 = tenon.map %r = %k, %s = %v, %z = %w at %d : (!k, !k, !c) -> !c = let %n = max(%z[%d] + -99.0, %r[0, %d]) in exp(%z[%d] + -99.0 - %n) * 0.0 + exp(%r[0, %d] - %n) * %s[0, %d]
  %b1 = tenon.map %r = %k, %z = %w at %d : (!k, !c) -> !c = let %n = max(%z[%d] + -99.0, %r[0, %d]) in exp(%z[%d] + -99.0 - %n) * 0.0 + exp(%r[0, %d] - %n)
  %y1 = tenon.map %m = %m1, %a = %a1, %b = %b1, %r = %k, %s = %v, %x = %u at %i, %d : (!c, !c, !c, !k, !k, !c) -> !p = let %o = max(%m[%d], %x[%d] + %r[1, %d]) in (exp(%m[%d] - %o) * %a[%d] + exp(%x[%d] + %r[1, %d] - %o) * %s[1, %d]) / (exp(%m[%d] - %o) * %b[%d] + exp(%x[%d] + %r[1, %d] - %o))
  %m2 = tenon.map %m = %m1, %r = %k, %z = %w at %d : (!c, !k, !c) -> !c = max(%m[%d] + %z[%d], %r[1, %d])
  %a2 = tenon.map %m = %m1, %a = %a1, %r = %k, %s = %v, %z = %w at %d : (!c, !c, !k, !k, !c) -> !c = let %n = max(%m[%d] + %z[%d], %r[1, %d]) in exp(%m[%d] + %z[%d] - %n) * %a[%d] + exp(%r[1, %d] - %n) * %s[1, %d]
  %b2 = tenon.map %m = %m1, %b = %b1, %r = %k, %z = %w at %d : (!c, !c, !k, !c) -> !c = let %n = max(%m[%d] + %z[%d], %r[1, %d]) in exp(%m[%d] + %z[%d] - %n) * %b[%d] + exp(%r[1, %d] - %n)
  %y2 = tenon.map %m = %m2, %a = %a2, %b = %b2, %r = %k, %s = %v, %x = %u at %i, %d : (!c, !c, !c, !k, !k, !c) -> !p = let %o = max(%m[%d], %x[%d] + %r[2, %d]) in (exp(%m[%d] - %o) * %a[%d] + exp(%x[%d] + %r[2, %d] - %o) * %s[2, %d]) / (exp(%m[%d] - %o) * %b[%d] + exp(%x[%d] + %r[2, %d] - %o))
  %m3 = tenon.map %m = %m2, %r = %k, %z = %w at %d : (!c, !k, !c) -> !c = max(%m[%d] + %z[%d], %r[2, %d])
  %a3 = tenon.map %m = %m2, %a = %a2, %r = %k, %s = %v, %z = %w at %d : (!c, !c, !k, !k, !c) -> !c = let %n = max(%m[%d] + %z[%d], %r[2, %d]) in exp(%m[%d] + %z[%d] - %n) * %a[%d] + exp(%r[2, %d] - %n) * %s[2, %d]
  %b3 = tenon.map %m = %m2, %b = %b2, %r = %k, %z = %w at %d : (!c, !c, !k, !c) -> !c = let %n = max(%m[%d] + %z[%d], %r[2, %d]) in exp(%m[%d] + %z[%d] - %n) * %b[%d] + exp(%r[2, %d] - %n)
  %y3 = tenon.map %m = %m3, %a = %a3, %b = %b3, %r = %k, %s = %v, %x = %u at %i, %d : (!c, !c, !c, !k, !k, !c) -> !p = let %o = max(%m[%d], %x[%d] + %r[3, %d]) in (exp(%m[%d] - %o) * %a[%d] + exp(%x[%d] + %r[3, %d] - %o) * %s[3, %d]) / (exp(%m[%d] - %o) * %b[%d] + exp(%x[%d] + %r[3, %d] - %o))
  %m4 = tenon.map %m = %m3, %r = %k, %z = %w at %d : (!c, !k, !c) -> !c = max(%m[%d] + %z[%d], %r[3, %d])
  %a4 = tenon.map %m = %m3, %a = %a3, %r = %k, %s = %v, %z = %w at %d : (!c, !c, !k, !k, !c) -> !c = let %n = max(%m[%d] + %z[%d], %r[3, %d]) in exp(%m[%d] + %z[%d] - %n) * %a[%d] + exp(%r[3, %d] - %n) * %s[3, %d]
  %b4 = tenon.map %m = %m3, %b = %b3, %r = %k, %z = %w at %d : (!c, !c, !k, !c) -> !c = let %n = max(%m[%d] + %z[%d], %r[3, %d]) in exp(%m[%d] + %z[%d] - %n) * %b[%d] + exp(%r[3, %d] - %n)
  %y4 = tenon.map %m = %m4, %a = %a4, %b = %b4, %r = %k, %s = %v, %x = %u at %i, %d : (!c, !c, !c, !k, !k, !c) -> !p = let %o = max(%m[%d], %x[%d] + %r[4, %d]) in (exp(%m[%d] - %o) * %a[%d] + exp(%x[%d] + %r[4, %d] - %o) * %s[4, %d]) / (exp(%m[%d] - %o) * %b[%d] + exp(%x[%d] + %r[4, %d] - %o))
  %y = tenon.map %p0 = %y0, %p1 = %y1, %p2 = %y2, %p3 = %y3, %p4 = %y4 at %n, %d : (!p, !p, !p, !p, !p) -> !k = select(%n < 1, %p0[0, %d], select(%n < 2, %p1[0, %d], select(%n < 3, %p2[0, %d], select(%n < 4, %p3[0, %d], %p4[0, %d]))))
  return %y : !k
}

// States that are given, steps of the greatest that are data, both last states wanted. y_t is of what step t wrote: what the first
// step makes of the given states is what the scan starts from.
// CHECK-LABEL: func.func @given(
// CHECK-COUNT-1: tenon.scan {{.*}} from(%{{.*}} : tensor<2x3x1x1xf32>) layout ["d", "d", "b n h", "b n h", "b n h"]
// CHECK-NOT: tenon.scan
// CHECK: return
func.func @given(%k: !g, %v: !g, %w: !g, %m: !s, %a: !s) -> (!g, !s, !s) {
  %m0 = tenon.map %m = %m, %r = %k, %z = %w at %b, %d : (!s, !g, !g) -> !s = max(%r[%b, 0, %d], %z[%b, 0, %d] + %m[%b, %d])
  %a0 = tenon.map %m = %m, %n = %m0, %a = %a, %r = %k, %s = %v, %z = %w at %b, %d : (!s, !s, !s, !g, !g, !g) -> !s = exp(%m[%b, %d] + %z[%b, 0, %d] - %n[%b, %d]) * %a[%b, %d] + exp(%r[%b, 0, %d] - %n[%b, %d]) * %s[%b, 0, %d]
  %y0 = tenon.map %m = %m0, %a = %a0 at %b, %i, %d : (!s, !s) -> !q = %a[%b, %d] * exp(%m[%b, %d])
  %m1 = tenon.map %m = %m0, %r = %k, %z = %w at %b, %d : (!s, !g, !g) -> !s = max(%r[%b, 1, %d], %z[%b, 1, %d] + %m[%b, %d])
  %a1 = tenon.map %m = %m0, %n = %m1, %a = %a0, %r = %k, %s = %v, %z = %w at %b, %d : (!s, !s, !s, !g, !g, !g) -> !s = exp(%m[%b, %d] + %z[%b, 1, %d] - %n[%b, %d]) * %a[%b, %d] + exp(%r[%b, 1, %d] - %n[%b, %d]) * %s[%b, 1, %d]
  %y1 = tenon.map %m = %m1, %a = %a1 at %b, %i, %d : (!s, !s) -> !q = %a[%b, %d] * exp(%m[%b, %d])
  %m2 = tenon.map %m = %m1, %r = %k, %z = %w at %b, %d : (!s, !g, !g) -> !s = max(%r[%b, 2, %d], %z[%b, 2, %d] + %m[%b, %d])
  %a2 = tenon.map %m = %m1, %n = %m2, %a = %a1, %r = %k, %s = %v, %z = %w at %b, %d : (!s, !s, !s, !g, !g, !g) -> !s = exp(%m[%b, %d] + %z[%b, 2, %d] - %n[%b, %d]) * %a[%b, %d] + exp(%r[%b, 2, %d] - %n[%b, %d]) * %s[%b, 2, %d]
  %y2 = tenon.map %m = %m2, %a = %a2 at %b, %i, %d : (!s, !s) -> !q = %a[%b, %d] * exp(%m[%b, %d])
  %m3 = tenon.map %m = %m2, %r = %k, %z = %w at %b, %d : (!s, !g, !g) -> !s = max(%r[%b, 3, %d], %z[%b, 3, %d] + %m[%b, %d])
  %a3 = tenon.map %m = %m2, %n = %m3, %a = %a2, %r = %k, %s = %v, %z = %w at %b, %d : (!s, !s, !s, !g, !g, !g) -> !s = exp(%m[%b, %d] + %z[%b, 3, %d] - %n[%b, %d]) * %a[%b, %d] + exp(%r[%b, 3, %d] - %n[%b, %d]) * %s[%b, 3, %d]
  %y3 = tenon.map %m = %m3, %a = %a3 at %b, %i, %d : (!s, !s) -> !q = %a[%b, %d] * exp(%m[%b, %d])
  %m4 = tenon.map %m = %m3, %r = %k, %z = %w at %b, %d : (!s, !g, !g) -> !s = max(%r[%b, 4, %d], %z[%b, 4, %d] + %m[%b, %d])
  %a4 = tenon.map %m = %m3, %n = %m4, %a = %a3, %r = %k, %s = %v, %z = %w at %b, %d : (!s, !s, !s, !g, !g, !g) -> !s = exp(%m[%b, %d] + %z[%b, 4, %d] - %n[%b, %d]) * %a[%b, %d] + exp(%r[%b, 4, %d] - %n[%b, %d]) * %s[%b, 4, %d]
  %y4 = tenon.map %m = %m4, %a = %a4 at %b, %i, %d : (!s, !s) -> !q = %a[%b, %d] * exp(%m[%b, %d])
  %y = tenon.map %p0 = %y0, %p1 = %y1, %p2 = %y2, %p3 = %y3, %p4 = %y4 at %b, %n, %d : (!q, !q, !q, !q, !q) -> !g = select(%n < 1, %p0[%b, 0, %d], select(%n < 2, %p1[%b, 0, %d], select(%n < 3, %p2[%b, 0, %d], select(%n < 4, %p3[%b, 0, %d], %p4[%b, 0, %d]))))
  return %y, %m4, %a4 : !g, !s, !s
}

// The sum goes through a function.
// CHECK-LABEL: func.func @through_a_function(
// CHECK-NOT: tenon.scan
func.func @through_a_function(%k: !g, %v: !g, %w: !g, %m: !s, %a: !s) -> (!g, !s, !s) {
  %m0 = tenon.map %m = %m, %r = %k, %z = %w at %b, %d : (!s, !g, !g) -> !s = max(%r[%b, 0, %d], %z[%b, 0, %d] + %m[%b, %d])
  %a0 = tenon.map %m = %m, %n = %m0, %a = %a, %r = %k, %s = %v, %z = %w at %b, %d : (!s, !s, !s, !g, !g, !g) -> !s = exp(%m[%b, %d] + %z[%b, 0, %d] - %n[%b, %d]) * tanh(%a[%b, %d]) + exp(%r[%b, 0, %d] - %n[%b, %d]) * %s[%b, 0, %d]
  %y0 = tenon.map %m = %m0, %a = %a0 at %b, %i, %d : (!s, !s) -> !q = %a[%b, %d] * exp(%m[%b, %d])
  %m1 = tenon.map %m = %m0, %r = %k, %z = %w at %b, %d : (!s, !g, !g) -> !s = max(%r[%b, 1, %d], %z[%b, 1, %d] + %m[%b, %d])
  %a1 = tenon.map %m = %m0, %n = %m1, %a = %a0, %r = %k, %s = %v, %z = %w at %b, %d : (!s, !s, !s, !g, !g, !g) -> !s = exp(%m[%b, %d] + %z[%b, 1, %d] - %n[%b, %d]) * tanh(%a[%b, %d]) + exp(%r[%b, 1, %d] - %n[%b, %d]) * %s[%b, 1, %d]
  %y1 = tenon.map %m = %m1, %a = %a1 at %b, %i, %d : (!s, !s) -> !q = %a[%b, %d] * exp(%m[%b, %d])
  %m2 = tenon.map %m = %m1, %r = %k, %z = %w at %b, %d : (!s, !g, !g) -> !s = max(%r[%b, 2, %d], %z[%b, 2, %d] + %m[%b, %d])
  %a2 = tenon.map %m = %m1, %n = %m2, %a = %a1, %r = %k, %s = %v, %z = %w at %b, %d : (!s, !s, !s, !g, !g, !g) -> !s = exp(%m[%b, %d] + %z[%b, 2, %d] - %n[%b, %d]) * tanh(%a[%b, %d]) + exp(%r[%b, 2, %d] - %n[%b, %d]) * %s[%b, 2, %d]
  %y2 = tenon.map %m = %m2, %a = %a2 at %b, %i, %d : (!s, !s) -> !q = %a[%b, %d] * exp(%m[%b, %d])
  %m3 = tenon.map %m = %m2, %r = %k, %z = %w at %b, %d : (!s, !g, !g) -> !s = max(%r[%b, 3, %d], %z[%b, 3, %d] + %m[%b, %d])
  %a3 = tenon.map %m = %m2, %n = %m3, %a = %a2, %r = %k, %s = %v, %z = %w at %b, %d : (!s, !s, !s, !g, !g, !g) -> !s = exp(%m[%b, %d] + %z[%b, 3, %d] - %n[%b, %d]) * tanh(%a[%b, %d]) + exp(%r[%b, 3, %d] - %n[%b, %d]) * %s[%b, 3, %d]
  %y3 = tenon.map %m = %m3, %a = %a3 at %b, %i, %d : (!s, !s) -> !q = %a[%b, %d] * exp(%m[%b, %d])
  %m4 = tenon.map %m = %m3, %r = %k, %z = %w at %b, %d : (!s, !g, !g) -> !s = max(%r[%b, 4, %d], %z[%b, 4, %d] + %m[%b, %d])
  %a4 = tenon.map %m = %m3, %n = %m4, %a = %a3, %r = %k, %s = %v, %z = %w at %b, %d : (!s, !s, !s, !g, !g, !g) -> !s = exp(%m[%b, %d] + %z[%b, 4, %d] - %n[%b, %d]) * tanh(%a[%b, %d]) + exp(%r[%b, 4, %d] - %n[%b, %d]) * %s[%b, 4, %d]
  %y4 = tenon.map %m = %m4, %a = %a4 at %b, %i, %d : (!s, !s) -> !q = %a[%b, %d] * exp(%m[%b, %d])
  %y = tenon.map %p0 = %y0, %p1 = %y1, %p2 = %y2, %p3 = %y3, %p4 = %y4 at %b, %n, %d : (!q, !q, !q, !q, !q) -> !g = select(%n < 1, %p0[%b, 0, %d], select(%n < 2, %p1[%b, 0, %d], select(%n < 3, %p2[%b, 0, %d], select(%n < 4, %p3[%b, 0, %d], %p4[%b, 0, %d]))))
  return %y, %m4, %a4 : !g, !s, !s
}

// Each state needs the other.
// CHECK-LABEL: func.func @mutual(
// CHECK-NOT: tenon.scan
func.func @mutual(%k: !g, %m: !s, %a: !s) -> !g {
  %m0 = tenon.map %m = %m, %a = %a, %r = %k at %b, %d : (!s, !s, !g) -> !s = 0.5 * %m[%b, %d] + %a[%b, %d] + %r[%b, 0, %d]
  %a0 = tenon.map %m = %m, %a = %a at %b, %d : (!s, !s) -> !s = 0.5 * %a[%b, %d] + %m[%b, %d]
  %y0 = tenon.map %m = %m0, %a = %a0 at %b, %i, %d : (!s, !s) -> !q = %a[%b, %d] * %m[%b, %d]
  %m1 = tenon.map %m = %m0, %a = %a0, %r = %k at %b, %d : (!s, !s, !g) -> !s = 0.5 * %m[%b, %d] + %a[%b, %d] + %r[%b, 1, %d]
  %a1 = tenon.map %m = %m0, %a = %a0 at %b, %d : (!s, !s) -> !s = 0.5 * %a[%b, %d] + %m[%b, %d]
  %y1 = tenon.map %m = %m1, %a = %a1 at %b, %i, %d : (!s, !s) -> !q = %a[%b, %d] * %m[%b, %d]
  %m2 = tenon.map %m = %m1, %a = %a1, %r = %k at %b, %d : (!s, !s, !g) -> !s = 0.5 * %m[%b, %d] + %a[%b, %d] + %r[%b, 2, %d]
  %a2 = tenon.map %m = %m1, %a = %a1 at %b, %d : (!s, !s) -> !s = 0.5 * %a[%b, %d] + %m[%b, %d]
  %y2 = tenon.map %m = %m2, %a = %a2 at %b, %i, %d : (!s, !s) -> !q = %a[%b, %d] * %m[%b, %d]
  %m3 = tenon.map %m = %m2, %a = %a2, %r = %k at %b, %d : (!s, !s, !g) -> !s = 0.5 * %m[%b, %d] + %a[%b, %d] + %r[%b, 3, %d]
  %a3 = tenon.map %m = %m2, %a = %a2 at %b, %d : (!s, !s) -> !s = 0.5 * %a[%b, %d] + %m[%b, %d]
  %y3 = tenon.map %m = %m3, %a = %a3 at %b, %i, %d : (!s, !s) -> !q = %a[%b, %d] * %m[%b, %d]
  %m4 = tenon.map %m = %m3, %a = %a3, %r = %k at %b, %d : (!s, !s, !g) -> !s = 0.5 * %m[%b, %d] + %a[%b, %d] + %r[%b, 4, %d]
  %a4 = tenon.map %m = %m3, %a = %a3 at %b, %d : (!s, !s) -> !s = 0.5 * %a[%b, %d] + %m[%b, %d]
  %y4 = tenon.map %m = %m4, %a = %a4 at %b, %i, %d : (!s, !s) -> !q = %a[%b, %d] * %m[%b, %d]
  %y = tenon.map %p0 = %y0, %p1 = %y1, %p2 = %y2, %p3 = %y3, %p4 = %y4 at %b, %n, %d : (!q, !q, !q, !q, !q) -> !g = select(%n < 1, %p0[%b, 0, %d], select(%n < 2, %p1[%b, 0, %d], select(%n < 3, %p2[%b, 0, %d], select(%n < 4, %p3[%b, 0, %d], %p4[%b, 0, %d]))))
  return %y : !g
}

// A sum in between is asked for.
// CHECK-LABEL: func.func @read_in_between(
// CHECK-NOT: tenon.scan
func.func @read_in_between(%k: !k, %v: !k, %w: !c, %u: !c) -> (!k, !c) {
  %y0 = tenon.map %r = %k, %s = %v, %x = %u at %i, %d : (!k, !k, !c) -> !p = let %o = max(%x[%d] + %r[0, %d], -99.0) in (exp(-99.0 - %o) * 0.0 + exp(%x[%d] + %r[0, %d] - %o) * %s[0, %d]) / (exp(-99.0 - %o) * 0.0 + exp(%x[%d] + %r[0, %d] - %o))
  %m1 = tenon.map %r = %k, %z = %w at %d : (!k, !c) -> !c = max(%z[%d] + -99.0, %r[0, %d])
  %a1 = tenon.map %r = %k, %s = %v, %z = %w at %d : (!k, !k, !c) -> !c = let %n = max(%z[%d] + -99.0, %r[0, %d]) in exp(%z[%d] + -99.0 - %n) * 0.0 + exp(%r[0, %d] - %n) * %s[0, %d]
  %b1 = tenon.map %r = %k, %z = %w at %d : (!k, !c) -> !c = let %n = max(%z[%d] + -99.0, %r[0, %d]) in exp(%z[%d] + -99.0 - %n) * 0.0 + exp(%r[0, %d] - %n)
  %y1 = tenon.map %m = %m1, %a = %a1, %b = %b1, %r = %k, %s = %v, %x = %u at %i, %d : (!c, !c, !c, !k, !k, !c) -> !p = let %o = max(%m[%d], %x[%d] + %r[1, %d]) in (exp(%m[%d] - %o) * %a[%d] + exp(%x[%d] + %r[1, %d] - %o) * %s[1, %d]) / (exp(%m[%d] - %o) * %b[%d] + exp(%x[%d] + %r[1, %d] - %o))
  %m2 = tenon.map %m = %m1, %r = %k, %z = %w at %d : (!c, !k, !c) -> !c = max(%m[%d] + %z[%d], %r[1, %d])
  %a2 = tenon.map %m = %m1, %a = %a1, %r = %k, %s = %v, %z = %w at %d : (!c, !c, !k, !k, !c) -> !c = let %n = max(%m[%d] + %z[%d], %r[1, %d]) in exp(%m[%d] + %z[%d] - %n) * %a[%d] + exp(%r[1, %d] - %n) * %s[1, %d]
  %b2 = tenon.map %m = %m1, %b = %b1, %r = %k, %z = %w at %d : (!c, !c, !k, !c) -> !c = let %n = max(%m[%d] + %z[%d], %r[1, %d]) in exp(%m[%d] + %z[%d] - %n) * %b[%d] + exp(%r[1, %d] - %n)
  %y2 = tenon.map %m = %m2, %a = %a2, %b = %b2, %r = %k, %s = %v, %x = %u at %i, %d : (!c, !c, !c, !k, !k, !c) -> !p = let %o = max(%m[%d], %x[%d] + %r[2, %d]) in (exp(%m[%d] - %o) * %a[%d] + exp(%x[%d] + %r[2, %d] - %o) * %s[2, %d]) / (exp(%m[%d] - %o) * %b[%d] + exp(%x[%d] + %r[2, %d] - %o))
  %m3 = tenon.map %m = %m2, %r = %k, %z = %w at %d : (!c, !k, !c) -> !c = max(%m[%d] + %z[%d], %r[2, %d])
  %a3 = tenon.map %m = %m2, %a = %a2, %r = %k, %s = %v, %z = %w at %d : (!c, !c, !k, !k, !c) -> !c = let %n = max(%m[%d] + %z[%d], %r[2, %d]) in exp(%m[%d] + %z[%d] - %n) * %a[%d] + exp(%r[2, %d] - %n) * %s[2, %d]
  %b3 = tenon.map %m = %m2, %b = %b2, %r = %k, %z = %w at %d : (!c, !c, !k, !c) -> !c = let %n = max(%m[%d] + %z[%d], %r[2, %d]) in exp(%m[%d] + %z[%d] - %n) * %b[%d] + exp(%r[2, %d] - %n)
  %y3 = tenon.map %m = %m3, %a = %a3, %b = %b3, %r = %k, %s = %v, %x = %u at %i, %d : (!c, !c, !c, !k, !k, !c) -> !p = let %o = max(%m[%d], %x[%d] + %r[3, %d]) in (exp(%m[%d] - %o) * %a[%d] + exp(%x[%d] + %r[3, %d] - %o) * %s[3, %d]) / (exp(%m[%d] - %o) * %b[%d] + exp(%x[%d] + %r[3, %d] - %o))
  %m4 = tenon.map %m = %m3, %r = %k, %z = %w at %d : (!c, !k, !c) -> !c = max(%m[%d] + %z[%d], %r[3, %d])
  %a4 = tenon.map %m = %m3, %a = %a3, %r = %k, %s = %v, %z = %w at %d : (!c, !c, !k, !k, !c) -> !c = let %n = max(%m[%d] + %z[%d], %r[3, %d]) in exp(%m[%d] + %z[%d] - %n) * %a[%d] + exp(%r[3, %d] - %n) * %s[3, %d]
  %b4 = tenon.map %m = %m3, %b = %b3, %r = %k, %z = %w at %d : (!c, !c, !k, !c) -> !c = let %n = max(%m[%d] + %z[%d], %r[3, %d]) in exp(%m[%d] + %z[%d] - %n) * %b[%d] + exp(%r[3, %d] - %n)
  %y4 = tenon.map %m = %m4, %a = %a4, %b = %b4, %r = %k, %s = %v, %x = %u at %i, %d : (!c, !c, !c, !k, !k, !c) -> !p = let %o = max(%m[%d], %x[%d] + %r[4, %d]) in (exp(%m[%d] - %o) * %a[%d] + exp(%x[%d] + %r[4, %d] - %o) * %s[4, %d]) / (exp(%m[%d] - %o) * %b[%d] + exp(%x[%d] + %r[4, %d] - %o))
  %y = tenon.map %p0 = %y0, %p1 = %y1, %p2 = %y2, %p3 = %y3, %p4 = %y4 at %n, %d : (!p, !p, !p, !p, !p) -> !k = select(%n < 1, %p0[0, %d], select(%n < 2, %p1[0, %d], select(%n < 3, %p2[0, %d], select(%n < 4, %p3[0, %d], %p4[0, %d]))))
  return %y, %b2 : !k, !c
}

// The sum is not of the same channel.
// CHECK-LABEL: func.func @another_channel(
// CHECK-NOT: tenon.scan
func.func @another_channel(%k: !k, %v: !k, %w: !c, %u: !c) -> !k {
  %y0 = tenon.map %r = %k, %s = %v, %x = %u at %i, %d : (!k, !k, !c) -> !p = let %o = max(%x[%d] + %r[0, %d], -99.0) in (exp(-99.0 - %o) * 0.0 + exp(%x[%d] + %r[0, %d] - %o) * %s[0, %d]) / (exp(-99.0 - %o) * 0.0 + exp(%x[%d] + %r[0, %d] - %o))
  %m1 = tenon.map %r = %k, %z = %w at %d : (!k, !c) -> !c = max(%z[%d] + -99.0, %r[0, %d])
  %a1 = tenon.map %r = %k, %s = %v, %z = %w at %d : (!k, !k, !c) -> !c = let %n = max(%z[%d] + -99.0, %r[0, %d]) in exp(%z[%d] + -99.0 - %n) * 0.0 + exp(%r[0, %d] - %n) * %s[0, %d]
  %b1 = tenon.map %r = %k, %z = %w at %d : (!k, !c) -> !c = let %n = max(%z[%d] + -99.0, %r[0, %d]) in exp(%z[%d] + -99.0 - %n) * 0.0 + exp(%r[0, %d] - %n)
  %y1 = tenon.map %m = %m1, %a = %a1, %b = %b1, %r = %k, %s = %v, %x = %u at %i, %d : (!c, !c, !c, !k, !k, !c) -> !p = let %o = max(%m[%d], %x[%d] + %r[1, %d]) in (exp(%m[%d] - %o) * %a[%d] + exp(%x[%d] + %r[1, %d] - %o) * %s[1, %d]) / (exp(%m[%d] - %o) * %b[%d] + exp(%x[%d] + %r[1, %d] - %o))
  %m2 = tenon.map %m = %m1, %r = %k, %z = %w at %d : (!c, !k, !c) -> !c = max(%m[%d] + %z[%d], %r[1, %d])
  %a2 = tenon.map %m = %m1, %a = %a1, %r = %k, %s = %v, %z = %w at %d : (!c, !c, !k, !k, !c) -> !c = let %n = max(%m[%d] + %z[%d], %r[1, %d]) in exp(%m[%d] + %z[%d] - %n) * %a[2 - %d] + exp(%r[1, %d] - %n) * %s[1, %d]
  %b2 = tenon.map %m = %m1, %b = %b1, %r = %k, %z = %w at %d : (!c, !c, !k, !c) -> !c = let %n = max(%m[%d] + %z[%d], %r[1, %d]) in exp(%m[%d] + %z[%d] - %n) * %b[%d] + exp(%r[1, %d] - %n)
  %y2 = tenon.map %m = %m2, %a = %a2, %b = %b2, %r = %k, %s = %v, %x = %u at %i, %d : (!c, !c, !c, !k, !k, !c) -> !p = let %o = max(%m[%d], %x[%d] + %r[2, %d]) in (exp(%m[%d] - %o) * %a[%d] + exp(%x[%d] + %r[2, %d] - %o) * %s[2, %d]) / (exp(%m[%d] - %o) * %b[%d] + exp(%x[%d] + %r[2, %d] - %o))
  %m3 = tenon.map %m = %m2, %r = %k, %z = %w at %d : (!c, !k, !c) -> !c = max(%m[%d] + %z[%d], %r[2, %d])
  %a3 = tenon.map %m = %m2, %a = %a2, %r = %k, %s = %v, %z = %w at %d : (!c, !c, !k, !k, !c) -> !c = let %n = max(%m[%d] + %z[%d], %r[2, %d]) in exp(%m[%d] + %z[%d] - %n) * %a[2 - %d] + exp(%r[2, %d] - %n) * %s[2, %d]
  %b3 = tenon.map %m = %m2, %b = %b2, %r = %k, %z = %w at %d : (!c, !c, !k, !c) -> !c = let %n = max(%m[%d] + %z[%d], %r[2, %d]) in exp(%m[%d] + %z[%d] - %n) * %b[%d] + exp(%r[2, %d] - %n)
  %y3 = tenon.map %m = %m3, %a = %a3, %b = %b3, %r = %k, %s = %v, %x = %u at %i, %d : (!c, !c, !c, !k, !k, !c) -> !p = let %o = max(%m[%d], %x[%d] + %r[3, %d]) in (exp(%m[%d] - %o) * %a[%d] + exp(%x[%d] + %r[3, %d] - %o) * %s[3, %d]) / (exp(%m[%d] - %o) * %b[%d] + exp(%x[%d] + %r[3, %d] - %o))
  %m4 = tenon.map %m = %m3, %r = %k, %z = %w at %d : (!c, !k, !c) -> !c = max(%m[%d] + %z[%d], %r[3, %d])
  %a4 = tenon.map %m = %m3, %a = %a3, %r = %k, %s = %v, %z = %w at %d : (!c, !c, !k, !k, !c) -> !c = let %n = max(%m[%d] + %z[%d], %r[3, %d]) in exp(%m[%d] + %z[%d] - %n) * %a[2 - %d] + exp(%r[3, %d] - %n) * %s[3, %d]
  %b4 = tenon.map %m = %m3, %b = %b3, %r = %k, %z = %w at %d : (!c, !c, !k, !c) -> !c = let %n = max(%m[%d] + %z[%d], %r[3, %d]) in exp(%m[%d] + %z[%d] - %n) * %b[%d] + exp(%r[3, %d] - %n)
  %y4 = tenon.map %m = %m4, %a = %a4, %b = %b4, %r = %k, %s = %v, %x = %u at %i, %d : (!c, !c, !c, !k, !k, !c) -> !p = let %o = max(%m[%d], %x[%d] + %r[4, %d]) in (exp(%m[%d] - %o) * %a[%d] + exp(%x[%d] + %r[4, %d] - %o) * %s[4, %d]) / (exp(%m[%d] - %o) * %b[%d] + exp(%x[%d] + %r[4, %d] - %o))
  %y = tenon.map %p0 = %y0, %p1 = %y1, %p2 = %y2, %p3 = %y3, %p4 = %y4 at %n, %d : (!p, !p, !p, !p, !p) -> !k = select(%n < 1, %p0[0, %d], select(%n < 2, %p1[0, %d], select(%n < 3, %p2[0, %d], select(%n < 4, %p3[0, %d], %p4[0, %d]))))
  return %y : !k
}
