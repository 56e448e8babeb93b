// What exporters write between the two products, in the orders they write it: all of it is one attention.
// RUN: tenon-opt %s --tenon-raise-attention --cse | FileCheck %s
// RUN: tenon-interpret %s --check-passes=tenon-raise-attention,tenon-fold-maps,tenon-compose-maps

// Queries and keys both scaled before the product.
// CHECK-LABEL: func.func @both_scaled(
// CHECK: tenon.attention %
// CHECK: arith.constant 2.500000e-01
// CHECK-NOT: tenon.softmax
func.func @both_scaled(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x7x8xf32>, %v: tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32> {
  %qs = tenon.map %a = %q at %b, %h, %i, %d : (tensor<2x3x5x8xf32>) -> tensor<2x3x5x8xf32> = %a[%b, %h, %i, %d] * 0.5
  %ks = tenon.map %a = %k at %b, %h, %j, %d : (tensor<2x3x7x8xf32>) -> tensor<2x3x7x8xf32> = %a[%b, %h, %j, %d] * 0.5
  %s = tenon.contract "b h i d, b h j d -> b h i j" %qs, %ks : (tensor<2x3x5x8xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x7xf32>
  %p = tenon.softmax %s over 3 : tensor<2x3x5x7xf32>
  %o = tenon.contract "b h i j, b h j d -> b h i d" %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// A quotient behind the product.
// CHECK-LABEL: func.func @divided(
// CHECK: tenon.attention %
// CHECK: arith.divf
// CHECK-NOT: tenon.softmax
func.func @divided(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x7x8xf32>, %v: tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32> {
  %s = tenon.contract "b h i d, b h j d -> b h i j" %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x7xf32>
  %y = tenon.map %x = %s at %b, %h, %i, %j : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32> = %x[%b, %h, %i, %j] / 2.8
  %p = tenon.softmax %y over 3 : tensor<2x3x5x7xf32>
  %o = tenon.contract "b h i j, b h j d -> b h i d" %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// A factor behind the product.
// CHECK-LABEL: func.func @scaled(
// CHECK: tenon.attention %
// CHECK: arith.mulf
// CHECK-NOT: tenon.softmax
func.func @scaled(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x7x8xf32>, %v: tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32> {
  %s = tenon.contract "b h i d, b h j d -> b h i j" %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x7xf32>
  %y = tenon.map %x = %s at %b, %h, %i, %j : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32> = %x[%b, %h, %i, %j] * 0.35
  %p = tenon.softmax %y over 3 : tensor<2x3x5x7xf32>
  %o = tenon.contract "b h i j, b h j d -> b h i d" %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// Three biases, each added by an operation of its own, broadcast in its own way.
// CHECK-LABEL: func.func @three_biases(
// CHECK: tenon.attention %
// CHECK-SAME: captures (%arg5, %arg3, %arg4)
// CHECK-COUNT-3: arith.addf
// CHECK-NOT: tenon.softmax
func.func @three_biases(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x7x8xf32>, %v: tensor<2x3x7x8xf32>, %b1: tensor<5x7xf32>, %b2: tensor<2x1x1x7xf32>, %b3: tensor<1x3x5x7xf32>) -> tensor<2x3x5x8xf32> {
  %s = tenon.contract "b h i d, b h j d -> b h i j" %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x7xf32>
  %y1 = tenon.map %x = %s, %t = %b1 at %b, %h, %i, %j : (tensor<2x3x5x7xf32>, tensor<5x7xf32>) -> tensor<2x3x5x7xf32> = %x[%b, %h, %i, %j] + %t[%i, %j]
  %y2 = tenon.map %x = %y1, %t = %b2 at %b, %h, %i, %j : (tensor<2x3x5x7xf32>, tensor<2x1x1x7xf32>) -> tensor<2x3x5x7xf32> = %x[%b, %h, %i, %j] + %t[%b, 0, 0, %j]
  %y = tenon.map %x = %y2, %t = %b3 at %b, %h, %i, %j : (tensor<2x3x5x7xf32>, tensor<1x3x5x7xf32>) -> tensor<2x3x5x7xf32> = %t[0, %h, %i, %j] + %x[%b, %h, %i, %j]
  %p = tenon.softmax %y over 3 : tensor<2x3x5x7xf32>
  %o = tenon.contract "b h i j, b h j d -> b h i d" %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// A choice by mask, then a bias.
// CHECK-LABEL: func.func @where_before_add(
// CHECK: tenon.attention %
// CHECK: arith.select
// CHECK: arith.addf
// CHECK-NOT: tenon.softmax
func.func @where_before_add(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x7x8xf32>, %v: tensor<2x3x7x8xf32>, %m: tensor<5x7xi1>, %b1: tensor<5x7xf32>) -> tensor<2x3x5x8xf32> {
  %s = tenon.contract "b h i d, b h j d -> b h i j" %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x7xf32>
  %y1 = tenon.map %x = %s, %t = %m at %b, %h, %i, %j : (tensor<2x3x5x7xf32>, tensor<5x7xi1>) -> tensor<2x3x5x7xf32> {
    %dead = arith.constant -3.40282347E+38 : f32
    %0 = tenon.load %x[%b, %h, %i, %j] : tensor<2x3x5x7xf32>
    %1 = tenon.load %t[%i, %j] : tensor<5x7xi1>
    %2 = arith.select %1, %0, %dead : f32
    tenon.yield %2 : f32
  }
  %y = tenon.map %x = %y1, %t = %b1 at %b, %h, %i, %j : (tensor<2x3x5x7xf32>, tensor<5x7xf32>) -> tensor<2x3x5x7xf32> = %x[%b, %h, %i, %j] + %t[%i, %j]
  %p = tenon.softmax %y over 3 : tensor<2x3x5x7xf32>
  %o = tenon.contract "b h i j, b h j d -> b h i d" %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// A bias, then a choice by mask.
// CHECK-LABEL: func.func @where_after_add(
// CHECK: tenon.attention %
// CHECK: arith.addf
// CHECK: arith.select
// CHECK-NOT: tenon.softmax
func.func @where_after_add(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x7x8xf32>, %v: tensor<2x3x7x8xf32>, %m: tensor<5x7xi1>, %b1: tensor<5x7xf32>) -> tensor<2x3x5x8xf32> {
  %s = tenon.contract "b h i d, b h j d -> b h i j" %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x7xf32>
  %y1 = tenon.map %x = %s, %t = %b1 at %b, %h, %i, %j : (tensor<2x3x5x7xf32>, tensor<5x7xf32>) -> tensor<2x3x5x7xf32> = %x[%b, %h, %i, %j] + %t[%i, %j]
  %y = tenon.map %x = %y1, %t = %m at %b, %h, %i, %j : (tensor<2x3x5x7xf32>, tensor<5x7xi1>) -> tensor<2x3x5x7xf32> {
    %dead = arith.constant -3.40282347E+38 : f32
    %0 = tenon.load %x[%b, %h, %i, %j] : tensor<2x3x5x7xf32>
    %1 = tenon.load %t[%i, %j] : tensor<5x7xi1>
    %2 = arith.select %1, %0, %dead : f32
    tenon.yield %2 : f32
  }
  %p = tenon.softmax %y over 3 : tensor<2x3x5x7xf32>
  %o = tenon.contract "b h i j, b h j d -> b h i d" %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// Masked scores clamped from below.
// CHECK-LABEL: func.func @clamped(
// CHECK: tenon.attention %
// CHECK: arith.addf
// CHECK: arith.max
// CHECK-NOT: tenon.softmax
func.func @clamped(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x7x8xf32>, %v: tensor<2x3x7x8xf32>, %b1: tensor<5x7xf32>) -> tensor<2x3x5x8xf32> {
  %s = tenon.contract "b h i d, b h j d -> b h i j" %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x7xf32>
  %y1 = tenon.map %x = %s, %t = %b1 at %b, %h, %i, %j : (tensor<2x3x5x7xf32>, tensor<5x7xf32>) -> tensor<2x3x5x7xf32> = %x[%b, %h, %i, %j] + %t[%i, %j]
  %y = tenon.map %x = %y1 at %b, %h, %i, %j : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32> = max(%x[%b, %h, %i, %j], -1000)
  %p = tenon.softmax %y over 3 : tensor<2x3x5x7xf32>
  %o = tenon.contract "b h i j, b h j d -> b h i d" %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// Gemma's cap: factor, quotient, tanh, factor.
// CHECK-LABEL: func.func @soft_cap(
// CHECK: tenon.attention %
// CHECK: math.tanh
// CHECK: arith.mulf
// CHECK-NOT: tenon.softmax
func.func @soft_cap(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x7x8xf32>, %v: tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32> {
  %s = tenon.contract "b h i d, b h j d -> b h i j" %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x7xf32>
  %y1 = tenon.map %x = %s at %b, %h, %i, %j : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32> = %x[%b, %h, %i, %j] * 0.35
  %y2 = tenon.map %x = %y1 at %b, %h, %i, %j : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32> = %x[%b, %h, %i, %j] / 50
  %y3 = tenon.map %x = %y2 at %b, %h, %i, %j : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32> = tanh(%x[%b, %h, %i, %j])
  %y = tenon.map %x = %y3 at %b, %h, %i, %j : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32> = %x[%b, %h, %i, %j] * 50
  %p = tenon.softmax %y over 3 : tensor<2x3x5x7xf32>
  %o = tenon.contract "b h i j, b h j d -> b h i d" %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// Rotary embeddings, halves turned. They stay in front.
// CHECK-LABEL: func.func @rotated_halves(
// CHECK: tenon.attention %
// CHECK-NOT: tenon.softmax
func.func @rotated_halves(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x7x8xf32>, %v: tensor<2x3x7x8xf32>, %r: tensor<7x4xf32>) -> tensor<2x3x5x8xf32> {
  %qr = tenon.map %a = %q, %c = %r at %b, %h, %n, %d : (tensor<2x3x5x8xf32>, tensor<7x4xf32>) -> tensor<2x3x5x8xf32> = %a[%b, %h, %n, %d] * %c[%n, mod(%d, 4)] + %a[%b, %h, %n, mod(%d + 4, 8)] * %c[%n, mod(%d, 4)]
  %kr = tenon.map %a = %k, %c = %r at %b, %h, %n, %d : (tensor<2x3x7x8xf32>, tensor<7x4xf32>) -> tensor<2x3x7x8xf32> = %a[%b, %h, %n, %d] * %c[%n, mod(%d, 4)] + %a[%b, %h, %n, mod(%d + 4, 8)] * %c[%n, mod(%d, 4)]
  %s = tenon.contract "b h i d, b h j d -> b h i j" %qr, %kr : (tensor<2x3x5x8xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x7xf32>
  %p = tenon.softmax %s over 3 : tensor<2x3x5x7xf32>
  %o = tenon.contract "b h i j, b h j d -> b h i d" %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// Rotary embeddings, neighbours turned. They stay in front.
// CHECK-LABEL: func.func @rotated_pairs(
// CHECK: tenon.attention %
// CHECK-NOT: tenon.softmax
func.func @rotated_pairs(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x7x8xf32>, %v: tensor<2x3x7x8xf32>, %r: tensor<7x4xf32>) -> tensor<2x3x5x8xf32> {
  %qr = tenon.map %a = %q, %c = %r at %b, %h, %n, %d : (tensor<2x3x5x8xf32>, tensor<7x4xf32>) -> tensor<2x3x5x8xf32> = %a[%b, %h, %n, %d] * %c[%n, %d / 2] + %a[%b, %h, %n, %d + 1 - mod(%d, 2) * 2] * %c[%n, %d / 2]
  %kr = tenon.map %a = %k, %c = %r at %b, %h, %n, %d : (tensor<2x3x7x8xf32>, tensor<7x4xf32>) -> tensor<2x3x7x8xf32> = %a[%b, %h, %n, %d] * %c[%n, %d / 2] + %a[%b, %h, %n, %d + 1 - mod(%d, 2) * 2] * %c[%n, %d / 2]
  %s = tenon.contract "b h i d, b h j d -> b h i j" %qr, %kr : (tensor<2x3x5x8xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x7xf32>
  %p = tenon.softmax %s over 3 : tensor<2x3x5x7xf32>
  %o = tenon.contract "b h i j, b h j d -> b h i d" %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// The product the other way round, heads behind rows.
// CHECK-LABEL: func.func @keys_first(
// CHECK: tenon.attention %
// CHECK-NOT: tenon.softmax
func.func @keys_first(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x7x8xf32>, %v: tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32> {
  %s0 = tenon.contract "b h j d, b h i d -> b i h j" %k, %q : (tensor<2x3x7x8xf32>, tensor<2x3x5x8xf32>) -> tensor<2x5x3x7xf32>
  %y = tenon.map %x = %s0 at %b, %h, %i, %j : (tensor<2x5x3x7xf32>) -> tensor<2x3x5x7xf32> = %x[%b, %i, %h, %j]
  %p = tenon.softmax %y over 3 : tensor<2x3x5x7xf32>
  %o = tenon.contract "b h i j, b h j d -> b h i d" %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// A softmax in another type.
// CHECK-LABEL: func.func @wider_softmax(
// CHECK: tenon.attention %
// CHECK-NOT: tenon.softmax
func.func @wider_softmax(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x7x8xf32>, %v: tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32> {
  %s = tenon.contract "b h i d, b h j d -> b h i j" %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x7xf32>
  %w = tenon.map %x = %s at %b, %h, %i, %j : (tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf64> {
    %0 = tenon.load %x[%b, %h, %i, %j] : tensor<2x3x5x7xf32>
    %1 = arith.extf %0 : f32 to f64
    tenon.yield %1 : f64
  }
  %pw = tenon.softmax %w over 3 : tensor<2x3x5x7xf64>
  %p = tenon.map %x = %pw at %b, %h, %i, %j : (tensor<2x3x5x7xf64>) -> tensor<2x3x5x7xf32> {
    %0 = tenon.load %x[%b, %h, %i, %j] : tensor<2x3x5x7xf64>
    %1 = arith.truncf %0 : f64 to f32
    tenon.yield %1 : f32
  }
  %o = tenon.contract "b h i j, b h j d -> b h i d" %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// Two products summed (DeBERTa's content and positions): one is the score, the other a bias it loads.
// CHECK-LABEL: func.func @two_products(
// CHECK: tenon.attention %
// CHECK: arith.addf
// CHECK-NOT: tenon.softmax
func.func @two_products(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x7x8xf32>, %v: tensor<2x3x7x8xf32>, %pos: tensor<3x7x8xf32>) -> tensor<2x3x5x8xf32> {
  %s = tenon.contract "b h i d, b h j d -> b h i j" %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x7xf32>
  %s2 = tenon.contract "b h i d, h j d -> b h i j" %q, %pos : (tensor<2x3x5x8xf32>, tensor<3x7x8xf32>) -> tensor<2x3x5x7xf32>
  %y = tenon.map %x = %s, %t = %s2 at %b, %h, %i, %j : (tensor<2x3x5x7xf32>, tensor<2x3x5x7xf32>) -> tensor<2x3x5x7xf32> = %x[%b, %h, %i, %j] + %t[%b, %h, %i, %j]
  %p = tenon.softmax %y over 3 : tensor<2x3x5x7xf32>
  %o = tenon.contract "b h i j, b h j d -> b h i d" %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// Scores less their maximum before the softmax: a row's shift cancels.
// CHECK-LABEL: func.func @shifted_by_maximum(
// CHECK: tenon.attention %
// CHECK-NOT: tenon.softmax
func.func @shifted_by_maximum(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x7x8xf32>, %v: tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32> {
  %s = tenon.contract "b h i d, b h j d -> b h i j" %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x7xf32>
  %m = tenon.reduce max %s over [3] : tensor<2x3x5x7xf32> -> tensor<2x3x5xf32>
  %y = tenon.map %x = %s, %t = %m at %b, %h, %i, %j : (tensor<2x3x5x7xf32>, tensor<2x3x5xf32>) -> tensor<2x3x5x7xf32> = %x[%b, %h, %i, %j] - %t[%b, %h, %i]
  %p = tenon.softmax %y over 3 : tensor<2x3x5x7xf32>
  %o = tenon.contract "b h i j, b h j d -> b h i d" %p, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// Near miss: the product's other operand is chosen by the row, as by a mixture's gate.
// CHECK-LABEL: func.func @gate(
// CHECK: tenon.softmax
// CHECK-NOT: tenon.attention
func.func @gate(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x7x8xf32>, %v: tensor<2x3x7x8xf32>, %e: tensor<2x3x5x7x8xf32>) -> tensor<2x3x5x8xf32> {
  %s = tenon.contract "b h i d, b h j d -> b h i j" %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x7xf32>
  %p = tenon.softmax %s over 3 : tensor<2x3x5x7xf32>
  %o = tenon.contract "b h i j, b h i j d -> b h i d" %p, %e : (tensor<2x3x5x7xf32>, tensor<2x3x5x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// One query and one key: both indices are always 0, and tell themselves apart by the operand they come from.
// CHECK-LABEL: func.func @one_by_one(
// CHECK: tenon.attention %
// CHECK-NOT: tenon.softmax
func.func @one_by_one(%q: tensor<2x3x1x8xf32>, %k: tensor<2x3x1x8xf32>, %v: tensor<2x3x1x8xf32>) -> tensor<2x3x1x8xf32> {
  %s = tenon.contract "b h i d, b h j d -> b h i j" %q, %k : (tensor<2x3x1x8xf32>, tensor<2x3x1x8xf32>) -> tensor<2x3x1x1xf32>
  %p = tenon.softmax %s over 3 : tensor<2x3x1x1xf32>
  %o = tenon.contract "b h i j, b h j d -> b h i d" %p, %v : (tensor<2x3x1x1xf32>, tensor<2x3x1x8xf32>) -> tensor<2x3x1x8xf32>
  return %o : tensor<2x3x1x8xf32>
}

// A learned sink: the softmax has an entry more than there are keys, a number per head, which is dropped after it. It is
// the score of one key more, whose value is zero; the subtraction of the maximum changes nothing.
// CHECK-LABEL: func.func @sink(
// CHECK-COUNT-2: -> tensor<2x3x8x8xf32>
// CHECK: tenon.attention %
// CHECK: arith.select
// CHECK-NOT: tenon.softmax
func.func @sink(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x7x8xf32>, %v: tensor<2x3x7x8xf32>, %t: tensor<3xf32>, %m: tensor<5x7xf32>) -> tensor<2x3x5x8xf32> {
  %s = tenon.contract "b h i d, b h j d -> b h i j" %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x7xf32>
  %y = tenon.map %x = %s, %a = %m at %b, %h, %i, %j : (tensor<2x3x5x7xf32>, tensor<5x7xf32>) -> tensor<2x3x5x7xf32> = %x[%b, %h, %i, %j] * 0.35 + %a[%i, %j]
  %c = tenon.map %x = %y, %u = %t at %b, %h, %i, %j : (tensor<2x3x5x7xf32>, tensor<3xf32>) -> tensor<2x3x5x8xf32> {
    %c0 = arith.constant 0 : index
    %c7 = arith.constant 7 : index
    %isKey = arith.cmpi slt, %j, %c7 : index
    %key = arith.select %isKey, %j, %c0 : index
    %score = tenon.load %x[%b, %h, %i, %key] : tensor<2x3x5x7xf32>
    %sink = tenon.load %u[%h] : tensor<3xf32>
    %e = arith.select %isKey, %score, %sink : f32
    tenon.yield %e : f32
  }
  %max = tenon.reduce max %c over [3] : tensor<2x3x5x8xf32> -> tensor<2x3x5xf32>
  %d = tenon.map %x = %c, %u = %max at %b, %h, %i, %j : (tensor<2x3x5x8xf32>, tensor<2x3x5xf32>) -> tensor<2x3x5x8xf32> = %x[%b, %h, %i, %j] - %u[%b, %h, %i]
  %p = tenon.softmax %d over 3 : tensor<2x3x5x8xf32>
  %w = tenon.map %x = %p at %b, %h, %i, %j : (tensor<2x3x5x8xf32>) -> tensor<2x3x5x7xf32> = %x[%b, %h, %i, %j]
  %o = tenon.contract "b h i j, b h j d -> b h i d" %w, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// Near miss: the entry's weight is used as well.
// CHECK-LABEL: func.func @sink_read
// CHECK: tenon.softmax
func.func @sink_read(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x7x8xf32>, %v: tensor<2x3x8x8xf32>, %t: tensor<3xf32>) -> tensor<2x3x5x8xf32> {
  %s = tenon.contract "b h i d, b h j d -> b h i j" %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x7xf32>
  %c = tenon.map %x = %s, %u = %t at %b, %h, %i, %j : (tensor<2x3x5x7xf32>, tensor<3xf32>) -> tensor<2x3x5x8xf32> {
    %c0 = arith.constant 0 : index
    %c7 = arith.constant 7 : index
    %isKey = arith.cmpi slt, %j, %c7 : index
    %key = arith.select %isKey, %j, %c0 : index
    %score = tenon.load %x[%b, %h, %i, %key] : tensor<2x3x5x7xf32>
    %sink = tenon.load %u[%h] : tensor<3xf32>
    %e = arith.select %isKey, %score, %sink : f32
    tenon.yield %e : f32
  }
  %p = tenon.softmax %c over 3 : tensor<2x3x5x8xf32>
  %o = tenon.contract "b h i j, b h j d -> b h i d" %p, %v : (tensor<2x3x5x8xf32>, tensor<2x3x8x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// Arithmetic on the scores inside the choice, as composed maps have it.
// CHECK-LABEL: func.func @sink_behind_bias(
// CHECK: tenon.attention %
// CHECK: arith.addf
// CHECK: arith.select
// CHECK-NOT: tenon.softmax
func.func @sink_behind_bias(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x7x8xf32>, %v: tensor<2x3x7x8xf32>, %t: tensor<3xf32>, %m: tensor<5x7xf32>) -> tensor<2x3x5x8xf32> {
  %s = tenon.contract "b h i d, b h j d -> b h i j" %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x7xf32>
  %c = tenon.map %x = %s, %u = %t, %a = %m at %b, %h, %i, %j : (tensor<2x3x5x7xf32>, tensor<3xf32>, tensor<5x7xf32>) -> tensor<2x3x5x8xf32> {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c6 = arith.constant 6 : index
    %c7 = arith.constant 7 : index
    %isKey = arith.cmpi slt, %j, %c7 : index
    %key = arith.select %isKey, %j, %c0 : index
    %score = tenon.load %x[%b, %h, %i, %key] : tensor<2x3x5x7xf32>
    %bias = tenon.load %a[%i, %key] : tensor<5x7xf32>
    %sink = tenon.load %u[%h] : tensor<3xf32>
    %biased = arith.addf %score, %bias : f32
    %e = arith.select %isKey, %biased, %sink : f32
    tenon.yield %e : f32
  }
  %p = tenon.softmax %c over 3 : tensor<2x3x5x8xf32>
  %w = tenon.map %x = %p at %b, %h, %i, %j : (tensor<2x3x5x8xf32>) -> tensor<2x3x5x7xf32> = %x[%b, %h, %i, %j]
  %o = tenon.contract "b h i j, b h j d -> b h i d" %w, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// The entry stands before the keys: softmax off by one, by padding.
// CHECK-LABEL: func.func @sink_in_front(
// CHECK-COUNT-2: -> tensor<2x3x8x8xf32>
// CHECK: tenon.attention %
// CHECK-NOT: tenon.softmax
func.func @sink_in_front(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x7x8xf32>, %v: tensor<2x3x7x8xf32>, %t: tensor<3xf32>, %m: tensor<5x7xf32>) -> tensor<2x3x5x8xf32> {
  %s = tenon.contract "b h i d, b h j d -> b h i j" %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x7xf32>
  %c = tenon.map %x = %s, %u = %t, %a = %m at %b, %h, %i, %j : (tensor<2x3x5x7xf32>, tensor<3xf32>, tensor<5x7xf32>) -> tensor<2x3x5x8xf32> {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c6 = arith.constant 6 : index
    %c7 = arith.constant 7 : index
    %before = arith.subi %j, %c1 : index
    %isKey = arith.cmpi sge, %before, %c0 : index
    %low = arith.maxsi %before, %c0 : index
    %key = arith.minsi %low, %c6 : index
    %score = tenon.load %x[%b, %h, %i, %key] : tensor<2x3x5x7xf32>
    %bias = tenon.load %a[%i, %key] : tensor<5x7xf32>
    %sink = tenon.load %u[%h] : tensor<3xf32>
    %biased = arith.addf %score, %bias : f32
    %e = arith.select %isKey, %biased, %sink : f32
    tenon.yield %e : f32
  }
  %p = tenon.softmax %c over 3 : tensor<2x3x5x8xf32>
  %w = tenon.map %x = %p at %b, %h, %i, %j : (tensor<2x3x5x8xf32>) -> tensor<2x3x5x7xf32> = %x[%b, %h, %i, %j + 1]
  %o = tenon.contract "b h i j, b h j d -> b h i d" %w, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// Near miss: the entries kept are not those of the keys.
// CHECK-LABEL: func.func @sink_misplaced(
// CHECK: tenon.softmax
func.func @sink_misplaced(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x7x8xf32>, %v: tensor<2x3x7x8xf32>, %t: tensor<3xf32>, %m: tensor<5x7xf32>) -> tensor<2x3x5x8xf32> {
  %s = tenon.contract "b h i d, b h j d -> b h i j" %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x7xf32>
  %c = tenon.map %x = %s, %u = %t, %a = %m at %b, %h, %i, %j : (tensor<2x3x5x7xf32>, tensor<3xf32>, tensor<5x7xf32>) -> tensor<2x3x5x8xf32> {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c6 = arith.constant 6 : index
    %c7 = arith.constant 7 : index
    %before = arith.subi %j, %c1 : index
    %isKey = arith.cmpi sge, %before, %c0 : index
    %low = arith.maxsi %before, %c0 : index
    %key = arith.minsi %low, %c6 : index
    %score = tenon.load %x[%b, %h, %i, %key] : tensor<2x3x5x7xf32>
    %bias = tenon.load %a[%i, %key] : tensor<5x7xf32>
    %sink = tenon.load %u[%h] : tensor<3xf32>
    %biased = arith.addf %score, %bias : f32
    %e = arith.select %isKey, %biased, %sink : f32
    tenon.yield %e : f32
  }
  %p = tenon.softmax %c over 3 : tensor<2x3x5x8xf32>
  %w = tenon.map %x = %p at %b, %h, %i, %j : (tensor<2x3x5x8xf32>) -> tensor<2x3x5x7xf32> = %x[%b, %h, %i, %j]
  %o = tenon.contract "b h i j, b h j d -> b h i d" %w, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// Near miss: keys in another order than the values.
// CHECK-LABEL: func.func @sink_behind_reversed_keys(
// CHECK: tenon.softmax
func.func @sink_behind_reversed_keys(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x7x8xf32>, %v: tensor<2x3x7x8xf32>, %t: tensor<3xf32>, %m: tensor<5x7xf32>) -> tensor<2x3x5x8xf32> {
  %s = tenon.contract "b h i d, b h j d -> b h i j" %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x7xf32>
  %c = tenon.map %x = %s, %u = %t, %a = %m at %b, %h, %i, %j : (tensor<2x3x5x7xf32>, tensor<3xf32>, tensor<5x7xf32>) -> tensor<2x3x5x8xf32> {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c6 = arith.constant 6 : index
    %c7 = arith.constant 7 : index
    %isKey = arith.cmpi slt, %j, %c7 : index
    %other = arith.subi %c6, %j : index
    %key = arith.select %isKey, %other, %c0 : index
    %score = tenon.load %x[%b, %h, %i, %key] : tensor<2x3x5x7xf32>
    %bias = tenon.load %a[%i, %key] : tensor<5x7xf32>
    %sink = tenon.load %u[%h] : tensor<3xf32>
    %biased = arith.addf %score, %bias : f32
    %e = arith.select %isKey, %biased, %sink : f32
    tenon.yield %e : f32
  }
  %p = tenon.softmax %c over 3 : tensor<2x3x5x8xf32>
  %w = tenon.map %x = %p at %b, %h, %i, %j : (tensor<2x3x5x8xf32>) -> tensor<2x3x5x7xf32> = %x[%b, %h, %i, %j]
  %o = tenon.contract "b h i j, b h j d -> b h i d" %w, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// Near miss: a score in the entry that is no key.
// CHECK-LABEL: func.func @sink_with_score(
// CHECK: tenon.softmax
func.func @sink_with_score(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x7x8xf32>, %v: tensor<2x3x7x8xf32>, %t: tensor<3xf32>, %m: tensor<5x7xf32>) -> tensor<2x3x5x8xf32> {
  %s = tenon.contract "b h i d, b h j d -> b h i j" %q, %k : (tensor<2x3x5x8xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x7xf32>
  %c = tenon.map %x = %s, %u = %t, %a = %m at %b, %h, %i, %j : (tensor<2x3x5x7xf32>, tensor<3xf32>, tensor<5x7xf32>) -> tensor<2x3x5x8xf32> {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c6 = arith.constant 6 : index
    %c7 = arith.constant 7 : index
    %isKey = arith.cmpi slt, %j, %c7 : index
    %key = arith.select %isKey, %j, %c0 : index
    %score = tenon.load %x[%b, %h, %i, %key] : tensor<2x3x5x7xf32>
    %bias = tenon.load %a[%i, %key] : tensor<5x7xf32>
    %sink = tenon.load %u[%h] : tensor<3xf32>
    %biased = arith.addf %score, %bias : f32
    %chosen = arith.select %isKey, %biased, %sink : f32
    %e = arith.addf %chosen, %score : f32
    tenon.yield %e : f32
  }
  %p = tenon.softmax %c over 3 : tensor<2x3x5x8xf32>
  %w = tenon.map %x = %p at %b, %h, %i, %j : (tensor<2x3x5x8xf32>) -> tensor<2x3x5x7xf32> = %x[%b, %h, %i, %j]
  %o = tenon.contract "b h i j, b h j d -> b h i d" %w, %v : (tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32>
  return %o : tensor<2x3x5x8xf32>
}

// Scores and weights that are f16 only since the products are: they stay f32, and no region is left.
// CHECK-LABEL: func.func @rounded_weights(
// CHECK: tenon.attention %
// CHECK-NOT: score (
// CHECK-NOT: weight (
// CHECK: return
func.func @rounded_weights(%q: tensor<1x2x5x8xf16>, %k: tensor<1x2x7x8xf16>, %v: tensor<1x2x7x8xf16>) -> tensor<1x2x5x8xf16> {
  %s = tenon.contract "b h i d, b h j d -> b h i j" %q, %k : (tensor<1x2x5x8xf16>, tensor<1x2x7x8xf16>) -> tensor<1x2x5x7xf16>
  %p = tenon.softmax %s over 3 : tensor<1x2x5x7xf16>
  %o = tenon.contract "b h i j, b h j d -> b h i d" %p, %v : (tensor<1x2x5x7xf16>, tensor<1x2x7x8xf16>) -> tensor<1x2x5x8xf16>
  return %o : tensor<1x2x5x8xf16>
}

// The same with a guard, which asks for NaN and chooses in f16: both in f32.
// CHECK-LABEL: func.func @rounded_and_guarded(
// CHECK: weight (%[[P:[^,]*]],
// CHECK-NOT: truncf
// CHECK: %[[NAN:.*]] = arith.cmpf uno, %[[P]], %[[P]] : f32
// CHECK: arith.select %[[NAN]], %{{.*}}, %[[P]] : f32
// CHECK: return
func.func @rounded_and_guarded(%q: tensor<1x2x5x8xf16>, %k: tensor<1x2x7x8xf16>, %v: tensor<1x2x7x8xf16>) -> tensor<1x2x5x8xf16> {
  %s = tenon.contract "b h i d, b h j d -> b h i j" %q, %k : (tensor<1x2x5x8xf16>, tensor<1x2x7x8xf16>) -> tensor<1x2x5x7xf16>
  %p = tenon.softmax %s over 3 : tensor<1x2x5x7xf16>
  %g = tenon.map %x = %p at %b, %h, %i, %j : (tensor<1x2x5x7xf16>) -> tensor<1x2x5x7xf16> {
    %zero = arith.constant 0.0 : f16
    %y = tenon.load %x[%b, %h, %i, %j] : tensor<1x2x5x7xf16>
    %nan = arith.cmpf uno, %y, %y : f16
    %z = arith.select %nan, %zero, %y : f16
    tenon.yield %z : f16
  }
  %o = tenon.contract "b h i j, b h j d -> b h i d" %g, %v : (tensor<1x2x5x7xf16>, tensor<1x2x7x8xf16>) -> tensor<1x2x5x8xf16>
  return %o : tensor<1x2x5x8xf16>
}

// Near miss: arithmetic in f16 between, which f32 would not repeat.
// CHECK-LABEL: func.func @factor_in_f16(
// CHECK: weight (
// CHECK: truncf
// CHECK: arith.mulf %{{.*}} : f16
// CHECK: return
func.func @factor_in_f16(%q: tensor<1x2x5x8xf16>, %k: tensor<1x2x7x8xf16>, %v: tensor<1x2x7x8xf16>) -> tensor<1x2x5x8xf16> {
  %s = tenon.contract "b h i d, b h j d -> b h i j" %q, %k : (tensor<1x2x5x8xf16>, tensor<1x2x7x8xf16>) -> tensor<1x2x5x7xf16>
  %p = tenon.softmax %s over 3 : tensor<1x2x5x7xf16>
  %g = tenon.map %x = %p at %b, %h, %i, %j : (tensor<1x2x5x7xf16>) -> tensor<1x2x5x7xf16> {
    %factor = arith.constant 0.7 : f16
    %y = tenon.load %x[%b, %h, %i, %j] : tensor<1x2x5x7xf16>
    %z = arith.mulf %y, %factor : f16
    tenon.yield %z : f16
  }
  %o = tenon.contract "b h i j, b h j d -> b h i d" %g, %v : (tensor<1x2x5x7xf16>, tensor<1x2x7x8xf16>) -> tensor<1x2x5x8xf16>
  return %o : tensor<1x2x5x8xf16>
}

// Near miss: f32 scores and f32 weights that the graph itself rounds to bf16 and widens again. Both roundings are arithmetic.
// CHECK-LABEL: func.func @rounded_in_the_graph(
// CHECK: score (%[[X:[^,]*]],
// CHECK: %[[S:.*]] = arith.truncf %[[X]] : f32 to bf16
// CHECK: arith.extf %[[S]] : bf16 to f32
// CHECK: weight (%[[P:[^,]*]],
// CHECK: %[[W:.*]] = arith.truncf %[[P]] : f32 to bf16
// CHECK: arith.extf %[[W]] : bf16 to f32
func.func @rounded_in_the_graph(%q: tensor<1x2x5x8xf32>, %k: tensor<1x2x7x8xf32>, %v: tensor<1x2x7x8xf32>) -> tensor<1x2x5x8xf32> {
  %s = tenon.contract "b h i d, b h j d -> b h i j" %q, %k : (tensor<1x2x5x8xf32>, tensor<1x2x7x8xf32>) -> tensor<1x2x5x7xf32>
  %t = tenon.map %x = %s at %b, %h, %i, %j : (tensor<1x2x5x7xf32>) -> tensor<1x2x5x7xf32> {
    %y = tenon.load %x[%b, %h, %i, %j] : tensor<1x2x5x7xf32>
    %n = arith.truncf %y : f32 to bf16
    %z = arith.extf %n : bf16 to f32
    tenon.yield %z : f32
  }
  %p = tenon.softmax %t over 3 : tensor<1x2x5x7xf32>
  %w = tenon.map %x = %p at %b, %h, %i, %j : (tensor<1x2x5x7xf32>) -> tensor<1x2x5x7xf32> {
    %y = tenon.load %x[%b, %h, %i, %j] : tensor<1x2x5x7xf32>
    %n = arith.truncf %y : f32 to bf16
    %z = arith.extf %n : bf16 to f32
    tenon.yield %z : f32
  }
  %o = tenon.contract "b h i j, b h j d -> b h i d" %w, %v : (tensor<1x2x5x7xf32>, tensor<1x2x7x8xf32>) -> tensor<1x2x5x8xf32>
  return %o : tensor<1x2x5x8xf32>
}

// A graph's attention: the score is a function of a number of the query and one of the key, of edges alone.
// CHECK-LABEL: func.func @additive(
// CHECK: %[[Z:.*]] = tenon.map at
// CHECK: tenon.attention %[[Z]], (%[[Z]]), (%arg3) captures (%arg2, %arg0, %arg1) normalise softmax
// CHECK: score (%{{[a-z0-9]+}}, %[[B:[a-z0-9]+]], %[[H:[a-z0-9]+]], %[[I:[a-z0-9]+]], %[[J:[a-z0-9]+]], %[[E:[a-z0-9]+]], %[[L:[a-z0-9]+]], %[[R:[a-z0-9]+]]) {
// CHECK-DAG: tenon.load %[[E]][%[[B]], %[[I]], %[[J]]]
// CHECK-DAG: tenon.load %[[L]][%[[B]], %[[I]], %[[H]]]
// CHECK-DAG: tenon.load %[[R]][%[[B]], %[[J]], %[[H]]]
// CHECK-NOT: tenon.softmax
func.func @additive(%l: tensor<2x7x3xf32>, %r: tensor<2x7x3xf32>, %e: tensor<2x7x7xi1>, %v: tensor<2x7x3x8xf32>) -> tensor<2x7x3x8xf32> {
  %s = tenon.map %m = %e, %x = %l, %y = %r at %b, %i, %j, %h : (tensor<2x7x7xi1>, tensor<2x7x3xf32>, tensor<2x7x3xf32>) -> tensor<2x7x7x3xf32>
    = select(%m[%b, %i, %j], max(%x[%b, %i, %h] + %y[%b, %j, %h], 0.2 * (%x[%b, %i, %h] + %y[%b, %j, %h])), -1.0e+30)
  %p = tenon.softmax %s over 2 : tensor<2x7x7x3xf32>
  %o = tenon.contract "b i j h, b j h d -> b i h d" %p, %v : (tensor<2x7x7x3xf32>, tensor<2x7x3x8xf32>) -> tensor<2x7x3x8xf32>
  return %o : tensor<2x7x3x8xf32>
}

// Near misses: scores that are there already (Synthesizer), and weights of keys alone (pooling).
// CHECK-LABEL: func.func @scores_given(
// CHECK: tenon.softmax
func.func @scores_given(%s: tensor<2x3x7x7xf32>, %l: tensor<7xf32>, %v: tensor<2x3x7x8xf32>) -> tensor<2x3x7x8xf32> {
  %t = tenon.map %x = %s, %u = %l at %b, %h, %i, %j : (tensor<2x3x7x7xf32>, tensor<7xf32>) -> tensor<2x3x7x7xf32> = %x[%b, %h, %i, %j] + %u[%j]
  %p = tenon.softmax %t over 3 : tensor<2x3x7x7xf32>
  %o = tenon.contract "b h i j, b h j d -> b h i d" %p, %v : (tensor<2x3x7x7xf32>, tensor<2x3x7x8xf32>) -> tensor<2x3x7x8xf32>
  return %o : tensor<2x3x7x8xf32>
}

// CHECK-LABEL: func.func @pooled(
// CHECK: tenon.softmax
func.func @pooled(%r: tensor<2x7xf32>, %v: tensor<2x7x8xf32>) -> tensor<2x3x8xf32> {
  %s = tenon.map %y = %r at %b, %i, %j : (tensor<2x7xf32>) -> tensor<2x3x7xf32> = %y[%b, %j]
  %p = tenon.softmax %s over 2 : tensor<2x3x7xf32>
  %o = tenon.contract "b i j, b j d -> b i d" %p, %v : (tensor<2x3x7xf32>, tensor<2x7x8xf32>) -> tensor<2x3x8xf32>
  return %o : tensor<2x3x8xf32>
}
