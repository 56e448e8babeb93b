// RUN: tenon-opt %s --tenon-place-channels-last | FileCheck %s
// RUN: tenon-interpret %s --check-passes=tenon-place-channels-last

tenon.weight @pointwise : tensor<6x16xf32> = #tenon.random<1, 0.1>
tenon.weight @taps : tensor<48x16xf32> = #tenon.random<2, 0.1>
tenon.weight @few : tensor<48x5xf32> = #tenon.random<3, 0.1>
tenon.weight @each : tensor<16x3xf32> = #tenon.random<4, 0.1>
tenon.weight @grouped : tensor<4x8x12xf32> = #tenon.random<5, 0.1>
tenon.weight @back : tensor<16x6xf32> = #tenon.random<6, 0.1>

// Rows of a product that windows are read from: channels stay last, and the rows are read in place.
// CHECK-LABEL: func.func @convolution
// CHECK: %[[M:.*]] = tenon.contract "b m k, k n -> b m n"
// CHECK: %[[A:.*]] = tenon.map %[[R:.*]] = %[[M]] at %[[B:.*]], %[[P:.*]], %[[C:.*]] : (tensor<2x9x16xf32>) -> tensor<2x9x16xf32>
// CHECK: tenon.load %[[R]][%[[B]], %[[P]], %[[C]]]
// CHECK: tenon.map %[[X:.*]] = %[[A]] at %[[B:.*]], %[[P:.*]], %[[C:.*]], %[[T:.*]] : (tensor<2x9x16xf32>) -> tensor<2x7x16x3xf32>
// CHECK: tenon.load %[[X]][%[[B]], %{{.*}}, %[[C]]]
func.func @convolution(%x: tensor<2x9x6xf32>) -> tensor<2x7x16xf32> {
  %w = tenon.get @pointwise : tensor<6x16xf32>
  %m = tenon.contract "b m k, k n -> b m n" %x, %w : (tensor<2x9x6xf32>, tensor<6x16xf32>) -> tensor<2x9x16xf32>
  %a = tenon.map %r = %m at %b, %c, %p : (tensor<2x9x16xf32>) -> tensor<2x16x9xf32> {
    %0 = tenon.load %r[%b, %p, %c] : tensor<2x9x16xf32>
    %1 = math.absf %0 : f32
    tenon.yield %1 : f32
  }
  %v = tenon.map %q = %a at %b, %p, %c, %t : (tensor<2x16x9xf32>) -> tensor<2x7x16x3xf32> {
    %0 = arith.addi %p, %t : index
    %1 = tenon.load %q[%b, %c, %0] : tensor<2x16x9xf32>
    tenon.yield %1 : f32
  }
  %f = tenon.reshape %v : tensor<2x7x16x3xf32> -> tensor<2x7x48xf32>
  %k = tenon.get @taps : tensor<48x16xf32>
  %y = tenon.contract "b m k, k n -> b m n" %f, %k : (tensor<2x7x48xf32>, tensor<48x16xf32>) -> tensor<2x7x16xf32>
  return %y : tensor<2x7x16xf32>
}

// One filter a channel passes the order on.
// CHECK-LABEL: func.func @depthwise
// CHECK: tenon.map {{.*}} -> tensor<2x9x16xf32>
// CHECK: tenon.contract "g k, b g m k -> b m g" {{.*}} -> tensor<2x7x16xf32>
// CHECK: tenon.map {{.*}} : (tensor<2x7x16xf32>) -> tensor<2x7x16xf32>
func.func @depthwise(%x: tensor<2x9x6xf32>) -> tensor<2x7x6xf32> {
  %w = tenon.get @pointwise : tensor<6x16xf32>
  %m = tenon.contract "b m k, k n -> b m n" %x, %w : (tensor<2x9x6xf32>, tensor<6x16xf32>) -> tensor<2x9x16xf32>
  %a = tenon.map %r = %m at %b, %c, %p : (tensor<2x9x16xf32>) -> tensor<2x16x9xf32> {
    %0 = tenon.load %r[%b, %p, %c] : tensor<2x9x16xf32>
    tenon.yield %0 : f32
  }
  %v = tenon.map %q = %a at %b, %c, %p, %t : (tensor<2x16x9xf32>) -> tensor<2x16x7x3xf32> {
    %0 = arith.addi %p, %t : index
    %1 = tenon.load %q[%b, %c, %0] : tensor<2x16x9xf32>
    tenon.yield %1 : f32
  }
  %k = tenon.get @each : tensor<16x3xf32>
  %d = tenon.contract "g k, b g m k -> b g m" %k, %v : (tensor<16x3xf32>, tensor<2x16x7x3xf32>) -> tensor<2x16x7xf32>
  %s = tenon.map %q = %d at %b, %p, %c : (tensor<2x16x7xf32>) -> tensor<2x7x16xf32> {
    %0 = tenon.load %q[%b, %c, %p] : tensor<2x16x7xf32>
    %1 = math.absf %0 : f32
    tenon.yield %1 : f32
  }
  %l = tenon.get @back : tensor<16x6xf32>
  %y = tenon.contract "b m k, k n -> b m n" %s, %l : (tensor<2x7x16xf32>, tensor<16x6xf32>) -> tensor<2x7x6xf32>
  return %y : tensor<2x7x6xf32>
}

