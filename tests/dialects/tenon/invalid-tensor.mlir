// Maps, contractions, reductions, normalisations, reshapes. One fault in each program.
// RUN: tenon-opt %s --verify-diagnostics --split-input-file

// One operand, two types.
func.func @f(%x: tensor<4xf32>) {
  // expected-error @+1 {{wants 1 operand types and one result type}}
  %r = tenon.map %a = %x at %i : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32> {
    %v = tenon.load %a[%i] : tensor<4xf32>
    tenon.yield %v : f32
  }
  return
}

// -----
// Two indices for a vector.
func.func @f(%x: tensor<4xf32>) {
  // expected-error @+1 {{has 2 indices for a result of rank 1}}
  %r = tenon.map %a = %x at %i, %j : (tensor<4xf32>) -> tensor<4xf32> {
    %v = tenon.load %a[%i] : tensor<4xf32>
    tenon.yield %v : f32
  }
  return
}

// -----
// A region argument that is not of its operand's type; only the generic form can say it.
func.func @f(%x: tensor<4xf32>) {
  // expected-error @+1 {{passes 'tensor<4xf32>' to a region argument of type 'tensor<5xf32>'}}
  %r = "tenon.map"(%x) ({
  ^bb0(%a: tensor<5xf32>, %i: index):
    %v = tenon.load %a[%i] : tensor<5xf32>
    tenon.yield %v : f32
  }) : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----
// A call, which may do anything.
func.func private @g() -> f32
func.func @f() {
  %r = tenon.map at %i : () -> tensor<4xf32> {
    // expected-error @+1 {{has side effects: a region of tenon.map is pure arithmetic}}
    %v = func.call @g() : () -> f32
    tenon.yield %v : f32
  }
  return
}

// -----
// An element of another type than the result's.
func.func @f() {
  // expected-error @+1 {{wants its region to yield one 'f32'}}
  %r = tenon.map at %i : () -> tensor<4xf32> {
    tenon.yield %i : index
  }
  return
}

// -----
// One index into a matrix.
func.func @f(%x: tensor<4x4xf32>) {
  %r = tenon.map %a = %x at %i : (tensor<4x4xf32>) -> tensor<4xf32> {
    // expected-error @+1 {{has 1 indices for a tensor of rank 2}}
    %v = tenon.load %a[%i] : tensor<4x4xf32>
    tenon.yield %v : f32
  }
  return
}

// -----
// A load of something that is no argument of the region.
func.func @f(%x: tensor<4xf32>) {
  %0 = tenon.get @w : tensor<4xf32>
  %i = tenon.size #tenon.dim<0>
  // expected-error @+1 {{loads a tensor that is not an argument of its region}}
  %v = tenon.load %0[%i] : tensor<4xf32>
  return
}
tenon.weight @w : tensor<4xf32> = dense<1.0> : tensor<4xf32>

// -----
// No arrow.
func.func @f(%x: tensor<4x4xf32>) {
  // expected-error @+1 {{wanted a specification like "m k, k n -> m n", found "m k, k n"}}
  %r = tenon.contract "m k, k n" %x, %x : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  return
}

// -----
// An index that is no word.
func.func @f(%x: tensor<4x4xf32>) {
  // expected-error @+1 {{an index is a word of letters, digits and underscores, found 'k*'}}
  %r = tenon.contract "m k*, k n -> m n" %x, %x : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  return
}

// -----
// A diagonal.
func.func @f(%x: tensor<4x4xf32>) {
  // expected-error @+1 {{index 'm' occurs twice in 'm m'}}
  %r = tenon.contract "m m, k n -> m n" %x, %x : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  return
}

// -----
// A result index from nowhere.
func.func @f(%x: tensor<4x4xf32>) {
  // expected-error @+1 {{index 'q' of the result is in neither operand}}
  %r = tenon.contract "m k, k n -> m q" %x, %x : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  return
}

// -----
// Three indices for a matrix.
func.func @f(%x: tensor<4x4xf32>) {
  // expected-error @+1 {{names 3 indices of the left operand, which has dims [4, 4]}}
  %r = tenon.contract "b m k, k n -> m n" %x, %x : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  return
}

// -----
// Inner sizes that differ.
func.func @f(%x: tensor<4x5xf32>, %y: tensor<6x4xf32>) {
  // expected-error @+1 {{index 'k' is 5, but 6 in the right operand}}
  %r = tenon.contract "m k, k n -> m n" %x, %y : (tensor<4x5xf32>, tensor<6x4xf32>) -> tensor<4x4xf32>
  return
}

// -----
// A result of another size.
func.func @f(%x: tensor<4x5xf32>, %y: tensor<5x4xf32>) {
  // expected-error @+1 {{index 'n' is 4, but 3 in the result}}
  %r = tenon.contract "m k, k n -> m n" %x, %y : (tensor<4x5xf32>, tensor<5x4xf32>) -> tensor<4x3xf32>
  return
}

// -----
// Two element types.
func.func @f(%x: tensor<4x5xf32>, %y: tensor<5x4xf64>) {
  // expected-error @+1 {{multiplies 'f32' with 'f64'}}
  %r = tenon.contract "m k, k n -> m n" %x, %y : (tensor<4x5xf32>, tensor<5x4xf64>) -> tensor<4x4xf32>
  return
}

// -----
// Panels of a matrix that is not packed.
func.func @f(%x: tensor<4x5xf32>, %y: tensor<5x4xf32>) {
  // expected-error @+1 {{with panels wants a right operand "k n" of shape [ceil(N / W), K, W], found [5, 4]}}
  %r = tenon.contract "m k, k n -> m n" %x, %y panels 16 : (tensor<4x5xf32>, tensor<5x4xf32>) -> tensor<4x4xf32>
  return
}

// -----
// One panel too few.
func.func @f(%x: tensor<4x5xf32>, %y: tensor<1x5x16xf32>) {
  // expected-error @+1 {{wants 17 columns in panels of 16, found [1, 5, 16]}}
  %r = tenon.contract "m k, k n -> m n" %x, %y panels 16 : (tensor<4x5xf32>, tensor<1x5x16xf32>) -> tensor<4x17xf32>
  return
}

// -----
// The same dimension reduced twice.
func.func @f(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{reduces over dimension 1, wanted distinct dimensions of [4, 8]}}
  %r = tenon.reduce sum %x over [1, 1] : tensor<4x8xf32> -> tensor<4xf32>
  return
}

