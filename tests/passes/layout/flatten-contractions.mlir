// RUN: tenon-opt %s --tenon-flatten-contractions | FileCheck %s
// RUN: tenon-interpret %s --check-passes=tenon-flatten-contractions

tenon.symbol @B in [1, 8]
tenon.symbol @S in [1, 64]
tenon.weight @w : tensor<6x8xf32> = #tenon.random<1, 0.1>
tenon.weight @heads : tensor<2x3x8xf32> = #tenon.random<2, 0.1>
// CHECK-DAG: tenon.weight @w.transpose : tensor<8x6xf32> = #tenon.recipe<transpose [@w] {permutation = array<i64: 1, 0>}>
// CHECK-DAG: tenon.weight @heads.transpose : tensor<8x2x3xf32> = #tenon.recipe<transpose [@heads] {permutation = array<i64: 2, 0, 1>}>
// CHECK-DAG: tenon.weight @heads.transpose.reshape : tensor<8x6xf32> = #tenon.recipe<reshape [@heads.transpose]>

// CHECK-LABEL: func.func @rows
// CHECK: tenon.reshape %arg0 : {{.*}} -> tensor<?x8xf32, #tenon.dims<[B * S, 8]>>
// CHECK: tenon.contract "m k, k n -> m n"
// CHECK: tenon.reshape {{.*}} -> tensor<?x?x6xf32, #tenon.dims<[B, S, 6]>>
func.func @rows(%x: tensor<?x?x8xf32, #tenon.dims<[B, S, 8]>>) -> tensor<?x?x6xf32, #tenon.dims<[B, S, 6]>> {
  %w = tenon.get @w : tensor<6x8xf32>
  %y = tenon.contract "b s k, n k -> b s n" %x, %w : (tensor<?x?x8xf32, #tenon.dims<[B, S, 8]>>, tensor<6x8xf32>) -> tensor<?x?x6xf32, #tenon.dims<[B, S, 6]>>
  return %y : tensor<?x?x6xf32, #tenon.dims<[B, S, 6]>>
}

// Columns of two dims, the weight on the left.
// CHECK-LABEL: func.func @head_columns
// CHECK: tenon.contract "m k, k n -> m n" %arg0, %{{.*}} -> tensor<?x6xf32
// CHECK: tenon.reshape {{.*}} -> tensor<?x2x3xf32, #tenon.dims<[S, 2, 3]>>
func.func @head_columns(%x: tensor<?x8xf32, #tenon.dims<[S, 8]>>) -> tensor<?x2x3xf32, #tenon.dims<[S, 2, 3]>> {
  %w = tenon.get @heads : tensor<2x3x8xf32>
  %y = tenon.contract "h d k, s k -> s h d" %w, %x : (tensor<2x3x8xf32>, tensor<?x8xf32, #tenon.dims<[S, 8]>>) -> tensor<?x2x3xf32, #tenon.dims<[S, 2, 3]>>
  return %y : tensor<?x2x3xf32, #tenon.dims<[S, 2, 3]>>
}

// Columns before rows: activations would have to move.
// CHECK-LABEL: func.func @stays
// CHECK: tenon.contract "s k, n k -> n s"
func.func @stays(%x: tensor<?x8xf32, #tenon.dims<[S, 8]>>) -> tensor<6x?xf32, #tenon.dims<[6, S]>> {
  %w = tenon.get @w : tensor<6x8xf32>
  %y = tenon.contract "s k, n k -> n s" %x, %w : (tensor<?x8xf32, #tenon.dims<[S, 8]>>, tensor<6x8xf32>) -> tensor<6x?xf32, #tenon.dims<[6, S]>>
  return %y : tensor<6x?xf32, #tenon.dims<[6, S]>>
}
