// RUN: tenon-opt %s --tenon-materialise-attention=all=true | FileCheck %s
// RUN: tenon-opt %s --tenon-choose-attention-algorithm --tenon-materialise-attention | FileCheck %s --check-prefix=CHOSEN
// RUN: tenon-interpret %s --check-passes="tenon-materialise-attention{all=true}" --int-range=0..1
// RUN: tenon-interpret %s --check-passes="tenon-materialise-attention{all=true}" --int-range=0..0
// RUN: tenon-interpret %s --check-passes="tenon-materialise-attention{all=true}" --int-range=1..1

// CHECK-NOT: tenon.attention
// Only what was chosen to be is materialised.
// CHOSEN-COUNT-8: tenon.attention

// CHECK-LABEL: func.func @plain
// CHECK: %[[X:.*]] = tenon.contract "b i h d, b j h d -> b h i j" %arg0, %arg1
// CHECK-NEXT: %[[P:.*]] = tenon.softmax %[[X]] over 3
// CHECK-NEXT: tenon.contract "b h i j, b j h d -> b h i d" %[[P]], %arg2
func.func @plain(%q: tensor<2x3x2x4xf32>, %k: tensor<2x5x2x4xf32>, %v: tensor<2x5x2x6xf32>) -> tensor<2x3x2x6xf32> {
  %o = tenon.attention %q, (%k), (%v) normalise softmax empty zero layout ["b n h d", "b n h d", "b n h d", "b n h d"]
      : (tensor<2x3x2x4xf32>, tensor<2x5x2x4xf32>, tensor<2x5x2x6xf32>) -> tensor<2x3x2x6xf32>
  return %o : tensor<2x3x2x6xf32>
}

// A key mask under each rule for rows without live keys.
func.func @empty_zero(%q: tensor<2x3x2x4xf32>, %k: tensor<2x5x2x4xf32>, %v: tensor<2x5x2x4xf32>, %c: tensor<2x5xi64>) -> tensor<2x3x2x4xf32> {
  %o = tenon.attention %q, (%k), (%v) captures (%c) normalise softmax empty zero layout ["b n h d", "b n h d", "b n h d", "b n h d"]
      : (tensor<2x3x2x4xf32>, tensor<2x5x2x4xf32>, tensor<2x5x2x4xf32>, tensor<2x5xi64>) -> tensor<2x3x2x4xf32>
    keep (%b, %h, %i, %j, %t) {
      %zero = arith.constant 0 : i64
      %0 = tenon.load %t[%b, %j] : tensor<2x5xi64>
      %1 = arith.cmpi ne, %0, %zero : i64
      tenon.yield %1 : i1
    }
  return %o : tensor<2x3x2x4xf32>
}

func.func @empty_nan(%q: tensor<2x3x2x4xf32>, %k: tensor<2x5x2x4xf32>, %v: tensor<2x5x2x4xf32>, %c: tensor<2x5xi64>) -> tensor<2x3x2x4xf32> {
  %o = tenon.attention %q, (%k), (%v) captures (%c) normalise softmax empty nan layout ["b n h d", "b n h d", "b n h d", "b n h d"]
      : (tensor<2x3x2x4xf32>, tensor<2x5x2x4xf32>, tensor<2x5x2x4xf32>, tensor<2x5xi64>) -> tensor<2x3x2x4xf32>
    keep (%b, %h, %i, %j, %t) {
      %zero = arith.constant 0 : i64
      %0 = tenon.load %t[%b, %j] : tensor<2x5xi64>
      %1 = arith.cmpi ne, %0, %zero : i64
      tenon.yield %1 : i1
    }
  return %o : tensor<2x3x2x4xf32>
}

func.func @empty_uniform(%q: tensor<2x3x2x4xf32>, %k: tensor<2x5x2x4xf32>, %v: tensor<2x5x2x4xf32>, %c: tensor<2x5xi64>) -> tensor<2x3x2x4xf32> {
  %o = tenon.attention %q, (%k), (%v) captures (%c) normalise softmax empty uniform layout ["b n h d", "b n h d", "b n h d", "b n h d"]
      : (tensor<2x3x2x4xf32>, tensor<2x5x2x4xf32>, tensor<2x5x2x4xf32>, tensor<2x5xi64>) -> tensor<2x3x2x4xf32>
    keep (%b, %h, %i, %j, %t) {
      %zero = arith.constant 0 : i64
      %0 = tenon.load %t[%b, %j] : tensor<2x5xi64>
      %1 = arith.cmpi ne, %0, %zero : i64
      tenon.yield %1 : i1
    }
  return %o : tensor<2x3x2x4xf32>
}

