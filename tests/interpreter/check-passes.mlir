// What --check-passes reports: nothing when the passes keep the meaning, the place when they do not.
// RUN: tenon-interpret %s --check-passes=tenon-compose-maps,canonicalize 2>&1 | FileCheck %s --allow-empty --check-prefix=CHECK-SAME
// RUN: tenon-interpret %s --check-passes=tenon-compose-maps --entry twice --seed 3 --dim S=1 2>&1 | FileCheck %s --allow-empty --check-prefix=CHECK-SAME
// CHECK-SAME-NOT: {{.}}
// RUN: not tenon-interpret %s --check-passes=no-such-pass 2>&1 | FileCheck %s --check-prefix=CHECK-UNKNOWN
// CHECK-UNKNOWN: no-such-pass

tenon.symbol @S in [1, 16]

func.func @twice(%x: tensor<?x3xf32, #tenon.dims<[S, 3]>>) -> tensor<3x?xf32, #tenon.dims<[3, S]>> {
  %t = tenon.map %a = %x at %i, %j : (tensor<?x3xf32, #tenon.dims<[S, 3]>>) -> tensor<3x?xf32, #tenon.dims<[3, S]>> {
    %v = tenon.load %a[%j, %i] : tensor<?x3xf32, #tenon.dims<[S, 3]>>
    tenon.yield %v : f32
  }
  %r = tenon.map %a = %t at %i, %j : (tensor<3x?xf32, #tenon.dims<[3, S]>>) -> tensor<3x?xf32, #tenon.dims<[3, S]>> {
    %v = tenon.load %a[%i, %j] : tensor<3x?xf32, #tenon.dims<[3, S]>>
    %w = arith.addf %v, %v : f32
    tenon.yield %w : f32
  }
  return %r : tensor<3x?xf32, #tenon.dims<[3, S]>>
}
