// RUN: tenon-opt %s --tenon-raise-scan | FileCheck %s
// RUN: tenon-interpret %s --check-passes=tenon-raise-scan
!x = tensor<2x3x4xf32>
!f = tensor<2x3x4x5xf32>
!k = tensor<2x4x5xf32>
!s = tensor<2x3x5xf32>
!r = tensor<2x5x1xf32>
!t = tensor<1x2x3xf32>
!o = tensor<2x3xf32>
!p = tensor<2x3x1xf32>

// Mamba: what a state takes in is split into what its rows know, the key, and the rest; zeros before the first step.
// CHECK-LABEL: func.func @channels(
// CHECK-DAG: %[[Q:.*]] = tenon.map %{{.*}} = %arg3 at %{{.*}} : {{.*}} -> tensor<2x4x5xf32>
// CHECK-DAG: %[[K:.*]] = tenon.map %{{.*}} = %arg2 at %{{.*}} : {{.*}} -> tensor<2x4x5xf32>
// CHECK-DAG: %[[V:.*]] = tenon.map %{{.*}} = %arg1 at %{{.*}} : {{.*}} -> tensor<2x4x3xf32>
// CHECK-DAG: %[[A:.*]] = tenon.map %{{.*}} = %arg0 at %{{.*}} : {{.*}} -> tensor<2x4x3x5xf32>
// CHECK: tenon.scan %[[Q]], %[[K]], %[[V]] decay(%[[A]] : {{.*}}) layout ["b n d", "b n d", "b n h", "b n h d", "b n h"]
// CHECK-NOT: tenon.contract
func.func @channels(%f: !f, %x: !x, %k: !k, %q: !k) -> !x {
  %s0 = tenon.map %l = %f, %m = %x, %c = %k at %b, %h, %d : (!f, !x, !k) -> !s = %l[%b, %h, 0, %d] * 0.0 + %c[%b, 0, %d] * %m[%b, %h, 0]
  %q0 = tenon.map %l = %q at %b, %d, %m : (!k) -> !r = %l[%b, 0, %d]
  %o0 = tenon.contract "b h d, b d m -> m b h" %s0, %q0 : (!s, !r) -> !t
  %y0 = tenon.reshape %o0 : !t -> !p
  %s1 = tenon.map %a = %s0, %l = %f, %m = %x, %c = %k at %b, %h, %d : (!s, !f, !x, !k) -> !s = %l[%b, %h, 1, %d] * %a[%b, %h, %d] + %c[%b, 1, %d] * %m[%b, %h, 1]
  %q1 = tenon.map %l = %q at %b, %d, %m : (!k) -> !r = %l[%b, 1, %d]
  %o1 = tenon.contract "b h d, b d m -> m b h" %s1, %q1 : (!s, !r) -> !t
  %y1 = tenon.reshape %o1 : !t -> !p
  %s2 = tenon.map %a = %s1, %l = %f, %m = %x, %c = %k at %b, %h, %d : (!s, !f, !x, !k) -> !s = %l[%b, %h, 2, %d] * %a[%b, %h, %d] + %c[%b, 2, %d] * %m[%b, %h, 2]
  %q2 = tenon.map %l = %q at %b, %d, %m : (!k) -> !r = %l[%b, 2, %d]
  %o2 = tenon.contract "b h d, b d m -> m b h" %s2, %q2 : (!s, !r) -> !t
  %y2 = tenon.reshape %o2 : !t -> !p
  %s3 = tenon.map %a = %s2, %l = %f, %m = %x, %c = %k at %b, %h, %d : (!s, !f, !x, !k) -> !s = %l[%b, %h, 3, %d] * %a[%b, %h, %d] + %c[%b, 3, %d] * %m[%b, %h, 3]
  %q3 = tenon.map %l = %q at %b, %d, %m : (!k) -> !r = %l[%b, 3, %d]
  %o3 = tenon.contract "b h d, b d m -> m b h" %s3, %q3 : (!s, !r) -> !t
  %y3 = tenon.reshape %o3 : !t -> !p
  %y = tenon.map %p0 = %y0, %p1 = %y1, %p2 = %y2, %p3 = %y3 at %b, %h, %n : (!p, !p, !p, !p) -> !x = select(%n < 1, %p0[%b, %h, 0], select(%n < 2, %p1[%b, %h, 0], select(%n < 3, %p2[%b, %h, 0], %p3[%b, %h, 0])))
  return %y : !x
}

