// RUN: tenon-opt %s --tenon-raise-attention --cse | FileCheck %s
// RUN: tenon-interpret %s --check-passes=tenon-raise-attention,tenon-fold-maps,tenon-compose-maps --int-range=0..1
// RUN: tenon-interpret %s --check-passes=tenon-raise-attention --int-range=1..1 --seed 2 --dim S=1 --entry exported

// Heads split from the columns and transposed, a key mask added, a guard behind the softmax: PyTorch's export.
// CHECK-LABEL: func.func @exported
// CHECK: %[[Q:.*]] = tenon.reshape %arg0 : {{.*}} -> tensor<?x?x4x16xf32, #tenon.dims<[B, S, 4, 16]>>
// CHECK: tenon.attention %[[Q]], (%{{.*}}), (%{{.*}}) captures (%arg3) normalise softmax empty zero
// CHECK-SAME: layout ["b n h d", "b n h d", "b n h d", "b n h d"]
// CHECK: score (%[[X:[a-z0-9]+]], %[[B:[a-z0-9]+]], %{{[a-z0-9]+}}, %{{[a-z0-9]+}}, %[[J:[a-z0-9]+]], %[[MASK:[a-z0-9]+]]) {
// CHECK: arith.constant 2.500000e-01
// CHECK: arith.mulf %[[X]]
// CHECK: tenon.load %[[MASK]][%[[B]], %[[J]]]
// CHECK: arith.select
// CHECK: arith.addf
// CHECK: weight (
// CHECK: arith.cmpf uno
// CHECK-NOT: tenon.softmax
tenon.symbol @B in [1, 8]
tenon.symbol @S in [1, 64]
func.func @exported(%q: tensor<?x?x64xf32, #tenon.dims<[B, S, 64]>>, %k: tensor<?x?x64xf32, #tenon.dims<[B, S, 64]>>,
                    %v: tensor<?x?x64xf32, #tenon.dims<[B, S, 64]>>, %mask: tensor<?x?xi64, #tenon.dims<[B, S]>>) -> tensor<?x4x?x16xf32, #tenon.dims<[B, 4, S, 16]>> {
  %qr = tenon.reshape %q : tensor<?x?x64xf32, #tenon.dims<[B, S, 64]>> -> tensor<?x?x4x16xf32, #tenon.dims<[B, S, 4, 16]>>
  %kr = tenon.reshape %k : tensor<?x?x64xf32, #tenon.dims<[B, S, 64]>> -> tensor<?x?x4x16xf32, #tenon.dims<[B, S, 4, 16]>>
  %vr = tenon.reshape %v : tensor<?x?x64xf32, #tenon.dims<[B, S, 64]>> -> tensor<?x?x4x16xf32, #tenon.dims<[B, S, 4, 16]>>
  %qt = tenon.map %x = %qr at %b, %h, %s, %d : (tensor<?x?x4x16xf32, #tenon.dims<[B, S, 4, 16]>>) -> tensor<?x4x?x16xf32, #tenon.dims<[B, 4, S, 16]>> {
    %c = arith.constant 0.5 : f32
    %0 = tenon.load %x[%b, %s, %h, %d] : tensor<?x?x4x16xf32, #tenon.dims<[B, S, 4, 16]>>
    %1 = arith.mulf %0, %c : f32
    tenon.yield %1 : f32
  }
  %kt = tenon.map %x = %kr at %b, %h, %d, %s : (tensor<?x?x4x16xf32, #tenon.dims<[B, S, 4, 16]>>) -> tensor<?x4x16x?xf32, #tenon.dims<[B, 4, 16, S]>> {
    %c = arith.constant 0.5 : f32
    %0 = tenon.load %x[%b, %s, %h, %d] : tensor<?x?x4x16xf32, #tenon.dims<[B, S, 4, 16]>>
    %1 = arith.mulf %0, %c : f32
    tenon.yield %1 : f32
  }
  %vt = tenon.map %x = %vr at %b, %h, %s, %d : (tensor<?x?x4x16xf32, #tenon.dims<[B, S, 4, 16]>>) -> tensor<?x4x?x16xf32, #tenon.dims<[B, 4, S, 16]>> {
    %0 = tenon.load %x[%b, %s, %h, %d] : tensor<?x?x4x16xf32, #tenon.dims<[B, S, 4, 16]>>
    tenon.yield %0 : f32
  }
  %s = tenon.contract "b h m k, b h k n -> b h m n" %qt, %kt : (tensor<?x4x?x16xf32, #tenon.dims<[B, 4, S, 16]>>, tensor<?x4x16x?xf32, #tenon.dims<[B, 4, 16, S]>>) -> tensor<?x4x?x?xf32, #tenon.dims<[B, 4, S, S]>>
  %m = tenon.map %x = %s, %t = %mask at %b, %h, %i, %j : (tensor<?x4x?x?xf32, #tenon.dims<[B, 4, S, S]>>, tensor<?x?xi64, #tenon.dims<[B, S]>>) -> tensor<?x4x?x?xf32, #tenon.dims<[B, 4, S, S]>> {
    %zero = arith.constant 0 : i64
    %live = arith.constant 0.0 : f32
    %dead = arith.constant -3.40282347E+38 : f32
    %0 = tenon.load %x[%b, %h, %i, %j] : tensor<?x4x?x?xf32, #tenon.dims<[B, 4, S, S]>>
    %1 = tenon.load %t[%b, %j] : tensor<?x?xi64, #tenon.dims<[B, S]>>
    %2 = arith.cmpi ne, %1, %zero : i64
    %3 = arith.select %2, %live, %dead : f32
    %4 = arith.addf %0, %3 : f32
    tenon.yield %4 : f32
  }
  %p = tenon.softmax %m over 3 : tensor<?x4x?x?xf32, #tenon.dims<[B, 4, S, S]>>
  %g = tenon.map %x = %p at %b, %h, %i, %j : (tensor<?x4x?x?xf32, #tenon.dims<[B, 4, S, S]>>) -> tensor<?x4x?x?xf32, #tenon.dims<[B, 4, S, S]>> {
    %zero = arith.constant 0.0 : f32
    %0 = tenon.load %x[%b, %h, %i, %j] : tensor<?x4x?x?xf32, #tenon.dims<[B, 4, S, S]>>
    %1 = arith.cmpf uno, %0, %0 : f32
    %2 = arith.select %1, %zero, %0 : f32
    tenon.yield %2 : f32
  }
  %o = tenon.contract "b h m k, b h k n -> b h m n" %g, %vt : (tensor<?x4x?x?xf32, #tenon.dims<[B, 4, S, S]>>, tensor<?x4x?x16xf32, #tenon.dims<[B, 4, S, 16]>>) -> tensor<?x4x?x16xf32, #tenon.dims<[B, 4, S, 16]>>
  return %o : tensor<?x4x?x16xf32, #tenon.dims<[B, 4, S, 16]>>
}

// Six query heads on two key heads, expanded by the exporter; values with another depth.
// CHECK-LABEL: func.func @expanded_key_heads
// CHECK: tenon.attention %arg0, (%arg1), (%arg2)
// CHECK-SAME: layout ["b h n d", "b h n d", "b h n d", "b n h d"]
// CHECK-NOT: score (
// CHECK-NOT: tenon.softmax
func.func @expanded_key_heads(%q: tensor<2x6x3x8xf32>, %k: tensor<2x2x5x8xf32>, %v: tensor<2x2x5x4xf32>) -> tensor<2x6x3x4xf32> {
  %ke = tenon.map %x = %k at %b, %g, %r, %j, %d : (tensor<2x2x5x8xf32>) -> tensor<2x2x3x5x8xf32> {
    %0 = tenon.load %x[%b, %g, %j, %d] : tensor<2x2x5x8xf32>
    tenon.yield %0 : f32
  }
  %ve = tenon.map %x = %v at %b, %g, %r, %j, %d : (tensor<2x2x5x4xf32>) -> tensor<2x2x3x5x4xf32> {
    %0 = tenon.load %x[%b, %g, %j, %d] : tensor<2x2x5x4xf32>
    tenon.yield %0 : f32
  }
  %kr = tenon.reshape %ke : tensor<2x2x3x5x8xf32> -> tensor<2x6x5x8xf32>
  %vr = tenon.reshape %ve : tensor<2x2x3x5x4xf32> -> tensor<2x6x5x4xf32>
  %s = tenon.contract "b h i d, b h j d -> b h i j" %q, %kr : (tensor<2x6x3x8xf32>, tensor<2x6x5x8xf32>) -> tensor<2x6x3x5xf32>
  %p = tenon.softmax %s over 3 : tensor<2x6x3x5xf32>
  %o = tenon.contract "b h i j, b h j d -> b h i d" %p, %vr : (tensor<2x6x3x5xf32>, tensor<2x6x5x4xf32>) -> tensor<2x6x3x4xf32>
  return %o : tensor<2x6x3x4xf32>
}

// The same without the expansion: groups are a dimension of their own.
// CHECK-LABEL: func.func @grouped_heads
// CHECK: tenon.reshape %arg0 : tensor<2x2x3x5x8xf32> -> tensor<2x6x5x8xf32>
// CHECK: tenon.attention
// CHECK-SAME: layout ["b h n d", "b h n d", "b h n d", "b n h d"]
func.func @grouped_heads(%q: tensor<2x2x3x5x8xf32>, %k: tensor<2x2x7x8xf32>, %v: tensor<2x2x7x8xf32>) -> tensor<2x2x3x5x8xf32> {
  %s = tenon.contract "b g r i d, b g j d -> b g r i j" %q, %k : (tensor<2x2x3x5x8xf32>, tensor<2x2x7x8xf32>) -> tensor<2x2x3x5x7xf32>
  %p = tenon.softmax %s over 4 : tensor<2x2x3x5x7xf32>
  %o = tenon.contract "b g r i j, b g j d -> b g r i d" %p, %v : (tensor<2x2x3x5x7xf32>, tensor<2x2x7x8xf32>) -> tensor<2x2x3x5x8xf32>
  return %o : tensor<2x2x3x5x8xf32>
}

// Batch and heads merged for a three-dimensional product and apart for the mask; keys are the left operand.
// CHECK-LABEL: func.func @merged_batch
// CHECK: tenon.attention
// CHECK-SAME: captures (%arg3)
// CHECK: tenon.load %{{.*}}[%{{.*}}, %{{.*}}] : tensor<5x7xf32>
func.func @merged_batch(%q: tensor<2x5x3x8xf32>, %k: tensor<2x7x3x8xf32>, %v: tensor<2x7x3x8xf32>, %bias: tensor<5x7xf32>) -> tensor<6x5x8xf32> {
  %qt = tenon.map %x = %q at %b, %h, %s, %d : (tensor<2x5x3x8xf32>) -> tensor<2x3x5x8xf32> {
    %0 = tenon.load %x[%b, %s, %h, %d] : tensor<2x5x3x8xf32>
    tenon.yield %0 : f32
  }
  %kt = tenon.map %x = %k at %b, %h, %s, %d : (tensor<2x7x3x8xf32>) -> tensor<2x3x7x8xf32> {
    %0 = tenon.load %x[%b, %s, %h, %d] : tensor<2x7x3x8xf32>
    tenon.yield %0 : f32
  }
  %vt = tenon.map %x = %v at %b, %h, %s, %d : (tensor<2x7x3x8xf32>) -> tensor<2x3x7x8xf32> {
    %0 = tenon.load %x[%b, %s, %h, %d] : tensor<2x7x3x8xf32>
    tenon.yield %0 : f32
  }
  %q3 = tenon.reshape %qt : tensor<2x3x5x8xf32> -> tensor<6x5x8xf32>
  %k3 = tenon.reshape %kt : tensor<2x3x7x8xf32> -> tensor<6x7x8xf32>
  %v3 = tenon.reshape %vt : tensor<2x3x7x8xf32> -> tensor<6x7x8xf32>
  %s3 = tenon.contract "b j d, b i d -> b i j" %k3, %q3 : (tensor<6x7x8xf32>, tensor<6x5x8xf32>) -> tensor<6x5x7xf32>
  %s = tenon.reshape %s3 : tensor<6x5x7xf32> -> tensor<2x3x5x7xf32>
  %m = tenon.map %x = %s, %t = %bias at %b, %h, %i, %j : (tensor<2x3x5x7xf32>, tensor<5x7xf32>) -> tensor<2x3x5x7xf32> {
    %0 = tenon.load %x[%b, %h, %i, %j] : tensor<2x3x5x7xf32>
    %1 = tenon.load %t[%i, %j] : tensor<5x7xf32>
    %2 = arith.addf %0, %1 : f32
    tenon.yield %2 : f32
  }
  %p = tenon.softmax %m over 3 : tensor<2x3x5x7xf32>
  %p3 = tenon.reshape %p : tensor<2x3x5x7xf32> -> tensor<6x5x7xf32>
  %o = tenon.contract "b i j, b j d -> b i d" %p3, %v3 : (tensor<6x5x7xf32>, tensor<6x7x8xf32>) -> tensor<6x5x8xf32>
  return %o : tensor<6x5x8xf32>
}

// Slices of one merged product are read in place.
// CHECK-LABEL: func.func @merged_projection
// CHECK: %[[R:.*]] = tenon.reshape %arg0 : tensor<5x24xf32> -> tensor<5x3x2x4xf32>
// CHECK: tenon.attention %[[R]], (%[[R]]), (%[[R]])
// CHECK-SAME: layout ["n 0 b d", "n 1 b d", "n 2 b d", "b n d"]
func.func @merged_projection(%qkv: tensor<5x24xf32>) -> tensor<2x5x4xf32> {
  %q = tenon.map %x = %qkv at %h, %n, %d : (tensor<5x24xf32>) -> tensor<2x5x4xf32> {
    %c4 = arith.constant 4 : index
    %0 = arith.muli %h, %c4 : index
    %1 = arith.addi %0, %d : index
    %2 = tenon.load %x[%n, %1] : tensor<5x24xf32>
    tenon.yield %2 : f32
  }
  %k = tenon.map %x = %qkv at %h, %n, %d : (tensor<5x24xf32>) -> tensor<2x5x4xf32> {
    %c4 = arith.constant 4 : index
    %c8 = arith.constant 8 : index
    %0 = arith.muli %h, %c4 : index
    %1 = arith.addi %0, %d : index
    %2 = arith.addi %1, %c8 : index
    %3 = tenon.load %x[%n, %2] : tensor<5x24xf32>
    tenon.yield %3 : f32
  }
  %v = tenon.map %x = %qkv at %h, %n, %d : (tensor<5x24xf32>) -> tensor<2x5x4xf32> {
    %c4 = arith.constant 4 : index
    %c16 = arith.constant 16 : index
    %0 = arith.muli %h, %c4 : index
    %1 = arith.addi %0, %d : index
    %2 = arith.addi %1, %c16 : index
    %3 = tenon.load %x[%n, %2] : tensor<5x24xf32>
    tenon.yield %3 : f32
  }
  %s = tenon.contract "h i d, h j d -> h i j" %q, %k : (tensor<2x5x4xf32>, tensor<2x5x4xf32>) -> tensor<2x5x5xf32>
  %p = tenon.softmax %s over 2 : tensor<2x5x5xf32>
  %o = tenon.contract "h i j, h j d -> h i d" %p, %v : (tensor<2x5x5xf32>, tensor<2x5x4xf32>) -> tensor<2x5x4xf32>
  return %o : tensor<2x5x4xf32>
}

// One query, one head, one sequence: every size of 1 the exporter could drop.
// CHECK-LABEL: func.func @single
// CHECK: tenon.attention
// CHECK-NOT: tenon.softmax
func.func @single(%q: tensor<1x1x1x4xf32>, %k: tensor<1x1x5x4xf32>, %v: tensor<1x1x5x4xf32>) -> tensor<1x1x1x4xf32> {
  %s = tenon.contract "b h i d, b h j d -> b h i j" %q, %k : (tensor<1x1x1x4xf32>, tensor<1x1x5x4xf32>) -> tensor<1x1x1x5xf32>
  %p = tenon.softmax %s over 3 : tensor<1x1x1x5xf32>
  %o = tenon.contract "b h i j, b h j d -> b h i d" %p, %v : (tensor<1x1x1x5xf32>, tensor<1x1x5x4xf32>) -> tensor<1x1x1x4xf32>
  return %o : tensor<1x1x1x4xf32>
}

// The probabilities are a result: they have to be computed anyway.
// CHECK-LABEL: func.func @returned_probabilities
// CHECK: tenon.softmax
// CHECK-NOT: tenon.attention
func.func @returned_probabilities(%q: tensor<5x4xf32>, %k: tensor<7x4xf32>, %v: tensor<7x4xf32>) -> (tensor<5x4xf32>, tensor<5x7xf32>) {
  %s = tenon.contract "i d, j d -> i j" %q, %k : (tensor<5x4xf32>, tensor<7x4xf32>) -> tensor<5x7xf32>
  %p = tenon.softmax %s over 1 : tensor<5x7xf32>
  %o = tenon.contract "i j, j d -> i d" %p, %v : (tensor<5x7xf32>, tensor<7x4xf32>) -> tensor<5x4xf32>
  return %o, %p : tensor<5x4xf32>, tensor<5x7xf32>
}

// A router: the softmax's operand comes from a product, but what follows mixes experts' outputs per row.
// CHECK-LABEL: func.func @router
// CHECK: tenon.softmax
// CHECK-NOT: tenon.attention
func.func @router(%x: tensor<5x4xf32>, %gate: tensor<7x4xf32>, %experts: tensor<5x7x4xf32>) -> tensor<5x4xf32> {
  %s = tenon.contract "i d, e d -> i e" %x, %gate : (tensor<5x4xf32>, tensor<7x4xf32>) -> tensor<5x7xf32>
  %p = tenon.softmax %s over 1 : tensor<5x7xf32>
  %o = tenon.contract "i e, i e d -> i d" %p, %experts : (tensor<5x7xf32>, tensor<5x7x4xf32>) -> tensor<5x4xf32>
  return %o : tensor<5x4xf32>
}

// The second product sums over the queries.
// CHECK-LABEL: func.func @sums_over_queries
// CHECK: tenon.softmax
// CHECK-NOT: tenon.attention
func.func @sums_over_queries(%q: tensor<5x4xf32>, %k: tensor<7x4xf32>, %v: tensor<5x4xf32>) -> tensor<7x4xf32> {
  %s = tenon.contract "i d, j d -> i j" %q, %k : (tensor<5x4xf32>, tensor<7x4xf32>) -> tensor<5x7xf32>
  %p = tenon.softmax %s over 1 : tensor<5x7xf32>
  %o = tenon.contract "i j, i d -> j d" %p, %v : (tensor<5x7xf32>, tensor<5x4xf32>) -> tensor<7x4xf32>
  return %o : tensor<7x4xf32>
}

// A norm of the scores mixes the keys.
// CHECK-LABEL: func.func @normalised_scores
// CHECK: tenon.softmax
// CHECK-NOT: tenon.attention
func.func @normalised_scores(%q: tensor<5x4xf32>, %k: tensor<7x4xf32>, %v: tensor<7x4xf32>) -> tensor<5x4xf32> {
  %s = tenon.contract "i d, j d -> i j" %q, %k : (tensor<5x4xf32>, tensor<7x4xf32>) -> tensor<5x7xf32>
  %n = tenon.norm layer %s over 1 epsilon 1.0e-5 : tensor<5x7xf32> -> tensor<5x7xf32>
  %p = tenon.softmax %n over 1 : tensor<5x7xf32>
  %o = tenon.contract "i j, j d -> i d" %p, %v : (tensor<5x7xf32>, tensor<7x4xf32>) -> tensor<5x4xf32>
  return %o : tensor<5x4xf32>
}

// Keys of a cache and one more, by way of merged heads: the rows of the merged tensor are a sum, P + 1.
// CHECK-LABEL: func.func @merged_heads_of_a_sum
// CHECK: tenon.attention %{{[0-9]+}}, (%arg1), (%arg2)
// CHECK-SAME: layout ["b h d n", "b h n d", "b h n d", "b n h d"]
tenon.symbol @P in [0, 64]
func.func @merged_heads_of_a_sum(%q: tensor<?x4x1x16xf32, #tenon.dims<[B, 4, 1, 16]>>, %k: tensor<?x4x?x16xf32, #tenon.dims<[B, 4, P + 1, 16]>>,
    %v: tensor<?x4x?x16xf32, #tenon.dims<[B, 4, P + 1, 16]>>) -> tensor<?x4x1x16xf32, #tenon.dims<[B, 4, 1, 16]>> {
  %merged = tenon.reshape %k : tensor<?x4x?x16xf32, #tenon.dims<[B, 4, P + 1, 16]>> -> tensor<?x?x16xf32, #tenon.dims<[4 * B, P + 1, 16]>>
  %turned = tenon.map %x = %merged at %r, %d, %n : (tensor<?x?x16xf32, #tenon.dims<[4 * B, P + 1, 16]>>) -> tensor<?x16x?xf32, #tenon.dims<[4 * B, 16, P + 1]>> {
    %0 = tenon.load %x[%r, %n, %d] : tensor<?x?x16xf32, #tenon.dims<[4 * B, P + 1, 16]>>
    tenon.yield %0 : f32
  }
  %kt = tenon.reshape %turned : tensor<?x16x?xf32, #tenon.dims<[4 * B, 16, P + 1]>> -> tensor<?x4x16x?xf32, #tenon.dims<[B, 4, 16, P + 1]>>
  %s = tenon.contract "b h m k, b h k n -> b h m n" %q, %kt : (tensor<?x4x1x16xf32, #tenon.dims<[B, 4, 1, 16]>>, tensor<?x4x16x?xf32, #tenon.dims<[B, 4, 16, P + 1]>>) -> tensor<?x4x1x?xf32, #tenon.dims<[B, 4, 1, P + 1]>>
  %p = tenon.softmax %s over 3 : tensor<?x4x1x?xf32, #tenon.dims<[B, 4, 1, P + 1]>>
  %o = tenon.contract "b h m k, b h k n -> b h m n" %p, %v : (tensor<?x4x1x?xf32, #tenon.dims<[B, 4, 1, P + 1]>>, tensor<?x4x?x16xf32, #tenon.dims<[B, 4, P + 1, 16]>>) -> tensor<?x4x1x16xf32, #tenon.dims<[B, 4, 1, 16]>>
  return %o : tensor<?x4x1x16xf32, #tenon.dims<[B, 4, 1, 16]>>
}

// Key heads repeated and then turned stay repeated; the values' heads do as well, though their two could be read in place.
// CHECK-LABEL: func.func @arithmetic_behind_repeated_heads
// CHECK: tenon.attention %arg0, (%{{[0-9]+}}), (%{{[0-9]+}})
// CHECK-SAME: (tensor<?x4x?x16xf32, {{[^>]*}}>>, tensor<?x4x?x16xf32, {{[^>]*}}>>, tensor<?x4x?x16xf32, {{[^>]*}}>>)
func.func @arithmetic_behind_repeated_heads(%q: tensor<?x4x?x16xf32, #tenon.dims<[B, 4, S, 16]>>, %k: tensor<?x2x?x16xf32, #tenon.dims<[B, 2, S, 16]>>,
    %v: tensor<?x2x?x16xf32, #tenon.dims<[B, 2, S, 16]>>) -> tensor<?x4x?x16xf32, #tenon.dims<[B, 4, S, 16]>> {
  %kr = tenon.map %x = %k at %b, %h, %n, %d : (tensor<?x2x?x16xf32, #tenon.dims<[B, 2, S, 16]>>) -> tensor<?x4x?x16xf32, #tenon.dims<[B, 4, S, 16]>> {
    %c2 = arith.constant 2 : index
    %g = arith.divui %h, %c2 : index
    %0 = tenon.load %x[%b, %g, %n, %d] : tensor<?x2x?x16xf32, #tenon.dims<[B, 2, S, 16]>>
    %1 = math.cos %0 : f32
    tenon.yield %1 : f32
  }
  %vr = tenon.map %x = %v at %b, %h, %n, %d : (tensor<?x2x?x16xf32, #tenon.dims<[B, 2, S, 16]>>) -> tensor<?x4x?x16xf32, #tenon.dims<[B, 4, S, 16]>> {
    %c2 = arith.constant 2 : index
    %g = arith.divui %h, %c2 : index
    %0 = tenon.load %x[%b, %g, %n, %d] : tensor<?x2x?x16xf32, #tenon.dims<[B, 2, S, 16]>>
    tenon.yield %0 : f32
  }
  %s = tenon.contract "b h m k, b h n k -> b h m n" %q, %kr : (tensor<?x4x?x16xf32, #tenon.dims<[B, 4, S, 16]>>, tensor<?x4x?x16xf32, #tenon.dims<[B, 4, S, 16]>>) -> tensor<?x4x?x?xf32, #tenon.dims<[B, 4, S, S]>>
  %p = tenon.softmax %s over 3 : tensor<?x4x?x?xf32, #tenon.dims<[B, 4, S, S]>>
  %o = tenon.contract "b h m k, b h k n -> b h m n" %p, %vr : (tensor<?x4x?x?xf32, #tenon.dims<[B, 4, S, S]>>, tensor<?x4x?x16xf32, #tenon.dims<[B, 4, S, 16]>>) -> tensor<?x4x?x16xf32, #tenon.dims<[B, 4, S, 16]>>
  return %o : tensor<?x4x?x16xf32, #tenon.dims<[B, 4, S, 16]>>
}
