// Fourier transforms and Toeplitz products. One fault in each program.
// RUN: tenon-opt %s --verify-diagnostics --split-input-file

// One dimension for both.
func.func @f(%x: tensor<4x2xf32>) {
  // expected-error @+1 {{transforms dimension 1 with real and imaginary parts in dimension 1, wanted two dimensions of [4, 2]}}
  %y = tenon.fft %x length #tenon.dim<4> axis 1 parts 1 : tensor<4x2xf32> -> tensor<4x2xf32>
  return
}

// -----
// Three parts.
func.func @f(%x: tensor<4x3xf32>) {
  // expected-error @+1 {{wants 1 (real) or 2 (real and imaginary) parts in dimension 1, found [4, 3] to [4, 2]}}
  %y = tenon.fft %x length #tenon.dim<4> axis 0 parts 1 : tensor<4x3xf32> -> tensor<4x2xf32>
  return
}

// -----
// Integers.
func.func @f(%x: tensor<4x2xi32>) {
  // expected-error @+1 {{wants floating-point elements of one type, found 'i32' to 'i32'}}
  %y = tenon.fft %x length #tenon.dim<4> axis 0 parts 1 : tensor<4x2xi32> -> tensor<4x2xi32>
  return
}

// -----
// Five of four frequencies.
func.func @f(%x: tensor<4x2xf32>) {
  // expected-error @+1 {{gives 5 of 4 frequencies}}
  %y = tenon.fft %x length #tenon.dim<4> axis 0 parts 1 : tensor<4x2xf32> -> tensor<5x2xf32>
  return
}

// -----
// No point at all.
func.func @f(%x: tensor<4x2xf32>) {
  // expected-error @+1 {{has length 0, wanted at least 1}}
  %y = tenon.fft %x length #tenon.dim<0> axis 0 parts 1 : tensor<4x2xf32> -> tensor<0x2xf32>
  return
}

// -----
// The batch grows.
func.func @f(%x: tensor<3x4x2xf32>) {
  // expected-error @+1 {{changes dimension 0 of [3, 4, 2] to 5}}
  %y = tenon.fft %x length #tenon.dim<4> axis 1 parts 2 : tensor<3x4x2xf32> -> tensor<5x4x2xf32>
  return
}

// -----
// Four diagonals for 3 x 3.
func.func @f(%x: tensor<1x2x3x8xf32>, %t: tensor<2x4xf32>) {
  // expected-error @+1 {{wants diagonals [H, M + N - 1] or [H, M + N - 1, C], M + N - 1 = 5, found [2, 4]}}
  %y = tenon.toeplitz %x diagonals %t : (tensor<1x2x3x8xf32>, tensor<2x4xf32>) -> tensor<1x2x3x8xf32>
  return
}

// -----
// Diagonals of another number of heads.
func.func @f(%x: tensor<1x2x3x8xf32>, %t: tensor<3x5xf32>) {
  // expected-error @+1 {{wants values of 2 heads, found [3, 5]}}
  %y = tenon.toeplitz %x diagonals %t : (tensor<1x2x3x8xf32>, tensor<3x5xf32>) -> tensor<1x2x3x8xf32>
  return
}

// -----
// Features of the rows alone.
func.func @f(%x: tensor<1x2x3x8xf32>, %t: tensor<2x5xf32>, %q: tensor<1x2x3x4xf32>) {
  // expected-error @+1 {{wants features of rows and of columns, found 1}}
  %y = tenon.toeplitz %x diagonals %t features %q : (tensor<1x2x3x8xf32>, tensor<2x5xf32>, tensor<1x2x3x4xf32>) -> tensor<1x2x3x8xf32>
  return
}

// -----
// Features of two widths.
func.func @f(%x: tensor<1x2x3x8xf32>, %t: tensor<2x5xf32>, %q: tensor<1x2x3x4xf32>, %k: tensor<1x2x3x5xf32>) {
  // expected-error @+1 {{wants features [B, H, M, R] and [B, H, N, R] for [1, 2, 3, 8] to [1, 2, 3, 8], found [1, 2, 3, 5]}}
  %y = tenon.toeplitz %x diagonals %t features %q, %k
     : (tensor<1x2x3x8xf32>, tensor<2x5xf32>, tensor<1x2x3x4xf32>, tensor<1x2x3x5xf32>) -> tensor<1x2x3x8xf32>
  return
}

