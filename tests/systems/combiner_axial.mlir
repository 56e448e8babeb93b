// Combiner, axial by rows: one softmax over the keys of the own row and, in the own column, what the rows before it attend to.
!q = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, 8 * S, 16]>>
!cut = tensor<?x4x?x8x16xf32, #tenon.dims<[B, 4, S, 8, 16]>>
!rows = tensor<?x?x8x16xf32, #tenon.dims<[4 * B, S, 8, 16]>>
tenon.symbol @B in [1, 16]
tenon.symbol @S in [1, 64]
func.func @main(%qs: !cut {tenon.name = "q"}, %ks: !cut {tenon.name = "k"}, %vs: !cut {tenon.name = "v"})
    -> (!q {tenon.name = "y"}) attributes {tenon.entry} {
  %qr = tenon.reshape %qs : !cut -> !rows
  %kr = tenon.reshape %ks : !cut -> !rows
  %vr = tenon.reshape %vs : !cut -> !rows
  %ar = tenon.attention %qr, (%kr), (%vr) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
    : (!rows, !rows, !rows) -> !rows
  %q = tenon.reshape %qs : !cut -> !q
  %k = tenon.reshape %ks : !cut -> !q
  %v = tenon.reshape %vs : !cut -> !q
  %a = tenon.reshape %ar : !rows -> !q
  %y = tenon.attention %q, (%k, %a), (%v, %a) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d", "b h n d", "b h n d"]
    : (!q, !q, !q, !q, !q) -> !q
    keep (%b, %h, %i, %j) = (%j <= %i and %i / 8 == %j / 8)
      or (%j >= size(S) * 8 and %j / 8 - size(S) < %i / 8 and %j - %j / 8 * 8 == %i - %i / 8 * 8)
  return %y : !q
}
