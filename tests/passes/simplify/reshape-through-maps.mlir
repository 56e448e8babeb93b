// RUN: tenon-opt %s --tenon-reshape-through-maps | FileCheck %s
// RUN: tenon-interpret %s --check-passes=tenon-reshape-through-maps,tenon-compose-maps

tenon.symbol @B in [1, 8]
tenon.symbol @S in [1, 64]

// Unit dimensions are in nobody's way.
// CHECK-LABEL: func.func @unsqueezed
// CHECK-NEXT: tenon.map %[[M:.*]] = %arg0 at %[[B:.*]], %[[H:.*]], %[[I:.*]], %[[J:.*]] :
// CHECK: tenon.load %[[M]][%[[B]], %[[J]]]
func.func @unsqueezed(%mask: tensor<?x?xf32, #tenon.dims<[B, S]>>) -> tensor<?x4x?x?xf32, #tenon.dims<[B, 4, S, S]>> {
  %u = tenon.reshape %mask : tensor<?x?xf32, #tenon.dims<[B, S]>> -> tensor<?x1x1x?xf32, #tenon.dims<[B, 1, 1, S]>>
  %m = tenon.map %x = %u at %b, %h, %i, %j : (tensor<?x1x1x?xf32, #tenon.dims<[B, 1, 1, S]>>) -> tensor<?x4x?x?xf32, #tenon.dims<[B, 4, S, S]>> {
    %c0 = arith.constant 0 : index
    %0 = tenon.load %x[%b, %c0, %c0, %j] : tensor<?x1x1x?xf32, #tenon.dims<[B, 1, 1, S]>>
    %1 = math.exp %0 : f32
    tenon.yield %1 : f32
  }
  return %m : tensor<?x4x?x?xf32, #tenon.dims<[B, 4, S, S]>>
}

// A transpose on the far side composes: merged rows b * 4 + h are taken apart again.
// CHECK-LABEL: func.func @keys
// CHECK: %[[T:.*]] = tenon.map
// CHECK: tenon.map %[[M:.*]] = %[[T]] at %[[R:.*]], %[[D:.*]], %[[S:.*]] :
// CHECK: %[[QUOTIENT:.*]] = arith.divui %[[R]]
// CHECK: %[[REST:.*]] = arith.remui %[[R]]
// CHECK: tenon.load %[[M]][%[[QUOTIENT]], %[[REST]], %[[S]], %[[D]]]
func.func @keys(%k: tensor<?x?x4x16xf32, #tenon.dims<[B, S, 4, 16]>>) -> tensor<?x16x?xf32, #tenon.dims<[4 * B, 16, S]>> {
  %t = tenon.map %x = %k at %b, %h, %s, %d : (tensor<?x?x4x16xf32, #tenon.dims<[B, S, 4, 16]>>) -> tensor<?x4x?x16xf32, #tenon.dims<[B, 4, S, 16]>> {
    %0 = tenon.load %x[%b, %s, %h, %d] : tensor<?x?x4x16xf32, #tenon.dims<[B, S, 4, 16]>>
    tenon.yield %0 : f32
  }
  %r = tenon.reshape %t : tensor<?x4x?x16xf32, #tenon.dims<[B, 4, S, 16]>> -> tensor<?x?x16xf32, #tenon.dims<[4 * B, S, 16]>>
  %m = tenon.map %x = %r at %r0, %d, %s : (tensor<?x?x16xf32, #tenon.dims<[4 * B, S, 16]>>) -> tensor<?x16x?xf32, #tenon.dims<[4 * B, 16, S]>> {
    %0 = tenon.load %x[%r0, %s, %d] : tensor<?x?x16xf32, #tenon.dims<[4 * B, S, 16]>>
    tenon.yield %0 : f32
  }
  return %m : tensor<?x16x?xf32, #tenon.dims<[4 * B, 16, S]>>
}

// The reshape of a sum stays: quotients would cost, the reshape does not.
// CHECK-LABEL: func.func @sum_stays
// CHECK: tenon.map
// CHECK: tenon.reshape
// CHECK: tenon.map
func.func @sum_stays(%a: tensor<?x64xf32, #tenon.dims<[S, 64]>>, %b: tensor<64xf32>) -> tensor<?x4x16xf32, #tenon.dims<[S, 4, 16]>> {
  %t = tenon.map %x = %a, %y = %b at %s, %n : (tensor<?x64xf32, #tenon.dims<[S, 64]>>, tensor<64xf32>) -> tensor<?x64xf32, #tenon.dims<[S, 64]>> {
    %0 = tenon.load %x[%s, %n] : tensor<?x64xf32, #tenon.dims<[S, 64]>>
    %1 = tenon.load %y[%n] : tensor<64xf32>
    %2 = arith.addf %0, %1 : f32
    tenon.yield %2 : f32
  }
  %r = tenon.reshape %t : tensor<?x64xf32, #tenon.dims<[S, 64]>> -> tensor<?x4x16xf32, #tenon.dims<[S, 4, 16]>>
  %m = tenon.map %x = %r at %s, %h, %d : (tensor<?x4x16xf32, #tenon.dims<[S, 4, 16]>>) -> tensor<?x4x16xf32, #tenon.dims<[S, 4, 16]>> {
    %0 = tenon.load %x[%s, %h, %d] : tensor<?x4x16xf32, #tenon.dims<[S, 4, 16]>>
    %1 = math.exp %0 : f32
    tenon.yield %1 : f32
  }
  return %m : tensor<?x4x16xf32, #tenon.dims<[S, 4, 16]>>
}
