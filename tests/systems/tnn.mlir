// TNN: tokens mixed by a Toeplitz matrix of each channel, a relative position network times a decay of the distance, gated.
!x = tensor<?x150x24xf32, #tenon.dims<[B, 150, 24]>>
!four = tensor<?x1x150x24xf32, #tenon.dims<[B, 1, 150, 24]>>
!hidden = tensor<299x8xf32>
!t = tensor<299x24xf32>
!diagonals = tensor<1x299x24xf32>
tenon.symbol @B in [1, 16]
func.func @main(%u: !x {tenon.name = "u"}, %v: !x {tenon.name = "v"}, %w1: tensor<8xf32> {tenon.name = "w1"}, %b1: tensor<8xf32> {tenon.name = "b1"},
                %w2: tensor<8x24xf32> {tenon.name = "w2"}) -> (!x {tenon.name = "y"}) attributes {tenon.entry} {
  // The network sees i - j = 149 - p, and so does the decay.
  %h = tenon.map %w = %w1, %b = %b1 at %p, %c : (tensor<8xf32>, tensor<8xf32>) -> !hidden {
    %last = arith.constant 149 : index
    %distance = arith.subi %last, %p : index
    %i = arith.index_cast %distance : index to i64
    %f = arith.sitofp %i : i64 to f32
    %scale = arith.constant 0.01 : f32
    %s = arith.mulf %f, %scale : f32
    %a = tenon.load %w[%c] : tensor<8xf32>
    %k = tenon.load %b[%c] : tensor<8xf32>
    %m = arith.mulf %s, %a : f32
    %z = arith.addf %m, %k : f32
    %zero = arith.constant 0.0 : f32
    %r = arith.maximumf %z, %zero : f32
    tenon.yield %r : f32
  }
  %raw = tenon.contract "p k, k c -> p c" %h, %w2 : (!hidden, tensor<8x24xf32>) -> !t
  %t = tenon.map %a = %raw at %one, %p, %c : (!t) -> !diagonals {
    %last = arith.constant 149 : index
    %distance = arith.subi %last, %p : index
    %back = arith.subi %p, %last : index
    %size = arith.maxsi %distance, %back : index
    %i = arith.index_cast %size : index to i64
    %f = arith.sitofp %i : i64 to f32
    %rate = arith.constant -0.01005033585350145 : f32
    %e = arith.mulf %f, %rate : f32
    %decay = math.exp %e : f32
    %x = tenon.load %a[%p, %c] : !t
    %r = arith.mulf %x, %decay : f32
    tenon.yield %r : f32
  }
  %x4 = tenon.reshape %v : !x -> !four
  %mixed = tenon.toeplitz %x4 diagonals %t form fft : (!four, !diagonals) -> !four
  %flat = tenon.reshape %mixed : !four -> !x
  %y = tenon.map %a = %u, %c = %flat at %b, %n, %d : (!x, !x) -> !x = %a[%b, %n, %d] * %c[%b, %n, %d]
  return %y : !x
}
