// RUN: tenon-opt %s --tenon-normalise-rows | FileCheck %s
// RUN: tenon-interpret %s --check-passes=tenon-normalise-rows

tenon.symbol @B in [1, 8]
tenon.symbol @S in [1, 64]

// CHECK-LABEL: func.func @middle
// CHECK: %[[M:.*]] = tenon.reduce max %arg0 over [1]
// CHECK: %[[E:.*]] = tenon.map {{.*}} = %arg0, {{.*}} = %[[M]] at
// CHECK: math.exp
// CHECK: %[[S:.*]] = tenon.reduce sum %[[E]] over [1]
// CHECK: tenon.map {{.*}} = %[[E]], {{.*}} = %[[S]] at
// CHECK: arith.divf
func.func @middle(%x: tensor<?x?x5xf32, #tenon.dims<[B, S, 5]>>) -> tensor<?x?x5xf32, #tenon.dims<[B, S, 5]>> {
  %p = tenon.softmax %x over 1 : tensor<?x?x5xf32, #tenon.dims<[B, S, 5]>>
  return %p : tensor<?x?x5xf32, #tenon.dims<[B, S, 5]>>
}

// Narrow floats are computed in f32.
// CHECK-LABEL: func.func @half
// CHECK: arith.extf
// CHECK: tenon.reduce sum {{.*}} : tensor<3x4xf32> -> tensor<4xf32>
// CHECK: arith.truncf
func.func @half(%x: tensor<3x4xf16>) -> tensor<3x4xf16> {
  %p = tenon.softmax %x over 0 : tensor<3x4xf16>
  return %p : tensor<3x4xf16>
}

// CHECK-LABEL: func.func @last
// CHECK: tenon.softmax %arg0 over 1
func.func @last(%x: tensor<3x4xf32>) -> tensor<3x4xf32> {
  %p = tenon.softmax %x over 1 : tensor<3x4xf32>
  return %p : tensor<3x4xf32>
}

// CHECK-LABEL: func.func @two_dims
// CHECK: tenon.reshape %arg0 : tensor<3x4x5xf32> -> tensor<3x20xf32>
// CHECK: tenon.norm layer {{.*}} over 1
// CHECK: tenon.reshape {{.*}} : tensor<3x20xf32> -> tensor<3x4x5xf32>
func.func @two_dims(%x: tensor<3x4x5xf32>, %g: tensor<4x5xf32>) -> tensor<3x4x5xf32> {
  %y = tenon.norm layer %x scale %g : tensor<4x5xf32> over 2 epsilon 1.0e-5 : tensor<3x4x5xf32> -> tensor<3x4x5xf32>
  return %y : tensor<3x4x5xf32>
}

// CHECK-LABEL: func.func @groups
// CHECK: tenon.reshape %arg0 : {{.*}} -> tensor<?x2x?xf32, #tenon.dims<[B, 2, 3 * S]>>
// CHECK: tenon.norm layer {{.*}} over 1
// CHECK: tenon.map
// CHECK: arith.mulf
// CHECK: arith.addf
func.func @groups(%x: tensor<?x6x?xf32, #tenon.dims<[B, 6, S]>>, %g: tensor<6xf32>, %h: tensor<6xf32>) -> tensor<?x6x?xf32, #tenon.dims<[B, 6, S]>> {
  %y = tenon.norm group %x scale %g : tensor<6xf32> shift %h : tensor<6xf32> over 2 epsilon 1.0e-5 : tensor<?x6x?xf32, #tenon.dims<[B, 6, S]>> -> tensor<?x6x?xf32, #tenon.dims<[B, 6, S]>>
  return %y : tensor<?x6x?xf32, #tenon.dims<[B, 6, S]>>
}
