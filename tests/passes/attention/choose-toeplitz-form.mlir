// RUN: tenon-opt %s --tenon-choose-toeplitz-form | FileCheck %s
// RUN: tenon-opt %s --tenon-choose-toeplitz-form=force=direct | FileCheck %s --check-prefix=DIRECT
// RUN: not tenon-opt %s --tenon-choose-toeplitz-form=force=quick 2>&1 | FileCheck %s --check-prefix=UNKNOWN
// RUN: tenon-opt %s --tenon-choose-toeplitz-form --remark-format=emitRemark --remarks-filter-passed='.*' --remarks-filter-missed='.*' 2>&1 | FileCheck %s --check-prefix=REMARK
// UNKNOWN: unknown form 'quick' of a Toeplitz product, wanted direct, fft or fft_blocks
// RUN: tenon-opt %s --tenon-choose-toeplitz-form=force=fft_blocks | FileCheck %s --check-prefix=BLOCKS
// REMARK: fft: 2048 x 2048, 16 features, 64 channels: {{.*}} us a head by transforms of 4096 points, {{.*}} us directly
// REMARK: direct: 64 x 64, 16 features, 64 channels
tenon.symbol @N in [1, 8192]

// DIRECT-NOT: algorithm fft
// DIRECT-NOT: form fft

// Long and with few features.
// CHECK-LABEL: func.func @fft(
// CHECK: algorithm fft {{:|$}}
// BLOCKS-LABEL: func.func @fft(
// BLOCKS: algorithm fft_blocks {tenon.block = {{[0-9]+}} : i64}
func.func @fft(%q: tensor<2x2048x16xf32>, %v: tensor<2x2048x64xf32>, %c: tensor<2x4095xf32>) -> tensor<2x2048x64xf32> {
  %o = tenon.attention %q, (%q), (%v) captures (%c) normalise sum empty zero layout ["h n d", "h n d", "h n d", "h n d"]
     : (tensor<2x2048x16xf32>, tensor<2x2048x16xf32>, tensor<2x2048x64xf32>, tensor<2x4095xf32>) -> tensor<2x2048x64xf32>
     score (%x, %b, %h, %i, %j, %c) = %x * %c[%h, %j - %i + 2047]
  return %o : tensor<2x2048x64xf32>
}

// Longer than what the cache holds as one transform.
// CHECK-LABEL: func.func @long(
// CHECK: algorithm fft_blocks {tenon.block = {{[0-9]+}} : i64}
func.func @long(%q: tensor<2x32768x16xf32>, %v: tensor<2x32768x64xf32>, %c: tensor<2x65535xf32>) -> tensor<2x32768x64xf32> {
  %o = tenon.attention %q, (%q), (%v) captures (%c) normalise sum empty zero layout ["h n d", "h n d", "h n d", "h n d"]
     : (tensor<2x32768x16xf32>, tensor<2x32768x16xf32>, tensor<2x32768x64xf32>, tensor<2x65535xf32>) -> tensor<2x32768x64xf32>
     score (%x, %b, %h, %i, %j, %c) = %x * %c[%h, %j - %i + 32767]
  return %o : tensor<2x32768x64xf32>
}

// Short.
// CHECK-LABEL: func.func @short(
// CHECK-NOT: algorithm
func.func @short(%q: tensor<2x64x16xf32>, %v: tensor<2x64x64xf32>, %c: tensor<2x127xf32>) -> tensor<2x64x64xf32> {
  %o = tenon.attention %q, (%q), (%v) captures (%c) normalise sum empty zero layout ["h n d", "h n d", "h n d", "h n d"]
     : (tensor<2x64x16xf32>, tensor<2x64x16xf32>, tensor<2x64x64xf32>, tensor<2x127xf32>) -> tensor<2x64x64xf32>
     score (%x, %b, %h, %i, %j, %c) = %x * %c[%h, %j - %i + 63]
  return %o : tensor<2x64x64xf32>
}

// Softmax: weights are no longer a product of the score.
// CHECK-LABEL: func.func @softmax(
// CHECK-NOT: algorithm
func.func @softmax(%q: tensor<2x8192x16xf32>, %v: tensor<2x8192x64xf32>, %c: tensor<2x16383xf32>) -> tensor<2x8192x64xf32> {
  %o = tenon.attention %q, (%q), (%v) captures (%c) normalise softmax empty zero layout ["h n d", "h n d", "h n d", "h n d"]
     : (tensor<2x8192x16xf32>, tensor<2x8192x16xf32>, tensor<2x8192x64xf32>, tensor<2x16383xf32>) -> tensor<2x8192x64xf32>
     score (%x, %b, %h, %i, %j, %c) = %x * %c[%h, %j - %i + 8191]
  return %o : tensor<2x8192x64xf32>
}

