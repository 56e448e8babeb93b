// Symbols come from the inputs' shapes, and must agree, lie in their bounds and be divisible.
// RUN: tenon-interpret %s --dim S=8 --dim P=2 --input 1=iota | FileCheck %s
// RUN: not tenon-interpret %s --dim S=6 2>&1 | FileCheck %s --check-prefix=DIVISIBLE
// RUN: not tenon-interpret %s --dim S=20 2>&1 | FileCheck %s --check-prefix=BOUNDS
tenon.symbol @S in [1, 16] divisible by 4
tenon.symbol @P in [0, 16]

// DIVISIBLE: tenon.symbol: S is 6, wanted a multiple of 4
// BOUNDS: tenon.symbol: S is 20, wanted a value in [1, 16]
// CHECK: @tail i64[2]: [8, 9]
func.func @tail(%x: tensor<?xf32, #tenon.dims<[S]>>, %y: tensor<?xi64, #tenon.dims<[S + P]>>) -> tensor<?xi64, #tenon.dims<[P]>> {
  %r = tenon.map %a = %y at %i : (tensor<?xi64, #tenon.dims<[S + P]>>) -> tensor<?xi64, #tenon.dims<[P]>> {
    %s = tenon.size #tenon.dim<S>
    %n = arith.addi %i, %s : index
    %v = tenon.load %a[%n] : tensor<?xi64, #tenon.dims<[S + P]>>
    tenon.yield %v : i64
  }
  return %r : tensor<?xi64, #tenon.dims<[P]>>
}
