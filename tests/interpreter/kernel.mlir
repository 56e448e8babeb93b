// The kernel's d0 is what the dispatch passes, here B * S.
// RUN: tenon-interpret %s --dim B=2 --dim S=2 --input 0=iota | FileCheck %s
tenon.symbol @B in [1, 8]
tenon.symbol @S in [1, 8]

tenon.kernel @lastRow(%x: tensor<?x2xf32, #tenon.dims<[d0, 2]>>) -> (tensor<2xf32>, tensor<?x2xf32, #tenon.dims<[d0, 2]>>) {
  %y = tenon.map %a = %x at %j : (tensor<?x2xf32, #tenon.dims<[d0, 2]>>) -> tensor<2xf32> {
    %n = tenon.size #tenon.dim<d0 - 1>
    %v = tenon.load %a[%n, %j] : tensor<?x2xf32, #tenon.dims<[d0, 2]>>
    tenon.yield %v : f32
  }
  tenon.return %y, %x : tensor<2xf32>, tensor<?x2xf32, #tenon.dims<[d0, 2]>>
}

// CHECK: @main f32[2]: [6, 7]
// CHECK: @main f32[4, 2]: {{\[}}[0, 1], [2, 3], [4, 5], [6, 7]]
func.func @main(%x: tensor<?x2xf32, #tenon.dims<[B * S, 2]>>) -> (tensor<2xf32>, tensor<?x2xf32, #tenon.dims<[B * S, 2]>>) {
  %y, %z = tenon.dispatch @lastRow(%x) : (tensor<?x2xf32, #tenon.dims<[B * S, 2]>>) -> (tensor<2xf32>, tensor<?x2xf32, #tenon.dims<[B * S, 2]>>) dims #tenon.dims<[B * S]>
  return %y, %z : tensor<2xf32>, tensor<?x2xf32, #tenon.dims<[B * S, 2]>>
}
