// Combiner, fixed: one softmax over the keys of the own segment and summaries of the segments before it.
!q = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, 8 * S, 16]>>
!cut = tensor<?x4x?x8x16xf32, #tenon.dims<[B, 4, S, 8, 16]>>
!s = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, S, 16]>>
!within = tensor<?x?x8x16xf32, #tenon.dims<[4 * B, S, 8, 16]>>
!one = tensor<?x?x1x16xf32, #tenon.dims<[4 * B, S, 1, 16]>>
tenon.symbol @B in [1, 16]
tenon.symbol @S in [1, 64]
func.func @main(%qs: !cut {tenon.name = "q"}, %ks: !cut {tenon.name = "k"}, %vs: !cut {tenon.name = "v"})
    -> (!q {tenon.name = "y"}) attributes {tenon.entry} {
  %q = tenon.reshape %qs : !cut -> !q
  %k = tenon.reshape %ks : !cut -> !q
  %v = tenon.reshape %vs : !cut -> !q
  %summaryq = tenon.reduce max %qs over [3] : !cut -> !s
  %summaryk = tenon.reduce max %ks over [3] : !cut -> !s
  %q1 = tenon.reshape %summaryq : !s -> !one
  %k1 = tenon.reshape %k : !q -> !within
  %v1 = tenon.reshape %v : !q -> !within
  %o1 = tenon.attention %q1, (%k1), (%v1) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
    : (!one, !within, !within) -> !one
  %summaryv = tenon.reshape %o1 : !one -> !s
  %y = tenon.attention %q, (%k, %summaryk), (%v, %summaryv) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d", "b h n d", "b h n d"]
    : (!q, !q, !s, !q, !s) -> !q
    keep (%b, %h, %i, %j) = (%j <= %i and %i / 8 == %j / 8) or (%j >= size(S) * 8 and %j - size(S) * 8 < %i / 8)
  return %y : !q
}