// Pooling reduces over positions, and its result is rows as well.
// CHECK-LABEL: func.func @pooling
// CHECK: tenon.map {{.*}} -> tensor<2x4x2x16xf32>
// CHECK: tenon.reduce max %{{.*}} over [2] : tensor<2x4x2x16xf32> -> tensor<2x4x16xf32>
func.func @pooling(%x: tensor<2x9x6xf32>) -> tensor<2x4x6xf32> {
  %w = tenon.get @pointwise : tensor<6x16xf32>
  %m = tenon.contract "b m k, k n -> b m n" %x, %w : (tensor<2x9x6xf32>, tensor<6x16xf32>) -> tensor<2x9x16xf32>
  %v = tenon.map %q = %m at %b, %c, %p, %t : (tensor<2x9x16xf32>) -> tensor<2x16x4x2xf32> {
    %two = arith.constant 2 : index
    %0 = arith.muli %p, %two : index
    %1 = arith.addi %0, %t : index
    %2 = tenon.load %q[%b, %1, %c] : tensor<2x9x16xf32>
    tenon.yield %2 : f32
  }
  %r = tenon.reduce max %v over [3] : tensor<2x16x4x2xf32> -> tensor<2x16x4xf32>
  %s = tenon.map %q = %r at %b, %p, %c : (tensor<2x16x4xf32>) -> tensor<2x4x16xf32> {
    %0 = tenon.load %q[%b, %c, %p] : tensor<2x16x4xf32>
    tenon.yield %0 : f32
  }
  %l = tenon.get @back : tensor<16x6xf32>
  %y = tenon.contract "b m k, k n -> b m n" %s, %l : (tensor<2x4x16xf32>, tensor<16x6xf32>) -> tensor<2x4x6xf32>
  return %y : tensor<2x4x6xf32>
}

// The caller wants planes as well: what is cheaper for the rest is turned back for it.
// CHECK-LABEL: func.func @read_by_others
// CHECK: %[[A:.*]] = tenon.map {{.*}} -> tensor<2x9x16xf32>
// CHECK: %[[B:.*]] = tenon.map %{{.*}} = %[[A]] at {{.*}} : (tensor<2x9x16xf32>) -> tensor<2x16x9xf32>
// CHECK: return %[[B]], %{{.*}}
func.func @read_by_others(%x: tensor<2x9x6xf32>, %z: tensor<2x9x16xf32>) -> (tensor<2x16x9xf32>, tensor<2x7x16xf32>) {
  %w = tenon.get @pointwise : tensor<6x16xf32>
  %m = tenon.contract "b m k, k n -> b m n" %x, %w : (tensor<2x9x6xf32>, tensor<6x16xf32>) -> tensor<2x9x16xf32>
  %a = tenon.map %r = %m, %s = %z at %b, %c, %p : (tensor<2x9x16xf32>, tensor<2x9x16xf32>) -> tensor<2x16x9xf32> {
    %0 = tenon.load %r[%b, %p, %c] : tensor<2x9x16xf32>
    %1 = tenon.load %s[%b, %p, %c] : tensor<2x9x16xf32>
    %2 = arith.addf %0, %1 : f32
    tenon.yield %2 : f32
  }
  %v = tenon.map %q = %a at %b, %p, %c, %t : (tensor<2x16x9xf32>) -> tensor<2x7x16x3xf32> {
    %0 = arith.addi %p, %t : index
    %1 = tenon.load %q[%b, %c, %0] : tensor<2x16x9xf32>
    tenon.yield %1 : f32
  }
  %f = tenon.reshape %v : tensor<2x7x16x3xf32> -> tensor<2x7x48xf32>
  %k = tenon.get @taps : tensor<48x16xf32>
  %y = tenon.contract "b m k, k n -> b m n" %f, %k : (tensor<2x7x48xf32>, tensor<48x16xf32>) -> tensor<2x7x16xf32>
  return %a, %y : tensor<2x16x9xf32>, tensor<2x7x16xf32>
}

