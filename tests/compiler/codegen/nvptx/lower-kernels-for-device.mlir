// RUN: tenon-opt %s --tenon-lower-kernels-for-device | FileCheck %s

module attributes {tenon.target = #tenon.target<"nvptx-sm_80", vector_bits = 128, vector_registers = 32, row_tile = 5, l1 = 131072, l2 = 41943040>} {

// A thread for four elements of a row: a gather's index is checked, once for them.
// CHECK-LABEL: func.func @embed(%arg0: !llvm.ptr {llvm.align = 8 : i64, llvm.byval = !llvm.struct<(array<3 x ptr>, array<1 x i64>, ptr, i64, ptr, i32, i32)>})
// CHECK-SAME: passthrough = {{\[\[}}"nvvm.reqntid", "256"]]
// CHECK-SAME: tenon.block_threads = 256 : i32
// CHECK-SAME: tenon.form = "map, four elements a thread"
// CHECK-SAME: tenon.tiles = #tenon.dim<(d0 + 15) floordiv 16>
// CHECK: nvvm.read.ptx.sreg.ctaid.x
// CHECK: nvvm.read.ptx.sreg.tid.x
// CHECK: arith.minsi
// CHECK: arith.maxsi
// CHECK: llvm.atomicrmw _or
// CHECK: vector.load {{.*}} {alignment = 16 : i64} : memref<?xf32>, vector<4xf32>
// CHECK-NOT: scf.for
// CHECK: return
tenon.kernel @embed(%ids: tensor<?xi64, #tenon.dims<[d0]>>, %t: tensor<100x64xf32>) -> tensor<?x64xf32, #tenon.dims<[d0, 64]>> {
  %z = tenon.map %a = %ids, %w = %t at %i, %j : (tensor<?xi64, #tenon.dims<[d0]>>, tensor<100x64xf32>) -> tensor<?x64xf32, #tenon.dims<[d0, 64]>> {
    %v = tenon.load %a[%i] : tensor<?xi64, #tenon.dims<[d0]>>
    %id = arith.index_cast %v : i64 to index
    %u = tenon.load %w[%id, %j] : tensor<100x64xf32>
    tenon.yield %u : f32
  }
  tenon.return %z : tensor<?x64xf32, #tenon.dims<[d0, 64]>>
}

// A short row is a warp's: no barrier, five exchanges for each of the two sums. A thread has four neighbours at once.
// CHECK-LABEL: func.func @layer_norm
// CHECK-SAME: tenon.block_threads = 128 : i32
// CHECK-SAME: tenon.form = "norm, a warp a row, four elements a thread"
// CHECK-SAME: tenon.tiles = #tenon.dim<(d0 + 3) floordiv 4>
// CHECK: llvm.mlir.addressof @layer_norm.shared0 : !llvm.ptr<3>
// CHECK: vector.load {{.*}} {alignment = 16 : i64} : memref<?xf32>, vector<4xf32>
// CHECK-NOT: nvvm.barrier0
// CHECK-COUNT-10: nvvm.shfl.sync bfly
// CHECK-NOT: nvvm.shfl.sync
// CHECK: vector.store {{.*}} {alignment = 16 : i64} : memref<?xf32>, vector<4xf32>
// CHECK: return
tenon.kernel @layer_norm(%x: tensor<?x64xf32, #tenon.dims<[d0, 64]>>, %g: tensor<64xf32>) -> tensor<?x64xf32, #tenon.dims<[d0, 64]>> {
  %n = tenon.norm layer %x scale %g : tensor<64xf32> over 1 epsilon 1.0e-12 : tensor<?x64xf32, #tenon.dims<[d0, 64]>> -> tensor<?x64xf32, #tenon.dims<[d0, 64]>>
  tenon.return %n : tensor<?x64xf32, #tenon.dims<[d0, 64]>>
}

// Rows of 66 do not begin at multiples of four elements, nor do those that are read one element further on: one at a time.
// CHECK-LABEL: func.func @odd_rows
// CHECK-SAME: tenon.form = "norm, a warp a row",
// CHECK-NOT: vector<4xf32>
// CHECK: return
tenon.kernel @odd_rows(%x: tensor<?x66xf32, #tenon.dims<[d0, 66]>>) -> tensor<?x66xf32, #tenon.dims<[d0, 66]>> {
  %n = tenon.norm rms %x over 1 epsilon 1.0e-12 : tensor<?x66xf32, #tenon.dims<[d0, 66]>> -> tensor<?x66xf32, #tenon.dims<[d0, 66]>>
  tenon.return %n : tensor<?x66xf32, #tenon.dims<[d0, 66]>>
}
// CHECK-LABEL: func.func @shifted_rows
// CHECK-SAME: tenon.form = "softmax, a warp a row",
// CHECK-NOT: vector<4xf32>
// CHECK: return
tenon.kernel @shifted_rows(%x: tensor<?x68xf32, #tenon.dims<[d0, 68]>>) -> tensor<?x64xf32, #tenon.dims<[d0, 64]>> {
  %m = tenon.map %a = %x at %i, %j : (tensor<?x68xf32, #tenon.dims<[d0, 68]>>) -> tensor<?x64xf32, #tenon.dims<[d0, 64]>> {
    %one = arith.constant 1 : index
    %k = arith.addi %j, %one : index
    %v = tenon.load %a[%i, %k] : tensor<?x68xf32, #tenon.dims<[d0, 68]>>
    tenon.yield %v : f32
  }
  %n = tenon.softmax %m over 1 : tensor<?x64xf32, #tenon.dims<[d0, 64]>>
  tenon.return %n : tensor<?x64xf32, #tenon.dims<[d0, 64]>>
}

// A row of unknown length is a block's, and not kept: exponentials are computed again for the result.
// CHECK-LABEL: func.func @rows
// CHECK-SAME: tenon.form = "softmax, a block a row"
// CHECK-SAME: tenon.tiles = #tenon.dim<d0>
// CHECK: nvvm.barrier0
// CHECK: math.exp
// CHECK: nvvm.barrier0
// CHECK: math.exp
// CHECK-NOT: nvvm.barrier0
// CHECK: return
tenon.kernel @rows(%x: tensor<?x?xf32, #tenon.dims<[d0, d1]>>) -> tensor<?x?xf32, #tenon.dims<[d0, d1]>> {
  %n = tenon.softmax %x over 1 : tensor<?x?xf32, #tenon.dims<[d0, d1]>>
  tenon.return %n : tensor<?x?xf32, #tenon.dims<[d0, d1]>>
}

// The innermost dimension is kept: neighbouring threads read neighbours.
// CHECK-LABEL: func.func @mean_pool
// CHECK-SAME: tenon.form = "reduce, a thread an element"
// CHECK-NOT: nvvm.shfl.sync
// CHECK: return
tenon.kernel @mean_pool(%x: tensor<?x?x64xf32, #tenon.dims<[d0, d1, 64]>>) -> tensor<?x64xf32, #tenon.dims<[d0, 64]>> {
  %n = tenon.reduce sum %x over [1] : tensor<?x?x64xf32, #tenon.dims<[d0, d1, 64]>> -> tensor<?x64xf32, #tenon.dims<[d0, 64]>>
  tenon.return %n : tensor<?x64xf32, #tenon.dims<[d0, 64]>>
}

// CHECK-LABEL: func.func @row_sums
// CHECK-SAME: tenon.form = "reduce, a warp an element"
// CHECK-COUNT-5: nvvm.shfl.sync bfly
// CHECK: return
tenon.kernel @row_sums(%x: tensor<?x64xf32, #tenon.dims<[d0, 64]>>) -> tensor<?xf32, #tenon.dims<[d0]>> {
  %n = tenon.reduce sum %x over [1] : tensor<?x64xf32, #tenon.dims<[d0, 64]>> -> tensor<?xf32, #tenon.dims<[d0]>>
  tenon.return %n : tensor<?xf32, #tenon.dims<[d0]>>
}

// Words of 64 bits are exchanged in halves.
// CHECK-LABEL: func.func @greatest
// CHECK-SAME: tenon.form = "reduce, a block an element"
// CHECK-COUNT-10: nvvm.shfl.sync bfly
// CHECK: nvvm.barrier0
// CHECK: return
tenon.kernel @greatest(%x: tensor<?xi64, #tenon.dims<[d0]>>) -> tensor<i64> {
  %n = tenon.reduce max %x over [0] : tensor<?xi64, #tenon.dims<[d0]>> -> tensor<i64>
  tenon.return %n : tensor<i64>
}

// A running sum is a loop of each worker: its threads share the CPU's tiles.
// CHECK-LABEL: func.func @running
// CHECK-NOT: nvvm.reqntid
// CHECK-SAME: tenon.block_threads = 1 : i32
// CHECK-SAME: tenon.form = "worker: a running sum has no form of its own"
// CHECK: nvvm.read.ptx.sreg.nctaid.x
// CHECK: arith.divui
// CHECK: arith.divui
// CHECK: scf.if
// CHECK: scf.for
tenon.kernel @running(%x: tensor<?x?xi64, #tenon.dims<[d0, d1]>>) -> tensor<?x?xi64, #tenon.dims<[d0, d1]>> {
  %0 = tenon.map %a = %x at %b, %i, %t : (tensor<?x?xi64, #tenon.dims<[d0, d1]>>) -> tensor<?x?x?xi64, #tenon.dims<[d0, d1, d1]>> {
    %zero = arith.constant 0 : i64
    %v = tenon.load %a[%b, %t] : tensor<?x?xi64, #tenon.dims<[d0, d1]>>
    %c = arith.cmpi sle, %t, %i : index
    %s = arith.select %c, %v, %zero : i64
    tenon.yield %s : i64
  }
  %1 = tenon.reduce sum %0 over [2] : tensor<?x?x?xi64, #tenon.dims<[d0, d1, d1]>> -> tensor<?x?xi64, #tenon.dims<[d0, d1]>>
  tenon.return %1 : tensor<?x?xi64, #tenon.dims<[d0, d1]>>
}

// A thread carries a column of the state, eight rows of it in registers over all steps; rows of keys are shared.
// CHECK-LABEL: func.func @columns
// CHECK-SAME: tenon.block_threads = 128 : i32
// CHECK-SAME: tenon.form = "scan, a thread a column"
// CHECK-SAME: tenon.tiles = #tenon.dim<3>
// CHECK: llvm.mlir.addressof @columns.shared0 : !llvm.ptr<3>
// CHECK: nvvm.barrier0
// CHECK: scf.for {{.*}} iter_args({{(%[a-z0-9_]+ = %[a-z0-9_]+, ){7}%}}
// CHECK: nvvm.barrier0
// CHECK: return
tenon.kernel @columns(%q: tensor<?x3x8xf32, #tenon.dims<[d0, 3, 8]>>, %v: tensor<?x3x20xf32, #tenon.dims<[d0, 3, 20]>>, %a: tensor<?x3xf32, #tenon.dims<[d0, 3]>>) -> tensor<?x3x20xf32, #tenon.dims<[d0, 3, 20]>> {
  %y = tenon.scan %q, %q, %v decay (%a : tensor<?x3xf32, #tenon.dims<[d0, 3]>>) layout ["n h d", "n h d", "n h d", "n h", "n h d"]
    : tensor<?x3x8xf32, #tenon.dims<[d0, 3, 8]>>, tensor<?x3x8xf32, #tenon.dims<[d0, 3, 8]>>, tensor<?x3x20xf32, #tenon.dims<[d0, 3, 20]>> -> tensor<?x3x20xf32, #tenon.dims<[d0, 3, 20]>>
  tenon.return %y : tensor<?x3x20xf32, #tenon.dims<[d0, 3, 20]>>
}

// One column a head: neighbouring threads are neighbouring heads, and share nothing.
// CHECK-LABEL: func.func @channels
// CHECK-SAME: tenon.form = "scan, a thread a head"
// CHECK-SAME: tenon.tiles = #tenon.dim<2>
// CHECK-NOT: nvvm.barrier0
// CHECK: return
tenon.kernel @channels(%q: tensor<?x150x4xf32, #tenon.dims<[d0, 150, 4]>>, %v: tensor<?x150x1xf32, #tenon.dims<[d0, 150, 1]>>) -> tensor<?x150x1xf32, #tenon.dims<[d0, 150, 1]>> {
  %y = tenon.scan %q, %q, %v layout ["n h d", "n h d", "n h d", "n h d"]
    : tensor<?x150x4xf32, #tenon.dims<[d0, 150, 4]>>, tensor<?x150x4xf32, #tenon.dims<[d0, 150, 4]>>, tensor<?x150x1xf32, #tenon.dims<[d0, 150, 1]>> -> tensor<?x150x1xf32, #tenon.dims<[d0, 150, 1]>>
  tenon.return %y : tensor<?x150x1xf32, #tenon.dims<[d0, 150, 1]>>
}

// A column of 200 rows does not fit into a thread's registers.
// CHECK-LABEL: func.func @deep
// CHECK-SAME: tenon.form = "worker: a recurrence of 200 rows and 8 columns does not fit into registers"
tenon.kernel @deep(%q: tensor<?x3x200xf32, #tenon.dims<[d0, 3, 200]>>, %v: tensor<?x3x8xf32, #tenon.dims<[d0, 3, 8]>>) -> tensor<?x3x8xf32, #tenon.dims<[d0, 3, 8]>> {
  %y = tenon.scan %q, %q, %v layout ["n h d", "n h d", "n h d", "n h d"]
    : tensor<?x3x200xf32, #tenon.dims<[d0, 3, 200]>>, tensor<?x3x200xf32, #tenon.dims<[d0, 3, 200]>>, tensor<?x3x8xf32, #tenon.dims<[d0, 3, 8]>> -> tensor<?x3x8xf32, #tenon.dims<[d0, 3, 8]>>
  tenon.return %y : tensor<?x3x8xf32, #tenon.dims<[d0, 3, 8]>>
}

// Few queries: a block is a part of 256 keys for the 4 heads of a key head, the rows of one tile on tensor cores; its warps share
// the keys of each tile, and their states meet in shared memory.
// CHECK-LABEL: func.func @update
// CHECK-SAME: tenon.form = "attention_update by mma.sync, a block a part of the keys, 4 heads packed, 4 warps along the keys"
// CHECK-SAME: tenon.tiles = #tenon.dim<2 * ((d0 + 255) floordiv 256)>
// CHECK: llvm.mlir.addressof @update.shared0 : !llvm.ptr<3>
// CHECK: scf.for
// CHECK: llvm.nvvm.mma.m16n8k8.row.col.tf32
// CHECK: return
tenon.kernel @update(%q: tensor<1x8x32xf32>, %k: tensor<?x2x32xf32, #tenon.dims<[d0, 2, 32]>>, %v: tensor<?x2x64xf32, #tenon.dims<[d0, 2, 64]>>) -> tensor<?x1x8x1x66xf32, #tenon.dims<[(d0 + 255) floordiv 256, 1, 8, 1, 66]>> {
  %s = tenon.attention_update %q, %k, %v normalise softmax layout ["n h d", "n h d", "n h d"] parts_of 256
     : (tensor<1x8x32xf32>, tensor<?x2x32xf32, #tenon.dims<[d0, 2, 32]>>, tensor<?x2x64xf32, #tenon.dims<[d0, 2, 64]>>) -> tensor<?x1x8x1x66xf32, #tenon.dims<[(d0 + 255) floordiv 256, 1, 8, 1, 66]>>
  tenon.return %s : tensor<?x1x8x1x66xf32, #tenon.dims<[(d0 + 255) floordiv 256, 1, 8, 1, 66]>>
}

// Of keys of 200 elements queries stay in shared memory, more of it than a kernel has without asking.
// CHECK-LABEL: func.func @stored_update
// CHECK-SAME: tenon.form = "attention_update by mma.sync, a block a part of the keys, 4 heads packed, queries in shared memory, 4 warps along the keys"
// CHECK-SAME: tenon.shared_bytes = 83480
// CHECK: llvm.mlir.addressof @stored_update_launched : !llvm.ptr<3>
// CHECK: llvm.nvvm.mma.m16n8k8.row.col.tf32
// CHECK: return
tenon.kernel @stored_update(%q: tensor<1x8x200xf32>, %k: tensor<?x2x200xf32, #tenon.dims<[d0, 2, 200]>>, %v: tensor<?x2x64xf32, #tenon.dims<[d0, 2, 64]>>) -> tensor<?x1x8x1x66xf32, #tenon.dims<[(d0 + 255) floordiv 256, 1, 8, 1, 66]>> {
  %s = tenon.attention_update %q, %k, %v normalise softmax layout ["n h d", "n h d", "n h d"] parts_of 256
     : (tensor<1x8x200xf32>, tensor<?x2x200xf32, #tenon.dims<[d0, 2, 200]>>, tensor<?x2x64xf32, #tenon.dims<[d0, 2, 64]>>) -> tensor<?x1x8x1x66xf32, #tenon.dims<[(d0 + 255) floordiv 256, 1, 8, 1, 66]>>
  tenon.return %s : tensor<?x1x8x1x66xf32, #tenon.dims<[(d0 + 255) floordiv 256, 1, 8, 1, 66]>>
}

// Keys of 320 elements are beyond a tile: scores in shared memory, two barriers.
// CHECK-LABEL: func.func @deep_update
// CHECK-SAME: tenon.form = "attention_update, a block a part of the keys"
// CHECK: llvm.mlir.addressof @deep_update.shared0 : !llvm.ptr<3>
// CHECK-COUNT-2: nvvm.barrier0
// CHECK-NOT: nvvm.barrier0
// CHECK: return
tenon.kernel @deep_update(%q: tensor<1x8x320xf32>, %k: tensor<?x2x320xf32, #tenon.dims<[d0, 2, 320]>>, %v: tensor<?x2x64xf32, #tenon.dims<[d0, 2, 64]>>) -> tensor<?x1x8x1x66xf32, #tenon.dims<[(d0 + 255) floordiv 256, 1, 8, 1, 66]>> {
  %s = tenon.attention_update %q, %k, %v normalise softmax layout ["n h d", "n h d", "n h d"] parts_of 256
     : (tensor<1x8x320xf32>, tensor<?x2x320xf32, #tenon.dims<[d0, 2, 320]>>, tensor<?x2x64xf32, #tenon.dims<[d0, 2, 64]>>) -> tensor<?x1x8x1x66xf32, #tenon.dims<[(d0 + 255) floordiv 256, 1, 8, 1, 66]>>
  tenon.return %s : tensor<?x1x8x1x66xf32, #tenon.dims<[(d0 + 255) floordiv 256, 1, 8, 1, 66]>>
}

// Heads whose masks differ are not packed: a block has one row of one head, and tiles dead for it are skipped.
// CHECK-LABEL: func.func @update_of_heads
// CHECK-SAME: tenon.form = "attention_update by mma.sync, a block a part of the keys, 4 warps along the keys"
// CHECK-SAME: tenon.tiles = #tenon.dim<8 * ((d0 + 255) floordiv 256)>
tenon.kernel @update_of_heads(%q: tensor<1x8x32xf32>, %k: tensor<?x2x32xf32, #tenon.dims<[d0, 2, 32]>>) -> tensor<?x1x8x1x34xf32, #tenon.dims<[(d0 + 255) floordiv 256, 1, 8, 1, 34]>> {
  %s = tenon.attention_update %q, %k, %k normalise softmax layout ["n h d", "n h d", "n h d"] parts_of 256
     : (tensor<1x8x32xf32>, tensor<?x2x32xf32, #tenon.dims<[d0, 2, 32]>>, tensor<?x2x32xf32, #tenon.dims<[d0, 2, 32]>>) -> tensor<?x1x8x1x34xf32, #tenon.dims<[(d0 + 255) floordiv 256, 1, 8, 1, 34]>>
    keep (%b, %h, %i, %j) = %j >= 5 * %h
  tenon.return %s : tensor<?x1x8x1x34xf32, #tenon.dims<[(d0 + 255) floordiv 256, 1, 8, 1, 34]>>
}

// A short prefill of grouped heads: the queries of 4 heads are rows of the same blocks.
// CHECK-LABEL: func.func @short_prefill
// CHECK-SAME: tenon.form = "flash attention by mma.sync, 4 heads packed"
// CHECK-SAME: tenon.tiles = #tenon.dim<2 * ((d0 + 15) floordiv 16)>
tenon.kernel @short_prefill(%q: tensor<?x8x32xf32, #tenon.dims<[d0, 8, 32]>>, %k: tensor<?x2x32xf32, #tenon.dims<[d1, 2, 32]>>) -> tensor<?x8x32xf32, #tenon.dims<[d0, 8, 32]>> {
  %o = tenon.attention %q, (%k), (%k) normalise softmax empty zero layout ["n h d", "n h d", "n h d", "n h d"] algorithm flash
     : (tensor<?x8x32xf32, #tenon.dims<[d0, 8, 32]>>, tensor<?x2x32xf32, #tenon.dims<[d1, 2, 32]>>, tensor<?x2x32xf32, #tenon.dims<[d1, 2, 32]>>) -> tensor<?x8x32xf32, #tenon.dims<[d0, 8, 32]>>
  tenon.return %o : tensor<?x8x32xf32, #tenon.dims<[d0, 8, 32]>>
}

// Scores of 10000 keys of 320 elements do not fit.
// CHECK-LABEL: func.func @wide_update
// CHECK-SAME: tenon.form = "worker: scores of a part of the keys do not fit into shared memory"
tenon.kernel @wide_update(%q: tensor<1x8x320xf32>, %k: tensor<10000x2x320xf32>, %v: tensor<10000x2x64xf32>) -> tensor<1x1x8x1x66xf32> {
  %s = tenon.attention_update %q, %k, %v normalise softmax layout ["n h d", "n h d", "n h d"]
     : (tensor<1x8x320xf32>, tensor<10000x2x320xf32>, tensor<10000x2x64xf32>) -> tensor<1x1x8x1x66xf32>
  tenon.return %s : tensor<1x1x8x1x66xf32>
}

// States merged and divided: a thread an element, two loops over the parts of each state.
// CHECK-LABEL: func.func @finish
// CHECK-SAME: tenon.form = "attention_finish"
// CHECK-COUNT-4: scf.for
// CHECK-NOT: scf.for
// CHECK: return
tenon.kernel @finish(%s: tensor<?x1x8x1x66xf32, #tenon.dims<[d0, 1, 8, 1, 66]>>, %t: tensor<1x1x8x1x66xf32>) -> tensor<1x8x64xf32> {
  %m = tenon.attention_merge %s, %t normalise softmax : (tensor<?x1x8x1x66xf32, #tenon.dims<[d0, 1, 8, 1, 66]>>, tensor<1x1x8x1x66xf32>) -> tensor<1x1x8x1x66xf32>
  %o = tenon.attention_finish %m normalise softmax empty zero layout "n h d" : tensor<1x1x8x1x66xf32> -> tensor<1x8x64xf32>
  tenon.return %o : tensor<1x8x64xf32>
}
}
