// RUN: tenon-opt %s --tenon-lower-kernels | FileCheck %s

module attributes {tenon.target = #tenon.target<"x86-64-v4", vector_bits = 512, vector_registers = 32, row_tile = 14, l1 = 32768, l2 = 1048576>} {

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

// Two activations accumulated in f32 are packed slab by slab and multiplied by the register tile.
// CHECK-LABEL: func.func @scores
// CHECK: vector.shuffle
// CHECK: call @tile_9_a528_b16_c96
tenon.kernel @scores(%q: tensor<?x12x64xf32, #tenon.dims<[d0, 12, 64]>>, %k: tensor<?x12x64xf32, #tenon.dims<[d1, 12, 64]>>) -> tensor<12x?x?xf32, #tenon.dims<[12, d0, d1]>> {
  %s = tenon.contract "q h d, k h d -> h q k" %q, %k : (tensor<?x12x64xf32, #tenon.dims<[d0, 12, 64]>>, tensor<?x12x64xf32, #tenon.dims<[d1, 12, 64]>>) -> tensor<12x?x?xf32, #tenon.dims<[12, d0, d1]>>
  tenon.return %s : tensor<12x?x?xf32, #tenon.dims<[12, d0, d1]>>
}

// Rows of the left operand that are neighbours stay so: the tile reads [k][row].
// CHECK-LABEL: func.func @sums_over_rows
// CHECK-NOT: vector.shuffle
// CHECK: call @tile_9_a1_b16_c96_k144
tenon.kernel @sums_over_rows(%k: tensor<?x20xf32, #tenon.dims<[d0, 20]>>, %v: tensor<?x30xf32, #tenon.dims<[d0, 30]>>) -> tensor<20x30xf32> {
  %s = tenon.contract "n d, n e -> d e" %k, %v : (tensor<?x20xf32, #tenon.dims<[d0, 20]>>, tensor<?x30xf32, #tenon.dims<[d0, 30]>>) -> tensor<20x30xf32>
  tenon.return %s : tensor<20x30xf32>
}

// Not in f64, and not where nothing is summed.
// CHECK-LABEL: func.func @doubles
// CHECK-NOT: call @tile
// CHECK-LABEL: func.func @outer
// CHECK-NOT: call @tile
tenon.kernel @doubles(%a: tensor<9x5xf64>, %b: tensor<5x7xf64>) -> tensor<9x7xf64> {
  %s = tenon.contract "m k, k n -> m n" %a, %b : (tensor<9x5xf64>, tensor<5x7xf64>) -> tensor<9x7xf64>
  tenon.return %s : tensor<9x7xf64>
}
tenon.kernel @outer(%a: tensor<9xf32>, %b: tensor<7xf32>) -> tensor<9x7xf32> {
  %s = tenon.contract "m, n -> m n" %a, %b : (tensor<9xf32>, tensor<7xf32>) -> tensor<9x7xf32>
  tenon.return %s : tensor<9x7xf32>
}

// Two pieces of a row in which the comparisons are decided: neighbours. Pieces shorter than a vector stay one.
// CHECK-LABEL: func.func @turn_64
// CHECK-NOT: vector.gather
// CHECK-COUNT-2: vector.store
// CHECK-LABEL: func.func @turn_16
// CHECK: vector.gather
tenon.kernel @turn_64(%x: tensor<?x64xf32, #tenon.dims<[d0, 64]>>) -> tensor<?x64xf32, #tenon.dims<[d0, 64]>> {
  %y = tenon.map %a = %x at %i, %k : (tensor<?x64xf32, #tenon.dims<[d0, 64]>>) -> tensor<?x64xf32, #tenon.dims<[d0, 64]>> {
    %zero = arith.constant 0 : index
    %h = arith.constant 32 : index
    %low = arith.cmpi slt, %k, %h : index
    %up = arith.addi %k, %h : index
    %behind = arith.select %low, %up, %zero : index
    %u = tenon.load %a[%i, %behind] : tensor<?x64xf32, #tenon.dims<[d0, 64]>>
    %down = arith.subi %k, %h : index
    %before = arith.select %low, %zero, %down : index
    %w = tenon.load %a[%i, %before] : tensor<?x64xf32, #tenon.dims<[d0, 64]>>
    %v = arith.select %low, %u, %w : f32
    tenon.yield %v : f32
  }
  tenon.return %y : tensor<?x64xf32, #tenon.dims<[d0, 64]>>
}
tenon.kernel @turn_16(%x: tensor<?x16xf32, #tenon.dims<[d0, 16]>>) -> tensor<?x16xf32, #tenon.dims<[d0, 16]>> {
  %y = tenon.map %a = %x at %i, %k : (tensor<?x16xf32, #tenon.dims<[d0, 16]>>) -> tensor<?x16xf32, #tenon.dims<[d0, 16]>> {
    %zero = arith.constant 0 : index
    %h = arith.constant 8 : index
    %low = arith.cmpi slt, %k, %h : index
    %up = arith.addi %k, %h : index
    %behind = arith.select %low, %up, %zero : index
    %u = tenon.load %a[%i, %behind] : tensor<?x16xf32, #tenon.dims<[d0, 16]>>
    %down = arith.subi %k, %h : index
    %before = arith.select %low, %zero, %down : index
    %w = tenon.load %a[%i, %before] : tensor<?x16xf32, #tenon.dims<[d0, 16]>>
    %v = arith.select %low, %u, %w : f32
    tenon.yield %v : f32
  }
  tenon.return %y : tensor<?x16xf32, #tenon.dims<[d0, 16]>>
}
}
