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

// A step of decoding as it is exported: a finite mask of keys, so that rows of dead keys weigh all alike, and a guard. Dead keys get the
// least score, and rows whose weights are no numbers are zero.
// CHECK-LABEL: func.func @exported
// CHECK: %[[S:.*]] = tenon.attention_update
// CHECK: score (%[[X:.*]], %[[B:.*]], %{{.*}}, %{{.*}}, %[[J:.*]], %[[M:.*]]) {
// CHECK-DAG: %[[LEAST:.*]] = arith.constant -3.40282347E+38 : f32
// CHECK-DAG: %[[SCALED:.*]] = arith.mulf %[[X]]
// CHECK-DAG: %[[LIVE:.*]] = tenon.load %[[M]][%[[B]], %[[J]]]
// CHECK: arith.select %[[LIVE]], %[[SCALED]], %[[LEAST]]
// CHECK-NOT: keep
// CHECK: %[[F:.*]] = tenon.attention_finish
// CHECK: tenon.map %{{.*}} = %[[F]], %{{.*}} = %{{.*}} at
// CHECK: arith.cmpf uno
func.func @exported(%q: tensor<3x8x1x16xf32>, %k: tensor<3x2x5x16xf32>, %v: tensor<3x2x5x16xf32>, %m: tensor<3x5xi1>) -> tensor<3x1x8x16xf32> {
  %o = tenon.attention %q, (%k), (%v) captures (%m) normalise softmax empty uniform layout ["b h n d", "b h n d", "b h n d", "b n h d"]
     : (tensor<3x8x1x16xf32>, tensor<3x2x5x16xf32>, tensor<3x2x5x16xf32>, tensor<3x5xi1>) -> tensor<3x1x8x16xf32>
     score (%x, %b, %h, %i, %j, %c) = %x * 0.25
     keep (%b, %h, %i, %j, %c) { %0 = tenon.load %c[%b, %j] : tensor<3x5xi1> tenon.yield %0 : i1 }
     weight (%p, %b, %h, %i, %j, %c) {
       %zero = arith.constant 0.0 : f32
       %0 = arith.cmpf uno, %p, %p : f32
       %1 = arith.select %0, %zero, %p : f32
       tenon.yield %1 : f32
     }
  return %o : tensor<3x1x8x16xf32>
}

// No key is live in any row.
// CHECK-LABEL: func.func @all_dead
// CHECK: tenon.attention_update
func.func @all_dead(%q: tensor<2x8x1x16xf32>, %k: tensor<2x2x5x16xf32>, %v: tensor<2x2x5x16xf32>, %m: tensor<2x5xi1>) -> tensor<2x1x8x16xf32> {
  %o = tenon.attention %q, (%k), (%v) captures (%m) normalise softmax empty uniform layout ["b h n d", "b h n d", "b h n d", "b n h d"]
     : (tensor<2x8x1x16xf32>, tensor<2x2x5x16xf32>, tensor<2x2x5x16xf32>, tensor<2x5xi1>) -> tensor<2x1x8x16xf32>
     keep (%b, %h, %i, %j, %c) {
       %true = arith.constant true
       %0 = tenon.load %c[%b, %j] : tensor<2x5xi1>
       %1 = arith.xori %0, %true : i1
       %2 = arith.andi %0, %1 : i1
       tenon.yield %2 : i1
     }
  return %o : tensor<2x1x8x16xf32>
}

// Near miss: a window over the cache, whose dead pieces are skipped.
// CHECK-LABEL: func.func @exported_window
// CHECK: tenon.attention {{.*}} algorithm flash
func.func @exported_window(%q: tensor<3x8x1x16xf32>, %k: tensor<3x2x5x16xf32>, %v: tensor<3x2x5x16xf32>, %m: tensor<3x5xi1>) -> tensor<3x1x8x16xf32> {
  %o = tenon.attention %q, (%k), (%v) captures (%m) normalise softmax empty uniform layout ["b h n d", "b h n d", "b h n d", "b n h d"]
     : (tensor<3x8x1x16xf32>, tensor<3x2x5x16xf32>, tensor<3x2x5x16xf32>, tensor<3x5xi1>) -> tensor<3x1x8x16xf32>
     keep (%b, %h, %i, %j, %c) {
       %two = arith.constant 2 : index
       %0 = tenon.load %c[%b, %j] : tensor<3x5xi1>
       %1 = arith.cmpi sgt, %j, %two : index
       %2 = arith.andi %0, %1 : i1
       tenon.yield %2 : i1
     }
  return %o : tensor<3x1x8x16xf32>
}
