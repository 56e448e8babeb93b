// RUN: tenon-opt %s --tenon-lower-kernels-for-device | FileCheck %s

module attributes {tenon.target = #tenon.target<"nvptx-sm_80", vector_bits = 128, vector_registers = 32, row_tile = 5, l1 = 131072, l2 = 41943040>} {

// A score term that is the product of a query with the table's row for j - i, in tiles of 16 keys: of each tile 4 tiles of
// C for the warp's 31 distances, in eight steps of k, and 2 for its scores; P V has 8 tiles of columns in two steps. Three
// instructions each.
// CHECK-LABEL: func.func @shift
// CHECK-SAME: tenon.block_threads = 128 : i32
// CHECK-SAME: tenon.form = "flash attention by mma.sync"
// CHECK-COUNT-192: "llvm.nvvm.mma.m16n8k8.row.col.tf32"
// CHECK: return
tenon.kernel @shift(%q: tensor<?x?x3x64xf32, #tenon.dims<[d0, d1, 3, 64]>>, %r: tensor<?x3x64xf32, #tenon.dims<[d2, 3, 64]>>, %k: tensor<?x?x3x64xf32, #tenon.dims<[d0, d3, 3, 64]>>, %v: tensor<?x?x3x64xf32, #tenon.dims<[d0, d3, 3, 64]>>) -> tensor<?x?x3x64xf32, #tenon.dims<[d0, d1, 3, 64]>> {
  %p = tenon.contract "b n h d, t h d -> b h n t" %q, %r : (tensor<?x?x3x64xf32, #tenon.dims<[d0, d1, 3, 64]>>, tensor<?x3x64xf32, #tenon.dims<[d2, 3, 64]>>) -> tensor<?x3x?x?xf32, #tenon.dims<[d0, 3, d1, d2]>>
  %y = tenon.attention %q, (%k), (%v) captures (%p) normalise softmax empty zero layout ["b n h d", "b n h d", "b n h d", "b n h d"] algorithm flash : (tensor<?x?x3x64xf32, #tenon.dims<[d0, d1, 3, 64]>>, tensor<?x?x3x64xf32, #tenon.dims<[d0, d3, 3, 64]>>, tensor<?x?x3x64xf32, #tenon.dims<[d0, d3, 3, 64]>>, tensor<?x3x?x?xf32, #tenon.dims<[d0, 3, d1, d2]>>) -> tensor<?x?x3x64xf32, #tenon.dims<[d0, d1, 3, 64]>> score (%x, %b, %h, %i, %j, %t) {
    %1 = arith.subi %j, %i : index
    %2 = tenon.size #tenon.dim<d1>
    %3 = arith.addi %1, %2 : index
    %4 = tenon.load %t[%b, %h, %i, %3] : tensor<?x3x?x?xf32, #tenon.dims<[d0, 3, d1, d2]>>
    %5 = arith.addf %x, %4 : f32
    tenon.yield %5 : f32
  }
  tenon.return %y : tensor<?x?x3x64xf32, #tenon.dims<[d0, d1, 3, 64]>>
}

// Rows of 80 do not fit into registers beside the queries and the output.
// CHECK-LABEL: func.func @deep
// CHECK-SAME: tenon.form = "worker: products with positions on tensor cores want depths of at most 64"
tenon.kernel @deep(%q: tensor<?x?x3x80xf32, #tenon.dims<[d0, d1, 3, 80]>>, %r: tensor<?x3x80xf32, #tenon.dims<[d2, 3, 80]>>, %k: tensor<?x?x3x80xf32, #tenon.dims<[d0, d3, 3, 80]>>, %v: tensor<?x?x3x80xf32, #tenon.dims<[d0, d3, 3, 80]>>) -> tensor<?x?x3x80xf32, #tenon.dims<[d0, d1, 3, 80]>> {
  %p = tenon.contract "b n h d, t h d -> b h n t" %q, %r : (tensor<?x?x3x80xf32, #tenon.dims<[d0, d1, 3, 80]>>, tensor<?x3x80xf32, #tenon.dims<[d2, 3, 80]>>) -> tensor<?x3x?x?xf32, #tenon.dims<[d0, 3, d1, d2]>>
  %y = tenon.attention %q, (%k), (%v) captures (%p) normalise softmax empty zero layout ["b n h d", "b n h d", "b n h d", "b n h d"] algorithm flash : (tensor<?x?x3x80xf32, #tenon.dims<[d0, d1, 3, 80]>>, tensor<?x?x3x80xf32, #tenon.dims<[d0, d3, 3, 80]>>, tensor<?x?x3x80xf32, #tenon.dims<[d0, d3, 3, 80]>>, tensor<?x3x?x?xf32, #tenon.dims<[d0, 3, d1, d2]>>) -> tensor<?x?x3x80xf32, #tenon.dims<[d0, d1, 3, 80]>> score (%x, %b, %h, %i, %j, %t) {
    %1 = arith.subi %j, %i : index
    %2 = tenon.size #tenon.dim<d1>
    %3 = arith.addi %1, %2 : index
    %4 = tenon.load %t[%b, %h, %i, %3] : tensor<?x3x?x?xf32, #tenon.dims<[d0, 3, d1, d2]>>
    %5 = arith.addf %x, %4 : f32
    tenon.yield %5 : f32
  }
  tenon.return %y : tensor<?x?x3x80xf32, #tenon.dims<[d0, d1, 3, 80]>>
}
}
