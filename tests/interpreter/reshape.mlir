// RUN: tenon-interpret %s --dim B=2 --dim S=3 --input 0=iota | FileCheck %s
tenon.symbol @B in [0, 8]
tenon.symbol @S in [0, 8]

// CHECK: @rows i64[6, 2]: {{\[}}[0, 1], [2, 3], [4, 5], [6, 7], [8, 9], [10, 11]]
func.func @rows(%x: tensor<?x?x2xi64, #tenon.dims<[B, S, 2]>>) -> tensor<?x2xi64, #tenon.dims<[B * S, 2]>> {
  %r = tenon.reshape %x : tensor<?x?x2xi64, #tenon.dims<[B, S, 2]>> -> tensor<?x2xi64, #tenon.dims<[B * S, 2]>>
  return %r : tensor<?x2xi64, #tenon.dims<[B * S, 2]>>
}
