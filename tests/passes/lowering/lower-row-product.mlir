// RUN: tenon-opt %s --tenon-lower-kernels | FileCheck %s

// Up to four rows read the matrix where it is; more are tiles of packed operands.

module attributes {tenon.target = #tenon.target<"x86-64-v4", vector_bits = 512, vector_registers = 32, row_tile = 14, l1 = 32768, l2 = 1048576>} {

// Eight steps of a block of 1024 columns at a time: 4096 columns are four tiles for each matrix.
// CHECK-LABEL: func.func @one_row
// CHECK-SAME: tenon.tiles = #tenon.dim<12>
// CHECK-COUNT-8: vector.fma
// CHECK-NOT: call @tile_
tenon.kernel @one_row(%a: tensor<3x64xf32>, %b: tensor<3x64x4096xf32>) -> tensor<3x4096xf32> {
  %y = tenon.contract "b k, b k n -> b n" %a, %b : (tensor<3x64xf32>, tensor<3x64x4096xf32>) -> tensor<3x4096xf32>
  tenon.return %y : tensor<3x4096xf32>
}

// Long columns four at a time: four rows have sixteen sums.
// CHECK-LABEL: func.func @columns
// CHECK: scf.for {{.*}} iter_args
// CHECK-COUNT-16: vector.fma
// CHECK-NOT: call @tile_
tenon.kernel @columns(%a: tensor<4x2048xf32>, %b: tensor<100x2048xf32>) -> tensor<4x100xf32> {
  %y = tenon.contract "m k, n k -> m n" %a, %b : (tensor<4x2048xf32>, tensor<100x2048xf32>) -> tensor<4x100xf32>
  tenon.return %y : tensor<4x100xf32>
}

// CHECK-LABEL: func.func @five_rows
// CHECK: call @tile_
tenon.kernel @five_rows(%a: tensor<5x64xf32>, %b: tensor<64x4096xf32>) -> tensor<5x4096xf32> {
  %y = tenon.contract "m k, k n -> m n" %a, %b : (tensor<5x64xf32>, tensor<64x4096xf32>) -> tensor<5x4096xf32>
  tenon.return %y : tensor<5x4096xf32>
}

// Neither columns nor steps are neighbours.
// CHECK-LABEL: func.func @apart
// CHECK: call @tile_
tenon.kernel @apart(%a: tensor<1x64xf32>, %b: tensor<64x512x2xf32>) -> tensor<2x1x512xf32> {
  %y = tenon.contract "m k, k n b -> b m n" %a, %b : (tensor<1x64xf32>, tensor<64x512x2xf32>) -> tensor<2x1x512xf32>
  tenon.return %y : tensor<2x1x512xf32>
}
}
