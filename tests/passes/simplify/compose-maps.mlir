// RUN: tenon-opt %s --split-input-file --tenon-compose-maps | FileCheck %s

// A transpose vanishes into its user.
// CHECK-LABEL: func.func @transpose_then_double
// CHECK: tenon.map %[[X:.*]] = %arg0 at %[[I:.*]], %[[J:.*]] : (tensor<4x8xf32>) -> tensor<8x4xf32>
// CHECK-NEXT: tenon.load %[[X]][%[[J]], %[[I]]]
// CHECK-NEXT: arith.addf
// CHECK-NOT: tenon.map
func.func @transpose_then_double(%a: tensor<4x8xf32>) -> tensor<8x4xf32> {
  %m = tenon.map %x = %a at %i, %j : (tensor<4x8xf32>) -> tensor<8x4xf32> {
    %0 = tenon.load %x[%j, %i] : tensor<4x8xf32>
    tenon.yield %0 : f32
  }
  %r = tenon.map %t = %m at %i, %j : (tensor<8x4xf32>) -> tensor<8x4xf32> {
    %0 = tenon.load %t[%i, %j] : tensor<8x4xf32>
    %1 = arith.addf %0, %0 : f32
    tenon.yield %1 : f32
  }
  return %r : tensor<8x4xf32>
}

// -----

// A table of exponentials is not evaluated again for every row that reads it.
// CHECK-LABEL: func.func @expensive_table_stays
// CHECK: math.exp
// CHECK: tenon.map
func.func @expensive_table_stays(%a: tensor<8xf32>) -> tensor<64x8xf32> {
  %m = tenon.map %x = %a at %i : (tensor<8xf32>) -> tensor<8xf32> {
    %0 = tenon.load %x[%i] : tensor<8xf32>
    %1 = math.exp %0 : f32
    tenon.yield %1 : f32
  }
  %r = tenon.map %t = %m at %i, %j : (tensor<8xf32>) -> tensor<64x8xf32> {
    %0 = tenon.load %t[%j] : tensor<8xf32>
    tenon.yield %0 : f32
  }
  return %r : tensor<64x8xf32>
}

// -----

// A residual sum with two readers is computed once.
// CHECK-LABEL: func.func @residual_stays
// CHECK: %[[SUM:.*]] = tenon.map
// CHECK: tenon.norm layer %[[SUM]]
// CHECK: tenon.map
// CHECK: return
func.func @residual_stays(%a: tensor<4x8xf32>, %b: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %s = tenon.map %x = %a, %y = %b at %i, %j : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32> {
    %0 = tenon.load %x[%i, %j] : tensor<4x8xf32>
    %1 = tenon.load %y[%i, %j] : tensor<4x8xf32>
    %2 = arith.addf %0, %1 : f32
    tenon.yield %2 : f32
  }
  %n = tenon.norm layer %s over 1 epsilon 1.0e-5 : tensor<4x8xf32> -> tensor<4x8xf32>
  %r = tenon.map %x = %s, %y = %n at %i, %j : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32> {
    %0 = tenon.load %x[%i, %j] : tensor<4x8xf32>
    %1 = tenon.load %y[%i, %j] : tensor<4x8xf32>
    %2 = arith.addf %0, %1 : f32
    tenon.yield %2 : f32
  }
  return %r : tensor<4x8xf32>
}

// -----

// GELU reads its operand twice, at the same place: one map, the operand evaluated once.
// CHECK-LABEL: func.func @gelu
// CHECK-COUNT-1: tenon.map
// CHECK: math.erf
// CHECK-NOT: math.erf
// CHECK-NOT: tenon.map
func.func @gelu(%a: tensor<4x8xf32>, %b: tensor<8xf32>) -> tensor<4x8xf32> {
  %s = tenon.map %x = %a, %y = %b at %i, %j : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32> {
    %0 = tenon.load %x[%i, %j] : tensor<4x8xf32>
    %1 = tenon.load %y[%j] : tensor<8xf32>
    %2 = arith.addf %0, %1 : f32
    tenon.yield %2 : f32
  }
  %e = tenon.map %x = %s at %i, %j : (tensor<4x8xf32>) -> tensor<4x8xf32> {
    %0 = tenon.load %x[%i, %j] : tensor<4x8xf32>
    %1 = math.erf %0 : f32
    tenon.yield %1 : f32
  }
  %r = tenon.map %x = %s, %y = %e at %i, %j : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32> {
    %0 = tenon.load %x[%i, %j] : tensor<4x8xf32>
    %1 = tenon.load %y[%i, %j] : tensor<4x8xf32>
    %2 = arith.mulf %0, %1 : f32
    tenon.yield %2 : f32
  }
  return %r : tensor<4x8xf32>
}

