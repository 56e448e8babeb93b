// RetNet: scores times gamma^(i - j), causal, without a normaliser.
!q = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!k = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!v = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!gamma = tensor<4xf32>
!y = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
tenon.symbol @B in [1, 64]
tenon.symbol @N in [1, 4096]
func.func @main(%q: !q {tenon.name = "q"}, %k: !k {tenon.name = "k"}, %v: !v {tenon.name = "v"}, %gamma: !gamma {tenon.name = "gamma"})
    -> (!y {tenon.name = "y"}) attributes {tenon.entry} {
  %y = tenon.attention %q, (%k), (%v) captures (%gamma) normalise none empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
    : (!q, !k, !v, !gamma) -> !y
    score (%x, %b, %h, %i, %j, %gamma) = %x * 0.25 * pow(%gamma[%h], max(%i - %j, 0))
    keep (%b, %h, %i, %j, %gamma) = %j <= %i
  return %y : !y
}
