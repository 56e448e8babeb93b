// Gemma-2: soft-capped scores, a sliding window, two query heads on each key head, normalised queries and keys.
!q = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!k = tensor<?x2x?x16xf32, #tenon.dims<[B, 2, N, 16]>>
!v = tensor<?x2x?x16xf32, #tenon.dims<[B, 2, N, 16]>>
!g = tensor<16xf32>
!y = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
tenon.symbol @B in [1, 64]
tenon.symbol @N in [1, 4096]
func.func @main(%q: !q {tenon.name = "q"}, %k: !k {tenon.name = "k"}, %v: !v {tenon.name = "v"}, %g: !g {tenon.name = "g"})
    -> (!y {tenon.name = "y"}) attributes {tenon.entry} {
  %qn = tenon.norm rms %q scale %g : !g over 1 epsilon 1.0e-6 : !q -> !q
  %kn = tenon.norm rms %k scale %g : !g over 1 epsilon 1.0e-6 : !k -> !k

  %y = tenon.attention %qn, (%kn), (%v) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
    : (!q, !k, !v) -> !y
    score (%x, %b, %h, %i, %j) = tanh(%x * 0.25 / 50) * 50
    keep (%b, %h, %i, %j) = %j <= %i and %i - %j < 40
  return %y : !y
}