// HGRN: every element is a recurrence. A state is given, and the last one is read.
// CHECK-LABEL: func.func @elements(
// CHECK: %{{.*}}, %[[S:.*]] = tenon.scan {{.*}} from(%{{.*}} : tensor<2x3x1x1xf32>) layout ["d", "d", "b n h", "b n h", "b n h"]
// CHECK: tenon.map %{{.*}} = %[[S]]
func.func @elements(%g: !x, %x: !x, %s: !o) -> (!x, !o) {
  %s0 = tenon.map %a = %s, %l = %g, %m = %x at %b, %h : (!o, !x, !x) -> !o = %l[%b, %h, 0] * %a[%b, %h] + (1.0 - %l[%b, %h, 0]) * %m[%b, %h, 0]
  %y0 = tenon.reshape %s0 : !o -> !p
  %s1 = tenon.map %a = %s0, %l = %g, %m = %x at %b, %h : (!o, !x, !x) -> !o = %l[%b, %h, 1] * %a[%b, %h] + (1.0 - %l[%b, %h, 1]) * %m[%b, %h, 1]
  %y1 = tenon.reshape %s1 : !o -> !p
  %s2 = tenon.map %a = %s1, %l = %g, %m = %x at %b, %h : (!o, !x, !x) -> !o = %l[%b, %h, 2] * %a[%b, %h] + (1.0 - %l[%b, %h, 2]) * %m[%b, %h, 2]
  %y2 = tenon.reshape %s2 : !o -> !p
  %s3 = tenon.map %a = %s2, %l = %g, %m = %x at %b, %h : (!o, !x, !x) -> !o = %l[%b, %h, 3] * %a[%b, %h] + (1.0 - %l[%b, %h, 3]) * %m[%b, %h, 3]
  %y3 = tenon.reshape %s3 : !o -> !p
  %y = tenon.map %p0 = %y0, %p1 = %y1, %p2 = %y2, %p3 = %y3 at %b, %h, %n : (!p, !p, !p, !p) -> !x = select(%n < 1, %p0[%b, %h, 0], select(%n < 2, %p1[%b, %h, 0], select(%n < 3, %p2[%b, %h, 0], %p3[%b, %h, 0])))
  return %y, %s3 : !x, !o
}

