// RUN: tenon-opt %s --tenon-sink-reshapes | FileCheck %s
// RUN: tenon-interpret %s --check-passes=tenon-sink-reshapes

tenon.symbol @B in [1, 8]
tenon.symbol @S in [1, 64]

// CHECK-LABEL: func.func @bias_and_residual
// CHECK: %[[R:.*]] = tenon.reshape %arg2 : {{.*}} -> tensor<?x8xf32, #tenon.dims<[B * S, 8]>>
// CHECK: %[[Y:.*]] = tenon.map %[[A:.*]] = %arg0, %[[T:.*]] = %arg1, %[[Q:.*]] = %[[R]] at %[[M:.*]], %[[N:.*]] :
// CHECK: tenon.load %[[A]][%[[M]], %[[N]]]
// CHECK: tenon.load %[[T]][%[[N]]]
// CHECK: tenon.load %[[Q]][%[[M]], %[[N]]]
// CHECK: %[[Z:.*]] = tenon.norm layer %[[Y]] over 1
// CHECK: tenon.reshape %[[Z]] : {{.*}} -> tensor<?x?x8xf32, #tenon.dims<[B, S, 8]>>
func.func @bias_and_residual(%m: tensor<?x8xf32, #tenon.dims<[B * S, 8]>>, %bias: tensor<8xf32>, %residual: tensor<?x?x8xf32, #tenon.dims<[B, S, 8]>>) -> tensor<?x?x8xf32, #tenon.dims<[B, S, 8]>> {
  %y = tenon.reshape %m : tensor<?x8xf32, #tenon.dims<[B * S, 8]>> -> tensor<?x?x8xf32, #tenon.dims<[B, S, 8]>>
  %z = tenon.map %a = %y, %t = %bias, %r = %residual at %b, %s, %n : (tensor<?x?x8xf32, #tenon.dims<[B, S, 8]>>, tensor<8xf32>, tensor<?x?x8xf32, #tenon.dims<[B, S, 8]>>) -> tensor<?x?x8xf32, #tenon.dims<[B, S, 8]>> {
    %0 = tenon.load %a[%b, %s, %n] : tensor<?x?x8xf32, #tenon.dims<[B, S, 8]>>
    %1 = tenon.load %t[%n] : tensor<8xf32>
    %2 = arith.addf %0, %1 : f32
    %3 = tenon.load %r[%b, %s, %n] : tensor<?x?x8xf32, #tenon.dims<[B, S, 8]>>
    %4 = arith.addf %2, %3 : f32
    tenon.yield %4 : f32
  }
  %n = tenon.norm layer %z over 1 epsilon 1.0e-5 : tensor<?x?x8xf32, #tenon.dims<[B, S, 8]>> -> tensor<?x?x8xf32, #tenon.dims<[B, S, 8]>>
  return %n : tensor<?x?x8xf32, #tenon.dims<[B, S, 8]>>
}

// A table of positions is read by s alone.
// CHECK-LABEL: func.func @positions_stay
// CHECK-NEXT: tenon.reshape
// CHECK-NEXT: tenon.map {{.*}} at %{{.*}}, %{{.*}}, %{{.*}} :
func.func @positions_stay(%m: tensor<?x8xf32, #tenon.dims<[B * S, 8]>>, %p: tensor<64x8xf32>) -> tensor<?x?x8xf32, #tenon.dims<[B, S, 8]>> {
  %y = tenon.reshape %m : tensor<?x8xf32, #tenon.dims<[B * S, 8]>> -> tensor<?x?x8xf32, #tenon.dims<[B, S, 8]>>
  %z = tenon.map %a = %y, %t = %p at %b, %s, %n : (tensor<?x?x8xf32, #tenon.dims<[B, S, 8]>>, tensor<64x8xf32>) -> tensor<?x?x8xf32, #tenon.dims<[B, S, 8]>> {
    %0 = tenon.load %a[%b, %s, %n] : tensor<?x?x8xf32, #tenon.dims<[B, S, 8]>>
    %1 = tenon.load %t[%s, %n] : tensor<64x8xf32>
    %2 = arith.addf %0, %1 : f32
    tenon.yield %2 : f32
  }
  return %z : tensor<?x?x8xf32, #tenon.dims<[B, S, 8]>>
}

// CHECK-LABEL: func.func @unit_dims
// CHECK-NEXT: %[[Y:.*]] = tenon.map %{{.*}} = %arg0 at %{{.*}}, %{{.*}} : (tensor<5x8xf32>) -> tensor<5x8xf32>
// CHECK: tenon.reshape %[[Y]] : tensor<5x8xf32> -> tensor<1x5x8xf32>
func.func @unit_dims(%m: tensor<5x8xf32>) -> tensor<1x5x8xf32> {
  %z = tenon.map %a = %m at %b, %s, %n : (tensor<5x8xf32>) -> tensor<1x5x8xf32> {
    %0 = tenon.load %a[%s, %n] : tensor<5x8xf32>
    %1 = math.exp %0 : f32
    tenon.yield %1 : f32
  }
  return %z : tensor<1x5x8xf32>
}

