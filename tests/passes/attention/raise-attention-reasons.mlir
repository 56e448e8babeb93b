// RUN: tenon-opt %s --tenon-raise-attention --remark-format=emitRemark --remarks-filter-missed='.*' 2>&1 | FileCheck %s
// Why a softmax is left as it is: what `tenon explain` shows.
!q = tensor<2x3x5x4xf32>
!s = tensor<2x3x5x5xf32>

// CHECK: weights themselves are wanted beside the product with the values
func.func @weights_returned(%q: !q, %v: !q) -> (!q, !s) {
  %s = tenon.contract "b h m k, b h n k -> b h m n" %q, %q : (!q, !q) -> !s
  %p = tenon.softmax %s over 3 : !s
  %o = tenon.contract "b h m k, b h k n -> b h m n" %p, %v : (!s, !q) -> !q
  return %o, %p : !q, !s
}

// CHECK: weights themselves are wanted beside the product with the values
func.func @weights_averaged(%q: !q, %v: !q) -> (!q, tensor<2x5x5xf32>) {
  %s = tenon.contract "b h m k, b h n k -> b h m n" %q, %q : (!q, !q) -> !s
  %p = tenon.softmax %s over 3 : !s
  %o = tenon.contract "b h m k, b h k n -> b h m n" %p, %v : (!s, !q) -> !q
  %a = tenon.reduce sum %p over [1] : !s -> tensor<2x5x5xf32>
  return %o, %a : !q, tensor<2x5x5xf32>
}

// CHECK: scores themselves are a result
func.func @scores_returned(%q: !q, %v: !q) -> (!q, !s) {
  %s = tenon.contract "b h m k, b h n k -> b h m n" %q, %q : (!q, !q) -> !s
  %p = tenon.softmax %s over 3 : !s
  %o = tenon.contract "b h m k, b h k n -> b h m n" %p, %v : (!s, !q) -> !q
  return %o, %s : !q, !s
}

// CHECK: the softmax is read by more than one contraction of values
func.func @two_products(%q: !q, %v: !q) -> (!q, !q) {
  %s = tenon.contract "b h m k, b h n k -> b h m n" %q, %q : (!q, !q) -> !s
  %p = tenon.softmax %s over 3 : !s
  %o = tenon.contract "b h m k, b h k n -> b h m n" %p, %v : (!s, !q) -> !q
  %r = tenon.contract "b h m k, b h k n -> b h m n" %p, %q : (!s, !q) -> !q
  return %o, %r : !q, !q
}

// CHECK: scores of several heads are mixed before the softmax
func.func @mixed_before(%q: !q, %v: !q, %w: tensor<3x3xf32>) -> !q {
  %s = tenon.contract "b h m k, b h n k -> b h m n" %q, %q : (!q, !q) -> !s
  %t = tenon.contract "b h i j, h g -> b g i j" %s, %w : (!s, tensor<3x3xf32>) -> !s
  %p = tenon.softmax %t over 3 : !s
  %o = tenon.contract "b h m k, b h k n -> b h m n" %p, %v : (!s, !q) -> !q
  return %o : !q
}

// CHECK: weights of several heads are mixed behind the softmax
func.func @mixed_behind(%q: !q, %v: !q, %w: tensor<3x3xf32>) -> !q {
  %s = tenon.contract "b h m k, b h n k -> b h m n" %q, %q : (!q, !q) -> !s
  %p = tenon.softmax %s over 3 : !s
  %t = tenon.contract "b h i j, h g -> b g i j" %p, %w : (!s, tensor<3x3xf32>) -> !s
  %o = tenon.contract "b h m k, b h k n -> b h m n" %t, %v : (!s, !q) -> !q
  return %o : !q
}

// CHECK: operand is no product of queries and keys
func.func @scores_given(%s: !s, %v: !q) -> !q {
  %p = tenon.softmax %s over 3 : !s
  %o = tenon.contract "b h m k, b h k n -> b h m n" %p, %v : (!s, !q) -> !q
  return %o : !q
}

// CHECK: each score is a sum of a function of query and key
func.func @additive(%l: tensor<5x4xf32>, %v: tensor<5x6xf32>, %w: tensor<4xf32>) -> tensor<5x6xf32> {
  %f = tenon.map %x = %l at %i, %j, %d : (tensor<5x4xf32>) -> tensor<5x5x4xf32> = tanh(%x[%i, %d] + %x[%j, %d])
  %s = tenon.contract "i j d, d -> i j" %f, %w : (tensor<5x5x4xf32>, tensor<4xf32>) -> tensor<5x5xf32>
  %p = tenon.softmax %s over 1 : tensor<5x5xf32>
  %o = tenon.contract "i j, j d -> i d" %p, %v : (tensor<5x5xf32>, tensor<5x6xf32>) -> tensor<5x6xf32>
  return %o : tensor<5x6xf32>
}

// CHECK: the softmax is over the queries
func.func @over_queries(%q: !q, %v: !q) -> !q {
  %s = tenon.contract "b h m k, b h n k -> b h m n" %q, %q : (!q, !q) -> !s
  %p = tenon.softmax %s over 2 : !s
  %o = tenon.contract "b h m k, b h k n -> b h m n" %p, %v : (!s, !q) -> !q
  return %o : !q
}