// Planes of the caller, read as planes: nothing is turned as it is.
// CHECK-LABEL: func.func @planes
// CHECK: tenon.map {{.*}} -> tensor<2x16x9xf32>
// CHECK: tenon.contract "g k, b g m k -> b g m"
func.func @planes(%x: tensor<2x16x9xf32>) -> tensor<2x16x7xf32> {
  %a = tenon.map %r = %x at %b, %c, %p : (tensor<2x16x9xf32>) -> tensor<2x16x9xf32> {
    %0 = tenon.load %r[%b, %c, %p] : tensor<2x16x9xf32>
    %1 = math.absf %0 : f32
    tenon.yield %1 : f32
  }
  %v = tenon.map %q = %a at %b, %c, %p, %t : (tensor<2x16x9xf32>) -> tensor<2x16x7x3xf32> {
    %0 = arith.addi %p, %t : index
    %1 = tenon.load %q[%b, %c, %0] : tensor<2x16x9xf32>
    tenon.yield %1 : f32
  }
  %k = tenon.get @each : tensor<16x3xf32>
  %d = tenon.contract "g k, b g m k -> b g m" %k, %v : (tensor<16x3xf32>, tensor<2x16x7x3xf32>) -> tensor<2x16x7xf32>
  return %d : tensor<2x16x7xf32>
}

// Five filters make no panels, and lanes along positions read planes.
// CHECK-LABEL: func.func @few_filters
// CHECK: tenon.map {{.*}} -> tensor<2x16x9xf32>
func.func @few_filters(%x: tensor<2x9x6xf32>) -> tensor<2x7x5xf32> {
  %w = tenon.get @pointwise : tensor<6x16xf32>
  %m = tenon.contract "b m k, k n -> b m n" %x, %w : (tensor<2x9x6xf32>, tensor<6x16xf32>) -> tensor<2x9x16xf32>
  %a = tenon.map %r = %m at %b, %c, %p : (tensor<2x9x16xf32>) -> tensor<2x16x9xf32> {
    %0 = tenon.load %r[%b, %p, %c] : tensor<2x9x16xf32>
    tenon.yield %0 : f32
  }
  %v = tenon.map %q = %a at %b, %p, %c, %t : (tensor<2x16x9xf32>) -> tensor<2x7x16x3xf32> {
    %0 = arith.addi %p, %t : index
    %1 = tenon.load %q[%b, %c, %0] : tensor<2x16x9xf32>
    tenon.yield %1 : f32
  }
  %f = tenon.reshape %v : tensor<2x7x16x3xf32> -> tensor<2x7x48xf32>
  %k = tenon.get @few : tensor<48x5xf32>
  %y = tenon.contract "b m k, k n -> b m n" %f, %k : (tensor<2x7x48xf32>, tensor<48x5xf32>) -> tensor<2x7x5xf32>
  return %y : tensor<2x7x5xf32>
}

