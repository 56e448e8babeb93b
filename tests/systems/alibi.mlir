// ALiBi: causal softmax attention whose scores fall off linearly with distance.
!q = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!k = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!v = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!slope = tensor<4xf32>
!y = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
tenon.symbol @B in [1, 64]
tenon.symbol @N in [1, 4096]
func.func @main(%q: !q {tenon.name = "q"}, %k: !k {tenon.name = "k"}, %v: !v {tenon.name = "v"}, %slope: !slope {tenon.name = "slope"})
    -> (!y {tenon.name = "y"}) attributes {tenon.entry} {
  %y = tenon.attention %q, (%k), (%v) captures (%slope) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
    : (!q, !k, !v, !slope) -> !y
    score (%x, %b, %h, %i, %j, %slope) = %x * 0.25 - %slope[%h] * (%i - %j)
    keep (%b, %h, %i, %j, %slope) = %j <= %i
  return %y : !y
}
