// RUN: tenon-opt %s --tenon-merge-projections | FileCheck %s
// RUN: tenon-interpret %s --check-passes=tenon-merge-projections

tenon.symbol @S in [1, 64]
tenon.weight @wq : tensor<8x4xf32> = #tenon.random<1, 0.1>
tenon.weight @wk : tensor<8x4xf32> = #tenon.random<2, 0.1>
tenon.weight @wide : tensor<8x6xf32> = #tenon.random<3, 0.1>
tenon.weight @bq : tensor<4xf32> = #tenon.random<4, 0.1>
tenon.weight @bk : tensor<4xf32> = #tenon.random<5, 0.1>
// CHECK-DAG: tenon.weight @[[W:wq.concat]] : tensor<8x8xf32> = #tenon.recipe<concat [@wq, @wk] {axis = 1 : i64}>
// CHECK-DAG: tenon.weight @[[BIAS:bq.concat]] : tensor<8xf32> = #tenon.recipe<concat [@bq, @bk] {axis = 0 : i64}>

// CHECK-LABEL: func.func @query_and_key
// CHECK: %[[ALL:.*]] = tenon.contract "m k, k n -> m n" %arg0, %{{.*}} -> tensor<?x8xf32
// CHECK: %[[SUM:.*]] = tenon.map %{{.*}} = %[[ALL]], %{{.*}} = %{{.*}} at
// CHECK: tenon.map %{{.*}} = %[[SUM]] at
// CHECK: tenon.map %{{.*}} = %[[SUM]] at
// CHECK: arith.addi
// CHECK-NOT: tenon.contract
// CHECK: return
func.func @query_and_key(%x: tensor<?x8xf32, #tenon.dims<[S, 8]>>) -> (tensor<?x4xf32, #tenon.dims<[S, 4]>>, tensor<?x4xf32, #tenon.dims<[S, 4]>>) {
  %wq = tenon.get @wq : tensor<8x4xf32>
  %wk = tenon.get @wk : tensor<8x4xf32>
  %bq = tenon.get @bq : tensor<4xf32>
  %bk = tenon.get @bk : tensor<4xf32>
  %q = tenon.contract "m k, k n -> m n" %x, %wq : (tensor<?x8xf32, #tenon.dims<[S, 8]>>, tensor<8x4xf32>) -> tensor<?x4xf32, #tenon.dims<[S, 4]>>
  %k = tenon.contract "m k, k n -> m n" %x, %wk : (tensor<?x8xf32, #tenon.dims<[S, 8]>>, tensor<8x4xf32>) -> tensor<?x4xf32, #tenon.dims<[S, 4]>>
  %qb = tenon.map %a = %q, %t = %bq at %m, %n : (tensor<?x4xf32, #tenon.dims<[S, 4]>>, tensor<4xf32>) -> tensor<?x4xf32, #tenon.dims<[S, 4]>> {
    %0 = tenon.load %a[%m, %n] : tensor<?x4xf32, #tenon.dims<[S, 4]>>
    %1 = tenon.load %t[%n] : tensor<4xf32>
    %2 = arith.addf %0, %1 : f32
    tenon.yield %2 : f32
  }
  %kb = tenon.map %a = %k, %t = %bk at %m, %n : (tensor<?x4xf32, #tenon.dims<[S, 4]>>, tensor<4xf32>) -> tensor<?x4xf32, #tenon.dims<[S, 4]>> {
    %0 = tenon.load %t[%n] : tensor<4xf32>
    %1 = tenon.load %a[%m, %n] : tensor<?x4xf32, #tenon.dims<[S, 4]>>
    %2 = arith.addf %0, %1 : f32
    tenon.yield %2 : f32
  }
  return %qb, %kb : tensor<?x4xf32, #tenon.dims<[S, 4]>>, tensor<?x4xf32, #tenon.dims<[S, 4]>>
}

// Other columns, or arithmetic that belongs to one of the two: both stay.
// CHECK-LABEL: func.func @stays
// CHECK-COUNT-3: tenon.contract
// CHECK: math.tanh
func.func @stays(%x: tensor<?x8xf32, #tenon.dims<[S, 8]>>) -> (tensor<?x4xf32, #tenon.dims<[S, 4]>>, tensor<6x?xf32, #tenon.dims<[6, S]>>, tensor<4x?xf32, #tenon.dims<[4, S]>>) {
  %wq = tenon.get @wq : tensor<8x4xf32>
  %wk = tenon.get @wk : tensor<8x4xf32>
  %wide = tenon.get @wide : tensor<8x6xf32>
  %q = tenon.contract "m k, k n -> m n" %x, %wq : (tensor<?x8xf32, #tenon.dims<[S, 8]>>, tensor<8x4xf32>) -> tensor<?x4xf32, #tenon.dims<[S, 4]>>
  %v = tenon.contract "m k, k n -> m n" %x, %wide : (tensor<?x8xf32, #tenon.dims<[S, 8]>>, tensor<8x6xf32>) -> tensor<?x6xf32, #tenon.dims<[S, 6]>>
  %k = tenon.contract "m k, k n -> m n" %x, %wk : (tensor<?x8xf32, #tenon.dims<[S, 8]>>, tensor<8x4xf32>) -> tensor<?x4xf32, #tenon.dims<[S, 4]>>
  %qt = tenon.map %a = %q at %m, %n : (tensor<?x4xf32, #tenon.dims<[S, 4]>>) -> tensor<?x4xf32, #tenon.dims<[S, 4]>> {
    %0 = tenon.load %a[%m, %n] : tensor<?x4xf32, #tenon.dims<[S, 4]>>
    %1 = math.tanh %0 : f32
    tenon.yield %1 : f32
  }
  %vt = tenon.map %a = %v at %n, %m : (tensor<?x6xf32, #tenon.dims<[S, 6]>>) -> tensor<6x?xf32, #tenon.dims<[6, S]>> {
    %0 = tenon.load %a[%m, %n] : tensor<?x6xf32, #tenon.dims<[S, 6]>>
    tenon.yield %0 : f32
  }
  %kt = tenon.map %a = %k at %n, %m : (tensor<?x4xf32, #tenon.dims<[S, 4]>>) -> tensor<4x?xf32, #tenon.dims<[4, S]>> {
    %0 = tenon.load %a[%m, %n] : tensor<?x4xf32, #tenon.dims<[S, 4]>>
    tenon.yield %0 : f32
  }
  return %qt, %vt, %kt : tensor<?x4xf32, #tenon.dims<[S, 4]>>, tensor<6x?xf32, #tenon.dims<[6, S]>>, tensor<4x?xf32, #tenon.dims<[4, S]>>
}
