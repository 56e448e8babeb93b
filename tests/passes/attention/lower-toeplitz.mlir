// RUN: tenon-opt %s --tenon-lower-toeplitz | FileCheck %s
// RUN: tenon-interpret %s --check-passes=tenon-lower-toeplitz
tenon.weight @t : tensor<2x11xf32> = #tenon.random<3, 1.0>
tenon.weight @long : tensor<2x139xf32> = #tenon.random<5, 1.0>
tenon.weight @c : tensor<2x11x3xf32> = #tenon.random<4, 1.0>

// 7 rows of 5 columns: a kernel of period 12 >= 11, transformed once a head.
// CHECK-LABEL: func.func @fft(
// CHECK: %[[G:.*]] = tenon.map {{.*}} -> tensor<2x1x[[L:[0-9]+]]xf32>
// CHECK: %[[S:.*]] = tenon.fft %[[G]] length #tenon.dim<[[L]]> axis 2 parts 1 : tensor<2x1x[[L]]xf32> -> tensor<2x2x[[L]]xf32>
// CHECK: tenon.circulant %arg0 spectrum %[[S]] kernel %[[G]] :
func.func @fft(%x: tensor<3x2x5x4xf32>) -> tensor<3x2x7x4xf32> {
  %t = tenon.get @t : tensor<2x11xf32>
  %y = tenon.toeplitz %x diagonals %t form fft : (tensor<3x2x5x4xf32>, tensor<2x11xf32>) -> tensor<3x2x7x4xf32>
  return %y : tensor<3x2x7x4xf32>
}

// Causal, with features: what lies ahead is not in the kernel.
// CHECK-LABEL: func.func @features(
// CHECK: %[[S:.*]] = tenon.fft
// CHECK: tenon.circulant %arg0 spectrum %[[S]] kernel %{{.*}} features %arg1, %arg2 :
func.func @features(%x: tensor<3x2x6x4xf32>, %q: tensor<3x2x6x3xf32>, %k: tensor<3x2x6x3xf32>) -> tensor<3x2x6x4xf32> {
  %t = tenon.get @t : tensor<2x11xf32>
  %y = tenon.toeplitz %x diagonals %t features %q, %k causal form fft
     : (tensor<3x2x6x4xf32>, tensor<2x11xf32>, tensor<3x2x6x3xf32>, tensor<3x2x6x3xf32>) -> tensor<3x2x6x4xf32>
  return %y : tensor<3x2x6x4xf32>
}

// Diagonals of each channel.
// CHECK-LABEL: func.func @channels(
// CHECK: tenon.fft {{.*}} axis 2 parts 1 : tensor<2x1x[[L:[0-9]+]]x3xf32> -> tensor<2x2x[[L]]x3xf32>
// CHECK: tenon.circulant
func.func @channels(%x: tensor<3x2x6x3xf32>) -> tensor<3x2x6x3xf32> {
  %t = tenon.get @c : tensor<2x11x3xf32>
  %y = tenon.toeplitz %x diagonals %t causal form fft : (tensor<3x2x6x3xf32>, tensor<2x11x3xf32>) -> tensor<3x2x6x3xf32>
  return %y : tensor<3x2x6x3xf32>
}

// All channels are made of one, which is given once.
// CHECK-LABEL: func.func @one_for_all(
// CHECK: %[[X:.*]] = tenon.map {{.*}} -> tensor<3x2x6x1xf32>
// CHECK: tenon.circulant %[[X]] spectrum {{.*}} : (tensor<3x2x6x1xf32>, {{.*}}) -> tensor<3x2x6x3xf32>
func.func @one_for_all(%x: tensor<3x6xf32>) -> tensor<3x2x6x3xf32> {
  %t = tenon.get @c : tensor<2x11x3xf32>
  %r = tenon.map %a = %x at %b, %h, %n, %d : (tensor<3x6xf32>) -> tensor<3x2x6x3xf32> = %a[%b, %n]
  %y = tenon.toeplitz %r diagonals %t causal form fft : (tensor<3x2x6x3xf32>, tensor<2x11x3xf32>) -> tensor<3x2x6x3xf32>
  return %y : tensor<3x2x6x3xf32>
}