// The gated delta rule, by products and sums; what is read is scaled and gets a skip.
// CHECK-LABEL: func.func @delta(
// CHECK: tenon.scan {{.*}} decay(%{{.*}} : tensor<4xf32>) rate(%{{.*}} : tensor<4xf32>) from(%{{.*}}) layout ["n d", "n d", "n d", "n", "n", "n d"]
// CHECK-NOT: tenon.reduce
func.func @delta(%q: tensor<4x5xf32>, %k: tensor<4x5xf32>, %v: tensor<4x6xf32>, %g: tensor<4xf32>, %beta: tensor<4xf32>, %s: tensor<5x6xf32>) -> tensor<4x6xf32> {
  %w0 = tenon.map %a = %s, %l = %g, %c = %k at %d, %e : (tensor<5x6xf32>, tensor<4xf32>, tensor<4x5xf32>) -> tensor<5x6xf32> = %a[%d, %e] * exp(%l[0]) * %c[0, %d]
  %m0 = tenon.reduce sum %w0 over [0] : tensor<5x6xf32> -> tensor<6xf32>
  %s0 = tenon.map %a = %s, %l = %g, %c = %k, %m = %m0, %u = %v, %r = %beta at %d, %e : (tensor<5x6xf32>, tensor<4xf32>, tensor<4x5xf32>, tensor<6xf32>, tensor<4x6xf32>, tensor<4xf32>) -> tensor<5x6xf32> = %a[%d, %e] * exp(%l[0]) + %c[0, %d] * ((%u[0, %e] - %m[%e]) * %r[0])
  %t0 = tenon.map %a = %s0, %l = %q at %d, %e : (tensor<5x6xf32>, tensor<4x5xf32>) -> tensor<5x6xf32> = %a[%d, %e] * %l[0, %d]
  %o0 = tenon.reduce sum %t0 over [0] : tensor<5x6xf32> -> tensor<6xf32>
  %y0 = tenon.map %l = %o0, %m = %v at %n, %e : (tensor<6xf32>, tensor<4x6xf32>) -> tensor<1x6xf32> = %l[%e] * 0.5 + %m[0, %e]
  %w1 = tenon.map %a = %s0, %l = %g, %c = %k at %d, %e : (tensor<5x6xf32>, tensor<4xf32>, tensor<4x5xf32>) -> tensor<5x6xf32> = %a[%d, %e] * exp(%l[1]) * %c[1, %d]
  %m1 = tenon.reduce sum %w1 over [0] : tensor<5x6xf32> -> tensor<6xf32>
  %s1 = tenon.map %a = %s0, %l = %g, %c = %k, %m = %m1, %u = %v, %r = %beta at %d, %e : (tensor<5x6xf32>, tensor<4xf32>, tensor<4x5xf32>, tensor<6xf32>, tensor<4x6xf32>, tensor<4xf32>) -> tensor<5x6xf32> = %a[%d, %e] * exp(%l[1]) + %c[1, %d] * ((%u[1, %e] - %m[%e]) * %r[1])
  %t1 = tenon.map %a = %s1, %l = %q at %d, %e : (tensor<5x6xf32>, tensor<4x5xf32>) -> tensor<5x6xf32> = %a[%d, %e] * %l[1, %d]
  %o1 = tenon.reduce sum %t1 over [0] : tensor<5x6xf32> -> tensor<6xf32>
  %y1 = tenon.map %l = %o1, %m = %v at %n, %e : (tensor<6xf32>, tensor<4x6xf32>) -> tensor<1x6xf32> = %l[%e] * 0.5 + %m[1, %e]
  %w2 = tenon.map %a = %s1, %l = %g, %c = %k at %d, %e : (tensor<5x6xf32>, tensor<4xf32>, tensor<4x5xf32>) -> tensor<5x6xf32> = %a[%d, %e] * exp(%l[2]) * %c[2, %d]
  %m2 = tenon.reduce sum %w2 over [0] : tensor<5x6xf32> -> tensor<6xf32>
  %s2 = tenon.map %a = %s1, %l = %g, %c = %k, %m = %m2, %u = %v, %r = %beta at %d, %e : (tensor<5x6xf32>, tensor<4xf32>, tensor<4x5xf32>, tensor<6xf32>, tensor<4x6xf32>, tensor<4xf32>) -> tensor<5x6xf32> = %a[%d, %e] * exp(%l[2]) + %c[2, %d] * ((%u[2, %e] - %m[%e]) * %r[2])
  %t2 = tenon.map %a = %s2, %l = %q at %d, %e : (tensor<5x6xf32>, tensor<4x5xf32>) -> tensor<5x6xf32> = %a[%d, %e] * %l[2, %d]
  %o2 = tenon.reduce sum %t2 over [0] : tensor<5x6xf32> -> tensor<6xf32>
  %y2 = tenon.map %l = %o2, %m = %v at %n, %e : (tensor<6xf32>, tensor<4x6xf32>) -> tensor<1x6xf32> = %l[%e] * 0.5 + %m[2, %e]
  %w3 = tenon.map %a = %s2, %l = %g, %c = %k at %d, %e : (tensor<5x6xf32>, tensor<4xf32>, tensor<4x5xf32>) -> tensor<5x6xf32> = %a[%d, %e] * exp(%l[3]) * %c[3, %d]
  %m3 = tenon.reduce sum %w3 over [0] : tensor<5x6xf32> -> tensor<6xf32>
  %s3 = tenon.map %a = %s2, %l = %g, %c = %k, %m = %m3, %u = %v, %r = %beta at %d, %e : (tensor<5x6xf32>, tensor<4xf32>, tensor<4x5xf32>, tensor<6xf32>, tensor<4x6xf32>, tensor<4xf32>) -> tensor<5x6xf32> = %a[%d, %e] * exp(%l[3]) + %c[3, %d] * ((%u[3, %e] - %m[%e]) * %r[3])
  %t3 = tenon.map %a = %s3, %l = %q at %d, %e : (tensor<5x6xf32>, tensor<4x5xf32>) -> tensor<5x6xf32> = %a[%d, %e] * %l[3, %d]
  %o3 = tenon.reduce sum %t3 over [0] : tensor<5x6xf32> -> tensor<6xf32>
  %y3 = tenon.map %l = %o3, %m = %v at %n, %e : (tensor<6xf32>, tensor<4x6xf32>) -> tensor<1x6xf32> = %l[%e] * 0.5 + %m[3, %e]
  %y = tenon.map %p0 = %y0, %p1 = %y1, %p2 = %y2, %p3 = %y3 at %n, %e : (tensor<1x6xf32>, tensor<1x6xf32>, tensor<1x6xf32>, tensor<1x6xf32>) -> tensor<4x6xf32> = select(%n < 1, %p0[0, %e], select(%n < 2, %p1[0, %e], select(%n < 3, %p2[0, %e], %p3[0, %e])))
  return %y : tensor<4x6xf32>
}

// Near misses: the state goes through a function; a step reads another position; a state in between is read; an
// older state is read; the first step does something else.

