// URPE: softmax weights times a factor of the distance, after the normalisation.
!q = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!k = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!v = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!c = tensor<4x?xf32, #tenon.dims<[4, 2 * N - 1]>>
!y = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
tenon.symbol @B in [1, 64]
tenon.symbol @N in [1, 4096]
func.func @main(%q: !q {tenon.name = "q"}, %k: !k {tenon.name = "k"}, %v: !v {tenon.name = "v"}, %c: !c {tenon.name = "c"})
    -> (!y {tenon.name = "y"}) attributes {tenon.entry} {
  %y = tenon.attention %q, (%k), (%v) captures (%c) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
    : (!q, !k, !v, !c) -> !y
    score (%x, %b, %h, %i, %j, %c) = %x * 0.25
    weight (%p, %b, %h, %i, %j, %c) = %p * %c[%h, %j - %i + size(N) - 1]
  return %y : !y
}
