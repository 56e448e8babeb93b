// RUN: tenon-opt %s --tenon-fold-attention-moves --canonicalize --cse | FileCheck %s
// RUN: tenon-interpret %s --check-passes=tenon-fold-attention-moves

tenon.symbol @N in [1, 64]

// Slices of a merged product under reshapes, as a builder of attention writes them.
// CHECK-LABEL: func.func @merged
// CHECK: %[[R:.*]] = tenon.reshape %arg0 : {{.*}} -> tensor<?x3x2x8xf32, #tenon.dims<[N, 3, 2, 8]>>
// CHECK: tenon.attention %[[R]], (%[[R]]), (%[[R]])
// CHECK-SAME: layout ["n 0 h d", "n 1 h d", "n 2 h d", "n h d"]
// CHECK-NOT: tenon.map
func.func @merged(%qkv: tensor<?x48xf32, #tenon.dims<[N, 48]>>) -> tensor<?x2x8xf32, #tenon.dims<[N, 2, 8]>> {
  %q = tenon.map %x = %qkv at %n, %c : (tensor<?x48xf32, #tenon.dims<[N, 48]>>) -> tensor<?x16xf32, #tenon.dims<[N, 16]>> = %x[%n, %c]
  %k = tenon.map %x = %qkv at %n, %c : (tensor<?x48xf32, #tenon.dims<[N, 48]>>) -> tensor<?x16xf32, #tenon.dims<[N, 16]>> = %x[%n, %c + 16]
  %v = tenon.map %x = %qkv at %n, %c : (tensor<?x48xf32, #tenon.dims<[N, 48]>>) -> tensor<?x16xf32, #tenon.dims<[N, 16]>> = %x[%n, %c + 32]
  %qr = tenon.reshape %q : tensor<?x16xf32, #tenon.dims<[N, 16]>> -> tensor<?x2x8xf32, #tenon.dims<[N, 2, 8]>>
  %kr = tenon.reshape %k : tensor<?x16xf32, #tenon.dims<[N, 16]>> -> tensor<?x2x8xf32, #tenon.dims<[N, 2, 8]>>
  %vr = tenon.reshape %v : tensor<?x16xf32, #tenon.dims<[N, 16]>> -> tensor<?x2x8xf32, #tenon.dims<[N, 2, 8]>>
  %o = tenon.attention %qr, (%kr), (%vr) normalise softmax empty zero layout ["n h d", "n h d", "n h d", "n h d"]
     : (tensor<?x2x8xf32, #tenon.dims<[N, 2, 8]>>, tensor<?x2x8xf32, #tenon.dims<[N, 2, 8]>>, tensor<?x2x8xf32, #tenon.dims<[N, 2, 8]>>) -> tensor<?x2x8xf32, #tenon.dims<[N, 2, 8]>>
  return %o : tensor<?x2x8xf32, #tenon.dims<[N, 2, 8]>>
}

// Near miss: computed on the way, and half of the depth turned (a rotary embedding).
// CHECK-LABEL: func.func @computed
// CHECK-COUNT-2: tenon.map
// CHECK: layout ["n d", "n d", "n d", "n d"]
func.func @computed(%x: tensor<5x8xf32>) -> tensor<5x8xf32> {
  %q = tenon.map %a = %x at %n, %c : (tensor<5x8xf32>) -> tensor<5x8xf32> = %a[%n, %c] + 1
  %k = tenon.map %a = %x at %n, %c : (tensor<5x8xf32>) -> tensor<5x8xf32> = %a[%n, mod(%c + 4, 8)]
  %o = tenon.attention %q, (%k), (%x) normalise softmax empty zero layout ["n d", "n d", "n d", "n d"]
     : (tensor<5x8xf32>, tensor<5x8xf32>, tensor<5x8xf32>) -> tensor<5x8xf32>
  return %o : tensor<5x8xf32>
}

tenon.symbol @T in [1, 64]
tenon.symbol @B in [1, 8]

// Near miss: copied from [rows, batch, depth] so that rows lie a constant distance apart, which streaming wants.
// CHECK-LABEL: func.func @time_major
// CHECK: %[[K:.*]] = tenon.map
// CHECK: tenon.attention %arg0, (%[[K]]), (%arg0)
// CHECK-SAME: layout ["b n d", "b n d", "b n d", "b n d"]
func.func @time_major(%x: tensor<?x?x8xf32, #tenon.dims<[B, T, 8]>>, %y: tensor<?x?x8xf32, #tenon.dims<[T, B, 8]>>) -> tensor<?x?x8xf32, #tenon.dims<[B, T, 8]>> {
  %k = tenon.map %a = %y at %b, %n, %d : (tensor<?x?x8xf32, #tenon.dims<[T, B, 8]>>) -> tensor<?x?x8xf32, #tenon.dims<[B, T, 8]>> = %a[%n, %b, %d]
  %o = tenon.attention %x, (%k), (%x) normalise softmax empty zero layout ["b n d", "b n d", "b n d", "b n d"]
     : (tensor<?x?x8xf32, #tenon.dims<[B, T, 8]>>, tensor<?x?x8xf32, #tenon.dims<[B, T, 8]>>, tensor<?x?x8xf32, #tenon.dims<[B, T, 8]>>) -> tensor<?x?x8xf32, #tenon.dims<[B, T, 8]>>
  return %o : tensor<?x?x8xf32, #tenon.dims<[B, T, 8]>>
}

tenon.symbol @S in [1, 64]
!cache = tensor<1x2x?x8xbf16, #tenon.dims<[1, 2, S, 8]>>
!wide = tensor<1x2x?x8xf32, #tenon.dims<[1, 2, S, 8]>>

// A cache of bf16 is read as it is, behind a transpose too.
// CHECK-LABEL: func.func @narrow_cache
// CHECK-NOT: tenon.map
// CHECK: %[[K:.*]] = tenon.reshape %arg1
// CHECK: %[[V:.*]] = tenon.reshape %arg2
// CHECK: tenon.attention %arg0, (%[[K]]), (%[[V]])
// CHECK-SAME: layout ["b h n d", "h n d", "n h d", "b h n d"] : (tensor<1x4x1x8xf32>, tensor<2x?x8xbf16
func.func @narrow_cache(%q: tensor<1x4x1x8xf32>, %k: !cache, %v: tensor<?x1x2x8xbf16, #tenon.dims<[S, 1, 2, 8]>>) -> tensor<1x4x1x8xf32> {
  %kw = tenon.map %a = %k at %b, %h, %n, %d : (!cache) -> !wide { %0 = tenon.load %a[%b, %h, %n, %d] : !cache
    %1 = arith.extf %0 : bf16 to f32
    tenon.yield %1 : f32 }
  %vt = tenon.map %a = %v at %b, %h, %n, %d : (tensor<?x1x2x8xbf16, #tenon.dims<[S, 1, 2, 8]>>) -> !cache = %a[%n, %b, %h, %d]
  %vw = tenon.map %a = %vt at %b, %h, %n, %d : (!cache) -> !wide { %0 = tenon.load %a[%b, %h, %n, %d] : !cache
    %1 = arith.extf %0 : bf16 to f32
    tenon.yield %1 : f32 }
  %o = tenon.attention %q, (%kw), (%vw) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
     : (tensor<1x4x1x8xf32>, !wide, !wide) -> tensor<1x4x1x8xf32>
  return %o : tensor<1x4x1x8xf32>
}

// Near miss: rounded to bf16 on the way, which is not what f32 holds.
// CHECK-LABEL: func.func @rounded_cache
// CHECK: %[[K:.*]] = tenon.map
// CHECK: tenon.attention %arg0, (%[[K]])
func.func @rounded_cache(%q: tensor<1x4x1x8xf32>, %k: !wide) -> tensor<1x4x1x8xf32> {
  %n = tenon.map %a = %k at %b, %h, %n, %d : (!wide) -> !cache { %0 = tenon.load %a[%b, %h, %n, %d] : !wide
    %1 = arith.truncf %0 : f32 to bf16
    tenon.yield %1 : bf16 }
  %o = tenon.attention %q, (%n), (%n) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
     : (tensor<1x4x1x8xf32>, !cache, !cache) -> tensor<1x4x1x8xf32>
  return %o : tensor<1x4x1x8xf32>
}
