// MossFormer: squared ReLU scores within groups, no normaliser.
!q = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!k = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!v = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!y = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
tenon.symbol @B in [1, 64]
tenon.symbol @N in [1, 4096]
func.func @main(%q: !q {tenon.name = "q"}, %k: !k {tenon.name = "k"}, %v: !v {tenon.name = "v"})
    -> (!y {tenon.name = "y"}) attributes {tenon.entry} {
  %y = tenon.attention %q, (%k), (%v) normalise none empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
    : (!q, !k, !v) -> !y
    score (%x, %b, %h, %i, %j) = let %r = max(%x / 32, 0) in %r * %r
    keep (%b, %h, %i, %j) = %i / 32 == %j / 32
  return %y : !y
}
