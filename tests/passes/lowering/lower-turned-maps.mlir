// RUN: tenon-opt %s --tenon-lower-kernels | FileCheck %s

module attributes {tenon.target = #tenon.target<"x86-64-v4", vector_bits = 512, vector_registers = 32, row_tile = 14, l1 = 32768, l2 = 1048576>} {

// Squares of 16 x 16: vectors along the pixels, shuffles, vectors along the channels. What is left of rows is computed element by element;
// nothing is left of 32 columns.
// CHECK-LABEL: func.func @planes
// CHECK: scf.if
// CHECK: scf.for
// CHECK-COUNT-16: vector.load
// CHECK: vector.shuffle
// CHECK-COUNT-16: vector.store
// CHECK: } else {
// CHECK: memref.load
// CHECK-NOT: vector.gather
// CHECK-NOT: vector.load
tenon.kernel @planes(%x: tensor<32x?xf32, #tenon.dims<[32, d0]>>) -> tensor<?x32xf32, #tenon.dims<[d0, 32]>> {
  %y = tenon.map %a = %x at %p, %c : (tensor<32x?xf32, #tenon.dims<[32, d0]>>) -> tensor<?x32xf32, #tenon.dims<[d0, 32]>> {
    %v = tenon.load %a[%c, %p] : tensor<32x?xf32, #tenon.dims<[32, d0]>>
    tenon.yield %v : f32
  }
  tenon.return %y : tensor<?x32xf32, #tenon.dims<[d0, 32]>>
}

// Heads change places, rows stay rows: nothing is turned.
// CHECK-LABEL: func.func @heads
// CHECK-NOT: vector.shuffle
// CHECK: vector.load
tenon.kernel @heads(%x: tensor<?x12x64xf32, #tenon.dims<[d0, 12, 64]>>) -> tensor<12x?x64xf32, #tenon.dims<[12, d0, 64]>> {
  %y = tenon.map %a = %x at %h, %s, %c : (tensor<?x12x64xf32, #tenon.dims<[d0, 12, 64]>>) -> tensor<12x?x64xf32, #tenon.dims<[12, d0, 64]>> {
    %v = tenon.load %a[%s, %h, %c] : tensor<?x12x64xf32, #tenon.dims<[d0, 12, 64]>>
    tenon.yield %v : f32
  }
  tenon.return %y : tensor<12x?x64xf32, #tenon.dims<[12, d0, 64]>>
}

// Three columns are less than a vector.
// CHECK-LABEL: func.func @few
// CHECK-NOT: vector.shuffle
tenon.kernel @few(%x: tensor<3x?xf32, #tenon.dims<[3, d0]>>) -> tensor<?x3xf32, #tenon.dims<[d0, 3]>> {
  %y = tenon.map %a = %x at %p, %c : (tensor<3x?xf32, #tenon.dims<[3, d0]>>) -> tensor<?x3xf32, #tenon.dims<[d0, 3]>> {
    %v = tenon.load %a[%c, %p] : tensor<3x?xf32, #tenon.dims<[3, d0]>>
    tenon.yield %v : f32
  }
  tenon.return %y : tensor<?x3xf32, #tenon.dims<[d0, 3]>>
}

// Which row is read is data, and may be out of range: each is looked at.
// CHECK-LABEL: func.func @chosen
// CHECK-NOT: vector.shuffle
tenon.kernel @chosen(%x: tensor<32x?xf32, #tenon.dims<[32, d0]>>, %n: tensor<32xi64>) -> tensor<?x32xf32, #tenon.dims<[d0, 32]>> {
  %y = tenon.map %a = %x, %b = %n at %p, %c : (tensor<32x?xf32, #tenon.dims<[32, d0]>>, tensor<32xi64>) -> tensor<?x32xf32, #tenon.dims<[d0, 32]>> {
    %r = tenon.load %b[%c] : tensor<32xi64>
    %row = arith.index_cast %r : i64 to index
    %v = tenon.load %a[%row, %p] : tensor<32x?xf32, #tenon.dims<[32, d0]>>
    tenon.yield %v : f32
  }
  tenon.return %y : tensor<?x32xf32, #tenon.dims<[d0, 32]>>
}

}
