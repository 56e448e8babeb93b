// A state of one element that halves before each step: 8, 8, 6.
// RUN: tenon-interpret %s --entry decay --input 0=1,1,10 --input 1=1,1,1 --input 2=8,4,2 --input 3=0.5,0.5,0.5 | FileCheck %s --check-prefix=CHECK-DECAY
// CHECK-DECAY: {{\[\[}}8], [8], [60]]
// CHECK-DECAY: {{\[\[\[\[}}6]]]]

// Two rows with a factor each, 1 and 0: the first gathers, the second forgets.
// RUN: tenon-interpret %s --entry rows --input 0=1,1,1,1 --input 1=1,1,1,1 --input 2=3,4 --input 3=1,0 | FileCheck %s --check-prefix=CHECK-ROWS
// CHECK-ROWS: {{\[\[}}6], [11]]

// The delta rule with rate 1: the second value replaces the first, under the same key.
// RUN: tenon-interpret %s --entry delta --input 0=1,1 --input 1=1,1 --input 2=3,4 --input 3=1,0.5 --input 4=10 | FileCheck %s --check-prefix=CHECK-DELTA
// CHECK-DELTA: {{\[\[}}3], [3.5]]
// CHECK-DELTA: {{\[\[\[\[}}3.5]]]]

// Two query heads on one state.
// RUN: tenon-interpret %s --entry shared --input 0=1,2,3,4 --input 1=1,1 --input 2=5,6 | FileCheck %s --check-prefix=CHECK-SHARED
// CHECK-SHARED: {{\[\[}}[5], [22]], {{\[\[}}15], [44]]]

// A matrix that turns its two rows, 1 put into the first: (1, 0), then (1, 1), then (0, 1).
// RUN: tenon-interpret %s --entry turned --input 0=1,0,0,1 --input 1=1,0 --input 2=1,1,1 --input 3=0,-1,1,0 | FileCheck %s --check-prefix=CHECK-TURNED
// CHECK-TURNED: {{\[\[}}1, 0], [1, 1], [0, 1]]

func.func @decay(%q: tensor<3x1xf32>, %k: tensor<3x1xf32>, %v: tensor<3x1xf32>, %a: tensor<3xf32>) -> (tensor<3x1xf32>, tensor<1x1x1x1xf32>) {
  %o, %s = tenon.scan %q, %k, %v decay (%a : tensor<3xf32>) layout ["n d", "n d", "n d", "n", "n d"]
    : tensor<3x1xf32>, tensor<3x1xf32>, tensor<3x1xf32> -> tensor<3x1xf32>, tensor<1x1x1x1xf32>
  return %o, %s : tensor<3x1xf32>, tensor<1x1x1x1xf32>
}

func.func @rows(%q: tensor<2x2xf32>, %k: tensor<2x2xf32>, %v: tensor<2x1xf32>, %a: tensor<2xf32>) -> tensor<2x1xf32> {
  %o = tenon.scan %q, %k, %v decay (%a : tensor<2xf32>) layout ["n d", "n d", "n d", "d", "n d"]
    : tensor<2x2xf32>, tensor<2x2xf32>, tensor<2x1xf32> -> tensor<2x1xf32>
  return %o : tensor<2x1xf32>
}

func.func @delta(%q: tensor<2x1xf32>, %k: tensor<2x1xf32>, %v: tensor<2x1xf32>, %r: tensor<2xf32>, %s: tensor<1x1x1x1xf32>) -> (tensor<2x1xf32>, tensor<1x1x1x1xf32>) {
  %o, %t = tenon.scan %q, %k, %v rate (%r : tensor<2xf32>) from (%s : tensor<1x1x1x1xf32>) layout ["n d", "n d", "n d", "n", "n d"]
    : tensor<2x1xf32>, tensor<2x1xf32>, tensor<2x1xf32> -> tensor<2x1xf32>, tensor<1x1x1x1xf32>
  return %o, %t : tensor<2x1xf32>, tensor<1x1x1x1xf32>
}

func.func @shared(%q: tensor<2x2x1xf32>, %k: tensor<2x1xf32>, %v: tensor<2x1xf32>) -> tensor<2x2x1xf32> {
  %o = tenon.scan %q, %k, %v layout ["h n d", "n d", "n d", "h n d"]
    : tensor<2x2x1xf32>, tensor<2x1xf32>, tensor<2x1xf32> -> tensor<2x2x1xf32>
  return %o : tensor<2x2x1xf32>
}

func.func @turned(%q: tensor<2x2xf32>, %b: tensor<2xf32>, %u: tensor<3xf32>, %a: tensor<2x2xf32>) -> tensor<3x2xf32> {
  %o = tenon.scan %q, %b, %u transition (%a : tensor<2x2xf32>) layout ["h d", "d", "n", "n h"] : tensor<2x2xf32>, tensor<2xf32>, tensor<3xf32> -> tensor<3x2xf32>
  return %o : tensor<3x2xf32>
}
