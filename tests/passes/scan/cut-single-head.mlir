// RUN: tenon-opt %s --tenon-lower-kernels | FileCheck %s
module attributes {tenon.target = #tenon.target<"x86-64-v4", vector_bits = 512, vector_registers = 32, row_tile = 14, l1 = 32768, l2 = 1048576>} {

// One head of one batch item, 64 columns: two tiles of 32, for two threads.
// CHECK-LABEL: func.func @single(
// CHECK-SAME: tenon.tiles = #tenon.dim<2>
tenon.kernel @single(%q: tensor<1x100x8xf32>, %v: tensor<1x100x64xf32>) -> tensor<1x100x64xf32> {
  %o = tenon.scan %q, %q, %v layout ["h n d", "h n d", "h n d", "h n d"] : tensor<1x100x8xf32>, tensor<1x100x8xf32>, tensor<1x100x64xf32> -> tensor<1x100x64xf32>
  tenon.return %o : tensor<1x100x64xf32>
}

// So few that one vector holds them.
// CHECK-LABEL: func.func @narrow(
// CHECK-SAME: tenon.tiles = #tenon.dim<1>
tenon.kernel @narrow(%q: tensor<1x100x8xf32>, %v: tensor<1x100x32xf32>) -> tensor<1x100x32xf32> {
  %o = tenon.scan %q, %q, %v layout ["h n d", "h n d", "h n d", "h n d"] : tensor<1x100x8xf32>, tensor<1x100x8xf32>, tensor<1x100x32xf32> -> tensor<1x100x32xf32>
  tenon.return %o : tensor<1x100x32xf32>
}

// Two heads are two tiles as they are.
// CHECK-LABEL: func.func @two(
// CHECK-SAME: tenon.tiles = #tenon.dim<2>
tenon.kernel @two(%q: tensor<2x100x8xf32>, %v: tensor<2x100x64xf32>) -> tensor<2x100x64xf32> {
  %o = tenon.scan %q, %q, %v layout ["h n d", "h n d", "h n d", "h n d"] : tensor<2x100x8xf32>, tensor<2x100x8xf32>, tensor<2x100x64xf32> -> tensor<2x100x64xf32>
  tenon.return %o : tensor<2x100x64xf32>
}

// A batch that is a symbol may be any number of tiles.
// CHECK-LABEL: func.func @batch(
// CHECK-SAME: tenon.tiles = #tenon.dim<d0>
tenon.kernel @batch(%q: tensor<?x1x100x8xf32, #tenon.dims<[d0, 1, 100, 8]>>, %v: tensor<?x1x100x64xf32, #tenon.dims<[d0, 1, 100, 64]>>)
    -> tensor<?x1x100x64xf32, #tenon.dims<[d0, 1, 100, 64]>> {
  %o = tenon.scan %q, %q, %v layout ["b h n d", "b h n d", "b h n d", "b h n d"]
     : tensor<?x1x100x8xf32, #tenon.dims<[d0, 1, 100, 8]>>, tensor<?x1x100x8xf32, #tenon.dims<[d0, 1, 100, 8]>>, tensor<?x1x100x64xf32, #tenon.dims<[d0, 1, 100, 64]>> -> tensor<?x1x100x64xf32, #tenon.dims<[d0, 1, 100, 64]>>
  tenon.return %o : tensor<?x1x100x64xf32, #tenon.dims<[d0, 1, 100, 64]>>
}
}
