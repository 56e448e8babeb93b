// RUN: tenon-opt %s --tenon-lower-kernels | FileCheck %s

module attributes {tenon.target = #tenon.target<"x86-64-v4", vector_bits = 512, vector_registers = 32, row_tile = 14, l1 = 32768, l2 = 1048576>} {

// A key behind a cache of them: one answer for all lanes, so one of the two is loaded. What its sides share is before the branch.
// CHECK-LABEL: func.func @cache
// CHECK: scf.for
// CHECK-NOT: vector.load
// CHECK: scf.if %{{.*}} -> (vector<16xf32>)
// CHECK: vector.load
// CHECK: } else {
// CHECK: vector.load
// CHECK: arith.addf
// CHECK: vector.store
// CHECK-NOT: arith.select %{{.*}} : vector
tenon.kernel @cache(%old: tensor<?x64xf32, #tenon.dims<[d0, 64]>>, %new: tensor<4x64xf32>, %b: tensor<64xf32>) -> tensor<?x64xf32, #tenon.dims<[d0 + 4, 64]>> {
  %y = tenon.map %a = %old, %c = %new, %e = %b at %i, %j : (tensor<?x64xf32, #tenon.dims<[d0, 64]>>, tensor<4x64xf32>, tensor<64xf32>) -> tensor<?x64xf32, #tenon.dims<[d0 + 4, 64]>> {
    %zero = arith.constant 0 : index
    %t = tenon.size #tenon.dim<d0>
    %is_old = arith.cmpi slt, %i, %t : index
    %at = arith.select %is_old, %i, %zero : index
    %u = tenon.load %a[%at, %j] : tensor<?x64xf32, #tenon.dims<[d0, 64]>>
    %behind = arith.subi %i, %t : index
    %at2 = arith.select %is_old, %zero, %behind : index
    %v = tenon.load %c[%at2, %j] : tensor<4x64xf32>
    %bias = tenon.load %e[%j] : tensor<64xf32>
    %w = arith.addf %v, %bias : f32
    %s = arith.select %is_old, %u, %w : f32
    tenon.yield %s : f32
  }
  tenon.return %y : tensor<?x64xf32, #tenon.dims<[d0 + 4, 64]>>
}

// Each lane has its own answer: both are loaded.
// CHECK-LABEL: func.func @lanes
// CHECK-NOT: scf.if %{{.*}} -> (vector<16xf32>)
// CHECK: arith.select %{{.*}} : vector<16xi1>, vector<16xf32>
tenon.kernel @lanes(%x: tensor<?x64xf32, #tenon.dims<[d0, 64]>>, %m: tensor<?x64xi1, #tenon.dims<[d0, 64]>>, %y: tensor<?x64xf32, #tenon.dims<[d0, 64]>>) -> tensor<?x64xf32, #tenon.dims<[d0, 64]>> {
  %z = tenon.map %a = %x, %b = %m, %c = %y at %i, %j : (tensor<?x64xf32, #tenon.dims<[d0, 64]>>, tensor<?x64xi1, #tenon.dims<[d0, 64]>>, tensor<?x64xf32, #tenon.dims<[d0, 64]>>) -> tensor<?x64xf32, #tenon.dims<[d0, 64]>> {
    %u = tenon.load %a[%i, %j] : tensor<?x64xf32, #tenon.dims<[d0, 64]>>
    %k = tenon.load %b[%i, %j] : tensor<?x64xi1, #tenon.dims<[d0, 64]>>
    %v = tenon.load %c[%i, %j] : tensor<?x64xf32, #tenon.dims<[d0, 64]>>
    %s = arith.select %k, %u, %v : f32
    tenon.yield %s : f32
  }
  tenon.return %z : tensor<?x64xf32, #tenon.dims<[d0, 64]>>
}

// A side that another part of the region needs saves no load.
// CHECK-LABEL: func.func @shared
// CHECK-NOT: scf.if %{{.*}} -> (vector<16xf32>)
// CHECK: arith.select %{{.*}} : vector<16xi1>, vector<16xf32>
tenon.kernel @shared(%x: tensor<?x64xf32, #tenon.dims<[d0, 64]>>, %m: tensor<?xi1, #tenon.dims<[d0]>>) -> tensor<?x64xf32, #tenon.dims<[d0, 64]>> {
  %z = tenon.map %a = %x, %b = %m at %i, %j : (tensor<?x64xf32, #tenon.dims<[d0, 64]>>, tensor<?xi1, #tenon.dims<[d0]>>) -> tensor<?x64xf32, #tenon.dims<[d0, 64]>> {
    %zero = arith.constant 0.0 : f32
    %u = tenon.load %a[%i, %j] : tensor<?x64xf32, #tenon.dims<[d0, 64]>>
    %k = tenon.load %b[%i] : tensor<?xi1, #tenon.dims<[d0]>>
    %s = arith.select %k, %u, %zero : f32
    %t = arith.addf %s, %u : f32
    tenon.yield %t : f32
  }
  tenon.return %z : tensor<?x64xf32, #tenon.dims<[d0, 64]>>
}

// Sides nest: of three parts behind one another one is loaded.
// CHECK-LABEL: func.func @three
// CHECK: scf.if %{{.*}} -> (vector<16xf32>)
// CHECK: vector.load
// CHECK: } else {
// CHECK-NOT: vector.load
// CHECK: scf.if %{{.*}} -> (vector<16xf32>)
// CHECK: vector.load
// CHECK: } else {
// CHECK: vector.load
tenon.kernel @three(%x: tensor<?x64xf32, #tenon.dims<[d0, 64]>>) -> tensor<?x64xf32, #tenon.dims<[3 * d0, 64]>> {
  %z = tenon.map %a = %x at %i, %j : (tensor<?x64xf32, #tenon.dims<[d0, 64]>>) -> tensor<?x64xf32, #tenon.dims<[3 * d0, 64]>> {
    %n = tenon.size #tenon.dim<d0>
    %two = arith.addi %n, %n : index
    %is_first = arith.cmpi slt, %i, %n : index
    %is_second = arith.cmpi slt, %i, %two : index
    %in_second = arith.subi %i, %n : index
    %in_third = arith.subi %i, %two : index
    %u = tenon.load %a[%i, %j] : tensor<?x64xf32, #tenon.dims<[d0, 64]>>
    %v = tenon.load %a[%in_second, %j] : tensor<?x64xf32, #tenon.dims<[d0, 64]>>
    %w = tenon.load %a[%in_third, %j] : tensor<?x64xf32, #tenon.dims<[d0, 64]>>
    %rest = arith.select %is_second, %v, %w : f32
    %s = arith.select %is_first, %u, %rest : f32
    tenon.yield %s : f32
  }
  tenon.return %z : tensor<?x64xf32, #tenon.dims<[3 * d0, 64]>>
}

}
