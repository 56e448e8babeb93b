// One query, keys of scores 0 and ln 3, values 1 and 5: a, m, l = 16/3, ln 3, 4/3.
// RUN: tenon-interpret %s --entry whole --input 0=1 --input 1=0,1.09861228866811 --input 2=1,5 | FileCheck %s --check-prefix=CHECK-WHOLE
// CHECK-WHOLE: {{\[\[\[\[\[}}5.33333, 1.09861, 1.33333]]]]]

// One key to a part: two states, whose merge is the same.
// RUN: tenon-interpret %s --entry parts --input 0=1 --input 1=0,1.09861228866811 --input 2=1,5 | FileCheck %s --check-prefix=CHECK-PARTS
// CHECK-PARTS: {{\[\[\[\[\[}}1, 0, 1]]]], {{\[\[\[\[}}5, 1.09861, 1]]]]]
// RUN: tenon-interpret %s --entry merged --input 0=1 --input 1=0,1.09861228866811 --input 2=1,5 | FileCheck %s --check-prefix=CHECK-WHOLE

// With a sink of logit ln 3 beside them: l = 7/3, and 16/7 is the result.
// RUN: tenon-interpret %s --entry sink --input 0=1 --input 1=0,1.09861228866811 --input 2=1,5 | FileCheck %s --check-prefix=CHECK-SINK
// CHECK-SINK: {{\[\[}}2.28571]]

// No key is live: an empty state, and what the rule says.
// RUN: tenon-interpret %s --entry dead --input 0=1 --input 1=0,1.09861228866811 --input 2=1,5 | FileCheck %s --check-prefix=CHECK-DEAD
// CHECK-DEAD: {{\[\[\[\[\[}}0, -inf, 0]]]]]
// CHECK-DEAD: {{\[\[}}nan]]

func.func @whole(%q: tensor<1x1xf32>, %k: tensor<2x1xf32>, %v: tensor<2x1xf32>) -> tensor<1x1x1x1x3xf32> {
  %s = tenon.attention_update %q, %k, %v normalise softmax layout ["n d", "n d", "n d"]
     : (tensor<1x1xf32>, tensor<2x1xf32>, tensor<2x1xf32>) -> tensor<1x1x1x1x3xf32>
  return %s : tensor<1x1x1x1x3xf32>
}

func.func @parts(%q: tensor<1x1xf32>, %k: tensor<2x1xf32>, %v: tensor<2x1xf32>) -> tensor<2x1x1x1x3xf32> {
  %s = tenon.attention_update %q, %k, %v normalise softmax layout ["n d", "n d", "n d"] parts_of 1
     : (tensor<1x1xf32>, tensor<2x1xf32>, tensor<2x1xf32>) -> tensor<2x1x1x1x3xf32>
  return %s : tensor<2x1x1x1x3xf32>
}

func.func @merged(%q: tensor<1x1xf32>, %k: tensor<2x1xf32>, %v: tensor<2x1xf32>) -> tensor<1x1x1x1x3xf32> {
  %s = tenon.attention_update %q, %k, %v normalise softmax layout ["n d", "n d", "n d"] parts_of 1
     : (tensor<1x1xf32>, tensor<2x1xf32>, tensor<2x1xf32>) -> tensor<2x1x1x1x3xf32>
  %m = tenon.attention_merge %s normalise softmax : (tensor<2x1x1x1x3xf32>) -> tensor<1x1x1x1x3xf32>
  return %m : tensor<1x1x1x1x3xf32>
}

func.func @sink(%q: tensor<1x1xf32>, %k: tensor<2x1xf32>, %v: tensor<2x1xf32>) -> tensor<1x1xf32> {
  %s = tenon.attention_update %q, %k, %v normalise softmax layout ["n d", "n d", "n d"]
     : (tensor<1x1xf32>, tensor<2x1xf32>, tensor<2x1xf32>) -> tensor<1x1x1x1x3xf32>
  %sink = tenon.map at %p, %b, %h, %i, %c : () -> tensor<1x1x1x1x3xf32> {
    %zero = arith.constant 0.0 : f32
    %one = arith.constant 1.0 : f32
    %logit = arith.constant 1.09861228866811 : f32
    %first = arith.constant 1 : index
    %second = arith.constant 2 : index
    %isM = arith.cmpi eq, %c, %first : index
    %isL = arith.cmpi eq, %c, %second : index
    %0 = arith.select %isM, %logit, %zero : f32
    %1 = arith.select %isL, %one, %0 : f32
    tenon.yield %1 : f32
  }
  %m = tenon.attention_merge %s, %sink normalise softmax
     : (tensor<1x1x1x1x3xf32>, tensor<1x1x1x1x3xf32>) -> tensor<1x1x1x1x3xf32>
  %o = tenon.attention_finish %m normalise softmax empty zero layout "n d" : tensor<1x1x1x1x3xf32> -> tensor<1x1xf32>
  return %o : tensor<1x1xf32>
}

func.func @dead(%q: tensor<1x1xf32>, %k: tensor<2x1xf32>, %v: tensor<2x1xf32>) -> (tensor<1x1x1x1x3xf32>, tensor<1x1xf32>) {
  %s = tenon.attention_update %q, %k, %v normalise softmax layout ["n d", "n d", "n d"]
     : (tensor<1x1xf32>, tensor<2x1xf32>, tensor<2x1xf32>) -> tensor<1x1x1x1x3xf32>
    keep (%b, %h, %i, %j) = %j < 0
  %o = tenon.attention_finish %s normalise softmax empty nan layout "n d" : tensor<1x1x1x1x3xf32> -> tensor<1x1xf32>
  return %s, %o : tensor<1x1x1x1x3xf32>, tensor<1x1xf32>
}