func.func @empty_ignore_keep(%q: tensor<2x3x2x4xf32>, %k: tensor<2x5x2x4xf32>, %v: tensor<2x5x2x4xf32>, %c: tensor<2x5xi64>) -> tensor<2x3x2x4xf32> {
  %o = tenon.attention %q, (%k), (%v) captures (%c) normalise softmax empty ignore_keep layout ["b n h d", "b n h d", "b n h d", "b n h d"]
      : (tensor<2x3x2x4xf32>, tensor<2x5x2x4xf32>, tensor<2x5x2x4xf32>, tensor<2x5xi64>) -> tensor<2x3x2x4xf32>
    keep (%b, %h, %i, %j, %t) {
      %zero = arith.constant 0 : i64
      %0 = tenon.load %t[%b, %j] : tensor<2x5xi64>
      %1 = arith.cmpi ne, %0, %zero : i64
      tenon.yield %1 : i1
    }
  return %o : tensor<2x3x2x4xf32>
}

func.func @sum(%q: tensor<2x3x2x4xf32>, %k: tensor<2x5x2x4xf32>, %v: tensor<2x5x2x4xf32>, %c: tensor<2x5xi64>) -> tensor<2x3x2x4xf32> {
  %o = tenon.attention %q, (%k), (%v) captures (%c) normalise sum empty uniform layout ["b n h d", "b n h d", "b n h d", "b n h d"]
      : (tensor<2x3x2x4xf32>, tensor<2x5x2x4xf32>, tensor<2x5x2x4xf32>, tensor<2x5xi64>) -> tensor<2x3x2x4xf32>
    score (%x, %b, %h, %i, %j, %t) {
      %0 = math.exp %x : f32
      tenon.yield %0 : f32
    } keep (%b, %h, %i, %j, %t) {
      %zero = arith.constant 0 : i64
      %0 = tenon.load %t[%b, %j] : tensor<2x5xi64>
      %1 = arith.cmpi ne, %0, %zero : i64
      tenon.yield %1 : i1
    }
  return %o : tensor<2x3x2x4xf32>
}

func.func @none(%q: tensor<2x3x2x4xf32>, %k: tensor<2x5x2x4xf32>, %v: tensor<2x5x2x4xf32>, %c: tensor<2x5xi64>) -> tensor<2x3x2x4xf32> {
  %o = tenon.attention %q, (%k), (%v) captures (%c) normalise none empty uniform layout ["b n h d", "b n h d", "b n h d", "b n h d"]
      : (tensor<2x3x2x4xf32>, tensor<2x5x2x4xf32>, tensor<2x5x2x4xf32>, tensor<2x5xi64>) -> tensor<2x3x2x4xf32>
    keep (%b, %h, %i, %j, %t) {
      %zero = arith.constant 0 : i64
      %0 = tenon.load %t[%b, %j] : tensor<2x5xi64>
      %1 = arith.cmpi ne, %0, %zero : i64
      tenon.yield %1 : i1
    }
  return %o : tensor<2x3x2x4xf32>
}

// Six query heads on two key heads.
// CHECK-LABEL: func.func @groups
// CHECK: tenon.contract "b i g r d, b j g d -> b g r i j"
func.func @groups(%q: tensor<2x3x6x4xf32>, %k: tensor<2x5x2x4xf32>, %v: tensor<2x5x2x4xf32>) -> tensor<2x6x3x4xf32> {
  %o = tenon.attention %q, (%k), (%v) normalise softmax empty zero layout ["b n h d", "b n h d", "b n h d", "b h n d"]
      : (tensor<2x3x6x4xf32>, tensor<2x5x2x4xf32>, tensor<2x5x2x4xf32>) -> tensor<2x6x3x4xf32>
  return %o : tensor<2x6x3x4xf32>
}