// -----
// A period shorter than the operand.
func.func @f(%x: tensor<1x2x5x8xf32>, %s: tensor<2x2x4xf32>) {
  // expected-error @+1 {{has 5 rows, more than the period 4}}
  %y = tenon.circulant %x spectrum %s : (tensor<1x2x5x8xf32>, tensor<2x2x4xf32>) -> tensor<1x2x3x8xf32>
  return
}

// -----

// One input for all channels has a kernel for each.
func.func @one_input(%x: tensor<1x2x3x1xf32>, %s: tensor<2x2x4xf32>) -> tensor<1x2x3x8xf32> {
  // expected-error @+1 {{wants [B, H, N, C] to [B, H, M, C], found [1, 2, 3, 1] to [1, 2, 3, 8]}}
  %y = tenon.circulant %x spectrum %s : (tensor<1x2x3x1xf32>, tensor<2x2x4xf32>) -> tensor<1x2x3x8xf32>
  return %y : tensor<1x2x3x8xf32>
}

// -----
// A spectrum without parts.
func.func @f(%x: tensor<1x2x3x8xf32>, %s: tensor<2x1x4xf32>) {
  // expected-error @+1 {{wants a spectrum [H, 2, L] or [H, 2, L, C], found [2, 1, 4]}}
  %y = tenon.circulant %x spectrum %s : (tensor<1x2x3x8xf32>, tensor<2x1x4xf32>) -> tensor<1x2x3x8xf32>
  return
}

// -----
// Features, and diagonals of each channel.
func.func @f(%x: tensor<1x2x3x8xf32>, %t: tensor<2x5x8xf32>, %q: tensor<1x2x3x4xf32>) {
  // expected-error @+1 {{has features and values of each channel [2, 5, 8], wanted one of both}}
  %y = tenon.toeplitz %x diagonals %t features %q, %q
     : (tensor<1x2x3x8xf32>, tensor<2x5x8xf32>, tensor<1x2x3x4xf32>, tensor<1x2x3x4xf32>) -> tensor<1x2x3x8xf32>
  return
}

// -----
// A kernel of another period than its spectrum.
func.func @f(%x: tensor<1x2x3x8xf32>, %s: tensor<2x2x4xf32>, %g: tensor<2x1x5xf32>) {
  // expected-error @+1 {{wants a kernel [2, 1, 4] of a spectrum [2, 2, 4], found [2, 1, 5]}}
  %y = tenon.circulant %x spectrum %s kernel %g : (tensor<1x2x3x8xf32>, tensor<2x2x4xf32>, tensor<2x1x5xf32>) -> tensor<1x2x3x8xf32>
  return
}

// -----
// A period that does not hold a block's diagonals.
func.func @f(%x: tensor<1x2x6x8xf32>, %s: tensor<2x2x4x3xf32>) {
  // expected-error @+1 {{wants a period of at least 5 for blocks of 3 rows, found 4}}
  %y = tenon.circulant %x spectrum %s block 3 : (tensor<1x2x6x8xf32>, tensor<2x2x4x3xf32>) -> tensor<1x2x6x8xf32>
  return
}

// -----
// Two blocks of rows and of columns lie one ahead, one behind, or at one place.
func.func @f(%x: tensor<1x2x6x8xf32>, %s: tensor<2x2x6x4xf32>) {
  // expected-error @+1 {{wants spectra of 2 to 3 distances between blocks, found 4}}
  %y = tenon.circulant %x spectrum %s block 3 : (tensor<1x2x6x8xf32>, tensor<2x2x6x4xf32>) -> tensor<1x2x6x8xf32>
  return
}

// -----
// Blocks, and one spectrum.
func.func @f(%x: tensor<1x2x6x8xf32>, %s: tensor<2x2x6xf32>) {
  // expected-error @+1 {{wants a spectrum [H, 2, L, D] for blocks, found [2, 2, 6]}}
  %y = tenon.circulant %x spectrum %s block 3 : (tensor<1x2x6x8xf32>, tensor<2x2x6xf32>) -> tensor<1x2x6x8xf32>
  return
}
