// Sparse Transformer, causal: strided (the last 16 keys and every 16th before) and fixed (the own block of 16, the last 4 keys of each before)
!q = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
tenon.symbol @B in [1, 64]
tenon.symbol @N in [1, 16384]
func.func @main(%q: !q {tenon.name = "q"}, %k: !q {tenon.name = "k"}, %v: !q {tenon.name = "v"})
    -> (!q {tenon.name = "strided"}, !q {tenon.name = "fixed"}) attributes {tenon.entry} {
  %strided = tenon.attention %q, (%k), (%v) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
    : (!q, !q, !q) -> !q
    score (%x, %b, %h, %i, %j) = %x * 0.25
    keep (%b, %h, %i, %j) = %j <= %i and (%i - %j < 16 or mod(%i - %j, 16) == 0)
  %fixed = tenon.attention %q, (%k), (%v) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
    : (!q, !q, !q) -> !q
    score (%x, %b, %h, %i, %j) = %x * 0.25
    keep (%b, %h, %i, %j) = %j <= %i and (%i / 16 == %j / 16 or mod(%j, 16) >= 12)
  return %strided, %fixed : !q, !q
}
