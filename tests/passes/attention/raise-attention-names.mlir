// RUN: tenon-opt %s --tenon-raise-attention --cse | FileCheck %s
// RUN: tenon-interpret %s --check-passes=tenon-raise-attention

// Which dimensions of a softmax are batch, heads and queries.

// Attention in windows of 8 tokens: items and windows are the batch, and nothing is moved.
// CHECK-LABEL: func.func @windows(
// CHECK: %[[Q:.*]] = tenon.reshape %arg0 : tensor<2x24x12xf32> -> tensor<6x8x3x4xf32>
// CHECK: tenon.attention %[[Q]], (%{{.*}}), (%{{.*}}) normalise softmax empty zero
// CHECK-SAME: layout ["b n h d", "b n h d", "b n h d", "b n h d"]
// CHECK: return
func.func @windows(%q: tensor<2x24x12xf32>, %k: tensor<2x24x12xf32>, %v: tensor<2x24x12xf32>) -> tensor<2x3x3x8x4xf32> {
  %qw = tenon.map %x = %q at %b, %w, %h, %i, %d : (tensor<2x24x12xf32>) -> tensor<2x3x3x8x4xf32> {
    %c8 = arith.constant 8 : index
    %r = arith.muli %w, %c8 : index
    %n = arith.addi %r, %i : index
    %c4 = arith.constant 4 : index
    %e = arith.muli %h, %c4 : index
    %c = arith.addi %e, %d : index
    %0 = tenon.load %x[%b, %n, %c] : tensor<2x24x12xf32>
    tenon.yield %0 : f32
  }
  %kw = tenon.map %x = %k at %b, %w, %h, %i, %d : (tensor<2x24x12xf32>) -> tensor<2x3x3x8x4xf32> {
    %c8 = arith.constant 8 : index
    %r = arith.muli %w, %c8 : index
    %n = arith.addi %r, %i : index
    %c4 = arith.constant 4 : index
    %e = arith.muli %h, %c4 : index
    %c = arith.addi %e, %d : index
    %0 = tenon.load %x[%b, %n, %c] : tensor<2x24x12xf32>
    tenon.yield %0 : f32
  }
  %vw = tenon.map %x = %v at %b, %w, %h, %i, %d : (tensor<2x24x12xf32>) -> tensor<2x3x3x8x4xf32> {
    %c8 = arith.constant 8 : index
    %r = arith.muli %w, %c8 : index
    %n = arith.addi %r, %i : index
    %c4 = arith.constant 4 : index
    %e = arith.muli %h, %c4 : index
    %c = arith.addi %e, %d : index
    %0 = tenon.load %x[%b, %n, %c] : tensor<2x24x12xf32>
    tenon.yield %0 : f32
  }
  %s = tenon.contract "b w h i d, b w h j d -> b w h i j" %qw, %kw : (tensor<2x3x3x8x4xf32>, tensor<2x3x3x8x4xf32>) -> tensor<2x3x3x8x8xf32>
  %p = tenon.softmax %s over 4 : tensor<2x3x3x8x8xf32>
  %o = tenon.contract "b w h i j, b w h j d -> b w h i d" %p, %vw : (tensor<2x3x3x8x8xf32>, tensor<2x3x3x8x4xf32>) -> tensor<2x3x3x8x4xf32>
  return %o : tensor<2x3x3x8x4xf32>
}

// Along the rows of an image, heads before them: items and rows are the batch.
// CHECK-LABEL: func.func @axial(
// CHECK: %[[Q:.*]] = tenon.reshape %arg0 : tensor<2x5x7x12xf32> -> tensor<10x7x3x4xf32>
// CHECK: tenon.attention %[[Q]], (%{{.*}}), (%{{.*}}) normalise softmax empty zero
// CHECK-SAME: layout ["b n h d", "b n h d", "b n h d", "b n h d"]
// CHECK: return
func.func @axial(%q: tensor<2x5x7x12xf32>, %k: tensor<2x5x7x12xf32>, %v: tensor<2x5x7x12xf32>) -> tensor<2x3x5x7x4xf32> {
  %qw = tenon.map %x = %q at %b, %h, %y, %i, %d : (tensor<2x5x7x12xf32>) -> tensor<2x3x5x7x4xf32> {
    %c4 = arith.constant 4 : index
    %e = arith.muli %h, %c4 : index
    %c = arith.addi %e, %d : index
    %0 = tenon.load %x[%b, %y, %i, %c] : tensor<2x5x7x12xf32>
    tenon.yield %0 : f32
  }
  %kw = tenon.map %x = %k at %b, %h, %y, %i, %d : (tensor<2x5x7x12xf32>) -> tensor<2x3x5x7x4xf32> {
    %c4 = arith.constant 4 : index
    %e = arith.muli %h, %c4 : index
    %c = arith.addi %e, %d : index
    %0 = tenon.load %x[%b, %y, %i, %c] : tensor<2x5x7x12xf32>
    tenon.yield %0 : f32
  }
  %vw = tenon.map %x = %v at %b, %h, %y, %i, %d : (tensor<2x5x7x12xf32>) -> tensor<2x3x5x7x4xf32> {
    %c4 = arith.constant 4 : index
    %e = arith.muli %h, %c4 : index
    %c = arith.addi %e, %d : index
    %0 = tenon.load %x[%b, %y, %i, %c] : tensor<2x5x7x12xf32>
    tenon.yield %0 : f32
  }
  %s = tenon.contract "b h y i d, b h y j d -> b h y i j" %qw, %kw : (tensor<2x3x5x7x4xf32>, tensor<2x3x5x7x4xf32>) -> tensor<2x3x5x7x7xf32>
  %p = tenon.softmax %s over 4 : tensor<2x3x5x7x7xf32>
  %o = tenon.contract "b h y i j, b h y j d -> b h y i d" %p, %vw : (tensor<2x3x5x7x7xf32>, tensor<2x3x5x7x4xf32>) -> tensor<2x3x5x7x4xf32>
  return %o : tensor<2x3x5x7x4xf32>
}

