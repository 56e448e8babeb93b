// RUN: tenon-opt %s --tenon-orient-captures | FileCheck %s
// RUN: tenon-interpret %s --check-passes=tenon-orient-captures

tenon.weight @table : tensor<2x5x5xf32> = dense<0.5> : tensor<2x5x5xf32>

// CHECK-LABEL: func.func @bias
// CHECK: %[[T:.*]] = tenon.get @table.transpose : tensor<2x5x5xf32>
// CHECK: tenon.attention {{.*}} captures (%[[T]])
// CHECK: tenon.load %{{.*}}[%[[H:.*]], %[[J:.*]], %[[I:.*]]]
func.func @bias(%q: tensor<1x5x2x4xf32>, %k: tensor<1x5x2x4xf32>, %v: tensor<1x5x2x4xf32>) -> tensor<1x5x2x4xf32> {
  %t = tenon.get @table : tensor<2x5x5xf32>
  %o = tenon.attention %q, (%k), (%v) captures (%t) normalise softmax empty zero layout ["b n h d", "b n h d", "b n h d", "b n h d"] algorithm flash : (tensor<1x5x2x4xf32>, tensor<1x5x2x4xf32>, tensor<1x5x2x4xf32>, tensor<2x5x5xf32>) -> tensor<1x5x2x4xf32> score (%x, %b, %h, %i, %j, %c) {
    %0 = tenon.load %c[%h, %i, %j] : tensor<2x5x5xf32>
    %1 = arith.addf %x, %0 : f32
    tenon.yield %1 : f32
  }
  return %o : tensor<1x5x2x4xf32>
}
