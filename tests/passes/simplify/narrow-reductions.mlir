// RUN: tenon-opt %s --tenon-narrow-reductions | FileCheck %s
// RUN: tenon-interpret %s --check-passes=tenon-narrow-reductions

// CHECK-LABEL: func.func @expanded_mask
// CHECK: %[[E:.*]] = tenon.map {{.*}} -> tensor<3x5xf32>
// CHECK: %[[R:.*]] = tenon.reduce sum %[[E]] over [1] : tensor<3x5xf32> -> tensor<3xf32>
// CHECK: tenon.map %[[X:.*]] = %[[R]] at %[[B:.*]], %{{.*}} : (tensor<3xf32>) -> tensor<3x8xf32>
// CHECK-NEXT: tenon.load %[[X]][%[[B]]]
func.func @expanded_mask(%mask: tensor<3x5xi64>) -> tensor<3x8xf32> {
  %e = tenon.map %m = %mask at %b, %s, %c : (tensor<3x5xi64>) -> tensor<3x5x8xf32> {
    %0 = tenon.load %m[%b, %s] : tensor<3x5xi64>
    %1 = arith.sitofp %0 : i64 to f32
    tenon.yield %1 : f32
  }
  %n = tenon.reduce sum %e over [1] : tensor<3x5x8xf32> -> tensor<3x8xf32>
  return %n : tensor<3x8xf32>
}

// A sum over the expanded dimension counts it, and every element is needed.
// CHECK-LABEL: func.func @stays
// CHECK: tenon.reduce sum %{{.*}} over [1, 2] : tensor<3x5x8xf32> -> tensor<3xf32>
// CHECK-NOT: tenon.map
// CHECK: return
func.func @stays(%mask: tensor<3x5xf32>) -> tensor<3xf32> {
  %e = tenon.map %m = %mask at %b, %s, %c : (tensor<3x5xf32>) -> tensor<3x5x8xf32> {
    %0 = tenon.load %m[%b, %s] : tensor<3x5xf32>
    tenon.yield %0 : f32
  }
  %n = tenon.reduce sum %e over [1, 2] : tensor<3x5x8xf32> -> tensor<3xf32>
  return %n : tensor<3xf32>
}
