// RUN: tenon-interpret %s --dim S=3 --input 0=iota --entry reverse | FileCheck %s --check-prefix=CHECK-REVERSE
// RUN: tenon-interpret %s --entry iota --dim S=3 | FileCheck %s --check-prefix=CHECK-IOTA
// RUN: tenon-interpret %s --entry scalar | FileCheck %s --check-prefix=CHECK-SCALAR

tenon.symbol @S in [1, 64]

// An index computed from the size.
// CHECK-REVERSE: @reverse f32[2, 3]: {{\[}}[2, 1, 0], [5, 4, 3]]
func.func @reverse(%x: tensor<2x?xf32, #tenon.dims<[2, S]>>) -> tensor<2x?xf32, #tenon.dims<[2, S]>> {
  %r = tenon.map %a = %x at %i, %j : (tensor<2x?xf32, #tenon.dims<[2, S]>>) -> tensor<2x?xf32, #tenon.dims<[2, S]>> {
    %last = tenon.size #tenon.dim<S - 1>
    %k = arith.subi %last, %j : index
    %v = tenon.load %a[%i, %k] : tensor<2x?xf32, #tenon.dims<[2, S]>>
    tenon.yield %v : f32
  }
  return %r : tensor<2x?xf32, #tenon.dims<[2, S]>>
}

// No operand at all.
// CHECK-IOTA: @iota i64[3]: [0, 1, 2]
func.func @iota() -> tensor<?xi64, #tenon.dims<[S]>> {
  %r = tenon.map at %i : () -> tensor<?xi64, #tenon.dims<[S]>> {
    %v = arith.index_cast %i : index to i64
    tenon.yield %v : i64
  }
  return %r : tensor<?xi64, #tenon.dims<[S]>>
}

// Rank 0.
// CHECK-SCALAR: @scalar f64[]: 2.5
func.func @scalar() -> tensor<f64> {
  %r = tenon.map at () : () -> tensor<f64> {
    %v = arith.constant 2.5 : f64
    tenon.yield %v : f64
  }
  return %r : tensor<f64>
}