// Not linear.
// CHECK-LABEL: func.func @through_a_function(
// CHECK-NOT: tenon.scan
func.func @through_a_function(%f: !f, %x: !x, %k: !k, %q: !k) -> !x {
  %s0 = tenon.map %l = %f, %m = %x, %c = %k at %b, %h, %d : (!f, !x, !k) -> !s = %l[%b, %h, 0, %d] * 0.0 + %c[%b, 0, %d] * %m[%b, %h, 0]
  %q0 = tenon.map %l = %q at %b, %d, %m : (!k) -> !r = %l[%b, 0, %d]
  %o0 = tenon.contract "b h d, b d m -> m b h" %s0, %q0 : (!s, !r) -> !t
  %y0 = tenon.reshape %o0 : !t -> !p
  %s1 = tenon.map %a = %s0, %l = %f, %m = %x, %c = %k at %b, %h, %d : (!s, !f, !x, !k) -> !s = %l[%b, %h, 1, %d] * tanh(%a[%b, %h, %d]) + %c[%b, 1, %d] * %m[%b, %h, 1]
  %q1 = tenon.map %l = %q at %b, %d, %m : (!k) -> !r = %l[%b, 1, %d]
  %o1 = tenon.contract "b h d, b d m -> m b h" %s1, %q1 : (!s, !r) -> !t
  %y1 = tenon.reshape %o1 : !t -> !p
  %s2 = tenon.map %a = %s1, %l = %f, %m = %x, %c = %k at %b, %h, %d : (!s, !f, !x, !k) -> !s = %l[%b, %h, 2, %d] * tanh(%a[%b, %h, %d]) + %c[%b, 2, %d] * %m[%b, %h, 2]
  %q2 = tenon.map %l = %q at %b, %d, %m : (!k) -> !r = %l[%b, 2, %d]
  %o2 = tenon.contract "b h d, b d m -> m b h" %s2, %q2 : (!s, !r) -> !t
  %y2 = tenon.reshape %o2 : !t -> !p
  %s3 = tenon.map %a = %s2, %l = %f, %m = %x, %c = %k at %b, %h, %d : (!s, !f, !x, !k) -> !s = %l[%b, %h, 3, %d] * tanh(%a[%b, %h, %d]) + %c[%b, 3, %d] * %m[%b, %h, 3]
  %q3 = tenon.map %l = %q at %b, %d, %m : (!k) -> !r = %l[%b, 3, %d]
  %o3 = tenon.contract "b h d, b d m -> m b h" %s3, %q3 : (!s, !r) -> !t
  %y3 = tenon.reshape %o3 : !t -> !p
  %y = tenon.map %p0 = %y0, %p1 = %y1, %p2 = %y2, %p3 = %y3 at %b, %h, %n : (!p, !p, !p, !p) -> !x = select(%n < 1, %p0[%b, %h, 0], select(%n < 2, %p1[%b, %h, 0], select(%n < 3, %p2[%b, %h, 0], %p3[%b, %h, 0])))
  return %y : !x
}

// The third step reads its key at 0.
// CHECK-LABEL: func.func @another_position(
// CHECK-NOT: tenon.scan
func.func @another_position(%f: !f, %x: !x, %k: !k, %q: !k) -> !x {
  %s0 = tenon.map %l = %f, %m = %x, %c = %k at %b, %h, %d : (!f, !x, !k) -> !s = %l[%b, %h, 0, %d] * 0.0 + %c[%b, 0, %d] * %m[%b, %h, 0]
  %q0 = tenon.map %l = %q at %b, %d, %m : (!k) -> !r = %l[%b, 0, %d]
  %o0 = tenon.contract "b h d, b d m -> m b h" %s0, %q0 : (!s, !r) -> !t
  %y0 = tenon.reshape %o0 : !t -> !p
  %s1 = tenon.map %a = %s0, %l = %f, %m = %x, %c = %k at %b, %h, %d : (!s, !f, !x, !k) -> !s = %l[%b, %h, 1, %d] * %a[%b, %h, %d] + %c[%b, 1, %d] * %m[%b, %h, 1]
  %q1 = tenon.map %l = %q at %b, %d, %m : (!k) -> !r = %l[%b, 1, %d]
  %o1 = tenon.contract "b h d, b d m -> m b h" %s1, %q1 : (!s, !r) -> !t
  %y1 = tenon.reshape %o1 : !t -> !p
  %s2 = tenon.map %a = %s1, %l = %f, %m = %x, %c = %k at %b, %h, %d : (!s, !f, !x, !k) -> !s = %l[%b, %h, 2, %d] * %a[%b, %h, %d] + %c[%b, 0, %d] * %m[%b, %h, 2]
  %q2 = tenon.map %l = %q at %b, %d, %m : (!k) -> !r = %l[%b, 2, %d]
  %o2 = tenon.contract "b h d, b d m -> m b h" %s2, %q2 : (!s, !r) -> !t
  %y2 = tenon.reshape %o2 : !t -> !p
  %s3 = tenon.map %a = %s2, %l = %f, %m = %x, %c = %k at %b, %h, %d : (!s, !f, !x, !k) -> !s = %l[%b, %h, 3, %d] * %a[%b, %h, %d] + %c[%b, 3, %d] * %m[%b, %h, 3]
  %q3 = tenon.map %l = %q at %b, %d, %m : (!k) -> !r = %l[%b, 3, %d]
  %o3 = tenon.contract "b h d, b d m -> m b h" %s3, %q3 : (!s, !r) -> !t
  %y3 = tenon.reshape %o3 : !t -> !p
  %y = tenon.map %p0 = %y0, %p1 = %y1, %p2 = %y2, %p3 = %y3 at %b, %h, %n : (!p, !p, !p, !p) -> !x = select(%n < 1, %p0[%b, %h, 0], select(%n < 2, %p1[%b, %h, 0], select(%n < 3, %p2[%b, %h, 0], %p3[%b, %h, 0])))
  return %y : !x
}

