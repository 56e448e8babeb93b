// RUN: tenon-opt %s --tenon-lower-kernels | FileCheck %s
// RUN: sed s/tenon.other/tenon.multiply_add_units/ %s | tenon-opt --tenon-lower-kernels | FileCheck %s --check-prefix=TWO

// 14 rows or fewer are tiles of up to 7, which wait for memory; where there are two multiply-add units, 9 or fewer are one tile.

module attributes {tenon.other = 2 : i64, tenon.target = #tenon.target<"x86-64-v4", vector_bits = 512, vector_registers = 32, row_tile = 14, l1 = 32768, l2 = 1048576>} {

// CHECK-LABEL: func.func @product
// CHECK: arith.cmpi ule, %[[ROWS:.*]], %c14
// CHECK: arith.cmpi ugt, %[[ROWS]], %c0
// TWO-LABEL: func.func @product
// TWO: arith.cmpi ule, %[[ROWS:.*]], %c14
// TWO: arith.cmpi ugt, %[[ROWS]], %c9
tenon.kernel @product(%a: tensor<?x64xf32, #tenon.dims<[d0, 64]>>, %b: tensor<2x64x16xf32>) -> tensor<?x32xf32, #tenon.dims<[d0, 32]>> {
  %y = tenon.contract "m k, k n -> m n" %a, %b panels 16 : (tensor<?x64xf32, #tenon.dims<[d0, 64]>>, tensor<2x64x16xf32>) -> tensor<?x32xf32, #tenon.dims<[d0, 32]>>
  tenon.return %y : tensor<?x32xf32, #tenon.dims<[d0, 32]>>
}
}