// One key head, query heads beside the rows in one product: both are queries, the mask is of the row.
// CHECK-LABEL: func.func @heads_are_rows(
// CHECK: tenon.attention %{{.*}}, (%arg1), (%arg2) normalise softmax empty zero
// CHECK-SAME: layout ["b n d", "b n d", "b n d", "b n d"]
// CHECK-SAME: -> tensor<2x15x4xf32>
// CHECK: score (%[[X:[a-z0-9]+]], %{{.*}}, %{{.*}}, %[[I:[a-z0-9]+]], %[[J:[a-z0-9]+]]) {
// CHECK: %[[ROW:.*]] = arith.divui %[[I]], %{{.*}} : index
// CHECK: arith.cmpi sle, %[[J]], %[[ROW]]
// CHECK: return
func.func @heads_are_rows(%q: tensor<2x5x12xf32>, %k: tensor<2x5x4xf32>, %v: tensor<2x5x4xf32>) -> tensor<2x15x4xf32> {
  %qr = tenon.reshape %q : tensor<2x5x12xf32> -> tensor<2x15x4xf32>
  %s = tenon.contract "b m d, b j d -> b m j" %qr, %k : (tensor<2x15x4xf32>, tensor<2x5x4xf32>) -> tensor<2x15x5xf32>
  %r = tenon.reshape %s : tensor<2x15x5xf32> -> tensor<2x5x3x5xf32>
  %m = tenon.map %x = %r at %b, %i, %h, %j : (tensor<2x5x3x5xf32>) -> tensor<2x5x3x5xf32> {
    %dead = arith.constant -3.40282347E+38 : f32
    %live = arith.cmpi sle, %j, %i : index
    %0 = tenon.load %x[%b, %i, %h, %j] : tensor<2x5x3x5xf32>
    %1 = arith.select %live, %0, %dead : f32
    tenon.yield %1 : f32
  }
  %p = tenon.softmax %m over 3 : tensor<2x5x3x5xf32>
  %pr = tenon.reshape %p : tensor<2x5x3x5xf32> -> tensor<2x15x5xf32>
  %o = tenon.contract "b m j, b j d -> b m d" %pr, %v : (tensor<2x15x5xf32>, tensor<2x5x4xf32>) -> tensor<2x15x4xf32>
  return %o : tensor<2x15x4xf32>
}

// Rows first, as XLNet writes it.
// CHECK-LABEL: func.func @rows_first(
// CHECK: tenon.attention %{{.*}}, (%{{.*}}), (%{{.*}}) normalise softmax empty zero
// CHECK: return
func.func @rows_first(%q: tensor<5x2x3x4xf32>, %k: tensor<6x2x3x4xf32>, %v: tensor<6x2x3x4xf32>) -> tensor<5x2x3x4xf32> {
  %s = tenon.contract "i b h d, j b h d -> i j b h" %q, %k : (tensor<5x2x3x4xf32>, tensor<6x2x3x4xf32>) -> tensor<5x6x2x3xf32>
  %p = tenon.softmax %s over 1 : tensor<5x6x2x3xf32>
  %o = tenon.contract "i j b h, j b h d -> i b h d" %p, %v : (tensor<5x6x2x3xf32>, tensor<6x2x3x4xf32>) -> tensor<5x2x3x4xf32>
  return %o : tensor<5x2x3x4xf32>
}

// Near miss: softmax over the queries of each key.
// CHECK-LABEL: func.func @over_queries(
// CHECK-NOT: tenon.attention
// CHECK: return
func.func @over_queries(%q: tensor<5x2x3x4xf32>, %k: tensor<6x2x3x4xf32>, %v: tensor<6x2x3x4xf32>) -> tensor<5x2x3x4xf32> {
  %s = tenon.contract "i b h d, j b h d -> i j b h" %q, %k : (tensor<5x2x3x4xf32>, tensor<6x2x3x4xf32>) -> tensor<5x6x2x3xf32>
  %p = tenon.softmax %s over 0 : tensor<5x6x2x3xf32>
  %o = tenon.contract "i j b h, j b h d -> i b h d" %p, %v : (tensor<5x6x2x3xf32>, tensor<6x2x3x4xf32>) -> tensor<5x2x3x4xf32>
  return %o : tensor<5x2x3x4xf32>
}

// Near miss: values that know the head that is a row.
// CHECK-LABEL: func.func @values_of_rows(
// CHECK-NOT: layout ["b n d"
// CHECK: return
func.func @values_of_rows(%q: tensor<2x15x4xf32>, %k: tensor<2x5x4xf32>, %v: tensor<2x3x5x4xf32>) -> tensor<2x5x3x4xf32> {
  %s = tenon.contract "b m d, b j d -> b m j" %q, %k : (tensor<2x15x4xf32>, tensor<2x5x4xf32>) -> tensor<2x15x5xf32>
  %r = tenon.reshape %s : tensor<2x15x5xf32> -> tensor<2x5x3x5xf32>
  %p = tenon.softmax %r over 3 : tensor<2x5x3x5xf32>
  %o = tenon.contract "b i h j, b h j d -> b i h d" %p, %v : (tensor<2x5x3x5xf32>, tensor<2x3x5x4xf32>) -> tensor<2x5x3x4xf32>
  return %o : tensor<2x5x3x4xf32>
}