// Something else than a state before the first step.
// CHECK-LABEL: func.func @starts_otherwise(
// CHECK-NOT: tenon.scan
func.func @starts_otherwise(%f: !f, %x: !x, %k: !k, %q: !k) -> !x {
  %s0 = tenon.map %l = %f, %m = %x, %c = %k at %b, %h, %d : (!f, !x, !k) -> !s = %l[%b, %h, 0, %d] * 1.5 + %c[%b, 0, %d] * %m[%b, %h, 0]
  %q0 = tenon.map %l = %q at %b, %d, %m : (!k) -> !r = %l[%b, 0, %d]
  %o0 = tenon.contract "b h d, b d m -> m b h" %s0, %q0 : (!s, !r) -> !t
  %y0 = tenon.reshape %o0 : !t -> !p
  %s1 = tenon.map %a = %s0, %l = %f, %m = %x, %c = %k at %b, %h, %d : (!s, !f, !x, !k) -> !s = %l[%b, %h, 1, %d] * %a[%b, %h, %d] + %c[%b, 1, %d] * %m[%b, %h, 1]
  %q1 = tenon.map %l = %q at %b, %d, %m : (!k) -> !r = %l[%b, 1, %d]
  %o1 = tenon.contract "b h d, b d m -> m b h" %s1, %q1 : (!s, !r) -> !t
  %y1 = tenon.reshape %o1 : !t -> !p
  %s2 = tenon.map %a = %s1, %l = %f, %m = %x, %c = %k at %b, %h, %d : (!s, !f, !x, !k) -> !s = %l[%b, %h, 2, %d] * %a[%b, %h, %d] + %c[%b, 2, %d] * %m[%b, %h, 2]
  %q2 = tenon.map %l = %q at %b, %d, %m : (!k) -> !r = %l[%b, 2, %d]
  %o2 = tenon.contract "b h d, b d m -> m b h" %s2, %q2 : (!s, !r) -> !t
  %y2 = tenon.reshape %o2 : !t -> !p
  %s3 = tenon.map %a = %s2, %l = %f, %m = %x, %c = %k at %b, %h, %d : (!s, !f, !x, !k) -> !s = %l[%b, %h, 3, %d] * %a[%b, %h, %d] + %c[%b, 3, %d] * %m[%b, %h, 3]
  %q3 = tenon.map %l = %q at %b, %d, %m : (!k) -> !r = %l[%b, 3, %d]
  %o3 = tenon.contract "b h d, b d m -> m b h" %s3, %q3 : (!s, !r) -> !t
  %y3 = tenon.reshape %o3 : !t -> !p
  %y = tenon.map %p0 = %y0, %p1 = %y1, %p2 = %y2, %p3 = %y3 at %b, %h, %n : (!p, !p, !p, !p) -> !x = select(%n < 1, %p0[%b, %h, 0], select(%n < 2, %p1[%b, %h, 0], select(%n < 3, %p2[%b, %h, 0], %p3[%b, %h, 0])))
  return %y : !x
}

// The second state is asked for.
// CHECK-LABEL: func.func @read_in_between(
// CHECK-NOT: tenon.scan
func.func @read_in_between(%f: !f, %x: !x, %k: !k, %q: !k) -> (!x, !s) {
  %s0 = tenon.map %l = %f, %m = %x, %c = %k at %b, %h, %d : (!f, !x, !k) -> !s = %l[%b, %h, 0, %d] * 0.0 + %c[%b, 0, %d] * %m[%b, %h, 0]
  %q0 = tenon.map %l = %q at %b, %d, %m : (!k) -> !r = %l[%b, 0, %d]
  %o0 = tenon.contract "b h d, b d m -> m b h" %s0, %q0 : (!s, !r) -> !t
  %y0 = tenon.reshape %o0 : !t -> !p
  %s1 = tenon.map %a = %s0, %l = %f, %m = %x, %c = %k at %b, %h, %d : (!s, !f, !x, !k) -> !s = %l[%b, %h, 1, %d] * %a[%b, %h, %d] + %c[%b, 1, %d] * %m[%b, %h, 1]
  %q1 = tenon.map %l = %q at %b, %d, %m : (!k) -> !r = %l[%b, 1, %d]
  %o1 = tenon.contract "b h d, b d m -> m b h" %s1, %q1 : (!s, !r) -> !t
  %y1 = tenon.reshape %o1 : !t -> !p
  %s2 = tenon.map %a = %s1, %l = %f, %m = %x, %c = %k at %b, %h, %d : (!s, !f, !x, !k) -> !s = %l[%b, %h, 2, %d] * %a[%b, %h, %d] + %c[%b, 2, %d] * %m[%b, %h, 2]
  %q2 = tenon.map %l = %q at %b, %d, %m : (!k) -> !r = %l[%b, 2, %d]
  %o2 = tenon.contract "b h d, b d m -> m b h" %s2, %q2 : (!s, !r) -> !t
  %y2 = tenon.reshape %o2 : !t -> !p
  %s3 = tenon.map %a = %s2, %l = %f, %m = %x, %c = %k at %b, %h, %d : (!s, !f, !x, !k) -> !s = %l[%b, %h, 3, %d] * %a[%b, %h, %d] + %c[%b, 3, %d] * %m[%b, %h, 3]
  %q3 = tenon.map %l = %q at %b, %d, %m : (!k) -> !r = %l[%b, 3, %d]
  %o3 = tenon.contract "b h d, b d m -> m b h" %s3, %q3 : (!s, !r) -> !t
  %y3 = tenon.reshape %o3 : !t -> !p
  %y = tenon.map %p0 = %y0, %p1 = %y1, %p2 = %y2, %p3 = %y3 at %b, %h, %n : (!p, !p, !p, !p) -> !x = select(%n < 1, %p0[%b, %h, 0], select(%n < 2, %p1[%b, %h, 0], select(%n < 3, %p2[%b, %h, 0], %p3[%b, %h, 0])))
  return %y, %s1 : !x, !s
}

