// RUN: tenon-opt %s --tenon-choose-toeplitz-form --split-input-file | FileCheck %s

// For a GPU: what a CPU does by transforms is one of its attentions. A product without features is not: 64 channels of 4096 points are
// transformed in shared memory, a block some of them.
// CHECK-LABEL: func.func @long(
// CHECK-NOT: algorithm fft
// CHECK: tenon.toeplitz {{.*}} form fft
module attributes {tenon.target = #tenon.target<"nvptx-sm_80", vector_bits = 128, vector_registers = 32, row_tile = 5, l1 = 131072, l2 = 41943040>} {
func.func @long(%q: tensor<2x8192x16xf32>, %v: tensor<2x8192x64xf32>, %c: tensor<2x16383xf32>, %x: tensor<2x1x2048x64xf32>, %t: tensor<1x4095x64xf32>) -> (tensor<2x8192x64xf32>, tensor<2x1x2048x64xf32>) {
  %o = tenon.attention %q, (%q), (%v) captures (%c) normalise sum empty zero layout ["h n d", "h n d", "h n d", "h n d"]
     : (tensor<2x8192x16xf32>, tensor<2x8192x16xf32>, tensor<2x8192x64xf32>, tensor<2x16383xf32>) -> tensor<2x8192x64xf32>
     score (%x, %b, %h, %i, %j, %c) = %x * %c[%h, %j - %i + 8191]
  %y = tenon.toeplitz %x diagonals %t causal : (tensor<2x1x2048x64xf32>, tensor<1x4095x64xf32>) -> tensor<2x1x2048x64xf32>
  return %o, %y : tensor<2x8192x64xf32>, tensor<2x1x2048x64xf32>
}
}

// -----

// Of 16384 points a transform does not fit there: a thread each would take longer than the sums.
// CHECK-LABEL: func.func @unshared(
// CHECK: tenon.toeplitz {{.*}} form direct
module attributes {tenon.target = #tenon.target<"nvptx-sm_80", vector_bits = 128, vector_registers = 32, row_tile = 5, l1 = 131072, l2 = 41943040>} {
func.func @unshared(%x: tensor<2x1x8192x64xf32>, %t: tensor<1x16383x64xf32>) -> tensor<2x1x8192x64xf32> {
  %y = tenon.toeplitz %x diagonals %t causal : (tensor<2x1x8192x64xf32>, tensor<1x16383x64xf32>) -> tensor<2x1x8192x64xf32>
  return %y : tensor<2x1x8192x64xf32>
}
}

// -----

// A million rows in 512 heads: threads enough, and the square of the length is more than memory takes for the transforms.
// CHECK-LABEL: func.func @longest(
// CHECK: algorithm fft
module attributes {tenon.target = #tenon.target<"nvptx-sm_80", vector_bits = 128, vector_registers = 32, row_tile = 5, l1 = 131072, l2 = 41943040>} {
func.func @longest(%q: tensor<512x1048576x16xf32>, %v: tensor<512x1048576x64xf32>, %c: tensor<512x2097151xf32>) -> tensor<512x1048576x64xf32> {
  %o = tenon.attention %q, (%q), (%v) captures (%c) normalise sum empty zero layout ["h n d", "h n d", "h n d", "h n d"]
     : (tensor<512x1048576x16xf32>, tensor<512x1048576x16xf32>, tensor<512x1048576x64xf32>, tensor<512x2097151xf32>) -> tensor<512x1048576x64xf32>
     score (%x, %b, %h, %i, %j, %c) = %x * %c[%h, %j - %i + 1048575]
  return %o : tensor<512x1048576x64xf32>
}
}

// -----

// Another level, without rates of its own: a CPU's.
// CHECK-LABEL: func.func @host(
// CHECK: algorithm fft
module attributes {tenon.target = #tenon.target<"x86-64-v4", vector_bits = 512, vector_registers = 32, row_tile = 14, l1 = 32768, l2 = 1048576>} {
func.func @host(%q: tensor<2x8192x16xf32>, %v: tensor<2x8192x64xf32>, %c: tensor<2x16383xf32>) -> tensor<2x8192x64xf32> {
  %o = tenon.attention %q, (%q), (%v) captures (%c) normalise sum empty zero layout ["h n d", "h n d", "h n d", "h n d"]
     : (tensor<2x8192x16xf32>, tensor<2x8192x16xf32>, tensor<2x8192x64xf32>, tensor<2x16383xf32>) -> tensor<2x8192x64xf32>
     score (%x, %b, %h, %i, %j, %c) = %x * %c[%h, %j - %i + 8191]
  return %o : tensor<2x8192x64xf32>
}
}
