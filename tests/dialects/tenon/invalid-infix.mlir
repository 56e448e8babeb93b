// Regions written as expressions: one fault in each program.
// RUN: tenon-opt %s --verify-diagnostics --split-input-file

func.func @f(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error @+1 {{%y is no argument of this region}}
  %r = tenon.map %a = %x at %i : (tensor<4xf32>) -> tensor<4xf32> = %a[%i] + %y
  return %r : tensor<4xf32>
}

// -----
func.func @f(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error @+1 {{unknown function 'tan', wanted exp, log,}}
  %r = tenon.map %a = %x at %i : (tensor<4xf32>) -> tensor<4xf32> = tan(%a[%i])
  return %r : tensor<4xf32>
}

// -----
func.func @f(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error @+1 {{max takes 2 values, found 1}}
  %r = tenon.map %a = %x at %i : (tensor<4xf32>) -> tensor<4xf32> = max(%a[%i])
  return %r : tensor<4xf32>
}

// -----
func.func @f(%x: tensor<4x2xf32>) -> tensor<4xf32> {
  // expected-error @+1 {{an element of 'tensor<4x2xf32>' takes 2 indices, found 1}}
  %r = tenon.map %a = %x at %i : (tensor<4x2xf32>) -> tensor<4xf32> = %a[%i]
  return %r : tensor<4xf32>
}

// -----
func.func @f(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error @+1 {{wanted 'f32', found 'i1'}}
  %r = tenon.map %a = %x at %i : (tensor<4xf32>) -> tensor<4xf32> = %a[%i] < 1
  return %r : tensor<4xf32>
}

// -----
func.func @f(%x: tensor<4xf32>) -> tensor<4xi1> {
  // expected-error @+1 {{'and' joins conditions, found 'index'}}
  %r = tenon.map %a = %x at %i : (tensor<4xf32>) -> tensor<4xi1> = %i < 1 and %i
  return %r : tensor<4xi1>
}

// -----
func.func @f(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error @+1 {{wanted 'index', found 'f32'}}
  %r = tenon.map %a = %x at %i : (tensor<4xf32>) -> tensor<4xf32> = %a[%a[%i]]
  return %r : tensor<4xf32>
}

// -----
func.func @f(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error @+1 {{%a has a value already}}
  %r = tenon.map %a = %x at %i : (tensor<4xf32>) -> tensor<4xf32> = let %a = 1 in %a
  return %r : tensor<4xf32>
}