// The last step reads two states.
// CHECK-LABEL: func.func @older_state(
// CHECK-NOT: tenon.scan
func.func @older_state(%f: !f, %x: !x, %k: !k, %q: !k) -> !x {
  %s0 = tenon.map %l = %f, %m = %x, %c = %k at %b, %h, %d : (!f, !x, !k) -> !s = %l[%b, %h, 0, %d] * 0.0 + %c[%b, 0, %d] * %m[%b, %h, 0]
  %q0 = tenon.map %l = %q at %b, %d, %m : (!k) -> !r = %l[%b, 0, %d]
  %o0 = tenon.contract "b h d, b d m -> m b h" %s0, %q0 : (!s, !r) -> !t
  %y0 = tenon.reshape %o0 : !t -> !p
  %s1 = tenon.map %a = %s0, %l = %f, %m = %x, %c = %k at %b, %h, %d : (!s, !f, !x, !k) -> !s = %l[%b, %h, 1, %d] * %a[%b, %h, %d] + %c[%b, 1, %d] * %m[%b, %h, 1]
  %q1 = tenon.map %l = %q at %b, %d, %m : (!k) -> !r = %l[%b, 1, %d]
  %o1 = tenon.contract "b h d, b d m -> m b h" %s1, %q1 : (!s, !r) -> !t
  %y1 = tenon.reshape %o1 : !t -> !p
  %s2 = tenon.map %a = %s1, %l = %f, %m = %x, %c = %k at %b, %h, %d : (!s, !f, !x, !k) -> !s = %l[%b, %h, 2, %d] * %a[%b, %h, %d] + %c[%b, 2, %d] * %m[%b, %h, 2]
  %q2 = tenon.map %l = %q at %b, %d, %m : (!k) -> !r = %l[%b, 2, %d]
  %o2 = tenon.contract "b h d, b d m -> m b h" %s2, %q2 : (!s, !r) -> !t
  %y2 = tenon.reshape %o2 : !t -> !p
  %s3 = tenon.map %a = %s2, %z = %s1, %l = %f, %m = %x, %c = %k at %b, %h, %d : (!s, !s, !f, !x, !k) -> !s = %l[%b, %h, 3, %d] * %a[%b, %h, %d] + %z[%b, %h, %d] * %c[%b, 3, %d] * %m[%b, %h, 3]
  %q3 = tenon.map %l = %q at %b, %d, %m : (!k) -> !r = %l[%b, 3, %d]
  %o3 = tenon.contract "b h d, b d m -> m b h" %s3, %q3 : (!s, !r) -> !t
  %y3 = tenon.reshape %o3 : !t -> !p
  %y = tenon.map %p0 = %y0, %p1 = %y1, %p2 = %y2, %p3 = %y3 at %b, %h, %n : (!p, !p, !p, !p) -> !x = select(%n < 1, %p0[%b, %h, 0], select(%n < 2, %p1[%b, %h, 0], select(%n < 3, %p2[%b, %h, 0], %p3[%b, %h, 0])))
  return %y : !x
}

