// RUN: tenon-opt %s --tenon-choose-toeplitz-form=force=direct | FileCheck %s

// What stands there is an order: so are a block's rows.
// CHECK-LABEL: func.func @ordered(
// CHECK: tenon.toeplitz {{.*}} form fft_blocks {tenon.block = 48 : i64}
func.func @ordered(%x: tensor<2x1x100x64xf32>, %t: tensor<1x199xf32>) -> tensor<2x1x100x64xf32> {
  %y = tenon.toeplitz %x diagonals %t form fft_blocks {tenon.block = 48 : i64} : (tensor<2x1x100x64xf32>, tensor<1x199xf32>) -> tensor<2x1x100x64xf32>
  return %y : tensor<2x1x100x64xf32>
}
