// Two sources under one `sum`, and a captured table added to the score: (1·10 + 2·20 + 2·30) / 5.
// RUN: tenon-interpret %s --input 0=1 --input 1=0,1 --input 2=10,20 --input 3=2 --input 4=30 --input 5=1,1,0 | FileCheck %s

// Scores 0, 1 and 2, and the table's 1, 1 and 0: keys are numbered through both sources.
// CHECK: @main f32[1, 1]: {{\[}}[22]]
func.func @main(%q: tensor<1x1xf32>, %k0: tensor<2x1xf32>, %v0: tensor<2x1xf32>, %k1: tensor<1x1xf32>, %v1: tensor<1x1xf32>, %t: tensor<3xf32>) -> tensor<1x1xf32> {
  %o = tenon.attention %q, (%k0, %k1), (%v0, %v1) captures (%t) normalise sum empty zero layout ["n d", "n d", "n d", "n d", "n d", "n d"]
     : (tensor<1x1xf32>, tensor<2x1xf32>, tensor<1x1xf32>, tensor<2x1xf32>, tensor<1x1xf32>, tensor<3xf32>) -> tensor<1x1xf32>
    score (%x, %b, %h, %i, %j, %table) {
      %bias = tenon.load %table[%j] : tensor<3xf32>
      %y = arith.addf %x, %bias : f32
      tenon.yield %y : f32
    }
  return %o : tensor<1x1xf32>
}