// A sum, not a product; a factor of both positions, not of their distance; a window.
// CHECK-LABEL: func.func @added(
// CHECK-NOT: algorithm
func.func @added(%q: tensor<2x8192x16xf32>, %v: tensor<2x8192x64xf32>, %c: tensor<2x16383xf32>) -> tensor<2x8192x64xf32> {
  %o = tenon.attention %q, (%q), (%v) captures (%c) normalise sum empty zero layout ["h n d", "h n d", "h n d", "h n d"]
     : (tensor<2x8192x16xf32>, tensor<2x8192x16xf32>, tensor<2x8192x64xf32>, tensor<2x16383xf32>) -> tensor<2x8192x64xf32>
     score (%x, %b, %h, %i, %j, %c) = %x + %c[%h, %j - %i + 8191]
  return %o : tensor<2x8192x64xf32>
}
// CHECK-LABEL: func.func @positions(
// CHECK-NOT: algorithm
func.func @positions(%q: tensor<2x8192x16xf32>, %v: tensor<2x8192x64xf32>, %c: tensor<2x16383xf32>) -> tensor<2x8192x64xf32> {
  %o = tenon.attention %q, (%q), (%v) captures (%c) normalise sum empty zero layout ["h n d", "h n d", "h n d", "h n d"]
     : (tensor<2x8192x16xf32>, tensor<2x8192x16xf32>, tensor<2x8192x64xf32>, tensor<2x16383xf32>) -> tensor<2x8192x64xf32>
     score (%x, %b, %h, %i, %j, %c) = %x * %c[%h, %j + %i]
  return %o : tensor<2x8192x64xf32>
}
// CHECK-LABEL: func.func @window(
// CHECK-NOT: algorithm
func.func @window(%q: tensor<2x8192x16xf32>, %v: tensor<2x8192x64xf32>, %c: tensor<2x16383xf32>) -> tensor<2x8192x64xf32> {
  %o = tenon.attention %q, (%q), (%v) captures (%c) normalise sum empty zero layout ["h n d", "h n d", "h n d", "h n d"]
     : (tensor<2x8192x16xf32>, tensor<2x8192x16xf32>, tensor<2x8192x64xf32>, tensor<2x16383xf32>) -> tensor<2x8192x64xf32>
     score (%x, %b, %h, %i, %j, %c) = %x * %c[%h, %j - %i + 8191]
     keep (%b, %h, %i, %j, %c) = %i - %j < 100
  return %o : tensor<2x8192x64xf32>
}

// A symbol's length.
// CHECK-LABEL: func.func @symbolic(
// CHECK-NOT: algorithm
func.func @symbolic(%q: tensor<2x?x16xf32, #tenon.dims<[2, N, 16]>>, %c: tensor<2x?xf32, #tenon.dims<[2, 2 * N - 1]>>) -> tensor<2x?x16xf32, #tenon.dims<[2, N, 16]>> {
  %o = tenon.attention %q, (%q), (%q) captures (%c) normalise sum empty zero layout ["h n d", "h n d", "h n d", "h n d"]
     : (tensor<2x?x16xf32, #tenon.dims<[2, N, 16]>>, tensor<2x?x16xf32, #tenon.dims<[2, N, 16]>>, tensor<2x?x16xf32, #tenon.dims<[2, N, 16]>>, tensor<2x?xf32, #tenon.dims<[2, 2 * N - 1]>>) -> tensor<2x?x16xf32, #tenon.dims<[2, N, 16]>>
     score (%x, %b, %h, %i, %j, %c) = %x * %c[%h, %j - %i + size(N) - 1]
  return %o : tensor<2x?x16xf32, #tenon.dims<[2, N, 16]>>
}

// Kernels of each channel are not transformed in blocks.
// BLOCKS-LABEL: func.func @convolutions(
// BLOCKS-NOT: form fft_blocks
// A long convolution of each channel, and a short one that says what it wants.
// CHECK-LABEL: func.func @convolutions(
// CHECK: tenon.toeplitz {{.*}} causal form fft
// CHECK: tenon.toeplitz {{.*}} causal form direct
func.func @convolutions(%x: tensor<2x1x2048x64xf32>, %t: tensor<1x4095x64xf32>) -> tensor<2x1x2048x64xf32> {
  %y = tenon.toeplitz %x diagonals %t causal : (tensor<2x1x2048x64xf32>, tensor<1x4095x64xf32>) -> tensor<2x1x2048x64xf32>
  %z = tenon.toeplitz %y diagonals %t causal form direct : (tensor<2x1x2048x64xf32>, tensor<1x4095x64xf32>) -> tensor<2x1x2048x64xf32>
  return %z : tensor<2x1x2048x64xf32>
}
