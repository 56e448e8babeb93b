// RUN: tenon-opt %s --split-input-file --verify-diagnostics --tenon-scan-attention
func.func @unknown(%x: tensor<32x8xf32>) -> tensor<32x8xf32> {
  // expected-error @+1 {{wants "steps", "chunks", "toeplitz" or "fft" as tenon.form, found "halves"}}
  %o = tenon.scan %x, %x, %x layout ["n d", "n d", "n d", "n d"] {tenon.form = "halves"} : tensor<32x8xf32>, tensor<32x8xf32>, tensor<32x8xf32> -> tensor<32x8xf32>
  return %o : tensor<32x8xf32>
}

// -----

func.func @impossible(%x: tensor<32x8xf32>) -> tensor<32x8xf32> {
  // expected-error @+1 {{cannot be computed in chunks: rows of the state have factors of their own}}
  %o = tenon.scan %x, %x, %x decay (%x : tensor<32x8xf32>) layout ["n d", "n d", "n d", "n d", "n d"] {tenon.form = "chunks"} : tensor<32x8xf32>, tensor<32x8xf32>, tensor<32x8xf32> -> tensor<32x8xf32>
  return %o : tensor<32x8xf32>
}

// -----

func.func @noTransition(%x: tensor<32x8xf32>) -> tensor<32x8xf32> {
  // expected-error @+1 {{is no convolution: there is no transition}}
  %o = tenon.scan %x, %x, %x layout ["n d", "n d", "n d", "n d"] {tenon.form = "fft"} : tensor<32x8xf32>, tensor<32x8xf32>, tensor<32x8xf32> -> tensor<32x8xf32>
  return %o : tensor<32x8xf32>
}

// -----

func.func @changing(%x: tensor<32x8xf32>, %a: tensor<8x8xf32>) -> tensor<32x8xf32> {
  // expected-error @+1 {{is no convolution: queries change with the step or the batch item}}
  %o = tenon.scan %x, %x, %x transition (%a : tensor<8x8xf32>) layout ["n d", "n d", "n d", "n d"] {tenon.form = "toeplitz"} : tensor<32x8xf32>, tensor<32x8xf32>, tensor<32x8xf32> -> tensor<32x8xf32>
  return %o : tensor<32x8xf32>
}

// -----

func.func @transitionInChunks(%x: tensor<32x8xf32>, %a: tensor<8x8xf32>) -> tensor<32x8xf32> {
  // expected-error @+1 {{cannot be computed in chunks: a matrix multiplies the state}}
  %o = tenon.scan %x, %x, %x transition (%a : tensor<8x8xf32>) layout ["n d", "n d", "n d", "n d"] {tenon.form = "chunks"} : tensor<32x8xf32>, tensor<32x8xf32>, tensor<32x8xf32> -> tensor<32x8xf32>
  return %o : tensor<32x8xf32>
}