// -----
// A reduced dimension kept.
func.func @f(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{gives 'tensor<4xf32>', its result is declared as 'tensor<4x1xf32>'}}
  %r = tenon.reduce sum %x over [1] : tensor<4x8xf32> -> tensor<4x1xf32>
  return
}

// -----
// A dimension that is not there.
func.func @f(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{is over dimension 2 of a tensor of rank 2}}
  %r = tenon.softmax %x over 2 : tensor<4x8xf32>
  return
}

// -----
// Places that are no list of tuples.
func.func @f(%x: tensor<4x8xf32>, %u: tensor<2x8xf32>, %p: tensor<2xi64>) {
  // expected-error @+1 {{wants integer places of shape [N, K] with K from 1 to 2, found 'tensor<2xi64>'}}
  %r = tenon.scatter %u into %x at %p : tensor<2x8xf32> into tensor<4x8xf32> at tensor<2xi64>
  return
}

// -----
// Updates of another size than the slices.
func.func @f(%x: tensor<4x8xf32>, %u: tensor<2x7xf32>, %p: tensor<2x1xi64>) {
  // expected-error @+1 {{wants updates of shape [2, 8], found [2, 7]}}
  %r = tenon.scatter %u into %x at %p : tensor<2x7xf32> into tensor<4x8xf32> at tensor<2x1xi64>
  return
}

// -----
// Updates of another type.
func.func @f(%x: tensor<4x8xf32>, %u: tensor<2x8xf16>, %p: tensor<2x1xi64>) {
  // expected-error @+1 {{puts 'f16' into a tensor of 'f32'}}
  %r = tenon.scatter %u into %x at %p : tensor<2x8xf16> into tensor<4x8xf32> at tensor<2x1xi64>
  return
}

