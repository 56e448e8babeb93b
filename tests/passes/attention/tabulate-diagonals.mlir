// RUN: tenon-opt %s --tenon-tabulate-diagonals --cse | FileCheck %s
// RUN: tenon-interpret %s --check-passes=tenon-tabulate-diagonals

tenon.symbol @N in [1, 64]
tenon.symbol @M in [1, 64]

// T5: a table of the clipped distance per head.
// CHECK-LABEL: func.func @clipped_distance
// CHECK: %[[T:.*]] = tenon.map {{.*}} -> tensor<3x?xf32, #tenon.dims<[3, M + N - 1]>>
// CHECK: tenon.attention {{.*}} captures (%{{.*}}, %[[T]])
// CHECK: score (%[[X:[a-z0-9]+]], %{{[a-z0-9]+}}, %[[H:[a-z0-9]+]], %[[I:[a-z0-9]+]], %[[J:[a-z0-9]+]], %{{[a-z0-9]+}}, %[[C:[a-z0-9]+]]) {
// CHECK-NOT: arith.minsi
// CHECK: %[[D:.*]] = arith.subi %[[J]], %[[I]]
// CHECK: %[[P:.*]] = arith.addi %[[D]]
// CHECK: tenon.load %[[C]][%[[H]], %[[P]]]
// CHECK-NEXT: arith.addf
func.func @clipped_distance(%q: tensor<2x?x3x16xf32, #tenon.dims<[2, N, 3, 16]>>, %k: tensor<2x?x3x16xf32, #tenon.dims<[2, M, 3, 16]>>,
                            %t: tensor<3x17xf32>) -> tensor<2x?x3x16xf32, #tenon.dims<[2, N, 3, 16]>> {
  %o = tenon.attention %q, (%k), (%k) captures (%t) normalise softmax empty zero layout ["b n h d", "b n h d", "b n h d", "b n h d"]
     : (tensor<2x?x3x16xf32, #tenon.dims<[2, N, 3, 16]>>, tensor<2x?x3x16xf32, #tenon.dims<[2, M, 3, 16]>>, tensor<2x?x3x16xf32, #tenon.dims<[2, M, 3, 16]>>, tensor<3x17xf32>) -> tensor<2x?x3x16xf32, #tenon.dims<[2, N, 3, 16]>>
     score (%x, %b, %h, %i, %j, %w) = %x + %w[%h, max(min(%j - %i, 8), -8) + 8]
  return %o : tensor<2x?x3x16xf32, #tenon.dims<[2, N, 3, 16]>>
}

// ALiBi: slope times distance.
// CHECK-LABEL: func.func @alibi
// CHECK: tenon.map
// CHECK: score (
// CHECK-NOT: arith.mulf
// CHECK: tenon.yield
func.func @alibi(%q: tensor<3x7x16xf32>, %s: tensor<3xf32>) -> tensor<3x7x16xf32> {
  %o = tenon.attention %q, (%q), (%q) captures (%s) normalise softmax empty zero layout ["h n d", "h n d", "h n d", "h n d"]
     : (tensor<3x7x16xf32>, tensor<3x7x16xf32>, tensor<3x7x16xf32>, tensor<3xf32>) -> tensor<3x7x16xf32>
     score (%x, %b, %h, %i, %j, %w) = %x - %w[%h] * (%i - %j)
  return %o : tensor<3x7x16xf32>
}

// URPE: a factor of the distance behind the softmax.
// CHECK-LABEL: func.func @factor_after
// CHECK: tenon.map
// CHECK: weight (
// CHECK-NOT: math.exp
// CHECK: arith.mulf
func.func @factor_after(%q: tensor<3x7x16xf32>, %c: tensor<3x13xf32>) -> tensor<3x7x16xf32> {
  %o = tenon.attention %q, (%q), (%q) captures (%c) normalise softmax empty zero layout ["h n d", "h n d", "h n d", "h n d"]
     : (tensor<3x7x16xf32>, tensor<3x7x16xf32>, tensor<3x7x16xf32>, tensor<3x13xf32>) -> tensor<3x7x16xf32>
     weight (%p, %b, %h, %i, %j, %w) = %p * exp(%w[%h, %j - %i + 6])
  return %o : tensor<3x7x16xf32>
}

// Near misses: a bias over both positions; a distance that is cheaper than a table; one that depends on the batch.
// CHECK-LABEL: func.func @general
// CHECK-NOT: tenon.map
// CHECK: return
func.func @general(%q: tensor<3x7x16xf32>, %c: tensor<7x7xf32>) -> tensor<3x7x16xf32> {
  %o = tenon.attention %q, (%q), (%q) captures (%c) normalise softmax empty zero layout ["h n d", "h n d", "h n d", "h n d"]
     : (tensor<3x7x16xf32>, tensor<3x7x16xf32>, tensor<3x7x16xf32>, tensor<7x7xf32>) -> tensor<3x7x16xf32>
     score (%x, %b, %h, %i, %j, %w) = %x + exp(%w[%i, %j])
  return %o : tensor<3x7x16xf32>
}

// CHECK-LABEL: func.func @per_batch
// CHECK-NOT: tenon.map
// CHECK: return
func.func @per_batch(%q: tensor<3x7x16xf32>, %c: tensor<3x13xf32>) -> tensor<3x7x16xf32> {
  %o = tenon.attention %q, (%q), (%q) captures (%c) normalise softmax empty zero layout ["b n d", "b n d", "b n d", "b n d"]
     : (tensor<3x7x16xf32>, tensor<3x7x16xf32>, tensor<3x7x16xf32>, tensor<3x13xf32>) -> tensor<3x7x16xf32>
     score (%x, %b, %h, %i, %j, %w) = %x + exp(%w[%b, %j - %i + 6])
  return %o : tensor<3x7x16xf32>
}

// A near miss: what is read by distance is a table already.
// CHECK-LABEL: func.func @table
// CHECK-NOT: tenon.map
// CHECK: return
func.func @table(%q: tensor<2x?x3x16xf32, #tenon.dims<[2, N, 3, 16]>>, %t: tensor<3x?xf32, #tenon.dims<[3, 2 * N - 1]>>) -> tensor<2x?x3x16xf32, #tenon.dims<[2, N, 3, 16]>> {
  %o = tenon.attention %q, (%q), (%q) captures (%t) normalise softmax empty zero layout ["b n h d", "b n h d", "b n h d", "b n h d"]
     : (tensor<2x?x3x16xf32, #tenon.dims<[2, N, 3, 16]>>, tensor<2x?x3x16xf32, #tenon.dims<[2, N, 3, 16]>>, tensor<2x?x3x16xf32, #tenon.dims<[2, N, 3, 16]>>, tensor<3x?xf32, #tenon.dims<[3, 2 * N - 1]>>) -> tensor<2x?x3x16xf32, #tenon.dims<[2, N, 3, 16]>>
     score (%x, %b, %h, %i, %j, %w) = %x + %w[%h, %j - %i + size(N) - 1]
  return %o : tensor<2x?x3x16xf32, #tenon.dims<[2, N, 3, 16]>>
}