// Windows that overlap are read from a tensor of their own: its elements are computed once, and stand where windows look for them.
// CHECK-LABEL: func.func @windows
// CHECK: %[[X:.*]] = tenon.map
// CHECK: arith.maximumf
// CHECK: %[[W:.*]] = tenon.map {{.*}} = %[[X]] at
// CHECK-NOT: arith.maximumf
// CHECK: tenon.contract
func.func @windows(%x: tensor<2x3x7xf32>, %w: tensor<32x9xf32>) -> tensor<2x32x5xf32> {
  %r = tenon.map %a = %x at %i, %k, %p : (tensor<2x3x7xf32>) -> tensor<2x3x7xf32> {
    %zero = arith.constant 0.0 : f32
    %0 = tenon.load %a[%i, %k, %p] : tensor<2x3x7xf32>
    %1 = arith.maximumf %0, %zero : f32
    tenon.yield %1 : f32
  }
  %c = tenon.map %a = %r at %i, %p, %k, %t : (tensor<2x3x7xf32>) -> tensor<2x5x3x3xf32> {
    %0 = arith.addi %p, %t : index
    %1 = tenon.load %a[%i, %k, %0] : tensor<2x3x7xf32>
    tenon.yield %1 : f32
  }
  %f = tenon.reshape %c : tensor<2x5x3x3xf32> -> tensor<2x5x9xf32>
  %y = tenon.contract "n k, b m k -> b n m" %w, %f : (tensor<32x9xf32>, tensor<2x5x9xf32>) -> tensor<2x32x5xf32>
  return %y : tensor<2x32x5xf32>
}

// Windows beside each other read each element once.
// CHECK-LABEL: func.func @patches
// CHECK-COUNT-1: tenon.map
// CHECK-NOT: tenon.map
// CHECK: tenon.contract
func.func @patches(%x: tensor<2x3x6xf32>, %w: tensor<32x6xf32>) -> tensor<2x32x3xf32> {
  %r = tenon.map %a = %x at %i, %k, %p : (tensor<2x3x6xf32>) -> tensor<2x3x6xf32> {
    %zero = arith.constant 0.0 : f32
    %0 = tenon.load %a[%i, %k, %p] : tensor<2x3x6xf32>
    %1 = arith.maximumf %0, %zero : f32
    tenon.yield %1 : f32
  }
  %c = tenon.map %a = %r at %i, %p, %k, %t : (tensor<2x3x6xf32>) -> tensor<2x3x3x2xf32> {
    %two = arith.constant 2 : index
    %s = arith.muli %p, %two : index
    %0 = arith.addi %s, %t : index
    %1 = tenon.load %a[%i, %k, %0] : tensor<2x3x6xf32>
    tenon.yield %1 : f32
  }
  %f = tenon.reshape %c : tensor<2x3x3x2xf32> -> tensor<2x3x6xf32>
  %y = tenon.contract "n k, b m k -> b n m" %w, %f : (tensor<32x6xf32>, tensor<2x3x6xf32>) -> tensor<2x32x3xf32>
  return %y : tensor<2x32x3xf32>
}

// Heads put side by side are one window along their depth, which overlaps no other.
// CHECK-LABEL: func.func @heads
// CHECK-COUNT-1: tenon.map
// CHECK-NOT: tenon.map
// CHECK: tenon.contract
func.func @heads(%x: tensor<2x3x7x4xf32>, %w: tensor<12x32xf32>) -> tensor<2x7x32xf32> {
  %r = tenon.map %a = %x at %i, %h, %p, %d : (tensor<2x3x7x4xf32>) -> tensor<2x3x7x4xf32> {
    %zero = arith.constant 0.0 : f32
    %0 = tenon.load %a[%i, %h, %p, %d] : tensor<2x3x7x4xf32>
    %1 = arith.maximumf %0, %zero : f32
    tenon.yield %1 : f32
  }
  %c = tenon.map %a = %r at %i, %p, %h, %d : (tensor<2x3x7x4xf32>) -> tensor<2x7x3x4xf32> {
    %0 = tenon.load %a[%i, %h, %p, %d] : tensor<2x3x7x4xf32>
    tenon.yield %0 : f32
  }
  %f = tenon.reshape %c : tensor<2x7x3x4xf32> -> tensor<2x7x12xf32>
  %y = tenon.contract "b m k, k n -> b m n" %f, %w : (tensor<2x7x12xf32>, tensor<12x32xf32>) -> tensor<2x7x32xf32>
  return %y : tensor<2x7x32xf32>
}
