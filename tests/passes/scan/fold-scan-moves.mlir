// RUN: tenon-opt %s --tenon-fold-scan-moves | FileCheck %s
// RUN: tenon-interpret %s --check-passes=tenon-fold-scan-moves --dim N=3
// RUN: tenon-interpret %s --check-passes=tenon-fold-scan-moves --dim N=0
tenon.symbol @N in [0, 64]

// Heads taken out of a merged product and moved before time; a unit dim.
// CHECK-LABEL: func.func @moved(
// CHECK: %[[Q:.*]] = tenon.reshape %arg0 : {{.*}} -> tensor<?x3x2x4xf32
// CHECK: tenon.scan %[[Q]], %{{.*}}, %{{.*}} layout ["n 0 h d", "n 1 h d", "n 2 h d", "b h n d"]
func.func @moved(%x: tensor<?x24xf32, #tenon.dims<[N, 24]>>) -> tensor<1x2x?x4xf32, #tenon.dims<[1, 2, N, 4]>> {
  %r = tenon.reshape %x : tensor<?x24xf32, #tenon.dims<[N, 24]>> -> tensor<1x?x24xf32, #tenon.dims<[1, N, 24]>>
  %q = tenon.map %a = %r at %b, %h, %n, %d : (tensor<1x?x24xf32, #tenon.dims<[1, N, 24]>>) -> tensor<1x2x?x4xf32, #tenon.dims<[1, 2, N, 4]>> = %a[%b, %n, %h * 4 + %d]
  %k = tenon.map %a = %r at %b, %h, %n, %d : (tensor<1x?x24xf32, #tenon.dims<[1, N, 24]>>) -> tensor<1x2x?x4xf32, #tenon.dims<[1, 2, N, 4]>> = %a[%b, %n, 8 + %h * 4 + %d]
  %v = tenon.map %a = %r at %b, %h, %n, %d : (tensor<1x?x24xf32, #tenon.dims<[1, N, 24]>>) -> tensor<1x2x?x4xf32, #tenon.dims<[1, 2, N, 4]>> = %a[%b, %n, 16 + %h * 4 + %d]
  %o = tenon.scan %q, %k, %v layout ["b h n d", "b h n d", "b h n d", "b h n d"]
    : tensor<1x2x?x4xf32, #tenon.dims<[1, 2, N, 4]>>, tensor<1x2x?x4xf32, #tenon.dims<[1, 2, N, 4]>>, tensor<1x2x?x4xf32, #tenon.dims<[1, 2, N, 4]>> -> tensor<1x2x?x4xf32, #tenon.dims<[1, 2, N, 4]>>
  return %o : tensor<1x2x?x4xf32, #tenon.dims<[1, 2, N, 4]>>
}

// Near misses: a map that computes, one that repeats.
// CHECK-LABEL: func.func @stays(
// CHECK: %[[A:.*]] = tenon.map
// CHECK: %[[B:.*]] = tenon.map
// CHECK: tenon.scan %[[A]], %[[B]], %arg0 layout ["n d", "n d", "n d", "n d"]
func.func @stays(%x: tensor<?x4xf32, #tenon.dims<[N, 4]>>, %y: tensor<4xf32>) -> tensor<?x4xf32, #tenon.dims<[N, 4]>> {
  %q = tenon.map %a = %x at %n, %d : (tensor<?x4xf32, #tenon.dims<[N, 4]>>) -> tensor<?x4xf32, #tenon.dims<[N, 4]>> = %a[%n, %d] * %a[%n, %d]
  %k = tenon.map %a = %y at %n, %d : (tensor<4xf32>) -> tensor<?x4xf32, #tenon.dims<[N, 4]>> = %a[%d]
  %o = tenon.scan %q, %k, %x layout ["n d", "n d", "n d", "n d"]
    : tensor<?x4xf32, #tenon.dims<[N, 4]>>, tensor<?x4xf32, #tenon.dims<[N, 4]>>, tensor<?x4xf32, #tenon.dims<[N, 4]>> -> tensor<?x4xf32, #tenon.dims<[N, 4]>>
  return %o : tensor<?x4xf32, #tenon.dims<[N, 4]>>
}