// The same with one kernel for all: their results would be, too.
// CHECK-LABEL: func.func @one_kernel(
// CHECK: tenon.circulant {{.*}} : (tensor<3x2x6x4xf32>, {{.*}}) -> tensor<3x2x6x4xf32>
func.func @one_kernel(%x: tensor<3x6xf32>) -> tensor<3x2x6x4xf32> {
  %t = tenon.get @t : tensor<2x11xf32>
  %r = tenon.map %a = %x at %b, %h, %n, %d : (tensor<3x6xf32>) -> tensor<3x2x6x4xf32> = %a[%b, %n]
  %y = tenon.toeplitz %r diagonals %t causal form fft : (tensor<3x2x6x4xf32>, tensor<2x11xf32>) -> tensor<3x2x6x4xf32>
  return %y : tensor<3x2x6x4xf32>
}

// Directly: a product with the matrix; a sum over products of channels; attention.
// CHECK-LABEL: func.func @direct(
// CHECK-NOT: tenon.fft
// CHECK: tenon.contract "h i j, b h j c -> b h i c"
func.func @direct(%x: tensor<3x2x5x4xf32>) -> tensor<3x2x7x4xf32> {
  %t = tenon.get @t : tensor<2x11xf32>
  %y = tenon.toeplitz %x diagonals %t form direct : (tensor<3x2x5x4xf32>, tensor<2x11xf32>) -> tensor<3x2x7x4xf32>
  return %y : tensor<3x2x7x4xf32>
}

// CHECK-LABEL: func.func @direct_channels(
// CHECK-NOT: tenon.contract
// CHECK: tenon.reduce sum {{.*}} over [3]
func.func @direct_channels(%x: tensor<3x2x6x3xf32>) -> tensor<3x2x6x3xf32> {
  %t = tenon.get @c : tensor<2x11x3xf32>
  %y = tenon.toeplitz %x diagonals %t causal form direct : (tensor<3x2x6x3xf32>, tensor<2x11x3xf32>) -> tensor<3x2x6x3xf32>
  return %y : tensor<3x2x6x3xf32>
}

// CHECK-LABEL: func.func @direct_features(
// CHECK: tenon.attention %arg1, (%arg2), (%arg0) captures ({{.*}}) normalise none empty zero
// CHECK: score
// CHECK: keep
func.func @direct_features(%x: tensor<3x2x6x4xf32>, %q: tensor<3x2x6x3xf32>, %k: tensor<3x2x6x3xf32>) -> tensor<3x2x6x4xf32> {
  %t = tenon.get @t : tensor<2x11xf32>
  %y = tenon.toeplitz %x diagonals %t features %q, %k causal form direct
     : (tensor<3x2x6x4xf32>, tensor<2x11xf32>, tensor<3x2x6x3xf32>, tensor<3x2x6x3xf32>) -> tensor<3x2x6x4xf32>
  return %y : tensor<3x2x6x4xf32>
}