// Groups of four channels read planes.
// CHECK-LABEL: func.func @groups
// CHECK: tenon.map {{.*}} -> tensor<2x16x9xf32>
func.func @groups(%x: tensor<2x9x6xf32>) -> tensor<2x4x8x7xf32> {
  %w = tenon.get @pointwise : tensor<6x16xf32>
  %m = tenon.contract "b m k, k n -> b m n" %x, %w : (tensor<2x9x6xf32>, tensor<6x16xf32>) -> tensor<2x9x16xf32>
  %a = tenon.map %r = %m at %b, %c, %p : (tensor<2x9x16xf32>) -> tensor<2x16x9xf32> {
    %0 = tenon.load %r[%b, %p, %c] : tensor<2x9x16xf32>
    tenon.yield %0 : f32
  }
  %v = tenon.map %q = %a at %b, %g, %p, %c, %t : (tensor<2x16x9xf32>) -> tensor<2x4x7x4x3xf32> {
    %four = arith.constant 4 : index
    %0 = arith.muli %g, %four : index
    %1 = arith.addi %0, %c : index
    %2 = arith.addi %p, %t : index
    %3 = tenon.load %q[%b, %1, %2] : tensor<2x16x9xf32>
    tenon.yield %3 : f32
  }
  %f = tenon.reshape %v : tensor<2x4x7x4x3xf32> -> tensor<2x4x7x12xf32>
  %k = tenon.get @grouped : tensor<4x8x12xf32>
  %y = tenon.contract "g n k, b g m k -> b g n m" %k, %f : (tensor<4x8x12xf32>, tensor<2x4x7x12xf32>) -> tensor<2x4x8x7xf32>
  return %y : tensor<2x4x8x7xf32>
}

// No convolution and no pooling: rows of heads are read by a softmax.
// CHECK-LABEL: func.func @heads
// CHECK: tenon.map {{.*}} -> tensor<2x16x9xf32>
// CHECK-NEXT: tenon.load
// CHECK: tenon.softmax
func.func @heads(%x: tensor<2x9x6xf32>, %z: tensor<2x9x16xf32>) -> tensor<2x16x9xf32> {
  %w = tenon.get @pointwise : tensor<6x16xf32>
  %m = tenon.contract "b m k, k n -> b m n" %x, %w : (tensor<2x9x6xf32>, tensor<6x16xf32>) -> tensor<2x9x16xf32>
  %a = tenon.map %r = %m, %s = %z at %b, %h, %p : (tensor<2x9x16xf32>, tensor<2x9x16xf32>) -> tensor<2x16x9xf32> {
    %0 = tenon.load %r[%b, %p, %h] : tensor<2x9x16xf32>
    %1 = tenon.load %s[%b, %p, %h] : tensor<2x9x16xf32>
    %2 = arith.addf %0, %1 : f32
    tenon.yield %2 : f32
  }
  %y = tenon.softmax %a over 2 : tensor<2x16x9xf32>
  return %y : tensor<2x16x9xf32>
}

// A product reads planes of the convolution's operand: it has a form for them.
// CHECK-LABEL: func.func @product_of_planes
// CHECK: tenon.map {{.*}} -> tensor<2x16x9xf32>
// CHECK: tenon.contract "b k m, k n -> b m n"
func.func @product_of_planes(%x: tensor<2x9x6xf32>) -> (tensor<2x7x16xf32>, tensor<2x9x6xf32>) {
  %w = tenon.get @pointwise : tensor<6x16xf32>
  %m = tenon.contract "b m k, k n -> b m n" %x, %w : (tensor<2x9x6xf32>, tensor<6x16xf32>) -> tensor<2x9x16xf32>
  %a = tenon.map %r = %m at %b, %c, %p : (tensor<2x9x16xf32>) -> tensor<2x16x9xf32> {
    %0 = tenon.load %r[%b, %p, %c] : tensor<2x9x16xf32>
    tenon.yield %0 : f32
  }
  %v = tenon.map %q = %a at %b, %p, %c, %t : (tensor<2x16x9xf32>) -> tensor<2x7x16x3xf32> {
    %0 = arith.addi %p, %t : index
    %1 = tenon.load %q[%b, %c, %0] : tensor<2x16x9xf32>
    tenon.yield %1 : f32
  }
  %f = tenon.reshape %v : tensor<2x7x16x3xf32> -> tensor<2x7x48xf32>
  %k = tenon.get @taps : tensor<48x16xf32>
  %y = tenon.contract "b m k, k n -> b m n" %f, %k : (tensor<2x7x48xf32>, tensor<48x16xf32>) -> tensor<2x7x16xf32>
  %l = tenon.get @back : tensor<16x6xf32>
  %z = tenon.contract "b k m, k n -> b m n" %a, %l : (tensor<2x16x9xf32>, tensor<16x6xf32>) -> tensor<2x9x6xf32>
  return %y, %z : tensor<2x7x16xf32>, tensor<2x9x6xf32>
}
