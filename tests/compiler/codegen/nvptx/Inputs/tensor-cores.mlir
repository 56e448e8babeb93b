// Causal attention on a projection, and what comes of it: one kernel of each kind that tensor cores compute.
!x = tensor<?x128xf32, #tenon.dims<[N, 128]>>
!h = tensor<?x2x64xf32, #tenon.dims<[N, 2, 64]>>
!y = tensor<?x?xf32, #tenon.dims<[N, N]>>
tenon.symbol @N in [1, 4096]
tenon.weight @w : tensor<128x128xf32> = #tenon.random<7, 5.0e-02>
func.func @main(%x: !x {tenon.name = "x"}) -> (!y {tenon.name = "y"}) attributes {tenon.entry} {
  %w = tenon.get @w : tensor<128x128xf32>
  %p = tenon.contract "m k, k n -> m n" %x, %w : (!x, tensor<128x128xf32>) -> !x
  %q = tenon.reshape %p : !x -> !h
  %o = tenon.attention %q, (%q), (%q) normalise softmax empty zero layout ["n h d", "n h d", "n h d", "n h d"] : (!h, !h, !h) -> !h
    score (%s, %b, %h, %i, %j) = %s * 0.125
    keep (%b, %h, %i, %j) = %j <= %i
  %f = tenon.reshape %o : !h -> !x
  %y = tenon.contract "m k, n k -> m n" %f, %f : (!x, !x) -> !y
  return %y : !y
}