// -----
// Booleans have no sum.
func.func @f(%x: tensor<4xi1>, %u: tensor<2xi1>, %p: tensor<2x1xi64>) {
  // expected-error @+1 {{combines elements of i1, wanted numbers}}
  %r = tenon.scatter %u into %x at %p by sum : tensor<2xi1> into tensor<4xi1> at tensor<2x1xi64>
  return
}

// -----
// No such dimension.
func.func @f(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{orders along dimension 2, wanted one of [4, 8]}}
  %r = tenon.order %x over 2 : tensor<4x8xf32> -> tensor<4x8xi64>
  return
}

// -----
// More places than elements.
func.func @f(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{gives 9 places of 8}}
  %r = tenon.order %x over 1 : tensor<4x8xf32> -> tensor<4x9xi64>
  return
}

// -----
// A record's dims stay.
func.func @f(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{gives 'tensor<4xi64>', its result is declared as 'tensor<4x8xi64>'}}
  %r = tenon.order %x over 0 records : tensor<4x8xf32> -> tensor<4x8xi64>
  return
}

// -----
// Floats have their signs.
func.func @f(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{compares 'f32' as unsigned, wanted integers}}
  %r = tenon.order %x over 1 unsigned : tensor<4x8xf32> -> tensor<4x8xi64>
  return
}

// -----
// Softmax of integers.
func.func @f(%x: tensor<4x8xi32>) {
  // expected-error @+1 {{wants floating-point elements, found 'i32'}}
  %r = tenon.softmax %x over 1 : tensor<4x8xi32>
  return
}

// -----
// A normalisation that changes the type.
func.func @f(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{turns 'tensor<4x8xf32>' into 'tensor<4x8xf16>', wanted the same type}}
  %r = tenon.norm layer %x over 1 epsilon 1.0e-5 : tensor<4x8xf32> -> tensor<4x8xf16>
  return
}

// -----
// Three groups of eight channels.
func.func @f(%x: tensor<2x8x5xf32>) {
  // expected-error @+1 {{wants 3 groups to divide dimension 1 of [2, 8, 5]}}
  %r = tenon.norm group %x over 3 epsilon 1.0e-5 : tensor<2x8x5xf32> -> tensor<2x8x5xf32>
  return
}

// -----
// More dimensions than there are.
func.func @f(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{normalises the last 3 dimensions of [4, 8]}}
  %r = tenon.norm rms %x over 3 epsilon 1.0e-5 : tensor<4x8xf32> -> tensor<4x8xf32>
  return
}

// -----
// A scale of the wrong size.
func.func @f(%x: tensor<4x8xf32>, %g: tensor<4xf32>) {
  // expected-error @+1 {{wants a scale of shape [8], found [4]}}
  %r = tenon.norm layer %x scale %g : tensor<4xf32> over 1 epsilon 1.0e-5 : tensor<4x8xf32> -> tensor<4x8xf32>
  return
}

// -----
// A shift of the wrong rank.
func.func @f(%x: tensor<4x8xf32>, %g: tensor<1x8xf32>) {
  // expected-error @+1 {{wants a shift of shape [8], found [1, 8]}}
  %r = tenon.norm layer %x shift %g : tensor<1x8xf32> over 1 epsilon 1.0e-5 : tensor<4x8xf32> -> tensor<4x8xf32>
  return
}

// -----
// Elements lost.
func.func @f(%x: tensor<?x8xf32, #tenon.dims<[S, 8]>>) {
  // expected-error @+1 {{turns 8 * S elements [S, 8] into 7 * S [7 * S]}}
  %r = tenon.reshape %x : tensor<?x8xf32, #tenon.dims<[S, 8]>> -> tensor<?xf32, #tenon.dims<[7 * S]>>
  return
}

// -----
// Elements reinterpreted.
func.func @f(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{changes the element type from 'f32' to 'i32'}}
  %r = tenon.reshape %x : tensor<4x8xf32> -> tensor<32xi32>
  return
}
