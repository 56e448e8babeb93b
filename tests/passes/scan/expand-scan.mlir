// RUN: tenon-opt %s --tenon-expand-scan | FileCheck %s
// RUN: tenon-interpret %s --check-passes=tenon-expand-scan,tenon-lower-toeplitz --dim B=2
// RUN: tenon-interpret %s --check-passes=tenon-expand-scan,tenon-lower-toeplitz --dim B=0
tenon.symbol @B in [0, 8]
!u = tensor<?x12xf32, #tenon.dims<[B, 12]>>
!y = tensor<?x12x3xf32, #tenon.dims<[B, 12, 3]>>

// One number a step: its shifts times the responses, which are what an impulse leaves.
// CHECK-LABEL: func.func @shifts(
// CHECK: %[[E:.*]] = tenon.map at
// CHECK: %[[G:.*]] = tenon.scan %arg1, %arg2, %[[E]] transition(%arg3 : tensor<3x3xf32>) layout ["h d", "d", "n h", "n h"] {tenon.form = "steps"}
// CHECK: %[[S:.*]] = tenon.map %{{.*}} = %arg0 {{.*}} -> tensor<?x1x12x12xf32
// CHECK: tenon.contract "b c n j, j h -> b c n h" %[[S]], %[[G]]
func.func @shifts(%u: !u, %q: tensor<3x3xf32>, %k: tensor<3xf32>, %a: tensor<3x3xf32>) -> !y {
  %o = tenon.scan %q, %k, %u transition (%a : tensor<3x3xf32>) layout ["h d", "d", "b n", "b n h"] {tenon.form = "toeplitz"} : tensor<3x3xf32>, tensor<3xf32>, !u -> !y
  return %o : !y
}

// By transforms every head's column is a channel with a kernel of its own.
// CHECK-LABEL: func.func @channels(
// CHECK: tenon.toeplitz %{{.*}} diagonals %{{.*}} causal form fft : (tensor<?x1x12x3xf32{{.*}}, tensor<1x23x3xf32>)
func.func @channels(%u: !u, %q: tensor<3x3xf32>, %k: tensor<3xf32>, %a: tensor<3x3xf32>) -> !y {
  %o = tenon.scan %q, %k, %u transition (%a : tensor<3x3xf32>) layout ["h d", "d", "b n", "b n h"] {tenon.form = "fft"} : tensor<3x3xf32>, tensor<3xf32>, !u -> !y
  return %o : !y
}

// Many columns: heads by themselves. States of their own matrices, values of their own.
// CHECK-LABEL: func.func @heads(
// CHECK: tenon.scan {{.*}} transition(%arg3 : tensor<2x3x3xf32>) layout ["h d", "h d", "n h", "n h"]
// CHECK: tenon.toeplitz %{{.*}} diagonals %{{.*}} causal form fft : (tensor<1x4x6x16xf32>, tensor<4x11xf32>)
// CHECK: tenon.toeplitz %{{.*}} diagonals %{{.*}} causal form direct : (tensor<1x4x6x16xf32>, tensor<4x11xf32>)
func.func @heads(%v: tensor<6x2x16xf32>, %q: tensor<4x3xf32>, %k: tensor<2x3xf32>, %a: tensor<2x3x3xf32>) -> (tensor<4x6x16xf32>, tensor<4x6x16xf32>) {
  %o = tenon.scan %q, %k, %v transition (%a : tensor<2x3x3xf32>) layout ["h d", "h d", "n h d", "h n d"] {tenon.form = "fft"} : tensor<4x3xf32>, tensor<2x3xf32>, tensor<6x2x16xf32> -> tensor<4x6x16xf32>
  %p = tenon.scan %q, %k, %v transition (%a : tensor<2x3x3xf32>) layout ["h d", "h d", "n h d", "h n d"] {tenon.form = "toeplitz"} : tensor<4x3xf32>, tensor<2x3xf32>, tensor<6x2x16xf32> -> tensor<4x6x16xf32>
  return %o, %p : tensor<4x6x16xf32>, tensor<4x6x16xf32>
}

// By steps it stays, as does what has no transition.
// CHECK-LABEL: func.func @stays(
// CHECK: tenon.scan %arg1, %arg2, %arg0 transition
// CHECK: tenon.scan %arg4, %arg4, %arg4 layout
// CHECK-NOT: tenon.toeplitz
func.func @stays(%u: !u, %q: tensor<3x3xf32>, %k: tensor<3xf32>, %a: tensor<3x3xf32>, %x: tensor<32x8xf32>) -> (!y, tensor<32x8xf32>) {
  %o = tenon.scan %q, %k, %u transition (%a : tensor<3x3xf32>) layout ["h d", "d", "b n", "b n h"] {tenon.form = "steps"} : tensor<3x3xf32>, tensor<3xf32>, !u -> !y
  %p = tenon.scan %x, %x, %x layout ["n d", "n d", "n d", "n d"] {tenon.form = "chunks"} : tensor<32x8xf32>, tensor<32x8xf32>, tensor<32x8xf32> -> tensor<32x8xf32>
  return %o, %p : !y, tensor<32x8xf32>
}
