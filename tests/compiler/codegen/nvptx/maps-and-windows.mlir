// RUN: tenon-opt %s --tenon-lower-kernels-for-device | FileCheck %s

module attributes {tenon.target = #tenon.target<"nvptx-sm_80", vector_bits = 128, vector_registers = 32, row_tile = 5, l1 = 131072, l2 = 41943040>} {

// Neighbours in memory are along the first index of the result: a tile of 32 x 32 goes through shared memory.
// CHECK-LABEL: func.func @turned
// CHECK-SAME: tenon.block_threads = 256 : i32
// CHECK-SAME: tenon.form = "map, turned in tiles"
// CHECK-SAME: tenon.tiles = #tenon.dim<3 * ((d0 + 31) floordiv 32)>
// CHECK: llvm.mlir.addressof @turned.shared0 : !llvm.ptr<3>
// CHECK-COUNT-4: memref.store {{.*}} : memref<?xf32, 3>
// CHECK: nvvm.barrier0
// CHECK-COUNT-4: memref.load {{.*}} : memref<?xf32, 3>
// CHECK: return
tenon.kernel @turned(%x: tensor<70x?xf32, #tenon.dims<[70, d0]>>) -> tensor<?x70xf32, #tenon.dims<[d0, 70]>> {
  %z = tenon.map %a = %x at %i, %j : (tensor<70x?xf32, #tenon.dims<[70, d0]>>) -> tensor<?x70xf32, #tenon.dims<[d0, 70]>> {
    %v = tenon.load %a[%j, %i] : tensor<70x?xf32, #tenon.dims<[70, d0]>>
    tenon.yield %v : f32
  }
  tenon.return %z : tensor<?x70xf32, #tenon.dims<[d0, 70]>>
}

// A column of heads becomes rows of them: neighbours along the last index stay neighbours, 32 at a time.
// CHECK-LABEL: func.func @heads
// CHECK-SAME: tenon.form = "map, four elements a thread"
// CHECK-NOT: memref<?xf32, 3>
// CHECK: return
tenon.kernel @heads(%x: tensor<?x8x32xf32, #tenon.dims<[d0, 8, 32]>>) -> tensor<8x?x32xf32, #tenon.dims<[8, d0, 32]>> {
  %z = tenon.map %a = %x at %h, %i, %j : (tensor<?x8x32xf32, #tenon.dims<[d0, 8, 32]>>) -> tensor<8x?x32xf32, #tenon.dims<[8, d0, 32]>> {
    %v = tenon.load %a[%i, %h, %j] : tensor<?x8x32xf32, #tenon.dims<[d0, 8, 32]>>
    tenon.yield %v : f32
  }
  tenon.return %z : tensor<8x?x32xf32, #tenon.dims<[8, d0, 32]>>
}

// Four elements are one access; what does not depend on the last index is read once for them.
// CHECK-LABEL: func.func @scaled
// CHECK-SAME: tenon.form = "map, four elements a thread"
// CHECK-SAME: tenon.tiles = #tenon.dim<(d0 + 15) floordiv 16>
// CHECK-DAG: vector.load {{.*}} {alignment = 16 : i64} : memref<?xf32>, vector<4xf32>
// CHECK-DAG: memref.load
// CHECK: vector.store {{.*}} {alignment = 16 : i64} : memref<?xf32>, vector<4xf32>
// CHECK: return
tenon.kernel @scaled(%x: tensor<?x64xf32, #tenon.dims<[d0, 64]>>, %s: tensor<?xf32, #tenon.dims<[d0]>>) -> tensor<?x64xf32, #tenon.dims<[d0, 64]>> {
  %z = tenon.map %a = %x, %b = %s at %i, %j : (tensor<?x64xf32, #tenon.dims<[d0, 64]>>, tensor<?xf32, #tenon.dims<[d0]>>) -> tensor<?x64xf32, #tenon.dims<[d0, 64]>> {
    %u = tenon.load %a[%i, %j] : tensor<?x64xf32, #tenon.dims<[d0, 64]>>
    %v = tenon.load %b[%i] : tensor<?xf32, #tenon.dims<[d0]>>
    %p = arith.mulf %u, %v : f32
    tenon.yield %p : f32
  }
  tenon.return %z : tensor<?x64xf32, #tenon.dims<[d0, 64]>>
}

// Behind the first element nothing begins at a multiple of 16 bytes.
// CHECK-LABEL: func.func @shifted
// CHECK-SAME: tenon.form = "map"
// CHECK-NOT: vector.
// CHECK: return
tenon.kernel @shifted(%x: tensor<?x68xf32, #tenon.dims<[d0, 68]>>) -> tensor<?x64xf32, #tenon.dims<[d0, 64]>> {
  %z = tenon.map %a = %x at %i, %j : (tensor<?x68xf32, #tenon.dims<[d0, 68]>>) -> tensor<?x64xf32, #tenon.dims<[d0, 64]>> {
    %one = arith.constant 1 : index
    %k = arith.addi %j, %one : index
    %u = tenon.load %a[%i, %k] : tensor<?x68xf32, #tenon.dims<[d0, 68]>>
    tenon.yield %u : f32
  }
  tenon.return %z : tensor<?x64xf32, #tenon.dims<[d0, 64]>>
}

// Words of 64 bits would be 32 bytes a thread.
// CHECK-LABEL: func.func @wide
// CHECK-SAME: tenon.form = "map"
// CHECK-NOT: vector.
// CHECK: return
tenon.kernel @wide(%x: tensor<?x64xi64, #tenon.dims<[d0, 64]>>) -> tensor<?x64xi64, #tenon.dims<[d0, 64]>> {
  %z = tenon.map %a = %x at %i, %j : (tensor<?x64xi64, #tenon.dims<[d0, 64]>>) -> tensor<?x64xi64, #tenon.dims<[d0, 64]>> {
    %u = tenon.load %a[%i, %j] : tensor<?x64xi64, #tenon.dims<[d0, 64]>>
    %p = arith.addi %u, %u : i64
    tenon.yield %p : i64
  }
  tenon.return %z : tensor<?x64xi64, #tenon.dims<[d0, 64]>>
}

// Filters times windows of x: a tile of 64 filters and 64 positions a block. No window is stored.
// CHECK-LABEL: func.func @convolution
// CHECK-SAME: tenon.block_threads = 128 : i32
// CHECK-SAME: tenon.form = "implicit GEMM by mma.sync"
// CHECK-SAME: tenon.tiles = #tenon.dim<2 * ((d0 + 63) floordiv 64)>
// CHECK: llvm.nvvm.mma.m16n8k8.row.col.tf32
// CHECK: return
tenon.kernel @convolution(%x: tensor<1x8x?xf32, #tenon.dims<[1, 8, d0]>>, %w: tensor<70x24xf32>) -> tensor<70x?xf32, #tenon.dims<[70, d0]>> {
  %0 = tenon.map %a = %x at %m, %c, %q : (tensor<1x8x?xf32, #tenon.dims<[1, 8, d0]>>) -> tensor<?x8x3xf32, #tenon.dims<[d0, 8, 3]>> {
    %zero = arith.constant 0 : index
    %none = arith.constant 0.0 : f32
    %one = arith.constant 1 : index
    %size = tenon.size #tenon.dim<d0>
    %4 = arith.addi %m, %q : index
    %5 = arith.subi %4, %one : index
    %6 = arith.cmpi sge, %5, %zero : index
    %7 = arith.cmpi slt, %5, %size : index
    %8 = arith.andi %6, %7 : i1
    %9 = arith.select %8, %5, %zero : index
    %10 = tenon.load %a[%zero, %c, %9] : tensor<1x8x?xf32, #tenon.dims<[1, 8, d0]>>
    %11 = arith.select %8, %10, %none : f32
    tenon.yield %11 : f32
  }
  %1 = tenon.reshape %0 : tensor<?x8x3xf32, #tenon.dims<[d0, 8, 3]>> -> tensor<?x24xf32, #tenon.dims<[d0, 24]>>
  %2 = tenon.contract "n k, m k -> n m" %w, %1 : (tensor<70x24xf32>, tensor<?x24xf32, #tenon.dims<[d0, 24]>>) -> tensor<70x?xf32, #tenon.dims<[70, d0]>>
  tenon.return %2 : tensor<70x?xf32, #tenon.dims<[70, d0]>>
}

// One filter a channel: a thread adds up the taps of an element.
// CHECK-LABEL: func.func @depthwise
// CHECK-SAME: tenon.form = "depthwise, a thread an element"
// CHECK-NOT: mma
// CHECK: scf.for
// CHECK: return
tenon.kernel @depthwise(%x: tensor<1x8x20xf32>, %w: tensor<8x3xf32>) -> tensor<8x18xf32> {
  %0 = tenon.map %a = %x at %c, %m, %q : (tensor<1x8x20xf32>) -> tensor<8x18x3xf32> {
    %zero = arith.constant 0 : index
    %4 = arith.addi %m, %q : index
    %10 = tenon.load %a[%zero, %c, %4] : tensor<1x8x20xf32>
    tenon.yield %10 : f32
  }
  %2 = tenon.contract "g k, g m k -> g m" %w, %0 : (tensor<8x3xf32>, tensor<8x18x3xf32>) -> tensor<8x18xf32>
  tenon.return %2 : tensor<8x18xf32>
}
}