// NPRF, in another layout, with factors of the query and the key besides: numerator, and the sums its rows are divided by.
// CHECK-LABEL: func.func @nprf(
// CHECK-NOT: tenon.attention
// CHECK: %[[S:.*]] = tenon.fft
// CHECK: %[[D:.*]] = tenon.circulant %{{.*}} spectrum %[[S]] kernel %[[G:[^ ]*]] :
// CHECK: tenon.reduce sum
// CHECK: %[[N:.*]] = tenon.circulant %{{.*}} spectrum %[[S]] kernel %[[G]] features
// CHECK: arith.divf
func.func @nprf(%q: tensor<3x6x2x3xf32>, %k: tensor<3x6x2x3xf32>, %v: tensor<3x6x2x4xf32>, %f: tensor<2x6xf32>) -> tensor<3x6x2x4xf32> {
  %t = tenon.get @t : tensor<2x11xf32>
  %a = tenon.map %x = %q at %b, %n, %h, %d : (tensor<3x6x2x3xf32>) -> tensor<3x6x2x3xf32> = exp(%x[%b, %n, %h, %d])
  %c = tenon.map %x = %k at %b, %n, %h, %d : (tensor<3x6x2x3xf32>) -> tensor<3x6x2x3xf32> = exp(%x[%b, %n, %h, %d])
  %o = tenon.attention %a, (%c), (%v) captures (%t, %f) normalise sum empty zero layout ["b n h d", "b n h d", "b n h d", "b n h d"] algorithm fft
     : (tensor<3x6x2x3xf32>, tensor<3x6x2x3xf32>, tensor<3x6x2x4xf32>, tensor<2x11xf32>, tensor<2x6xf32>) -> tensor<3x6x2x4xf32>
     score (%x, %b, %h, %i, %j, %t, %f) = %x * exp(%t[%h, %j - %i + 5]) * exp(%f[%h, %i]) * exp(%f[%h, %j])
     keep (%b, %h, %i, %j, %t, %f) = %j <= %i
  return %o : tensor<3x6x2x4xf32>
}

// Causal, and longer: the first 64 rows directly, with their sums in a column behind the channels.
// CHECK-LABEL: func.func @short_rows(
// CHECK: tenon.circulant
// CHECK: tenon.attention {{.*}} normalise none {{.*}} : (tensor<1x2x64x3xf32>, tensor<1x2x64x3xf32>, tensor<1x2x64x5xf32>, tensor<2x127xf32>) -> tensor<1x2x64x5xf32>
// CHECK: arith.select
// CHECK: arith.divf
func.func @short_rows(%q: tensor<70x2x3xf32>, %v: tensor<70x2x4xf32>) -> tensor<70x2x4xf32> {
  %t = tenon.get @long : tensor<2x139xf32>
  %a = tenon.map %x = %q at %n, %h, %d : (tensor<70x2x3xf32>) -> tensor<70x2x3xf32> = exp(%x[%n, %h, %d])
  %o = tenon.attention %a, (%a), (%v) captures (%t) normalise sum empty zero layout ["n h d", "n h d", "n h d", "n h d"] algorithm fft
     : (tensor<70x2x3xf32>, tensor<70x2x3xf32>, tensor<70x2x4xf32>, tensor<2x139xf32>) -> tensor<70x2x4xf32>
     score (%x, %b, %h, %i, %j, %t) = %x * exp(%t[%h, %j - %i + 69])
     keep (%b, %h, %i, %j, %t) = %j <= %i
  return %o : tensor<70x2x4xf32>
}

// Without a mask every row sees all keys: nothing is computed twice.
// CHECK-LABEL: func.func @long_rows(
// CHECK-NOT: tenon.attention
// CHECK: return
func.func @long_rows(%q: tensor<70x2x3xf32>, %v: tensor<70x2x4xf32>) -> tensor<70x2x4xf32> {
  %t = tenon.get @long : tensor<2x139xf32>
  %o = tenon.attention %q, (%q), (%v) captures (%t) normalise none empty zero layout ["n h d", "n h d", "n h d", "n h d"] algorithm fft
     : (tensor<70x2x3xf32>, tensor<70x2x3xf32>, tensor<70x2x4xf32>, tensor<2x139xf32>) -> tensor<70x2x4xf32>
     score (%x, %b, %h, %i, %j, %t) = %x * %t[%h, %j - %i + 69]
  return %o : tensor<70x2x4xf32>
}

