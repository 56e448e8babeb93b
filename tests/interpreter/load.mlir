// A gather whose index comes from data, and what happens when it leaves the table.
// RUN: tenon-interpret %s --input 0=2,0,1 | FileCheck %s
// RUN: not tenon-interpret %s --input 0=2,0,3 2>&1 | FileCheck %s --check-prefix=OUTSIDE

tenon.weight @table : tensor<3x2xf32> = dense<[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]> : tensor<3x2xf32>

// CHECK: @gather f32[3, 2]: {{\[}}[5, 6], [1, 2], [3, 4]]
// OUTSIDE: load.mlir:[[#@LINE + 6]]:10: tenon.load: loads element [3, 0] of a tensor of [3, 2] (in tenon.map)
func.func @gather(%ids: tensor<3xi64>) -> tensor<3x2xf32> {
  %t = tenon.get @table : tensor<3x2xf32>
  %r = tenon.map %id = %ids, %w = %t at %i, %j : (tensor<3xi64>, tensor<3x2xf32>) -> tensor<3x2xf32> {
    %n = tenon.load %id[%i] : tensor<3xi64>
    %k = arith.index_cast %n : i64 to index
    %v = tenon.load %w[%k, %j] : tensor<3x2xf32>
    tenon.yield %v : f32
  }
  return %r : tensor<3x2xf32>
}
