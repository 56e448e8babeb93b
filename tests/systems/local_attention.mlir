// Local attention: the sequence cut into blocks of 32, each a softmax of its own
!q = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
tenon.symbol @B in [1, 64]
tenon.symbol @N in [1, 16384]
func.func @main(%q: !q {tenon.name = "q"}, %k: !q {tenon.name = "k"}, %v: !q {tenon.name = "v"})
    -> (!q {tenon.name = "y"}) attributes {tenon.entry} {
  %y = tenon.attention %q, (%k), (%v) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
    : (!q, !q, !q) -> !q
    score (%x, %b, %h, %i, %j) = %x * 0.25
    keep (%b, %h, %i, %j) = %i / 32 == %j / 32
  return %y : !q
}
