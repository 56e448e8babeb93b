// BigBird: blocks of 16 that see the first and last block, their neighbours, and blocks drawn beforehand.
!q = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, 16 * S, 16]>>
!k = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, 16 * S, 16]>>
!v = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, 16 * S, 16]>>
!drawn = tensor<?x?xi1, #tenon.dims<[S, S]>>
!y = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, 16 * S, 16]>>
tenon.symbol @B in [1, 64]
tenon.symbol @S in [1, 256]
func.func @main(%q: !q {tenon.name = "q"}, %k: !k {tenon.name = "k"}, %v: !v {tenon.name = "v"}, %drawn: !drawn {tenon.name = "drawn"})
    -> (!y {tenon.name = "y"}) attributes {tenon.entry} {
  %y = tenon.attention %q, (%k), (%v) captures (%drawn) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
    : (!q, !k, !v, !drawn) -> !y
    score (%x, %b, %h, %i, %j, %drawn) = %x * 0.25
    keep (%b, %h, %i, %j, %drawn) = let %p = %i / 16 in let %r = %j / 16 in
      %p == 0 or %p == size(S) - 1 or %r == 0 or %r == size(S) - 1 or abs(%p - %r) <= 1 or %drawn[%p, %r]
  return %y : !y
}
