// RUN: tenon-opt %s --tenon-scan-attention | FileCheck %s
// RUN: tenon-interpret %s --check-passes=tenon-scan-attention --dim N=5
// RUN: tenon-interpret %s --check-passes=tenon-scan-attention --dim N=0
// RUN: tenon-interpret %s --check-passes=tenon-scan-attention --dim N=1
tenon.symbol @N in [0, 64]
!x = tensor<2x3x?x4xf32, #tenon.dims<[2, 3, N, 4]>>

// CHECK-LABEL: func.func @plain(
// CHECK: tenon.scan %arg0, %arg1, %arg2 layout ["b h n d", "b h n d", "b h n d", "b n h d"]
// CHECK-NOT: tenon.attention
func.func @plain(%q: !x, %k: !x, %v: tensor<2x3x?x5xf32, #tenon.dims<[2, 3, N, 5]>>) -> tensor<2x?x3x5xf32, #tenon.dims<[2, N, 3, 5]>> {
  %o = tenon.attention %q, (%k), (%v) normalise none empty zero layout ["b h n d", "b h n d", "b h n d", "b n h d"]
     : (!x, !x, tensor<2x3x?x5xf32, #tenon.dims<[2, 3, N, 5]>>) -> tensor<2x?x3x5xf32, #tenon.dims<[2, N, 3, 5]>>
    keep (%b, %h, %i, %j) = %i >= %j
  return %o : tensor<2x?x3x5xf32, #tenon.dims<[2, N, 3, 5]>>
}

// The factor of the query and of the key goes to them, the sum of the scores to a column of ones.
// CHECK-LABEL: func.func @sum(
// CHECK: %[[Q:.*]] = tenon.map {{.*}} = %arg0
// CHECK: %[[K:.*]] = tenon.map {{.*}} = %arg1
// CHECK: %[[V:.*]] = tenon.map {{.*}} = %arg1 at {{.*}} -> tensor<2x1x?x5xf32
// CHECK: %[[O:.*]] = tenon.scan %[[Q]], %[[K]], %[[V]] layout {{.*}} -> tensor<2x3x?x5xf32
// CHECK: tenon.map {{.*}} = %[[O]]
// CHECK: arith.divf
// CHECK-NOT: tenon.attention
func.func @sum(%q: !x, %k: tensor<2x1x?x4xf32, #tenon.dims<[2, 1, N, 4]>>, %f: tensor<3x?xf32, #tenon.dims<[3, N]>>) -> !x {
  %o = tenon.attention %q, (%k), (%k) captures (%f) normalise sum empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
     : (!x, tensor<2x1x?x4xf32, #tenon.dims<[2, 1, N, 4]>>, tensor<2x1x?x4xf32, #tenon.dims<[2, 1, N, 4]>>, tensor<3x?xf32, #tenon.dims<[3, N]>>) -> !x
    score (%x, %b, %h, %i, %j, %ft) = %x * %ft[%h, %i] / (1.0 + %j)
    keep (%b, %h, %i, %j, %ft) = %j <= %i
  return %o : !x
}

// A constant to the power of the distance: one factor for a head.
// CHECK-LABEL: func.func @power(
// CHECK: %[[A:.*]] = tenon.map {{.*}} -> tensor<3xf32>
// CHECK: tenon.scan {{.*}} decay(%[[A]] : tensor<3xf32>) layout ["b h n d", "b h n d", "b h n d", "h", "b h n d"]
// CHECK-NOT: tenon.attention
func.func @power(%q: !x, %gamma: tensor<3xf32>) -> !x {
  %o = tenon.attention %q, (%q), (%q) captures (%gamma) normalise none empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
     : (!x, !x, !x, tensor<3xf32>) -> !x
    score (%x, %b, %h, %i, %j, %g) = %x * pow(0.5 + 0.01 * %g[%h], max(%i - %j, 0)) * exp((%j - %i) * 0.25)
    keep (%b, %h, %i, %j, %g) = %j <= %i
  return %o : !x
}

// exp(u(i) - u(j)): what the state decays by at each step.
// CHECK-LABEL: func.func @ratio(
// CHECK: %[[A:.*]] = tenon.map {{.*}} -> tensor<2x3x?xf32
// CHECK: tenon.scan {{.*}} decay(%[[A]] : {{.*}}) layout ["b h n d", "b h n d", "b h n d", "b h n", "b h n d"]
// CHECK-NOT: tenon.attention
func.func @ratio(%q: !x, %u: tensor<2x3x?xf32, #tenon.dims<[2, 3, N]>>) -> !x {
  %o = tenon.attention %q, (%q), (%q) captures (%u) normalise none empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
     : (!x, !x, !x, tensor<2x3x?xf32, #tenon.dims<[2, 3, N]>>) -> !x
    score (%x, %b, %h, %i, %j, %ut) = %x * exp(%ut[%b, %h, %i] * 0.1 - %ut[%b, %h, %j] * 0.1)
    keep (%b, %h, %i, %j, %ut) = %j <= %i
  return %o : !x
}

// Near misses: a window, keys from one on, a softmax, a score that is not linear, a table of distances, a power whose base
// is of the query, a ratio of two functions, so few steps that the scores are cheaper, an algorithm that was asked for.
// CHECK-LABEL: func.func @stays(
// CHECK-NOT: tenon.scan
// CHECK: return
func.func @stays(%q: !x, %t: tensor<3x64xf32>, %few: tensor<2x3x4x8xf32>)
    -> (!x, !x, !x, !x, !x, !x, !x, tensor<2x3x4x8xf32>, !x) {
  %window = tenon.attention %q, (%q), (%q) normalise none empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"] : (!x, !x, !x) -> !x
    keep (%b, %h, %i, %j) = %j <= %i and %i - %j < 8
  %strict = tenon.attention %q, (%q), (%q) normalise none empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"] : (!x, !x, !x) -> !x
    keep (%b, %h, %i, %j) = %j < %i
  %softmax = tenon.attention %q, (%q), (%q) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"] : (!x, !x, !x) -> !x
    keep (%b, %h, %i, %j) = %j <= %i
  %square = tenon.attention %q, (%q), (%q) normalise none empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"] : (!x, !x, !x) -> !x
    score (%x, %b, %h, %i, %j) = %x * %x
    keep (%b, %h, %i, %j) = %j <= %i
  %table = tenon.attention %q, (%q), (%q) captures (%t) normalise none empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"] : (!x, !x, !x, tensor<3x64xf32>) -> !x
    score (%x, %b, %h, %i, %j, %tt) = %x * %tt[%h, max(%i - %j, 0)]
    keep (%b, %h, %i, %j, %tt) = %j <= %i
  %base = tenon.attention %q, (%q), (%q) captures (%t) normalise none empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"] : (!x, !x, !x, tensor<3x64xf32>) -> !x
    score (%x, %b, %h, %i, %j, %tt) = %x * pow(%tt[%h, %i] * %tt[%h, %i], max(%i - %j, 0))
    keep (%b, %h, %i, %j, %tt) = %j <= %i
  %two = tenon.attention %q, (%q), (%q) captures (%t) normalise none empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"] : (!x, !x, !x, tensor<3x64xf32>) -> !x
    score (%x, %b, %h, %i, %j, %tt) = %x * exp(%tt[%h, %i] - %tt[0, %j])
    keep (%b, %h, %i, %j, %tt) = %j <= %i
  %short = tenon.attention %few, (%few), (%few) normalise none empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"] : (tensor<2x3x4x8xf32>, tensor<2x3x4x8xf32>, tensor<2x3x4x8xf32>) -> tensor<2x3x4x8xf32>
    keep (%b, %h, %i, %j) = %j <= %i
  %asked = tenon.attention %q, (%q), (%q) normalise none empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"] algorithm flash : (!x, !x, !x) -> !x
    keep (%b, %h, %i, %j) = %j <= %i
  return %window, %strict, %softmax, %square, %table, %base, %two, %short, %asked : !x, !x, !x, !x, !x, !x, !x, tensor<2x3x4x8xf32>, !x
}
