// RUN: tenon-opt %s | tenon-opt | FileCheck %s

// CHECK: tenon.symbol @P in [0, 8] kept
tenon.symbol @P in [0, 8] kept
tenon.symbol @S in [1, 8]
// CHECK: tenon.state @cache : tensor<8x4xf32>
tenon.state @cache : tensor<8x4xf32>
tenon.weight @start : tensor<2xf32> = dense<[1.0, 2.0]> : tensor<2xf32>
// CHECK: tenon.state @total : tensor<2xf32> = @start
tenon.state @total : tensor<2xf32> = @start

// CHECK-LABEL: func.func @step
func.func @step(%x: tensor<?x4xf32, #tenon.dims<[S, 4]>>) -> tensor<?x4xf32, #tenon.dims<[P + S, 4]>> {
  // CHECK: %[[OLD:.*]] = tenon.state_get @cache : tensor<?x4xf32, #tenon.dims<[P, 4]>>
  %old = tenon.state_get @cache : tensor<?x4xf32, #tenon.dims<[P, 4]>>
  // CHECK: %[[ALL:.*]] = tenon.append %{{.*}} to %[[OLD]] : tensor<?x4xf32, #tenon.dims<[S, 4]>> to tensor<?x4xf32, #tenon.dims<[P, 4]>> -> tensor<?x4xf32, #tenon.dims<[P + S, 4]>>
  %all = tenon.append %x to %old : tensor<?x4xf32, #tenon.dims<[S, 4]>> to tensor<?x4xf32, #tenon.dims<[P, 4]>> -> tensor<?x4xf32, #tenon.dims<[P + S, 4]>>
  // CHECK: tenon.state_set @cache, %[[ALL]] : tensor<?x4xf32, #tenon.dims<[P + S, 4]>>
  tenon.state_set @cache, %all : tensor<?x4xf32, #tenon.dims<[P + S, 4]>>
  // CHECK: tenon.advance @P to #tenon.dim<P + S>
  tenon.advance @P to #tenon.dim<P + S>
  return %all : tensor<?x4xf32, #tenon.dims<[P + S, 4]>>
}
