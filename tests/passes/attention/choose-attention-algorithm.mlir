// RUN: tenon-opt %s --tenon-choose-attention-algorithm | FileCheck %s
// RUN: tenon-opt %s --tenon-choose-attention-algorithm=force=materialised | FileCheck %s --check-prefix=FORCED
// RUN: tenon-opt %s --tenon-choose-attention-algorithm --remark-format=emitRemark --remarks-filter-passed='.*' 2>&1 | FileCheck %s --check-prefix=REMARK
// RUN: tenon-opt %s --tenon-choose-attention-algorithm --remark-format=emitRemark --remarks-filter-missed='.*' 2>&1 | FileCheck %s --check-prefix=MISSED
// RUN: not tenon-opt %s --tenon-choose-attention-algorithm=force=flash 2>&1 | FileCheck %s --check-prefix=WRONG
// RUN: not tenon-opt %s --tenon-choose-attention-algorithm=force=fast 2>&1 | FileCheck %s --check-prefix=UNKNOWN
// RUN: not tenon-opt %s --tenon-choose-attention-algorithm=force=fft 2>&1 | FileCheck %s --check-prefix=TRANSFORM
// UNKNOWN: unknown attention algorithm 'fast', wanted flash, split or materialised
// TRANSFORM: unknown attention algorithm 'fft', wanted flash, split or materialised
// FORCED-COUNT-16: algorithm materialised
// FORCED-NOT: algorithm flash

tenon.symbol @B in [1, 8]
tenon.symbol @S in [1, 64]

