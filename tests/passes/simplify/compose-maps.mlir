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