// All query heads on one key head, which has no dimension; a factor after the softmax.
func.func @one_key_head(%q: tensor<2x3x6x4xf32>, %k: tensor<2x5x4xf32>, %v: tensor<2x5x4xf32>, %c: tensor<3x5xf32>) -> tensor<2x3x6x4xf32> {
  %o = tenon.attention %q, (%k), (%v) captures (%c) normalise softmax empty zero layout ["b n h d", "b n d", "b n d", "b n h d"]
      : (tensor<2x3x6x4xf32>, tensor<2x5x4xf32>, tensor<2x5x4xf32>, tensor<3x5xf32>) -> tensor<2x3x6x4xf32>
    weight (%p, %b, %h, %i, %j, %t) {
      %0 = tenon.load %t[%i, %j] : tensor<3x5xf32>
      %1 = arith.mulf %p, %0 : f32
      tenon.yield %1 : f32
    }
  return %o : tensor<2x3x6x4xf32>
}

// Slices of one tensor.
func.func @slices(%q: tensor<5x3x2x4xf32>, %k: tensor<5x3x2x4xf32>, %v: tensor<5x3x2x4xf32>) -> tensor<5x2x4xf32> {
  %o = tenon.attention %q, (%k), (%v) normalise softmax empty zero layout ["n 0 h d", "n 1 h d", "n 2 h d", "n h d"]
      : (tensor<5x3x2x4xf32>, tensor<5x3x2x4xf32>, tensor<5x3x2x4xf32>) -> tensor<5x2x4xf32>
  return %o : tensor<5x2x4xf32>
}

// A key stays where its score is at least the k-th of the row's order; no pairs of keys.
// CHECK-LABEL: func.func @top
// CHECK: tenon.contract
// CHECK: tenon.order %{{.*}} over 3 descending : tensor<1x1x4x6xf32> -> tensor<1x1x4x2xi64>
// CHECK-NOT: 4x6x6x
// CHECK: arith.cmpf oge
// CHECK: tenon.softmax %{{.*}} over 3
func.func @top(%q: tensor<4x8xf32>, %k: tensor<6x8xf32>) -> tensor<4x8xf32> {
  %o = tenon.attention %q, (%k), (%k) normalise topk_softmax 2 empty zero layout ["n d", "n d", "n d", "n d"]
    : (tensor<4x8xf32>, tensor<6x8xf32>, tensor<6x8xf32>) -> tensor<4x8xf32>
  return %o : tensor<4x8xf32>
}

// The first of the greatest of each column.
// CHECK-LABEL: func.func @taken
// CHECK: tenon.reduce max %{{.*}} over [2]
// CHECK: tenon.reduce min %{{.*}} over [2] : tensor<1x1x4x6xi64>
func.func @taken(%q: tensor<4x8xf32>, %k: tensor<6x8xf32>) -> tensor<4x8xf32> {
  %o = tenon.attention %q, (%k), (%k) normalise hard over queries empty zero layout ["n d", "n d", "n d", "n d"]
    : (tensor<4x8xf32>, tensor<6x8xf32>, tensor<6x8xf32>) -> tensor<4x8xf32>
  return %o : tensor<4x8xf32>
}

// Two sources: their keys one behind the other.
// CHECK-LABEL: func.func @sources
// CHECK: tenon.append %{{.*}} to %{{.*}} : tensor<2x1x1x8xf32> to tensor<6x1x1x8xf32> -> tensor<8x1x1x8xf32>
// CHECK: tenon.contract "i d, j b h d -> b i j"
func.func @sources(%q: tensor<4x8xf32>, %k: tensor<6x8xf32>, %l: tensor<2x8xf32>) -> tensor<4x8xf32> {
  %o = tenon.attention %q, (%k, %l), (%k, %l) normalise hard empty zero layout ["n d", "n d", "n d", "n d", "n d", "n d"]
    : (tensor<4x8xf32>, tensor<6x8xf32>, tensor<2x8xf32>, tensor<6x8xf32>, tensor<2x8xf32>) -> tensor<4x8xf32>
  return %o : tensor<4x8xf32>
}
