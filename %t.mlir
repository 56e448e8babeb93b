// Query 0 has no live key; query 1 has key 0. Scores 0 and ln 3, values 1 and 5.
// RUN: sed 's/zero/zero/' %s > %t.mlir && tenon-interpret %t.mlir --input 0=1,1 --input 1=0,1.09861228866811 --input 2=1,5 | FileCheck %s --check-prefix=CHECK-ZERO
// RUN: sed 's/zero/nan/' %s > %t.mlir && tenon-interpret %t.mlir --input 0=1,1 --input 1=0,1.09861228866811 --input 2=1,5 | FileCheck %s --check-prefix=CHECK-NAN
// RUN: sed 's/zero/uniform/' %s > %t.mlir && tenon-interpret %t.mlir --input 0=1,1 --input 1=0,1.09861228866811 --input 2=1,5 | FileCheck %s --check-prefix=CHECK-UNIFORM
// RUN: sed 's/zero/ignore_keep/' %s > %t.mlir && tenon-interpret %t.mlir --input 0=1,1 --input 1=0,1.09861228866811 --input 2=1,5 | FileCheck %s --check-prefix=CHECK-IGNORE

// CHECK-ZERO: {{\[\[}}[0], [1]]]
// CHECK-NAN: {{\[\[}}[nan], [1]]]
// CHECK-UNIFORM: {{\[\[}}[3], [1]]]
// CHECK-IGNORE: {{\[\[}}[4], [1]]]
func.func @main(%q: tensor<1x2x1xf32>, %k: tensor<1x2x1xf32>, %v: tensor<1x2x1xf32>) -> tensor<1x2x1xf32> {
  %o = tenon.attention %q, (%k), (%v) normalise softmax empty zero layout ["b n d", "b n d", "b n d", "b n d"]
     : (tensor<1x2x1xf32>, tensor<1x2x1xf32>, tensor<1x2x1xf32>) -> tensor<1x2x1xf32>
    keep (%b, %h, %i, %j) {
      %live = arith.cmpi slt, %j, %i : index
      tenon.yield %live : i1
    }
  return %o : tensor<1x2x1xf32>
}
