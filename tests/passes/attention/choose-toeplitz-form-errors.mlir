// RUN: tenon-opt %s --split-input-file --tenon-choose-toeplitz-form --verify-diagnostics

func.func @channels(%x: tensor<2x1x100x64xf32>, %t: tensor<1x199x64xf32>) -> tensor<2x1x100x64xf32> {
  // expected-error @+1 {{cannot be computed in blocks: each channel has diagonals of its own}}
  %y = tenon.toeplitz %x diagonals %t form fft_blocks : (tensor<2x1x100x64xf32>, tensor<1x199x64xf32>) -> tensor<2x1x100x64xf32>
  return %y : tensor<2x1x100x64xf32>
}

// -----
func.func @rows(%x: tensor<2x1x100x64xf32>, %t: tensor<1x199xf32>) -> tensor<2x1x100x64xf32> {
  // expected-error @+1 {{wants tenon.block to be from 1 to 100, found 101}}
  %y = tenon.toeplitz %x diagonals %t form fft_blocks {tenon.block = 101 : i64} : (tensor<2x1x100x64xf32>, tensor<1x199xf32>) -> tensor<2x1x100x64xf32>
  return %y : tensor<2x1x100x64xf32>
}

// -----
func.func @softmax(%q: tensor<6x3xf32>, %t: tensor<11xf32>) -> tensor<6x3xf32> {
  // expected-error @+1 {{cannot be computed by Fourier transforms: weights are not the scores or their share of the sum}}
  %o = tenon.attention %q, (%q), (%q) captures (%t) normalise softmax empty zero layout ["n d", "n d", "n d", "n d"] algorithm fft_blocks
     : (tensor<6x3xf32>, tensor<6x3xf32>, tensor<6x3xf32>, tensor<11xf32>) -> tensor<6x3xf32>
     score (%x, %b, %h, %i, %j, %t) = %x * %t[%j - %i + 5]
  return %o : tensor<6x3xf32>
}
