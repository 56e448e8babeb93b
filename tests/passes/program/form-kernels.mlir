// RUN: tenon-opt %s --tenon-form-kernels | FileCheck %s

tenon.symbol @B in [1, 64]
tenon.symbol @S in [1, 512]
tenon.weight @w : tensor<24x384x16xf32> = #tenon.random<1, 0.1>
tenon.weight @v : tensor<24x384x16xf32> = #tenon.random<2, 0.1>
tenon.weight @b : tensor<384xf32> = #tenon.random<3, 0.1>

// Two layers, one kernel: the weight is an argument.
// CHECK-LABEL: func.func @two_layers
// CHECK: %[[Y:.*]] = tenon.dispatch @contract_0(%arg0, %{{.*}}, %{{.*}}) {{.*}} dims #tenon.dims<[B * S]>
// CHECK: tenon.dispatch @contract_0(%[[Y]], %{{.*}}, %{{.*}})
// CHECK-NOT: tenon.map
// CHECK: return
func.func @two_layers(%x: tensor<?x384xf32, #tenon.dims<[B * S, 384]>>) -> tensor<?x384xf32, #tenon.dims<[B * S, 384]>> {
  %w = tenon.get @w : tensor<24x384x16xf32>
  %v = tenon.get @v : tensor<24x384x16xf32>
  %b = tenon.get @b : tensor<384xf32>
  %y = tenon.contract "m k, k n -> m n" %x, %w panels 16 : (tensor<?x384xf32, #tenon.dims<[B * S, 384]>>, tensor<24x384x16xf32>) -> tensor<?x384xf32, #tenon.dims<[B * S, 384]>>
  %z = tenon.map %a = %y, %t = %b at %i, %j : (tensor<?x384xf32, #tenon.dims<[B * S, 384]>>, tensor<384xf32>) -> tensor<?x384xf32, #tenon.dims<[B * S, 384]>> {
    %0 = tenon.load %a[%i, %j] : tensor<?x384xf32, #tenon.dims<[B * S, 384]>>
    %1 = tenon.load %t[%j] : tensor<384xf32>
    %2 = arith.addf %0, %1 : f32
    tenon.yield %2 : f32
  }
  %y2 = tenon.contract "m k, k n -> m n" %z, %v panels 16 : (tensor<?x384xf32, #tenon.dims<[B * S, 384]>>, tensor<24x384x16xf32>) -> tensor<?x384xf32, #tenon.dims<[B * S, 384]>>
  %z2 = tenon.map %a = %y2, %t = %b at %i, %j : (tensor<?x384xf32, #tenon.dims<[B * S, 384]>>, tensor<384xf32>) -> tensor<?x384xf32, #tenon.dims<[B * S, 384]>> {
    %0 = tenon.load %a[%i, %j] : tensor<?x384xf32, #tenon.dims<[B * S, 384]>>
    %1 = tenon.load %t[%j] : tensor<384xf32>
    %2 = arith.addf %0, %1 : f32
    tenon.yield %2 : f32
  }
  return %z2 : tensor<?x384xf32, #tenon.dims<[B * S, 384]>>
}

// A map that reads the sums elsewhere than in place cannot be applied to them as they come.
// CHECK-LABEL: func.func @transposed
// CHECK: tenon.dispatch @reduce_1
// CHECK: tenon.dispatch @map_2
func.func @transposed(%x: tensor<4x4x8xf32>) -> tensor<4x4xf32> {
  %s = tenon.reduce sum %x over [2] : tensor<4x4x8xf32> -> tensor<4x4xf32>
  %t = tenon.map %a = %s at %i, %j : (tensor<4x4xf32>) -> tensor<4x4xf32> {
    %0 = tenon.load %a[%j, %i] : tensor<4x4xf32>
    tenon.yield %0 : f32
  }
  return %t : tensor<4x4xf32>
}

// A product normalises its rows while it copies them; rows that are moved behind the norm are read where they are.
// CHECK-LABEL: func.func @normalised_rows
// CHECK: tenon.dispatch @contract_3(%arg0, %{{.*}}, %{{.*}})
// CHECK-NOT: tenon.norm
// CHECK: return
func.func @normalised_rows(%x: tensor<8x384xf32>) -> tensor<8x384xf32> {
  %w = tenon.get @w : tensor<24x384x16xf32>
  %g = tenon.get @b : tensor<384xf32>
  %n = tenon.norm layer %x scale %g : tensor<384xf32> over 1 epsilon 1.0e-5 : tensor<8x384xf32> -> tensor<8x384xf32>
  %m = tenon.map %a = %n at %i, %j : (tensor<8x384xf32>) -> tensor<8x384xf32> {
    %c7 = arith.constant 7 : index
    %r = arith.subi %c7, %i : index
    %0 = tenon.load %a[%r, %j] : tensor<8x384xf32>
    tenon.yield %0 : f32
  }
  %y = tenon.contract "m k, k n -> m n" %m, %w panels 16 : (tensor<8x384xf32>, tensor<24x384x16xf32>) -> tensor<8x384xf32>
  return %y : tensor<8x384xf32>
}

// Normalised rows that others read as well are stored.
// CHECK-LABEL: func.func @normalised_rows_read_twice
// CHECK: %[[N:.*]] = tenon.dispatch @norm_4
// CHECK: tenon.dispatch @contract_5(%[[N]], %{{.*}})
func.func @normalised_rows_read_twice(%x: tensor<8x384xf32>) -> tensor<8x384xf32> {
  %w = tenon.get @w : tensor<24x384x16xf32>
  %n = tenon.norm rms %x over 1 epsilon 1.0e-5 : tensor<8x384xf32> -> tensor<8x384xf32>
  %y = tenon.contract "m k, k n -> m n" %n, %w panels 16 : (tensor<8x384xf32>, tensor<24x384x16xf32>) -> tensor<8x384xf32>
  %z = tenon.map %a = %y, %b = %n at %i, %j : (tensor<8x384xf32>, tensor<8x384xf32>) -> tensor<8x384xf32> {
    %0 = tenon.load %a[%i, %j] : tensor<8x384xf32>
    %1 = tenon.load %b[%i, %j] : tensor<8x384xf32>
    %2 = arith.addf %0, %1 : f32
    tenon.yield %2 : f32
  }
  return %z : tensor<8x384xf32>
}

// Nor does a product compute the map in front of a norm: the norm does.
// CHECK-LABEL: func.func @norm_of_a_map
// CHECK: %[[N:.*]] = tenon.dispatch @norm_6
// CHECK: tenon.dispatch @contract_7(%[[N]], %{{.*}})
func.func @norm_of_a_map(%x: tensor<8x384xf32>) -> tensor<8x384xf32> {
  %w = tenon.get @w : tensor<24x384x16xf32>
  %m = tenon.map %a = %x at %i, %j : (tensor<8x384xf32>) -> tensor<8x384xf32> {
    %0 = tenon.load %a[%i, %j] : tensor<8x384xf32>
    %1 = math.exp %0 : f32
    tenon.yield %1 : f32
  }
  %n = tenon.norm rms %m over 1 epsilon 1.0e-5 : tensor<8x384xf32> -> tensor<8x384xf32>
  %y = tenon.contract "m k, k n -> m n" %n, %w panels 16 : (tensor<8x384xf32>, tensor<24x384x16xf32>) -> tensor<8x384xf32>
  return %y : tensor<8x384xf32>
}

// CHECK-LABEL: tenon.kernel @contract_0
// CHECK-SAME: #tenon.dims<[d0, 384]>