// In blocks of 3: of rows three, of columns two, so distances -1 to 2, each with a kernel of period 5 or more.
// CHECK-LABEL: func.func @blocks(
// CHECK: %[[G:.*]] = tenon.map {{.*}} -> tensor<2x1x[[L:[0-9]+]]x4xf32>
// CHECK: %[[S:.*]] = tenon.fft %[[G]] length #tenon.dim<[[L]]> axis 2 parts 1 : tensor<2x1x[[L]]x4xf32> -> tensor<2x2x[[L]]x4xf32>
// CHECK: tenon.circulant %arg0 spectrum %[[S]] block 3 kernel %[[G]] :
func.func @blocks(%x: tensor<3x2x5x4xf32>) -> tensor<3x2x7x4xf32> {
  %t = tenon.get @t : tensor<2x11xf32>
  %y = tenon.toeplitz %x diagonals %t form fft_blocks {tenon.block = 3 : i64} : (tensor<3x2x5x4xf32>, tensor<2x11xf32>) -> tensor<3x2x7x4xf32>
  return %y : tensor<3x2x7x4xf32>
}

// Causal: distances 0 to 2 alone.
// CHECK-LABEL: func.func @causal_blocks(
// CHECK: tenon.circulant %arg0 spectrum %{{.*}} block 2 kernel %{{.*}} features %arg1, %arg2 : {{.*}}, tensor<2x2x{{[0-9]+}}x3xf32>,
func.func @causal_blocks(%x: tensor<3x2x6x4xf32>, %q: tensor<3x2x6x3xf32>, %k: tensor<3x2x6x3xf32>) -> tensor<3x2x6x4xf32> {
  %t = tenon.get @t : tensor<2x11xf32>
  %y = tenon.toeplitz %x diagonals %t features %q, %k causal form fft_blocks {tenon.block = 2 : i64}
     : (tensor<3x2x6x4xf32>, tensor<2x11xf32>, tensor<3x2x6x3xf32>, tensor<3x2x6x3xf32>) -> tensor<3x2x6x4xf32>
  return %y : tensor<3x2x6x4xf32>
}

// NPRF in blocks, both products of the same spectra.
// CHECK-LABEL: func.func @nprf_blocks(
// CHECK: %[[D:.*]] = tenon.circulant %{{.*}} spectrum %[[S:.*]] block 32 kernel %[[G:[^ ]*]] :
// CHECK: %[[N:.*]] = tenon.circulant %{{.*}} spectrum %[[S]] block 32 kernel %[[G]] features
func.func @nprf_blocks(%q: tensor<70x2x3xf32>, %v: tensor<70x2x4xf32>) -> tensor<70x2x4xf32> {
  %t = tenon.get @long : tensor<2x139xf32>
  %a = tenon.map %x = %q at %n, %h, %d : (tensor<70x2x3xf32>) -> tensor<70x2x3xf32> = exp(%x[%n, %h, %d])
  %o = tenon.attention %a, (%a), (%v) captures (%t) normalise sum empty zero layout ["n h d", "n h d", "n h d", "n h d"] algorithm fft_blocks {tenon.block = 32 : i64}
     : (tensor<70x2x3xf32>, tensor<70x2x3xf32>, tensor<70x2x4xf32>, tensor<2x139xf32>) -> tensor<70x2x4xf32>
     score (%x, %b, %h, %i, %j, %t) = %x * exp(%t[%h, %j - %i + 69])
     keep (%b, %h, %i, %j, %t) = %j <= %i
  return %o : tensor<70x2x4xf32>
}

// Another algorithm is left alone.
// CHECK-LABEL: func.func @flash(
// CHECK: tenon.attention {{.*}} algorithm flash
func.func @flash(%q: tensor<6x3xf32>) -> tensor<6x3xf32> {
  %t = tenon.get @t : tensor<2x11xf32>
  %o = tenon.attention %q, (%q), (%q) captures (%t) normalise none empty zero layout ["n d", "n d", "n d", "n d"] algorithm flash
     : (tensor<6x3xf32>, tensor<6x3xf32>, tensor<6x3xf32>, tensor<2x11xf32>) -> tensor<6x3xf32>
     score (%x, %b, %h, %i, %j, %t) = %x * %t[%h, %j - %i + 5]
  return %o : tensor<6x3xf32>
}
