// RUN: tenon-opt %s | tenon-opt | FileCheck %s

tenon.symbol @B in [0, 64]
tenon.symbol @S in [1, 8192] divisible by 4
// CHECK: tenon.symbol @S in [1, 8192] divisible by 4

tenon.weight @w : tensor<8x4xf32> = #tenon.source<"model.safetensors", 4096>
tenon.weight @r : tensor<8x4xf32> = #tenon.random<7, 5.0e-02>
tenon.weight @both : tensor<8x8xf32> = #tenon.recipe<concat [@w, @r] {axis = 1 : i64}>
tenon.weight @b : tensor<2xf32> = dense<[1.0, 2.0]> : tensor<2xf32>
// CHECK: tenon.weight @w : tensor<8x4xf32> = #tenon.source<"model.safetensors", 4096>
// CHECK: tenon.weight @r : tensor<8x4xf32> = #tenon.random<7, 5.000000e-02>
// CHECK: tenon.weight @both : tensor<8x8xf32> = #tenon.recipe<concat [@w, @r] {axis = 1 : i64}>

// CHECK-LABEL: func.func @linear
func.func @linear(%x: tensor<?x?x8xf32, #tenon.dims<[B, S, 8]>>) -> tensor<?x?x4xf32, #tenon.dims<[B, S, 4]>> {
  %w = tenon.get @w : tensor<8x4xf32>
  // CHECK: tenon.contract "b s k, k n -> b s n" %{{.*}}, %{{.*}} :
  %y = tenon.contract "b s k, k n -> b s n" %x, %w
     : (tensor<?x?x8xf32, #tenon.dims<[B, S, 8]>>, tensor<8x4xf32>) -> tensor<?x?x4xf32, #tenon.dims<[B, S, 4]>>
  // CHECK: tenon.map %[[X:.*]] = %{{.*}} at %[[I:.*]], %[[J:.*]], %[[K:.*]] :
  %z = tenon.map %a = %y at %i, %j, %k : (tensor<?x?x4xf32, #tenon.dims<[B, S, 4]>>) -> tensor<?x?x4xf32, #tenon.dims<[B, S, 4]>> {
    // CHECK: tenon.size #tenon.dim<S - 1>
    %last = tenon.size #tenon.dim<S - 1>
    %flipped = arith.subi %last, %j : index
    // CHECK: tenon.load %[[X]][%[[I]], %{{.*}}, %[[K]]]
    %v = tenon.load %a[%i, %flipped, %k] : tensor<?x?x4xf32, #tenon.dims<[B, S, 4]>>
    tenon.yield %v : f32
  }
  return %z : tensor<?x?x4xf32, #tenon.dims<[B, S, 4]>>
}

// CHECK-LABEL: func.func @rows
func.func @rows(%x: tensor<4x8xf32>, %g: tensor<8xf32>) -> (tensor<4xf32>, tensor<32xf32>) {
  // CHECK: tenon.norm layer %{{.*}} scale %{{.*}} : tensor<8xf32> over 1 epsilon
  %n = tenon.norm layer %x scale %g : tensor<8xf32> over 1 epsilon 1.0e-12 : tensor<4x8xf32> -> tensor<4x8xf32>
  // CHECK: tenon.softmax %{{.*}} over 1 :
  %p = tenon.softmax %n over 1 : tensor<4x8xf32>
  // CHECK: tenon.reduce sum %{{.*}} over [1] : tensor<4x8xf32> -> tensor<4xf32>
  %s = tenon.reduce sum %p over [1] : tensor<4x8xf32> -> tensor<4xf32>
  // CHECK: tenon.reshape %{{.*}} : tensor<4x8xf32> -> tensor<32xf32>
  %r = tenon.reshape %p : tensor<4x8xf32> -> tensor<32xf32>
  return %s, %r : tensor<4xf32>, tensor<32xf32>
}

// CHECK-LABEL: func.func @put
func.func @put(%x: tensor<4x8xf32>, %u: tensor<2x8xf32>, %p: tensor<2x1xi64>) -> (tensor<4x8xf32>, tensor<4x8xf32>) {
  // CHECK: tenon.scatter %{{.*}} into %{{.*}} at %{{.*}} : tensor<2x8xf32> into tensor<4x8xf32> at tensor<2x1xi64>
  %s = tenon.scatter %u into %x at %p : tensor<2x8xf32> into tensor<4x8xf32> at tensor<2x1xi64>
  // CHECK: tenon.scatter %{{.*}} into %{{.*}} at %{{.*}} by max :
  %m = tenon.scatter %u into %x at %p by max : tensor<2x8xf32> into tensor<4x8xf32> at tensor<2x1xi64>
  return %s, %m : tensor<4x8xf32>, tensor<4x8xf32>
}

// CHECK-LABEL: func.func @sort
func.func @sort(%x: tensor<4x8xf32>, %n: tensor<4x8xi32>) -> (tensor<4x3xi64>, tensor<4x8xi64>, tensor<4xi64>) {
  // CHECK: tenon.order %{{.*}} over 1 descending : tensor<4x8xf32> -> tensor<4x3xi64>
  %d = tenon.order %x over 1 descending : tensor<4x8xf32> -> tensor<4x3xi64>
  // CHECK: tenon.order %{{.*}} over 1 unsigned : tensor<4x8xi32> -> tensor<4x8xi64>
  %u = tenon.order %n over 1 unsigned : tensor<4x8xi32> -> tensor<4x8xi64>
  // CHECK: tenon.order %{{.*}} over 0 records : tensor<4x8xf32> -> tensor<4xi64>
  %r = tenon.order %x over 0 records : tensor<4x8xf32> -> tensor<4xi64>
  return %d, %u, %r : tensor<4x3xi64>, tensor<4x8xi64>, tensor<4xi64>
}

// CHECK-LABEL: func.func @attend
func.func @attend(%qkv: tensor<2x5x3x4x8xf32>, %mask: tensor<2x5xi1>) -> tensor<2x5x4x8xf32> {
  // CHECK: tenon.attention %{{.*}}, (%{{.*}}), (%{{.*}}) captures (%{{.*}}) normalise softmax empty uniform layout
  // CHECK-SAME: algorithm flash
  // CHECK: score (
  // CHECK: keep (
  %o = tenon.attention %qkv, (%qkv), (%qkv) captures (%mask) normalise softmax empty uniform
         layout ["b n 0 h d", "b n 1 h d", "b n 2 h d", "b n h d"] algorithm flash
       : (tensor<2x5x3x4x8xf32>, tensor<2x5x3x4x8xf32>, tensor<2x5x3x4x8xf32>, tensor<2x5xi1>) -> tensor<2x5x4x8xf32>
    score (%x, %b, %h, %i, %j, %m) {
      %c = arith.constant 0.35 : f32
      %y = arith.mulf %x, %c : f32
      tenon.yield %y : f32
    } keep (%b, %h, %i, %j, %m) {
      %live = tenon.load %m[%b, %j] : tensor<2x5xi1>
      tenon.yield %live : i1
    }
  return %o : tensor<2x5x4x8xf32>
}

// CHECK-LABEL: tenon.kernel @twice
tenon.kernel @twice(%x: tensor<?x4xf32, #tenon.dims<[d0, 4]>>) -> tensor<?x4xf32, #tenon.dims<[d0, 4]>> {
  %y = tenon.map %a = %x at %i, %j : (tensor<?x4xf32, #tenon.dims<[d0, 4]>>) -> tensor<?x4xf32, #tenon.dims<[d0, 4]>> {
    %v = tenon.load %a[%i, %j] : tensor<?x4xf32, #tenon.dims<[d0, 4]>>
    %w = arith.addf %v, %v : f32
    tenon.yield %w : f32
  }
  tenon.return %y : tensor<?x4xf32, #tenon.dims<[d0, 4]>>
}

// CHECK-LABEL: func.func @use
func.func @use(%x: tensor<?x4xf32, #tenon.dims<[B * S, 4]>>) -> tensor<?x4xf32, #tenon.dims<[B * S, 4]>> {
  // CHECK: tenon.dispatch @twice(%{{.*}}) : {{.*}} dims #tenon.dims<[B * S]>
  %y = tenon.dispatch @twice(%x) : (tensor<?x4xf32, #tenon.dims<[B * S, 4]>>) -> tensor<?x4xf32, #tenon.dims<[B * S, 4]>> dims #tenon.dims<[B * S]>
  return %y : tensor<?x4xf32, #tenon.dims<[B * S, 4]>>
}

// A state for each part of 512 keys, merged and divided.
// CHECK-LABEL: func.func @attention_states
// CHECK: tenon.attention_update %{{.*}}, %{{.*}}, %{{.*}} captures (%{{.*}}) normalise softmax layout ["n d", "n d", "n d"] parts_of 512
// CHECK: keep (
// CHECK: tenon.attention_merge %{{.*}} normalise softmax
// CHECK: tenon.attention_finish %{{.*}} normalise softmax empty nan layout "n d"
func.func @attention_states(%q: tensor<1x4xf32>, %k: tensor<?x4xf32, #tenon.dims<[S, 4]>>, %mask: tensor<?xi1, #tenon.dims<[S]>>) -> tensor<1x4xf32> {
  %s = tenon.attention_update %q, %k, %k captures (%mask) normalise softmax layout ["n d", "n d", "n d"] parts_of 512
     : (tensor<1x4xf32>, tensor<?x4xf32, #tenon.dims<[S, 4]>>, tensor<?x4xf32, #tenon.dims<[S, 4]>>, tensor<?xi1, #tenon.dims<[S]>>) -> tensor<?x1x1x1x6xf32, #tenon.dims<[(S + 511) floordiv 512, 1, 1, 1, 6]>>
     keep (%b, %h, %i, %j, %m) = %m[%j]
  %m = tenon.attention_merge %s normalise softmax : (tensor<?x1x1x1x6xf32, #tenon.dims<[(S + 511) floordiv 512, 1, 1, 1, 6]>>) -> tensor<1x1x1x1x6xf32>
  %o = tenon.attention_finish %m normalise softmax empty nan layout "n d" : tensor<1x1x1x1x6xf32> -> tensor<1x4xf32>
  return %o : tensor<1x4xf32>
}

// CHECK-LABEL: func.func @normalisers
func.func @normalisers(%x: tensor<4x8xf32>) -> (tensor<4x8xf32>, tensor<1x1x4xf32>, tensor<1x1x4x4xf32>) {
  // CHECK: normalise topk_softmax 2 empty zero
  %a = tenon.attention %x, (%x), (%x) normalise topk_softmax 2 empty zero layout ["n d", "n d", "n d", "n d"] : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  // CHECK: normalise hard over queries empty zero
  %b = tenon.attention %a, (%x), (%x) normalise hard over queries empty zero layout ["n d", "n d", "n d", "n d"] : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  // CHECK: also log_sum_exp, scores
  %c, %l, %s = tenon.attention %b, (%x), (%x) normalise softmax empty zero layout ["n d", "n d", "n d", "n d"] also log_sum_exp, scores : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>) -> (tensor<4x8xf32>, tensor<1x1x4xf32>, tensor<1x1x4x4xf32>)
  return %c, %l, %s : tensor<4x8xf32>, tensor<1x1x4xf32>, tensor<1x1x4x4xf32>
}

// CHECK-LABEL: func.func @scan
func.func @scan(%x: tensor<?x2x4x8xf32, #tenon.dims<[B, 2, 4, 8]>>, %g: tensor<?x4x2xf32, #tenon.dims<[B, 4, 2]>>, %s: tensor<?x2x8x8xf32, #tenon.dims<[B, 2, 8, 8]>>) -> tensor<?x2x4x8xf32, #tenon.dims<[B, 2, 4, 8]>> {
  // CHECK: tenon.scan %{{.*}}, %{{.*}}, %{{.*}} decay(%{{.*}} : tensor<{{.*}}>) rate(%{{.*}} : tensor<{{.*}}>) from(%{{.*}} : tensor<{{.*}}>) layout ["b h n d", "b h n d", "b h n d", "b n h", "b n h", "b h n d"] : {{.*}} -> {{.*}}, tensor<?x2x8x8xf32
  %o, %t = tenon.scan %x, %x, %x decay (%g : tensor<?x4x2xf32, #tenon.dims<[B, 4, 2]>>) rate (%g : tensor<?x4x2xf32, #tenon.dims<[B, 4, 2]>>) from (%s : tensor<?x2x8x8xf32, #tenon.dims<[B, 2, 8, 8]>>)
    layout ["b h n d", "b h n d", "b h n d", "b n h", "b n h", "b h n d"]
    : tensor<?x2x4x8xf32, #tenon.dims<[B, 2, 4, 8]>>, tensor<?x2x4x8xf32, #tenon.dims<[B, 2, 4, 8]>>, tensor<?x2x4x8xf32, #tenon.dims<[B, 2, 4, 8]>>
    -> tensor<?x2x4x8xf32, #tenon.dims<[B, 2, 4, 8]>>, tensor<?x2x8x8xf32, #tenon.dims<[B, 2, 8, 8]>>
  // CHECK: tenon.scan %{{.*}}, %{{.*}}, %{{.*}} layout ["b h n d", "b h n d", "b h n d", "b h n d"] : {{.*}} -> tensor<?x2x4x8xf32
  %p = tenon.scan %o, %x, %x layout ["b h n d", "b h n d", "b h n d", "b h n d"]
    : tensor<?x2x4x8xf32, #tenon.dims<[B, 2, 4, 8]>>, tensor<?x2x4x8xf32, #tenon.dims<[B, 2, 4, 8]>>, tensor<?x2x4x8xf32, #tenon.dims<[B, 2, 4, 8]>> -> tensor<?x2x4x8xf32, #tenon.dims<[B, 2, 4, 8]>>
  return %p : tensor<?x2x4x8xf32, #tenon.dims<[B, 2, 4, 8]>>
}

// CHECK-LABEL: func.func @transition
func.func @transition(%u: tensor<5x2xf32>, %a: tensor<3x3xf32>, %b: tensor<3xf32>, %s: tensor<1x1x3x2xf32>) -> tensor<5x3x2xf32> {
  // CHECK: tenon.scan %{{.*}}, %{{.*}}, %{{.*}} transition(%{{.*}} : tensor<3x3xf32>) from(%{{.*}} : {{.*}}) layout ["h d", "d", "n d", "n h d"] :
  %o = tenon.scan %a, %b, %u transition (%a : tensor<3x3xf32>) from (%s : tensor<1x1x3x2xf32>) layout ["h d", "d", "n d", "n h d"]
    : tensor<3x3xf32>, tensor<3xf32>, tensor<5x2xf32> -> tensor<5x3x2xf32>
  return %o : tensor<5x3x2xf32>
}

// CHECK-LABEL: func.func @fourier
func.func @fourier(%x: tensor<?x8x1xf32, #tenon.dims<[B, 8, 1]>>, %s: tensor<?x2xf32, #tenon.dims<[S, 2]>>)
    -> (tensor<?x5x2xf32, #tenon.dims<[B, 5, 2]>>, tensor<?x2xf32, #tenon.dims<[S, 2]>>) {
  // CHECK: tenon.fft %{{.*}} length #tenon.dim<8> axis 1 parts 2 :
  %y = tenon.fft %x length #tenon.dim<8> axis 1 parts 2 : tensor<?x8x1xf32, #tenon.dims<[B, 8, 1]>> -> tensor<?x5x2xf32, #tenon.dims<[B, 5, 2]>>
  // CHECK: tenon.fft inverse %{{.*}} length #tenon.dim<S> axis 0 parts 1 :
  %z = tenon.fft inverse %s length #tenon.dim<S> axis 0 parts 1 : tensor<?x2xf32, #tenon.dims<[S, 2]>> -> tensor<?x2xf32, #tenon.dims<[S, 2]>>
  return %y, %z : tensor<?x5x2xf32, #tenon.dims<[B, 5, 2]>>, tensor<?x2xf32, #tenon.dims<[S, 2]>>
}

// CHECK-LABEL: func.func @toeplitz
func.func @toeplitz(%x: tensor<1x2x3x8xf32>, %t: tensor<2x5xf32>, %q: tensor<1x2x3x4xf32>, %s: tensor<2x2x6xf32>,
                    %blocks: tensor<2x2x4x3xf32>, %g: tensor<2x1x4x3xf32>) -> (tensor<1x2x3x8xf32>, tensor<1x2x4x8xf32>) {
  // CHECK: tenon.toeplitz %{{.*}} diagonals %{{.*}} features %{{.*}}, %{{.*}} causal form fft :
  %y = tenon.toeplitz %x diagonals %t features %q, %q causal form fft
     : (tensor<1x2x3x8xf32>, tensor<2x5xf32>, tensor<1x2x3x4xf32>, tensor<1x2x3x4xf32>) -> tensor<1x2x3x8xf32>
  // CHECK: tenon.circulant %{{.*}} spectrum %{{.*}} :
  %z = tenon.circulant %y spectrum %s : (tensor<1x2x3x8xf32>, tensor<2x2x6xf32>) -> tensor<1x2x4x8xf32>
  // CHECK: tenon.circulant %{{.*}} spectrum %{{.*}} block 2 kernel %{{.*}} :
  %w = tenon.circulant %y spectrum %blocks block 2 kernel %g : (tensor<1x2x3x8xf32>, tensor<2x2x4x3xf32>, tensor<2x1x4x3xf32>) -> tensor<1x2x4x8xf32>
  return %y, %z : tensor<1x2x3x8xf32>, tensor<1x2x4x8xf32>
}
