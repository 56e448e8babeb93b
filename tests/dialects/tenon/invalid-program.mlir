// What a module declares: symbols, dims, weights, kernels. One fault in each program.
// RUN: tenon-opt %s --verify-diagnostics --split-input-file

// Bounds in the wrong order.
// expected-error @+1 {{wants bounds 0 <= min <= max, found [8, 4]}}
tenon.symbol @S in [8, 4]

// -----
// A negative size.
// expected-error @+1 {{wants bounds 0 <= min <= max, found [-1, 4]}}
tenon.symbol @S in [-1, 4]

// -----
// Divisible by nothing.
// expected-error @+1 {{wants a positive divisor, found 0}}
tenon.symbol @S in [0, 4] divisible by 0

// -----
// A dim expression cut off.
// expected-error @+1 {{in dim expression 'S +'}}
func.func private @f(tensor<?xf32, #tenon.dims<[S +]>>)

// -----
// Dims without their brackets.
// expected-error @+1 {{wanted #tenon.dims<[expression, ...]>, found 'S'}}
func.func private @f(tensor<?xf32, #tenon.dims<S>>)

// -----
// Fewer dims than dimensions.
// expected-error @+1 {{the type has 2 dimensions, its dims [S] are 1}}
func.func private @f(tensor<?x4xf32, #tenon.dims<[S]>>)

// -----
// A constant for a dynamic dimension.
// expected-error @+1 {{dimension 0 is dynamic, its dim expression is the constant 4}}
func.func private @f(tensor<?xf32, #tenon.dims<[4]>>)

// -----
// A static size that its expression contradicts.
// expected-error @+1 {{dimension 1 is 4, its dim expression is 5}}
func.func private @f(tensor<?x4xf32, #tenon.dims<[S, 5]>>)

// -----
// An attribute tenon does not have.
// expected-error @+1 {{unknown tenon attribute 'magic'}}
func.func private @f() attributes {a = #tenon.magic<3>}

// -----
// A weight that is a string.
// expected-error @+1 {{wants a source, a recipe, a random or dense elements as its value, found "bytes"}}
tenon.weight @w : tensor<2xf32> = "bytes"

// -----
// Elements of another type.
// expected-error @+1 {{is a 'tensor<2xf32>', its elements are a 'tensor<2xf64>'}}
tenon.weight @w : tensor<2xf32> = dense<[1.0, 2.0]> : tensor<2xf64>

// -----
// Too many bytes for the IR: 129 elements of 8 bytes.
// expected-error @+1 {{holds 1032 bytes in the IR, at most 1024 may stand there: use #tenon.source}}
tenon.weight @w : tensor<129xi64> = dense<[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63, 64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 80, 81, 82, 83, 84, 85, 86, 87, 88, 89, 90, 91, 92, 93, 94, 95, 96, 97, 98, 99, 100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111, 112, 113, 114, 115, 116, 117, 118, 119, 120, 121, 122, 123, 124, 125, 126, 127, 128]> : tensor<129xi64>

// -----
// A weight nobody declares.
func.func @f() -> tensor<2xf32> {
  // expected-error @+1 {{reads @w, which no tenon.weight declares}}
  %w = tenon.get @w : tensor<2xf32>
  return %w : tensor<2xf32>
}

// -----
// A weight read as another type.
tenon.weight @w : tensor<2xf32> = dense<1.0> : tensor<2xf32>
func.func @f() -> tensor<3xf32> {
  // expected-error @+1 {{reads @w as 'tensor<3xf32>', it is declared as 'tensor<2xf32>'}}
  %w = tenon.get @w : tensor<3xf32>
  return %w : tensor<3xf32>
}

// -----
// A kernel nobody declares.
func.func @f(%x: tensor<2xf32>) -> tensor<2xf32> {
  // expected-error @+1 {{runs @k, which no tenon.kernel declares}}
  %y = tenon.dispatch @k(%x) : (tensor<2xf32>) -> tensor<2xf32> dims #tenon.dims<[]>
  return %y : tensor<2xf32>
}

// -----
// Fewer dims than the kernel reads.
tenon.kernel @k(%x: tensor<?xf32, #tenon.dims<[d1]>>) -> tensor<?xf32, #tenon.dims<[d1]>> {
  tenon.return %x : tensor<?xf32, #tenon.dims<[d1]>>
}
func.func @f(%x: tensor<?xf32, #tenon.dims<[S]>>) -> tensor<?xf32, #tenon.dims<[S]>> {
  // expected-error @+1 {{passes 1 dims, the kernel reads 2}}
  %y = tenon.dispatch @k(%x) : (tensor<?xf32, #tenon.dims<[S]>>) -> tensor<?xf32, #tenon.dims<[S]>> dims #tenon.dims<[S]>
  return %y : tensor<?xf32, #tenon.dims<[S]>>
}

// -----
// Fewer operands than the kernel has.
tenon.kernel @k(%x: tensor<2xf32>, %y: tensor<2xf32>) -> tensor<2xf32> {
  tenon.return %x : tensor<2xf32>
}
func.func @f(%x: tensor<2xf32>) -> tensor<2xf32> {
  // expected-error @+1 {{has 1 operands, the kernel has 2}}
  %y = tenon.dispatch @k(%x) : (tensor<2xf32>) -> tensor<2xf32> dims #tenon.dims<[]>
  return %y : tensor<2xf32>
}

// -----
// A dim passed that does not give the operand's type.
tenon.kernel @k(%x: tensor<?xf32, #tenon.dims<[d0]>>) -> tensor<?xf32, #tenon.dims<[d0]>> {
  tenon.return %x : tensor<?xf32, #tenon.dims<[d0]>>
}
func.func @f(%x: tensor<?xf32, #tenon.dims<[S]>>) -> tensor<?xf32, #tenon.dims<[S]>> {
  // expected-error @+1 {{operand 0 is 'tensor<?xf32, #tenon.dims<[S]>>', the kernel wants 'tensor<?xf32, #tenon.dims<[2 * S]>>'}}
  %y = tenon.dispatch @k(%x) : (tensor<?xf32, #tenon.dims<[S]>>) -> tensor<?xf32, #tenon.dims<[S]>> dims #tenon.dims<[2 * S]>
  return %y : tensor<?xf32, #tenon.dims<[S]>>
}

// -----
// A result of another type.
tenon.kernel @k(%x: tensor<2xf32>) -> tensor<2xf32> {
  tenon.return %x : tensor<2xf32>
}
func.func @f(%x: tensor<2xf32>) -> tensor<3xf32> {
  // expected-error @+1 {{result 0 is 'tensor<3xf32>', the kernel wants 'tensor<2xf32>'}}
  %y = tenon.dispatch @k(%x) : (tensor<2xf32>) -> tensor<3xf32> dims #tenon.dims<[]>
  return %y : tensor<3xf32>
}

// -----
// A negative divisor.
// expected-error @+1 {{wants a positive divisor, found -4}}
tenon.symbol @S in [0, 4] divisible by -4

// -----
// A recipe of a weight that is not there.
// expected-error @+1 {{has a recipe that reads @v, which no tenon.weight declares}}
tenon.weight @w : tensor<2xf32> = #tenon.recipe<reshape [@v]>

// -----
// A weight made from itself, through another.
// expected-error @+1 {{is made from itself}}
tenon.weight @m : tensor<2xf32> = #tenon.recipe<reshape [@w]>
tenon.weight @w : tensor<2xf32> = #tenon.recipe<reshape [@m]>

// -----
// A kind of recipe there is not.
tenon.weight @m : tensor<4x6xf32> = #tenon.source<"f", 0>
// expected-error @+1 {{cannot be made: 'knead' is not a kind of recipe}}
tenon.weight @w : tensor<4x6xf32> = #tenon.recipe<knead [@m]>

// -----
// Too many inputs.
tenon.weight @m : tensor<4x6xf32> = #tenon.source<"f", 0>
// expected-error @+1 {{cannot be made: recipe cast wants one input, found 2}}
tenon.weight @w : tensor<4x6xf16> = #tenon.recipe<cast [@m, @m]>

// -----
// A parameter left out.
tenon.weight @m : tensor<4x6xf32> = #tenon.source<"f", 0>
// expected-error @+1 {{cannot be made: recipe concat wants the integer parameter 'axis'}}
tenon.weight @w : tensor<4x6xf32> = #tenon.recipe<concat [@m]>

// -----
// A slice behind the end.
tenon.weight @m : tensor<4x6xf32> = #tenon.source<"f", 0>
// expected-error @+1 {{cannot be made: recipe slice from 3 along axis 0 of [4, 6] does not give [2, 6]}}
tenon.weight @w : tensor<2x6xf32> = #tenon.recipe<slice [@m] {axis = 0, begin = 3}>

// -----
// Parts that are not the whole.
tenon.weight @m : tensor<4x6xf32> = #tenon.source<"f", 0>
// expected-error @+1 {{cannot be made: recipe concat gives 4 along axis 0, wanted 8}}
tenon.weight @w : tensor<8x6xf32> = #tenon.recipe<concat [@m] {axis = 0}>

// -----
// A transpose that exchanges nothing.
tenon.weight @m : tensor<4x6xf32> = #tenon.source<"f", 0>
// expected-error @+1 {{cannot be made: recipe transpose turns [4, 6] into [6, 4] by [0, 1]}}
tenon.weight @w : tensor<6x4xf32> = #tenon.recipe<transpose [@m] {permutation = array<i64: 0, 1>}>

// -----
// Too few panels.
tenon.weight @m : tensor<4x6xf32> = #tenon.source<"f", 0>
// expected-error @+1 {{cannot be made: recipe panels turns [4, 6] into [1, 4, 4], wanted [2, 4, 4]}}
tenon.weight @w : tensor<1x4x4xf32> = #tenon.recipe<panels [@m] {width = 4}>

// -----
// A product of matrices that do not meet.
tenon.weight @m : tensor<4x6xf32> = #tenon.source<"f", 0>
// expected-error @+1 {{cannot be made: recipe product turns [4, 6] and [4, 6] into [4, 6], wanted [M, K] and [K, N] into [M, N]}}
tenon.weight @w : tensor<4x6xf32> = #tenon.recipe<product [@m, @m]>

// -----
// Elements of another type.
tenon.weight @m : tensor<4x6xf32> = #tenon.source<"f", 0>
// expected-error @+1 {{cannot be made: recipe scale wants inputs of the result's element type}}
tenon.weight @w : tensor<4x6xf64> = #tenon.recipe<scale [@m] {factor = 2.0}>

// -----
// A reshape that loses elements.
tenon.weight @m : tensor<4x6xf32> = #tenon.source<"f", 0>
// expected-error @+1 {{cannot be made: recipe reshape turns [4, 6] into [5, 5]}}
tenon.weight @w : tensor<5x5xf32> = #tenon.recipe<reshape [@m]>

// -----
// Sizes that do not broadcast.
tenon.weight @m : tensor<4x6xf32> = #tenon.source<"f", 0>
// expected-error @+1 {{cannot be made: recipe add does not broadcast [4, 6] to [4, 5]}}
tenon.weight @w : tensor<4x5xf32> = #tenon.recipe<add [@m, @m]>
