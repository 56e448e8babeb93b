// Landmark attention: a block's landmark gets the block's weight, which a softmax within the block shares out.
!q = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, 6 * G, 16]>>
!blocks = tensor<?x4x?x6x16xf32, #tenon.dims<[B, 4, G, 6, 16]>>
!square = tensor<?x4x?x?xf32, #tenon.dims<[B, 4, 6 * G, 6 * G]>>
!cut = tensor<?x4x?x?x6xf32, #tenon.dims<[B, 4, 6 * G, G, 6]>>
tenon.symbol @B in [1, 16]
tenon.symbol @G in [1, 64]
func.func @main(%qs: !blocks {tenon.name = "q"}, %ks: !blocks {tenon.name = "k"}, %vs: !blocks {tenon.name = "v"})
    -> (!q {tenon.name = "y"}) attributes {tenon.entry} {
  %q = tenon.reshape %qs : !blocks -> !q
  %k = tenon.reshape %ks : !blocks -> !q
  %v = tenon.reshape %vs : !blocks -> !q
  %s = tenon.contract "b h i d, b h j d -> b h i j" %q, %k : (!q, !q) -> !square
  %inside = tenon.map %a = %s at %b, %h, %i, %g, %j : (!square) -> !cut = select(%j == 5, -1.0e30, %a[%b, %h, %i, %g * 6 + %j] * 0.25)
  %p = tenon.softmax %inside over 4 : !cut
  %grouped = tenon.map %a = %s at %b, %h, %i, %j : (!square) -> !square = select((%i / 6 == %j / 6 and %j <= %i and not (%j == %i / 6 * 6 + 5)) or (%j == %j / 6 * 6 + 5 and %j / 6 < %i / 6), %a[%b, %h, %i, %j] * 0.25, -1.0e30)
  %a = tenon.softmax %grouped over 3 : !square
  %w = tenon.map %a0 = %a, %p0 = %p at %b, %h, %i, %j : (!square, !cut) -> !square = select(%j == %j / 6 * 6 + 5, 0, select(%i / 6 == %j / 6, %a0[%b, %h, %i, %j], %a0[%b, %h, %i, %j / 6 * 6 + 5] * %p0[%b, %h, %i, %j / 6, %j - %j / 6 * 6]))
  %y = tenon.contract "b h i j, b h j d -> b h i d" %w, %v : (!square, !q) -> !q
  return %y : !q
}