// LMU: a matrix mixes the rows of the state, which is collected itself: its rows are heads that the identity reads. One state is
// given, one wanted.
// CHECK-LABEL: func.func @memory(
// CHECK: %[[I:.*]] = tenon.map at {{.*}} -> tensor<3x3xf32>
// CHECK: %{{.*}}, %[[S:.*]] = tenon.scan %[[I]], {{.*}} transition(%{{.*}} : tensor<3x3xf32>) from(%{{.*}} : tensor<{{.*}}>) layout ["h d", "d", "n d", "n h d"]
// CHECK-NOT: tenon.contract
func.func @memory(%u: tensor<2x4xf32>, %A: tensor<3x3xf32>, %B: tensor<3xf32>, %s: tensor<2x3xf32>) -> (tensor<2x4x3xf32>, tensor<2x3xf32>) {
  %m0 = tenon.contract "b e, d e -> b d" %s, %A : (tensor<2x3xf32>, tensor<3x3xf32>) -> tensor<2x3xf32>
  %s0 = tenon.map %a = %m0, %l = %u, %k = %B at %b, %d : (tensor<2x3xf32>, tensor<2x4xf32>, tensor<3xf32>) -> tensor<2x3xf32> = %a[%b, %d] + %l[%b, 0] * %k[%d]
  %y0 = tenon.reshape %s0 : tensor<2x3xf32> -> tensor<2x1x3xf32>
  %m1 = tenon.contract "b e, d e -> b d" %s0, %A : (tensor<2x3xf32>, tensor<3x3xf32>) -> tensor<2x3xf32>
  %s1 = tenon.map %a = %m1, %l = %u, %k = %B at %b, %d : (tensor<2x3xf32>, tensor<2x4xf32>, tensor<3xf32>) -> tensor<2x3xf32> = %a[%b, %d] + %l[%b, 1] * %k[%d]
  %y1 = tenon.reshape %s1 : tensor<2x3xf32> -> tensor<2x1x3xf32>
  %m2 = tenon.contract "b e, d e -> b d" %s1, %A : (tensor<2x3xf32>, tensor<3x3xf32>) -> tensor<2x3xf32>
  %s2 = tenon.map %a = %m2, %l = %u, %k = %B at %b, %d : (tensor<2x3xf32>, tensor<2x4xf32>, tensor<3xf32>) -> tensor<2x3xf32> = %a[%b, %d] + %l[%b, 2] * %k[%d]
  %y2 = tenon.reshape %s2 : tensor<2x3xf32> -> tensor<2x1x3xf32>
  %m3 = tenon.contract "b e, d e -> b d" %s2, %A : (tensor<2x3xf32>, tensor<3x3xf32>) -> tensor<2x3xf32>
  %s3 = tenon.map %a = %m3, %l = %u, %k = %B at %b, %d : (tensor<2x3xf32>, tensor<2x4xf32>, tensor<3xf32>) -> tensor<2x3xf32> = %a[%b, %d] + %l[%b, 3] * %k[%d]
  %y3 = tenon.reshape %s3 : tensor<2x3xf32> -> tensor<2x1x3xf32>
  %y = tenon.map %p0 = %y0, %p1 = %y1, %p2 = %y2, %p3 = %y3 at %b, %n, %d : (tensor<2x1x3xf32>, tensor<2x1x3xf32>, tensor<2x1x3xf32>, tensor<2x1x3xf32>) -> tensor<2x4x3xf32> = select(%n < 1, %p0[%b, 0, %d], select(%n < 2, %p1[%b, 0, %d], select(%n < 3, %p2[%b, 0, %d], %p3[%b, 0, %d])))
  return %y, %s3 : tensor<2x4x3xf32>, tensor<2x3xf32>
}

// A dense state space whose outputs are read by a vector, zeros before the first step.
// CHECK-LABEL: func.func @stateSpace(
// CHECK: tenon.scan %{{.*}}, %{{.*}}, %{{.*}} transition(%{{.*}} : tensor<3x3xf32>) layout ["d", "d", "n d", "n d"]
// CHECK-NOT: tenon.contract
func.func @stateSpace(%u: tensor<2x4xf32>, %A: tensor<3x3xf32>, %B: tensor<3xf32>, %C: tensor<3xf32>) -> tensor<2x4xf32> {
  %s0 = tenon.map %l = %u, %k = %B at %b, %d : (tensor<2x4xf32>, tensor<3xf32>) -> tensor<2x3xf32> = %l[%b, 0] * %k[%d]
  %o0 = tenon.contract "b d, d -> b" %s0, %C : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2xf32>
  %y0 = tenon.reshape %o0 : tensor<2xf32> -> tensor<2x1xf32>
  %m1 = tenon.contract "b e, d e -> b d" %s0, %A : (tensor<2x3xf32>, tensor<3x3xf32>) -> tensor<2x3xf32>
  %s1 = tenon.map %a = %m1, %l = %u, %k = %B at %b, %d : (tensor<2x3xf32>, tensor<2x4xf32>, tensor<3xf32>) -> tensor<2x3xf32> = %a[%b, %d] + %l[%b, 1] * %k[%d]
  %o1 = tenon.contract "b d, d -> b" %s1, %C : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2xf32>
  %y1 = tenon.reshape %o1 : tensor<2xf32> -> tensor<2x1xf32>
  %m2 = tenon.contract "b e, d e -> b d" %s1, %A : (tensor<2x3xf32>, tensor<3x3xf32>) -> tensor<2x3xf32>
  %s2 = tenon.map %a = %m2, %l = %u, %k = %B at %b, %d : (tensor<2x3xf32>, tensor<2x4xf32>, tensor<3xf32>) -> tensor<2x3xf32> = %a[%b, %d] + %l[%b, 2] * %k[%d]
  %o2 = tenon.contract "b d, d -> b" %s2, %C : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2xf32>
  %y2 = tenon.reshape %o2 : tensor<2xf32> -> tensor<2x1xf32>
  %m3 = tenon.contract "b e, d e -> b d" %s2, %A : (tensor<2x3xf32>, tensor<3x3xf32>) -> tensor<2x3xf32>
  %s3 = tenon.map %a = %m3, %l = %u, %k = %B at %b, %d : (tensor<2x3xf32>, tensor<2x4xf32>, tensor<3xf32>) -> tensor<2x3xf32> = %a[%b, %d] + %l[%b, 3] * %k[%d]
  %o3 = tenon.contract "b d, d -> b" %s3, %C : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2xf32>
  %y3 = tenon.reshape %o3 : tensor<2xf32> -> tensor<2x1xf32>
  %y = tenon.map %p0 = %y0, %p1 = %y1, %p2 = %y2, %p3 = %y3 at %b, %n : (tensor<2x1xf32>, tensor<2x1xf32>, tensor<2x1xf32>, tensor<2x1xf32>) -> tensor<2x4xf32> = select(%n < 1, %p0[%b, 0], select(%n < 2, %p1[%b, 0], select(%n < 3, %p2[%b, 0], %p3[%b, 0])))
  return %y : tensor<2x4xf32>
}