// The norm is read by others as well, so the map cannot finish it; a reduction wants the map as it is.
// CHECK-LABEL: func.func @read_by_others
// CHECK: tenon.norm
// CHECK-NEXT: tenon.reshape
// CHECK-NEXT: %[[M:.*]] = tenon.map
// CHECK: tenon.reduce sum %[[M]] over [1]
func.func @read_by_others(%m: tensor<?x8xf32, #tenon.dims<[B * S, 8]>>, %mask: tensor<?x?xf32, #tenon.dims<[B, S]>>) -> (tensor<?x8xf32, #tenon.dims<[B, 8]>>, tensor<?x?x8xf32, #tenon.dims<[B, S, 8]>>) {
  %n = tenon.norm layer %m over 1 epsilon 1.0e-5 : tensor<?x8xf32, #tenon.dims<[B * S, 8]>> -> tensor<?x8xf32, #tenon.dims<[B * S, 8]>>
  %y = tenon.reshape %n : tensor<?x8xf32, #tenon.dims<[B * S, 8]>> -> tensor<?x?x8xf32, #tenon.dims<[B, S, 8]>>
  %z = tenon.map %a = %y, %t = %mask at %b, %s, %c : (tensor<?x?x8xf32, #tenon.dims<[B, S, 8]>>, tensor<?x?xf32, #tenon.dims<[B, S]>>) -> tensor<?x?x8xf32, #tenon.dims<[B, S, 8]>> {
    %0 = tenon.load %a[%b, %s, %c] : tensor<?x?x8xf32, #tenon.dims<[B, S, 8]>>
    %1 = tenon.load %t[%b, %s] : tensor<?x?xf32, #tenon.dims<[B, S]>>
    %2 = arith.mulf %0, %1 : f32
    tenon.yield %2 : f32
  }
  %r = tenon.reduce sum %z over [1] : tensor<?x?x8xf32, #tenon.dims<[B, S, 8]>> -> tensor<?x8xf32, #tenon.dims<[B, 8]>>
  return %r, %y : tensor<?x8xf32, #tenon.dims<[B, 8]>>, tensor<?x?x8xf32, #tenon.dims<[B, S, 8]>>
}

// A sum over the last dim reads the map that computes its operand in place, though the batch is 1.
// CHECK-LABEL: func.func @summed
// CHECK: %[[M:.*]] = tenon.map {{.*}} -> tensor<5x8xf32>
// CHECK: %[[R:.*]] = tenon.reduce sum %[[M]] over [1] : tensor<5x8xf32> -> tensor<5xf32>
// CHECK: tenon.reshape %[[R]] : tensor<5xf32> -> tensor<1x5xf32>
func.func @summed(%m: tensor<1x5x8xf32>) -> tensor<1x5xf32> {
  %z = tenon.map %a = %m at %b, %s, %n : (tensor<1x5x8xf32>) -> tensor<1x5x8xf32> {
    %0 = tenon.load %a[%b, %s, %n] : tensor<1x5x8xf32>
    %1 = math.exp %0 : f32
    tenon.yield %1 : f32
  }
  %r = tenon.reduce sum %z over [2] : tensor<1x5x8xf32> -> tensor<1x5xf32>
  return %r : tensor<1x5xf32>
}

// A sum over a dim that the reshape splits off stays: its operand has it not.
// CHECK-LABEL: func.func @summed_split
// CHECK: tenon.reshape
// CHECK-NEXT: tenon.reduce sum %{{.*}} over [2] : tensor<5x2x4xf32> -> tensor<5x2xf32>
func.func @summed_split(%m: tensor<5x8xf32>) -> tensor<5x2xf32> {
  %y = tenon.reshape %m : tensor<5x8xf32> -> tensor<5x2x4xf32>
  %r = tenon.reduce sum %y over [2] : tensor<5x2x4xf32> -> tensor<5x2xf32>
  return %r : tensor<5x2xf32>
}

// A dim of size 1 between those that are left does not keep the sum from the map that it takes in.
// CHECK-LABEL: func.func @reduced_in_the_middle
// CHECK: %[[R:.*]] = tenon.reduce sum %arg0 over [1] : tensor<?x?x8xf32, #tenon.dims<[B, S, 8]>> -> tensor<?x8xf32, #tenon.dims<[B, 8]>>
// CHECK: tenon.reshape %[[R]]
func.func @reduced_in_the_middle(%x: tensor<?x?x8xf32, #tenon.dims<[B, S, 8]>>) -> tensor<?x1x8xf32, #tenon.dims<[B, 1, 8]>> {
  %y = tenon.reshape %x : tensor<?x?x8xf32, #tenon.dims<[B, S, 8]>> -> tensor<?x1x?x8xf32, #tenon.dims<[B, 1, S, 8]>>
  %r = tenon.reduce sum %y over [2] : tensor<?x1x?x8xf32, #tenon.dims<[B, 1, S, 8]>> -> tensor<?x1x8xf32, #tenon.dims<[B, 1, 8]>>
  return %r : tensor<?x1x8xf32, #tenon.dims<[B, 1, 8]>>
}

// Both parts of a dim are reduced: the dim is. One of them: it is not.
// CHECK-LABEL: func.func @reduced_in_parts
// CHECK: tenon.reduce sum %arg0 over [0] : tensor<6x8xf32> -> tensor<8xf32>
// CHECK: tenon.reduce sum %{{.*}} over [1] : tensor<2x3x8xf32> -> tensor<2x8xf32>
func.func @reduced_in_parts(%x: tensor<6x8xf32>) -> (tensor<8xf32>, tensor<2x8xf32>) {
  %y = tenon.reshape %x : tensor<6x8xf32> -> tensor<2x3x8xf32>
  %r = tenon.reduce sum %y over [0, 1] : tensor<2x3x8xf32> -> tensor<8xf32>
  %s = tenon.reduce sum %y over [1] : tensor<2x3x8xf32> -> tensor<2x8xf32>
  return %r, %s : tensor<8xf32>, tensor<2x8xf32>
}
