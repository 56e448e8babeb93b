// RUN: tenon-opt %s --split-input-file --verify-diagnostics

// expected-error @+1 {{is kept and starts at 1, which is not divisible by 2}}
tenon.symbol @P in [1, 8] divisible by 2 kept

// -----

// expected-error @+1 {{wants rows, found a tensor of rank 0}}
tenon.state @s : tensor<f32>

// -----

// expected-error @+1 {{starts as @w, which no tenon.weight declares}}
tenon.state @s : tensor<2xf32> = @w

// -----

tenon.weight @w : tensor<3xf32> = dense<1.0> : tensor<3xf32>
// expected-error @+1 {{starts as @w, a 'tensor<3xf32>', and is a 'tensor<2xf32>'}}
tenon.state @s : tensor<2xf32> = @w

// -----

func.func @f() -> tensor<2xf32> {
  // expected-error @+1 {{reads @s, which no tenon.state declares}}
  %x = tenon.state_get @s : tensor<2xf32>
  return %x : tensor<2xf32>
}

// -----

tenon.state @s : tensor<8x4xf32>
func.func @f(%x: tensor<2x5xf32>) {
  // expected-error @+1 {{sets @s as 'tensor<2x5xf32>', it is rows of 'tensor<8x4xf32>': all dimensions but the first are equal}}
  tenon.state_set @s, %x : tensor<2x5xf32>
  return
}

// -----

tenon.state @s : tensor<8x4xf32>
func.func @f() -> tensor<9x4xf32> {
  // expected-error @+1 {{reads 9 rows of @s, which has 8}}
  %x = tenon.state_get @s : tensor<9x4xf32>
  return %x : tensor<9x4xf32>
}

// -----

tenon.state @s : tensor<8x4xf32>
func.func @f(%x: tensor<2x4xf32>) {
  tenon.state_set @s, %x : tensor<2x4xf32>
  // expected-error @+1 {{sets @s a second time in this function}}
  tenon.state_set @s, %x : tensor<2x4xf32>
  return
}

// -----

func.func @f(%a: tensor<2x4xf32>, %b: tensor<1x5xf32>) -> tensor<3x4xf32> {
  // expected-error @+1 {{wants rows like those of 'tensor<2x4xf32>', found 'tensor<1x5xf32>'}}
  %y = tenon.append %b to %a : tensor<1x5xf32> to tensor<2x4xf32> -> tensor<3x4xf32>
  return %y : tensor<3x4xf32>
}

// -----

func.func @f(%a: tensor<2x4xf32>, %b: tensor<1x4xf32>) -> tensor<4x4xf32> {
  // expected-error @+1 {{wants a result of [3, 4], found 'tensor<4x4xf32>'}}
  %y = tenon.append %b to %a : tensor<1x4xf32> to tensor<2x4xf32> -> tensor<4x4xf32>
  return %y : tensor<4x4xf32>
}

// -----

tenon.symbol @P in [0, 8]
func.func @f() {
  // expected-error @+1 {{advances @P, which is not declared as kept}}
  tenon.advance @P to #tenon.dim<P + 1>
  return
}

// -----

tenon.symbol @P in [0, 8] kept
func.func @f() {
  tenon.advance @P to #tenon.dim<P + 1>
  // expected-error @+1 {{advances @P a second time in this function}}
  tenon.advance @P to #tenon.dim<P + 2>
  return
}