// Must not: the matrix is another one at every step.
// CHECK-LABEL: func.func @changing(
// CHECK-NOT: tenon.scan
// CHECK: return
func.func @changing(%u: tensor<2x4xf32>, %A: tensor<4x3x3xf32>, %B: tensor<3xf32>, %s: tensor<2x3xf32>) -> tensor<2x4x3xf32> {
  %A0 = tenon.map %a = %A at %d, %e : (tensor<4x3x3xf32>) -> tensor<3x3xf32> = %a[0, %d, %e]
  %m0 = tenon.contract "b e, d e -> b d" %s, %A0 : (tensor<2x3xf32>, tensor<3x3xf32>) -> tensor<2x3xf32>
  %s0 = tenon.map %a = %m0, %l = %u, %k = %B at %b, %d : (tensor<2x3xf32>, tensor<2x4xf32>, tensor<3xf32>) -> tensor<2x3xf32> = %a[%b, %d] + %l[%b, 0] * %k[%d]
  %y0 = tenon.reshape %s0 : tensor<2x3xf32> -> tensor<2x1x3xf32>
  %A1 = tenon.map %a = %A at %d, %e : (tensor<4x3x3xf32>) -> tensor<3x3xf32> = %a[1, %d, %e]
  %m1 = tenon.contract "b e, d e -> b d" %s0, %A1 : (tensor<2x3xf32>, tensor<3x3xf32>) -> tensor<2x3xf32>
  %s1 = tenon.map %a = %m1, %l = %u, %k = %B at %b, %d : (tensor<2x3xf32>, tensor<2x4xf32>, tensor<3xf32>) -> tensor<2x3xf32> = %a[%b, %d] + %l[%b, 1] * %k[%d]
  %y1 = tenon.reshape %s1 : tensor<2x3xf32> -> tensor<2x1x3xf32>
  %A2 = tenon.map %a = %A at %d, %e : (tensor<4x3x3xf32>) -> tensor<3x3xf32> = %a[2, %d, %e]
  %m2 = tenon.contract "b e, d e -> b d" %s1, %A2 : (tensor<2x3xf32>, tensor<3x3xf32>) -> tensor<2x3xf32>
  %s2 = tenon.map %a = %m2, %l = %u, %k = %B at %b, %d : (tensor<2x3xf32>, tensor<2x4xf32>, tensor<3xf32>) -> tensor<2x3xf32> = %a[%b, %d] + %l[%b, 2] * %k[%d]
  %y2 = tenon.reshape %s2 : tensor<2x3xf32> -> tensor<2x1x3xf32>
  %A3 = tenon.map %a = %A at %d, %e : (tensor<4x3x3xf32>) -> tensor<3x3xf32> = %a[3, %d, %e]
  %m3 = tenon.contract "b e, d e -> b d" %s2, %A3 : (tensor<2x3xf32>, tensor<3x3xf32>) -> tensor<2x3xf32>
  %s3 = tenon.map %a = %m3, %l = %u, %k = %B at %b, %d : (tensor<2x3xf32>, tensor<2x4xf32>, tensor<3xf32>) -> tensor<2x3xf32> = %a[%b, %d] + %l[%b, 3] * %k[%d]
  %y3 = tenon.reshape %s3 : tensor<2x3xf32> -> tensor<2x1x3xf32>
  %y = tenon.map %p0 = %y0, %p1 = %y1, %p2 = %y2, %p3 = %y3 at %b, %n, %d : (tensor<2x1x3xf32>, tensor<2x1x3xf32>, tensor<2x1x3xf32>, tensor<2x1x3xf32>) -> tensor<2x4x3xf32> = select(%n < 1, %p0[%b, 0, %d], select(%n < 2, %p1[%b, 0, %d], select(%n < 3, %p2[%b, 0, %d], %p3[%b, 0, %d])))
  return %y : tensor<2x4x3xf32>
}
