// RUN: tenon-opt %s --tenon-reassociate-attention | FileCheck %s
// RUN: tenon-interpret %s --check-passes=tenon-reassociate-attention --dim N=5 --dim M=7
// RUN: tenon-interpret %s --check-passes=tenon-reassociate-attention --dim N=0 --dim M=0
// RUN: tenon-interpret %s --check-passes=tenon-reassociate-attention --dim N=3 --dim M=0
tenon.symbol @N in [0, 64]
tenon.symbol @M in [0, 64]

// CHECK-LABEL: func.func @plain(
// CHECK-NOT: tenon.attention
// CHECK: %[[S:.*]] = tenon.contract "b h j d, b h j e -> b h d e"
// CHECK: tenon.contract "b h i d, b h d e -> b h i e" %arg0, %[[S]]
// CHECK-NOT: tenon.reduce
// CHECK: return
func.func @plain(%q: tensor<2x3x?x4xf32, #tenon.dims<[2, 3, N, 4]>>, %k: tensor<2x3x?x4xf32, #tenon.dims<[2, 3, M, 4]>>,
                 %v: tensor<2x3x?x5xf32, #tenon.dims<[2, 3, M, 5]>>) -> tensor<2x3x?x5xf32, #tenon.dims<[2, 3, N, 5]>> {
  %o = tenon.attention %q, (%k), (%v) normalise none empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
     : (tensor<2x3x?x4xf32, #tenon.dims<[2, 3, N, 4]>>, tensor<2x3x?x4xf32, #tenon.dims<[2, 3, M, 4]>>, tensor<2x3x?x5xf32, #tenon.dims<[2, 3, M, 5]>>) -> tensor<2x3x?x5xf32, #tenon.dims<[2, 3, N, 5]>>
  return %o : tensor<2x3x?x5xf32, #tenon.dims<[2, 3, N, 5]>>
}

// Normalised by the sum, four query heads on two key heads, factors of both sides, other layouts.
// CHECK-LABEL: func.func @grouped(
// CHECK-NOT: tenon.attention
// CHECK: tenon.contract "b j g d, b j g e -> b g d e"
// CHECK: tenon.contract "b i g r d, b g d e -> b g r i e"
// CHECK: tenon.reduce sum {{.*}} over [1]
// CHECK: tenon.contract "b i g r d, b g d -> b g r i"
func.func @grouped(%q: tensor<2x?x4x3xf32, #tenon.dims<[2, N, 4, 3]>>, %k: tensor<2x?x2x3xf32, #tenon.dims<[2, M, 2, 3]>>,
                   %v: tensor<2x?x2x6xf32, #tenon.dims<[2, M, 2, 6]>>, %f: tensor<4x?xf32, #tenon.dims<[4, N]>>,
                   %g: tensor<2x?xf32, #tenon.dims<[2, M]>>) -> tensor<2x?x4x6xf32, #tenon.dims<[2, N, 4, 6]>> {
  %o = tenon.attention %q, (%k), (%v) captures (%f, %g) normalise sum empty zero layout ["b n h d", "b n h d", "b n h d", "b n h d"]
     : (tensor<2x?x4x3xf32, #tenon.dims<[2, N, 4, 3]>>, tensor<2x?x2x3xf32, #tenon.dims<[2, M, 2, 3]>>, tensor<2x?x2x6xf32, #tenon.dims<[2, M, 2, 6]>>, tensor<4x?xf32, #tenon.dims<[4, N]>>, tensor<2x?xf32, #tenon.dims<[2, M]>>) -> tensor<2x?x4x6xf32, #tenon.dims<[2, N, 4, 6]>>
    score (%x, %b, %h, %i, %j, %ft, %gt) = %x * %ft[%h, %i] * %gt[%b, %j] / 4
  return %o : tensor<2x?x4x6xf32, #tenon.dims<[2, N, 4, 6]>>
}

// One key head for all, its operands slices of one tensor.
// CHECK-LABEL: func.func @slices(
// CHECK-NOT: tenon.attention
// CHECK: tenon.contract
func.func @slices(%q: tensor<2x?x4x3xf32, #tenon.dims<[2, N, 4, 3]>>, %kv: tensor<2x?x2x3xf32, #tenon.dims<[2, M, 2, 3]>>) -> tensor<2x4x?x3xf32, #tenon.dims<[2, 4, N, 3]>> {
  %o = tenon.attention %q, (%kv), (%kv) normalise none empty zero layout ["b n h d", "b n 0 d", "b n 1 d", "b h n d"]
     : (tensor<2x?x4x3xf32, #tenon.dims<[2, N, 4, 3]>>, tensor<2x?x2x3xf32, #tenon.dims<[2, M, 2, 3]>>, tensor<2x?x2x3xf32, #tenon.dims<[2, M, 2, 3]>>) -> tensor<2x4x?x3xf32, #tenon.dims<[2, 4, N, 3]>>
  return %o : tensor<2x4x?x3xf32, #tenon.dims<[2, 4, N, 3]>>
}

// Near misses: a mask, a softmax, a score that is not linear, a factor of query and key together, one of the query head
// where heads share keys, so few keys that the written order is cheaper, an algorithm that was asked for.
// CHECK-LABEL: func.func @stays(
// CHECK-COUNT-7: tenon.attention
func.func @stays(%q: tensor<2x4x?x3xf32, #tenon.dims<[2, 4, N, 3]>>, %k: tensor<2x2x?x3xf32, #tenon.dims<[2, 2, M, 3]>>,
                 %few: tensor<2x4x2x8xf32>, %t: tensor<4x?xf32, #tenon.dims<[4, M]>>)
    -> (tensor<2x4x?x3xf32, #tenon.dims<[2, 4, N, 3]>>, tensor<2x4x?x3xf32, #tenon.dims<[2, 4, N, 3]>>, tensor<2x4x?x3xf32, #tenon.dims<[2, 4, N, 3]>>,
        tensor<2x4x?x3xf32, #tenon.dims<[2, 4, N, 3]>>, tensor<2x4x?x3xf32, #tenon.dims<[2, 4, N, 3]>>, tensor<2x4x2x8xf32>,
        tensor<2x4x?x3xf32, #tenon.dims<[2, 4, N, 3]>>) {
  %masked = tenon.attention %q, (%k), (%k) normalise none empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
     : (tensor<2x4x?x3xf32, #tenon.dims<[2, 4, N, 3]>>, tensor<2x2x?x3xf32, #tenon.dims<[2, 2, M, 3]>>, tensor<2x2x?x3xf32, #tenon.dims<[2, 2, M, 3]>>) -> tensor<2x4x?x3xf32, #tenon.dims<[2, 4, N, 3]>>
    keep (%b, %h, %i, %j) = %j <= %i
  %softmax = tenon.attention %q, (%k), (%k) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
     : (tensor<2x4x?x3xf32, #tenon.dims<[2, 4, N, 3]>>, tensor<2x2x?x3xf32, #tenon.dims<[2, 2, M, 3]>>, tensor<2x2x?x3xf32, #tenon.dims<[2, 2, M, 3]>>) -> tensor<2x4x?x3xf32, #tenon.dims<[2, 4, N, 3]>>
  %square = tenon.attention %q, (%k), (%k) normalise none empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
     : (tensor<2x4x?x3xf32, #tenon.dims<[2, 4, N, 3]>>, tensor<2x2x?x3xf32, #tenon.dims<[2, 2, M, 3]>>, tensor<2x2x?x3xf32, #tenon.dims<[2, 2, M, 3]>>) -> tensor<2x4x?x3xf32, #tenon.dims<[2, 4, N, 3]>>
    score (%x, %b, %h, %i, %j) = %x * %x
  %distance = tenon.attention %q, (%k), (%k) captures (%t) normalise none empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
     : (tensor<2x4x?x3xf32, #tenon.dims<[2, 4, N, 3]>>, tensor<2x2x?x3xf32, #tenon.dims<[2, 2, M, 3]>>, tensor<2x2x?x3xf32, #tenon.dims<[2, 2, M, 3]>>, tensor<4x?xf32, #tenon.dims<[4, M]>>) -> tensor<2x4x?x3xf32, #tenon.dims<[2, 4, N, 3]>>
    score (%x, %b, %h, %i, %j, %table) = %x * %table[min(%i, 3), %j]
  %head = tenon.attention %q, (%k), (%k) captures (%t) normalise none empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
     : (tensor<2x4x?x3xf32, #tenon.dims<[2, 4, N, 3]>>, tensor<2x2x?x3xf32, #tenon.dims<[2, 2, M, 3]>>, tensor<2x2x?x3xf32, #tenon.dims<[2, 2, M, 3]>>, tensor<4x?xf32, #tenon.dims<[4, M]>>) -> tensor<2x4x?x3xf32, #tenon.dims<[2, 4, N, 3]>>
    score (%x, %b, %h, %i, %j, %table) = %x * %table[%h, %j]
  %small = tenon.attention %few, (%few), (%few) normalise none empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
     : (tensor<2x4x2x8xf32>, tensor<2x4x2x8xf32>, tensor<2x4x2x8xf32>) -> tensor<2x4x2x8xf32>
  %asked = tenon.attention %q, (%k), (%k) normalise none empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"] algorithm flash
     : (tensor<2x4x?x3xf32, #tenon.dims<[2, 4, N, 3]>>, tensor<2x2x?x3xf32, #tenon.dims<[2, 2, M, 3]>>, tensor<2x2x?x3xf32, #tenon.dims<[2, 2, M, 3]>>) -> tensor<2x4x?x3xf32, #tenon.dims<[2, 4, N, 3]>>
  return %masked, %softmax, %square, %distance, %head, %small, %asked
    : tensor<2x4x?x3xf32, #tenon.dims<[2, 4, N, 3]>>, tensor<2x4x?x3xf32, #tenon.dims<[2, 4, N, 3]>>, tensor<2x4x?x3xf32, #tenon.dims<[2, 4, N, 3]>>,
      tensor<2x4x?x3xf32, #tenon.dims<[2, 4, N, 3]>>, tensor<2x4x?x3xf32, #tenon.dims<[2, 4, N, 3]>>, tensor<2x4x2x8xf32>, tensor<2x4x?x3xf32, #tenon.dims<[2, 4, N, 3]>>
}
