// RUN: tenon-opt %s --tenon-form-kernels | FileCheck %s

tenon.symbol @B in [1, 64]
tenon.symbol @S in [1, 512]

// Windows of a depthwise convolution, 4 in a row: their reshape stands in the kernel, which says how many there are.
// CHECK-LABEL: func.func @windows
// CHECK: tenon.dispatch @[[WINDOWS:.*]](%arg0, %{{.*}}) {{.*}} dims #tenon.dims<[B, S, 2 * S + 1]>
func.func @windows(%x: tensor<?x2x?x9xf32, #tenon.dims<[B, 2, 2 * S + 1, 9]>>, %w: tensor<2x9xf32>) -> tensor<?x2x?xf32, #tenon.dims<[B, 2, 4 * S]>> {
  %y = tenon.map %a = %x at %b, %c, %i, %j, %k, %l : (tensor<?x2x?x9xf32, #tenon.dims<[B, 2, 2 * S + 1, 9]>>) -> tensor<?x2x?x4x3x3xf32, #tenon.dims<[B, 2, S, 4, 3, 3]>> {
    %two = arith.constant 2 : index
    %0 = arith.muli %i, %two : index
    %1 = arith.addi %0, %k : index
    %2 = arith.muli %j, %two : index
    %3 = arith.addi %2, %l : index
    %4 = tenon.load %a[%b, %c, %1, %3] : tensor<?x2x?x9xf32, #tenon.dims<[B, 2, 2 * S + 1, 9]>>
    tenon.yield %4 : f32
  }
  %z = tenon.reshape %y : tensor<?x2x?x4x3x3xf32, #tenon.dims<[B, 2, S, 4, 3, 3]>> -> tensor<?x2x?x9xf32, #tenon.dims<[B, 2, 4 * S, 9]>>
  %r = tenon.contract "g k, b g m k -> b g m" %w, %z : (tensor<2x9xf32>, tensor<?x2x?x9xf32, #tenon.dims<[B, 2, 4 * S, 9]>>) -> tensor<?x2x?xf32, #tenon.dims<[B, 2, 4 * S]>>
  return %r : tensor<?x2x?xf32, #tenon.dims<[B, 2, 4 * S]>>
}

// CHECK: tenon.kernel @[[WINDOWS]]
// CHECK: tenon.reshape {{.*}} #tenon.dims<[d0, 2, d1, 4, 3, 3]>> -> {{.*}} #tenon.dims<[d0, 2, 4 * d1, 9]>>
