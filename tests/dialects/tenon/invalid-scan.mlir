// RUN: tenon-opt %s --split-input-file --verify-diagnostics

func.func @f(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  // expected-error @+1 {{wants 4 layouts (of its operands and the result), found 3}}
  %o = tenon.scan %x, %x, %x layout ["n d", "n d", "n d"] : tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32> -> tensor<4x8xf32>
  return %o : tensor<4x8xf32>
}

// -----

func.func @f(%x: tensor<4x8xf32>, %k: tensor<4x6xf32>) -> tensor<4x8xf32> {
  // expected-error @+1 {{wants a query with 6 for 'd', found 8}}
  %o = tenon.scan %x, %k, %x layout ["n d", "n d", "n d", "n d"] : tensor<4x8xf32>, tensor<4x6xf32>, tensor<4x8xf32> -> tensor<4x8xf32>
  return %o : tensor<4x8xf32>
}

// -----

func.func @f(%x: tensor<4x8xf32>, %k: tensor<5x8xf32>) -> tensor<4x8xf32> {
  // expected-error @+1 {{wants a key with 4 for 'n', found 5}}
  %o = tenon.scan %x, %k, %x layout ["n d", "n d", "n d", "n d"] : tensor<4x8xf32>, tensor<5x8xf32>, tensor<4x8xf32> -> tensor<4x8xf32>
  return %o : tensor<4x8xf32>
}

// -----

func.func @f(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  // expected-error @+1 {{wants one rate for a key, found d in its layout "n d"}}
  %o = tenon.scan %x, %x, %x rate (%x : tensor<4x8xf32>) layout ["n d", "n d", "n d", "n d", "n d"] : tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32> -> tensor<4x8xf32>
  return %o : tensor<4x8xf32>
}

// -----

func.func @f(%x: tensor<3x4x8xf32>, %k: tensor<2x4x8xf32>) -> tensor<3x4x8xf32> {
  // expected-error @+1 {{wants 3 heads to be a multiple of those of the state, found 2}}
  %o = tenon.scan %x, %k, %k layout ["h n d", "h n d", "h n d", "h n d"] : tensor<3x4x8xf32>, tensor<2x4x8xf32>, tensor<2x4x8xf32> -> tensor<3x4x8xf32>
  return %o : tensor<3x4x8xf32>
}

// -----

func.func @f(%x: tensor<4x8xf32>, %s: tensor<8x8xf32>) -> tensor<4x8xf32> {
  // expected-error @+1 {{wants the initial state [batch, heads, depth, value depth] = [1, 1, 8, 8], found 'tensor<8x8xf32>'}}
  %o = tenon.scan %x, %x, %x from (%s : tensor<8x8xf32>) layout ["n d", "n d", "n d", "n d"] : tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32> -> tensor<4x8xf32>
  return %o : tensor<4x8xf32>
}

// -----

func.func @f(%x: tensor<4x8xf32>, %a: tensor<4xi64>) -> tensor<4x8xf32> {
  // expected-error @+1 {{wants a decay of floating-point elements, found 'i64'}}
  %o = tenon.scan %x, %x, %x decay (%a : tensor<4xi64>) layout ["n d", "n d", "n d", "n", "n d"] : tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32> -> tensor<4x8xf32>
  return %o : tensor<4x8xf32>
}

// -----

func.func @f(%x: tensor<4x8xf32>) -> tensor<8x4xf32> {
  // expected-error @+1 {{layout of the result: wanted the rows n among "h d"}}
  %o = tenon.scan %x, %x, %x layout ["n d", "n d", "n d", "h d"] : tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32> -> tensor<8x4xf32>
  return %o : tensor<8x4xf32>
}

// -----

func.func @f(%x: tensor<4x8xf32>, %m: tensor<8x6xf32>) -> tensor<4x8xf32> {
  // expected-error @+1 {{wants a transition [depth, depth] = [8, 8] or [states, depth, depth] = [1, 8, 8], found 'tensor<8x6xf32>'}}
  %o = tenon.scan %x, %x, %x transition (%m : tensor<8x6xf32>) layout ["n d", "n d", "n d", "n d"] : tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32> -> tensor<4x8xf32>
  return %o : tensor<4x8xf32>
}

// -----

func.func @f(%x: tensor<4x8xf32>, %m: tensor<8x8xf32>, %r: tensor<4xf32>) -> tensor<4x8xf32> {
  // expected-error @+1 {{wants a transition alone, found a rate beside it}}
  %o = tenon.scan %x, %x, %x rate (%r : tensor<4xf32>) transition (%m : tensor<8x8xf32>) layout ["n d", "n d", "n d", "n", "n d"] : tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32> -> tensor<4x8xf32>
  return %o : tensor<4x8xf32>
}
