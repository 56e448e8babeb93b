// RUN: tenon-opt %s --tenon-lower-kernels | FileCheck %s

module attributes {tenon.target = #tenon.target<"x86-64-v4", vector_bits = 512, vector_registers = 32, row_tile = 14, panel_tile = 2, l1 = 32768, l2 = 1048576>} {

// CHECK-LABEL: func.func @linear
// CHECK-SAME: tenon.scratch = #tenon.dim<{{[0-9]+}}>
// CHECK-SAME: tenon.tiles = #tenon.dim<
tenon.kernel @linear(%x: tensor<?x384xf32, #tenon.dims<[d0, 384]>>, %w: tensor<24x384x16xf32>, %b: tensor<384xf32>) -> tensor<?x384xf32, #tenon.dims<[d0, 384]>> {
  %y = tenon.contract "m k, k n -> m n" %x, %w panels 16 : (tensor<?x384xf32, #tenon.dims<[d0, 384]>>, tensor<24x384x16xf32>) -> tensor<?x384xf32, #tenon.dims<[d0, 384]>>
  %z = tenon.map %a = %y, %t = %b at %i, %j : (tensor<?x384xf32, #tenon.dims<[d0, 384]>>, tensor<384xf32>) -> tensor<?x384xf32, #tenon.dims<[d0, 384]>> {
    %v = tenon.load %a[%i, %j] : tensor<?x384xf32, #tenon.dims<[d0, 384]>>
    %u = tenon.load %t[%j] : tensor<384xf32>
    %w2 = arith.addf %v, %u : f32
    tenon.yield %w2 : f32
  }
  tenon.return %z : tensor<?x384xf32, #tenon.dims<[d0, 384]>>
}

// A gather of rows: one checked scalar index per row, then whole vectors.
// CHECK-LABEL: func.func @embed
// CHECK: arith.minsi
// CHECK: arith.maxsi
// CHECK: vector.load
// CHECK-NOT: vector.gather
tenon.kernel @embed(%ids: tensor<?xi64, #tenon.dims<[d0]>>, %t: tensor<100x64xf32>) -> tensor<?x64xf32, #tenon.dims<[d0, 64]>> {
  %z = tenon.map %a = %ids, %w = %t at %i, %j : (tensor<?xi64, #tenon.dims<[d0]>>, tensor<100x64xf32>) -> tensor<?x64xf32, #tenon.dims<[d0, 64]>> {
    %v = tenon.load %a[%i] : tensor<?xi64, #tenon.dims<[d0]>>
    %id = arith.index_cast %v : i64 to index
    %u = tenon.load %w[%id, %j] : tensor<100x64xf32>
    tenon.yield %u : f32
  }
  tenon.return %z : tensor<?x64xf32, #tenon.dims<[d0, 64]>>
}

// CHECK-LABEL: func.func @layer_norm
// CHECK: vector.reduction <add>
// CHECK: math.sqrt
tenon.kernel @layer_norm(%x: tensor<?x64xf32, #tenon.dims<[d0, 64]>>, %g: tensor<64xf32>) -> tensor<?x64xf32, #tenon.dims<[d0, 64]>> {
  %n = tenon.norm layer %x scale %g : tensor<64xf32> over 1 epsilon 1.0e-12 : tensor<?x64xf32, #tenon.dims<[d0, 64]>> -> tensor<?x64xf32, #tenon.dims<[d0, 64]>>
  tenon.return %n : tensor<?x64xf32, #tenon.dims<[d0, 64]>>
}

// CHECK-LABEL: func.func @mean_pool
// CHECK: scf.for
tenon.kernel @mean_pool(%x: tensor<?x?x64xf32, #tenon.dims<[d0, d1, 64]>>) -> tensor<?x64xf32, #tenon.dims<[d0, 64]>> {
  %n = tenon.reduce sum %x over [1] : tensor<?x?x64xf32, #tenon.dims<[d0, d1, 64]>> -> tensor<?x64xf32, #tenon.dims<[d0, 64]>>
  tenon.return %n : tensor<?x64xf32, #tenon.dims<[d0, 64]>>
}

// CHECK-LABEL: func.func @rows
// CHECK: math.exp
tenon.kernel @rows(%x: tensor<?x?xf32, #tenon.dims<[d0, d1]>>) -> tensor<?x?xf32, #tenon.dims<[d0, d1]>> {
  %n = tenon.softmax %x over 1 : tensor<?x?xf32, #tenon.dims<[d0, d1]>>
  tenon.return %n : tensor<?x?xf32, #tenon.dims<[d0, d1]>>
}
}
