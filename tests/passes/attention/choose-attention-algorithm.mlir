// RUN: tenon-opt %s --tenon-choose-attention-algorithm | FileCheck %s
// RUN: tenon-opt %s --tenon-choose-attention-algorithm=force=materialised | FileCheck %s --check-prefix=FORCED
// RUN: not tenon-opt %s --tenon-choose-attention-algorithm=force=flash 2>&1 | FileCheck %s --check-prefix=WRONG
// RUN: not tenon-opt %s --tenon-choose-attention-algorithm=force=fast 2>&1 | FileCheck %s --check-prefix=UNKNOWN
// UNKNOWN: unknown attention algorithm 'fast', wanted flash or materialised
// FORCED-COUNT-4: algorithm materialised
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

// A factor after the softmax needs the normalised weight.
// CHECK-LABEL: func.func @weighted
// CHECK: algorithm materialised
// WRONG: 'tenon.attention' op cannot be computed by flash: the weight region needs normalised weights
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