// CHECK-LABEL: func.func @plain
// CHECK: algorithm flash
func.func @plain(%q: tensor<?x?x3x4x16xf32, #tenon.dims<[B, S, 3, 4, 16]>>) -> tensor<?x?x4x16xf32, #tenon.dims<[B, S, 4, 16]>> {
  %o = tenon.attention %q, (%q), (%q) normalise softmax empty zero layout ["b n 0 h d", "b n 1 h d", "b n 2 h d", "b n h d"]
      : (tensor<?x?x3x4x16xf32, #tenon.dims<[B, S, 3, 4, 16]>>, tensor<?x?x3x4x16xf32, #tenon.dims<[B, S, 3, 4, 16]>>, tensor<?x?x3x4x16xf32, #tenon.dims<[B, S, 3, 4, 16]>>) -> tensor<?x?x4x16xf32, #tenon.dims<[B, S, 4, 16]>>
  return %o : tensor<?x?x4x16xf32, #tenon.dims<[B, S, 4, 16]>>
}

// A factor after the softmax needs the normalised weight: a second pass over the keys.
// CHECK-LABEL: func.func @weighted
// CHECK: algorithm flash
func.func @weighted(%q: tensor<5x4xf32>, %c: tensor<5x5xf32>) -> tensor<5x4xf32> {
  %o = tenon.attention %q, (%q), (%q) captures (%c) normalise softmax empty zero layout ["n d", "n d", "n d", "n d"]
      : (tensor<5x4xf32>, tensor<5x4xf32>, tensor<5x4xf32>, tensor<5x5xf32>) -> tensor<5x4xf32>
    weight (%p, %b, %h, %i, %j, %t) {
      %0 = tenon.load %t[%i, %j] : tensor<5x5xf32>
      %1 = arith.mulf %p, %0 : f32
      tenon.yield %1 : f32
    }
  return %o : tensor<5x4xf32>
}

// WRONG: 'tenon.attention' op cannot be computed by flash: elements are f64
// CHECK-LABEL: func.func @double_precision
// CHECK: algorithm materialised
func.func @double_precision(%q: tensor<5x4xf64>) -> tensor<5x4xf64> {
  %o = tenon.attention %q, (%q), (%q) normalise softmax empty zero layout ["n d", "n d", "n d", "n d"]
      : (tensor<5x4xf64>, tensor<5x4xf64>, tensor<5x4xf64>) -> tensor<5x4xf64>
  return %o : tensor<5x4xf64>
}

// Rows a run-time number of elements apart.
// CHECK-LABEL: func.func @transposed
// CHECK: algorithm materialised
func.func @transposed(%q: tensor<4x?xf32, #tenon.dims<[4, S]>>) -> tensor<?x4xf32, #tenon.dims<[S, 4]>> {
  %o = tenon.attention %q, (%q), (%q) normalise softmax empty zero layout ["d n", "d n", "d n", "n d"]
      : (tensor<4x?xf32, #tenon.dims<[4, S]>>, tensor<4x?xf32, #tenon.dims<[4, S]>>, tensor<4x?xf32, #tenon.dims<[4, S]>>) -> tensor<?x4xf32, #tenon.dims<[S, 4]>>
  return %o : tensor<?x4xf32, #tenon.dims<[S, 4]>>
}

// Tiles are skipped where the keep region decides them, by positions or by data.
// CHECK-LABEL: func.func @masked
// CHECK: algorithm flash
// REMARK: flash: {{.*}}dead tiles skipped, live ones unmasked, conditions: 1 by positions, 1 by least and greatest of data
func.func @masked(%q: tensor<5x4xf32>, %m: tensor<5xi1>) -> tensor<5x4xf32> {
  %o = tenon.attention %q, (%q), (%q) captures (%m) normalise softmax empty zero layout ["n d", "n d", "n d", "n d"]
      : (tensor<5x4xf32>, tensor<5x4xf32>, tensor<5x4xf32>, tensor<5xi1>) -> tensor<5x4xf32>
    keep (%b, %h, %i, %j, %t) {
      %0 = tenon.load %t[%j] : tensor<5xi1>
      %1 = arith.cmpi sle, %j, %i : index
      %2 = arith.andi %0, %1 : i1
      tenon.yield %2 : i1
    }
  return %o : tensor<5x4xf32>
}

// A mask over both queries and keys says nothing of a tile before it is read.
// CHECK-LABEL: func.func @undecided
// CHECK: algorithm flash
// REMARK: flash: {{.*}}every tile masked, conditions: 1 undecided
func.func @undecided(%q: tensor<5x4xf32>, %m: tensor<5x5xi1>) -> tensor<5x4xf32> {
  %o = tenon.attention %q, (%q), (%q) captures (%m) normalise softmax empty zero layout ["n d", "n d", "n d", "n d"]
      : (tensor<5x4xf32>, tensor<5x4xf32>, tensor<5x4xf32>, tensor<5x5xi1>) -> tensor<5x4xf32>
    keep (%b, %h, %i, %j, %t) {
      %0 = tenon.load %t[%i, %j] : tensor<5x5xi1>
      tenon.yield %0 : i1
    }
  return %o : tensor<5x4xf32>
}

// Rows without live keys get weights that the weight region maps: neither can wait for the other.
// CHECK-LABEL: func.func @revived_and_weighted
// CHECK: algorithm materialised
func.func @revived_and_weighted(%q: tensor<5x4xf32>) -> tensor<5x4xf32> {
  %o = tenon.attention %q, (%q), (%q) normalise softmax empty uniform layout ["n d", "n d", "n d", "n d"]
      : (tensor<5x4xf32>, tensor<5x4xf32>, tensor<5x4xf32>) -> tensor<5x4xf32>
    keep (%b, %h, %i, %j) {
      %1 = arith.cmpi slt, %j, %i : index
      tenon.yield %1 : i1
    } weight (%p, %b, %h, %i, %j) {
      %1 = arith.mulf %p, %p : f32
      tenon.yield %1 : f32
    }
  return %o : tensor<5x4xf32>
}

// A factor behind the softmax is taken in with the values: one pass over the keys.
// CHECK-LABEL: func.func @factored
// CHECK: algorithm flash
// REMARK: flash: keys are taken in tile by tile, no N x N scores; one pass, for the weight region is a factor
func.func @factored(%q: tensor<5x4xf32>, %t: tensor<9xf32>) -> tensor<5x4xf32> {
  %o = tenon.attention %q, (%q), (%q) captures (%t) normalise softmax empty zero layout ["n d", "n d", "n d", "n d"]
      : (tensor<5x4xf32>, tensor<5x4xf32>, tensor<5x4xf32>, tensor<9xf32>) -> tensor<5x4xf32>
    weight (%p, %b, %h, %i, %j, %t) = 2 * %p * %t[%j - %i + 4]
  return %o : tensor<5x4xf32>
}

// Near miss: a sum needs the weights themselves.
// CHECK-LABEL: func.func @shifted
// CHECK: algorithm flash
// REMARK: flash: {{.*}}two passes, for the weight region needs normalised weights
func.func @shifted(%q: tensor<5x4xf32>, %t: tensor<9xf32>) -> tensor<5x4xf32> {
  %o = tenon.attention %q, (%q), (%q) captures (%t) normalise softmax empty zero layout ["n d", "n d", "n d", "n d"]
      : (tensor<5x4xf32>, tensor<5x4xf32>, tensor<5x4xf32>, tensor<9xf32>) -> tensor<5x4xf32>
    weight (%p, %b, %h, %i, %j, %t) = %p + %t[%j - %i + 4]
  return %o : tensor<5x4xf32>
}

// The best key of a row is remembered, and its value read at the end.
// CHECK-LABEL: func.func @hard
// CHECK: normalise hard {{.*}} algorithm flash
// REMARK: flash: {{.*}}; a row's best key is remembered, its value read at the end
func.func @hard(%q: tensor<5x4xf32>) -> tensor<5x4xf32> {
  %o = tenon.attention %q, (%q), (%q) normalise hard empty nan layout ["n d", "n d", "n d", "n d"]
      : (tensor<5x4xf32>, tensor<5x4xf32>, tensor<5x4xf32>) -> tensor<5x4xf32>
  return %o : tensor<5x4xf32>
}

// The least score that counts is known when all keys have passed.
// CHECK-LABEL: func.func @greatest
// CHECK: normalise topk_softmax 3 {{.*}} algorithm flash
// REMARK: flash: {{.*}}; two passes, the first for the greatest scores of each row: 3; dead tiles skipped
func.func @greatest(%q: tensor<5x4xf32>) -> tensor<5x4xf32> {
  %o = tenon.attention %q, (%q), (%q) normalise topk_softmax 3 empty uniform layout ["n d", "n d", "n d", "n d"]
      : (tensor<5x4xf32>, tensor<5x4xf32>, tensor<5x4xf32>) -> tensor<5x4xf32>
    keep (%b, %h, %i, %j) = %j < %i
    weight (%p, %b, %h, %i, %j) = %p * 2
  return %o : tensor<5x4xf32>
}

// Near misses: keys that are not chosen get weights, by a region or by the rule for rows without live keys.
// CHECK-LABEL: func.func @hard_and_weighted
// CHECK: algorithm materialised
// MISSED: materialised: a weight region gives the keys that are not chosen weights
func.func @hard_and_weighted(%q: tensor<5x4xf32>) -> tensor<5x4xf32> {
  %o = tenon.attention %q, (%q), (%q) normalise hard empty zero layout ["n d", "n d", "n d", "n d"]
      : (tensor<5x4xf32>, tensor<5x4xf32>, tensor<5x4xf32>) -> tensor<5x4xf32>
    weight (%p, %b, %h, %i, %j) = %p + 1
  return %o : tensor<5x4xf32>
}

// CHECK-LABEL: func.func @hard_and_revived
// CHECK: algorithm materialised
// MISSED: materialised: rows without live keys get the mean of all values, not one of them
func.func @hard_and_revived(%q: tensor<5x4xf32>) -> tensor<5x4xf32> {
  %o = tenon.attention %q, (%q), (%q) normalise hard empty uniform layout ["n d", "n d", "n d", "n d"]
      : (tensor<5x4xf32>, tensor<5x4xf32>, tensor<5x4xf32>) -> tensor<5x4xf32>
    keep (%b, %h, %i, %j) = %j < %i
  return %o : tensor<5x4xf32>
}

// CHECK-LABEL: func.func @greatest_and_shifted
// CHECK: algorithm materialised
// MISSED: materialised: the weight region needs normalised weights of the greatest scores
func.func @greatest_and_shifted(%q: tensor<5x4xf32>) -> tensor<5x4xf32> {
  %o = tenon.attention %q, (%q), (%q) normalise topk_softmax 3 empty zero layout ["n d", "n d", "n d", "n d"]
      : (tensor<5x4xf32>, tensor<5x4xf32>, tensor<5x4xf32>) -> tensor<5x4xf32>
    weight (%p, %b, %h, %i, %j) = %p + 1
  return %o : tensor<5x4xf32>
}

// One query at a position that is data: what the window leaves dead is skipped, as where tiles are flash attention's.
// REMARK: split: few queries, so states of parts of the keys are merged; dead pieces skipped, live ones unmasked, conditions: 1 by least and greatest of data
// CHECK-LABEL: func.func @window_of_one_query
// CHECK: algorithm split
func.func @window_of_one_query(%q: tensor<1x4xf32>, %k: tensor<900x4xf32>, %at: tensor<1xi64>) -> tensor<1x4xf32> {
  %o = tenon.attention %q, (%k), (%k) captures (%at) normalise softmax empty zero layout ["n d", "n d", "n d", "n d"]
      : (tensor<1x4xf32>, tensor<900x4xf32>, tensor<900x4xf32>, tensor<1xi64>) -> tensor<1x4xf32>
    keep (%b, %h, %i, %j, %t) = %t[0] - %j < 100
  return %o : tensor<1x4xf32>
}

// Near miss: a table over keys in any order decides nothing for a piece.
// REMARK: split: few queries, so states of parts of the keys are merged; every piece masked, conditions: 1 undecided
// CHECK-LABEL: func.func @scattered_keys_of_one_query
// CHECK: algorithm split
func.func @scattered_keys_of_one_query(%q: tensor<1x4xf32>, %k: tensor<900x4xf32>, %order: tensor<900xi64>) -> tensor<1x4xf32> {
  %o = tenon.attention %q, (%k), (%k) captures (%order) normalise softmax empty zero layout ["n d", "n d", "n d", "n d"]
      : (tensor<1x4xf32>, tensor<900x4xf32>, tensor<900x4xf32>, tensor<900xi64>) -> tensor<1x4xf32>
    keep (%b, %h, %i, %j, %t) = %t[899 - %j] < 100
  return %o : tensor<1x4xf32>
}
