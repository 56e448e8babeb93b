// RUN: tenon-opt %s --tenon-choose-attention-algorithm --tenon-split-attention | FileCheck %s
// RUN: tenon-interpret %s --check-passes=tenon-choose-attention-algorithm,tenon-split-attention
// RUN: tenon-interpret %s --check-passes=tenon-choose-attention-algorithm,tenon-split-attention --dim S=1300 --entry decode

tenon.symbol @S in [1, 4096]

// One query of 8 heads on 2 key heads over a cache: parts of 512 keys, merged.
// CHECK-LABEL: func.func @decode
// CHECK: %[[S:.*]] = tenon.attention_update %arg0, %arg1, %arg2 normalise softmax layout ["b h n d", "b h n d", "b h n d"] parts_of 512
// CHECK-SAME: -> tensor<?x1x8x1x18xf32, #tenon.dims<[(S + 511) floordiv 512, 1, 8, 1, 18]>>
// CHECK: score (
// CHECK: %[[M:.*]] = tenon.attention_merge %[[S]] normalise softmax
// CHECK: tenon.attention_finish %[[M]] normalise softmax empty zero layout "b n h d"
// CHECK-NOT: tenon.attention %
func.func @decode(%q: tensor<1x8x1x16xf32>, %k: tensor<1x2x?x16xf32, #tenon.dims<[1, 2, S, 16]>>,
                  %v: tensor<1x2x?x16xf32, #tenon.dims<[1, 2, S, 16]>>) -> tensor<1x1x8x16xf32> {
  %o = tenon.attention %q, (%k), (%v) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b n h d"]
     : (tensor<1x8x1x16xf32>, tensor<1x2x?x16xf32, #tenon.dims<[1, 2, S, 16]>>, tensor<1x2x?x16xf32, #tenon.dims<[1, 2, S, 16]>>) -> tensor<1x1x8x16xf32>
     score (%x, %b, %h, %i, %j) = %x * 0.25
  return %o : tensor<1x1x8x16xf32>
}

// A cache of bf16 is the update's operand as it is; the state is f32, and the result what the query is.
// CHECK-LABEL: func.func @narrow
// CHECK: tenon.attention_update %arg0, %arg1, %arg1 {{.*}} : (tensor<1x8x1x16xbf16>, tensor<1x2x?x16xbf16
// CHECK-SAME: -> tensor<?x1x8x1x18xf32
// CHECK: tenon.attention_finish {{.*}} -> tensor<1x8x1x16xbf16>
func.func @narrow(%q: tensor<1x8x1x16xbf16>, %k: tensor<1x2x?x16xbf16, #tenon.dims<[1, 2, S, 16]>>) -> tensor<1x8x1x16xbf16> {
  %o = tenon.attention %q, (%k), (%k) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
     : (tensor<1x8x1x16xbf16>, tensor<1x2x?x16xbf16, #tenon.dims<[1, 2, S, 16]>>, tensor<1x2x?x16xbf16, #tenon.dims<[1, 2, S, 16]>>) -> tensor<1x8x1x16xbf16>
  return %o : tensor<1x8x1x16xbf16>
}

// Few keys are one part, which needs no merge.
// CHECK-LABEL: func.func @one_part
// CHECK: tenon.attention_update
// CHECK-NOT: parts_of
// CHECK-NOT: tenon.attention_merge
// CHECK: tenon.attention_finish
func.func @one_part(%q: tensor<2x1x16xf32>, %k: tensor<2x50x16xf32>) -> tensor<2x1x16xf32> {
  %o = tenon.attention %q, (%k), (%k) normalise softmax empty zero layout ["b n d", "b n d", "b n d", "b n d"]
     : (tensor<2x1x16xf32>, tensor<2x50x16xf32>, tensor<2x50x16xf32>) -> tensor<2x1x16xf32>
  return %o : tensor<2x1x16xf32>
}

// A prefix and a window under one softmax: one state each.
// CHECK-LABEL: func.func @two_sources
// CHECK: %[[A:.*]] = tenon.attention_update %arg0, %arg1, %arg1
// CHECK: %[[B:.*]] = tenon.attention_update %arg0, %arg2, %arg2
// CHECK: tenon.attention_merge %[[A]], %[[B]]
func.func @two_sources(%q: tensor<2x3x16xf32>, %p: tensor<2x5x16xf32>, %w: tensor<2x9x16xf32>) -> tensor<2x3x16xf32> {
  %o = tenon.attention %q, (%p, %w), (%p, %w) normalise softmax empty zero layout ["b n d", "b n d", "b n d", "b n d", "b n d", "b n d"]
     : (tensor<2x3x16xf32>, tensor<2x5x16xf32>, tensor<2x9x16xf32>, tensor<2x5x16xf32>, tensor<2x9x16xf32>) -> tensor<2x3x16xf32>
  return %o : tensor<2x3x16xf32>
}

// Near misses: many queries have lanes of their own; dead keys are needed by the rule.
// CHECK-LABEL: func.func @many_queries
// CHECK: algorithm flash
func.func @many_queries(%q: tensor<2x5x16xf32>, %k: tensor<2x50x16xf32>) -> tensor<2x5x16xf32> {
  %o = tenon.attention %q, (%k), (%k) normalise softmax empty zero layout ["b n d", "b n d", "b n d", "b n d"]
     : (tensor<2x5x16xf32>, tensor<2x50x16xf32>, tensor<2x50x16xf32>) -> tensor<2x5x16xf32>
  return %o : tensor<2x5x16xf32>
}

// CHECK-LABEL: func.func @uniform
// CHECK: algorithm flash
func.func @uniform(%q: tensor<2x1x16xf32>, %k: tensor<2x50x16xf32>) -> tensor<2x1x16xf32> {
  %o = tenon.attention %q, (%k), (%k) normalise softmax empty uniform layout ["b n d", "b n d", "b n d", "b n d"]
     : (tensor<2x1x16xf32>, tensor<2x50x16xf32>, tensor<2x50x16xf32>) -> tensor<2x1x16xf32>
     keep (%b, %h, %i, %j) = %j < %b * 3
  return %o : tensor<2x1x16xf32>
}

// The keys of the second source are numbered behind those of the first.
// CHECK-LABEL: func.func @numbered_through
// CHECK: tenon.attention_update %arg0, %arg1, %arg1
// CHECK-NOT: tenon.size
// CHECK: tenon.attention_update %arg0, %arg2, %arg2
// CHECK: %[[FIRST:.*]] = tenon.size #tenon.dim<5>
// CHECK-NEXT: arith.addi %{{.*}}, %[[FIRST]] : index
func.func @numbered_through(%q: tensor<2x3x16xf32>, %p: tensor<2x5x16xf32>, %w: tensor<2x9x16xf32>) -> tensor<2x3x16xf32> {
  %o = tenon.attention %q, (%p, %w), (%p, %w) normalise softmax empty zero layout ["b n d", "b n d", "b n d", "b n d", "b n d", "b n d"]
     : (tensor<2x3x16xf32>, tensor<2x5x16xf32>, tensor<2x9x16xf32>, tensor<2x5x16xf32>, tensor<2x9x16xf32>) -> tensor<2x3x16xf32>
     keep (%b, %h, %i, %j) = %j <= %i
  return %o : tensor<2x3x16xf32>
}

// m + log l of the state that the result is divided by.
// CHECK-LABEL: func.func @log_sum_exp
// CHECK: %[[S:.*]] = tenon.attention_update
// CHECK: %[[L:.*]] = tenon.map %{{.*}} = %[[S]]
// CHECK: math.log
// CHECK: tenon.attention_finish %[[S]]
// CHECK: return %{{.*}}, %[[L]]
func.func @log_sum_exp(%q: tensor<2x5x16xf32>, %k: tensor<2x50x16xf32>) -> (tensor<2x5x16xf32>, tensor<2x1x5xf32>) {
  %o, %l = tenon.attention %q, (%k), (%k) normalise softmax empty zero layout ["b n d", "b n d", "b n d", "b n d"] also log_sum_exp
     : (tensor<2x5x16xf32>, tensor<2x50x16xf32>, tensor<2x50x16xf32>) -> (tensor<2x5x16xf32>, tensor<2x1x5xf32>)
  return %o, %l : tensor<2x5x16xf32>, tensor<2x1x5xf32>
}

// Near misses: keys are chosen among those of all parts; nothing streams where the scores are asked for.
// CHECK-LABEL: func.func @hard
// CHECK: normalise hard {{.*}} algorithm flash
func.func @hard(%q: tensor<2x1x16xf32>, %k: tensor<2x50x16xf32>) -> tensor<2x1x16xf32> {
  %o = tenon.attention %q, (%k), (%k) normalise hard empty zero layout ["b n d", "b n d", "b n d", "b n d"]
     : (tensor<2x1x16xf32>, tensor<2x50x16xf32>, tensor<2x50x16xf32>) -> tensor<2x1x16xf32>
  return %o : tensor<2x1x16xf32>
}

// CHECK-LABEL: func.func @scores
// CHECK: algorithm materialised
func.func @scores(%q: tensor<2x1x16xf32>, %k: tensor<2x50x16xf32>) -> tensor<2x1x1x50xf32> {
  %o, %s = tenon.attention %q, (%k), (%k) normalise softmax empty zero layout ["b n d", "b n d", "b n d", "b n d"] also scores
     : (tensor<2x1x16xf32>, tensor<2x50x16xf32>, tensor<2x50x16xf32>) -> (tensor<2x1x16xf32>, tensor<2x1x1x50xf32>)
  return %s : tensor<2x1x1x50xf32>
}
