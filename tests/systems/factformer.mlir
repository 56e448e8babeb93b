// FactFormer: a kernel integral on a grid as one product along each axis. Heads in front of the grid: both read rows in place.
!u = tensor<?x4x?x?x16xf32, #tenon.dims<[B, 4, X, Y, 16]>>
!a = tensor<?x4x?x?xf32, #tenon.dims<[B, 4, X, X]>>
!c = tensor<?x4x?x?xf32, #tenon.dims<[B, 4, Y, Y]>>
tenon.symbol @B in [1, 16]
tenon.symbol @X in [1, 256]
tenon.symbol @Y in [1, 256]
func.func @main(%u: !u {tenon.name = "u"}, %a: !a {tenon.name = "a"}, %c: !c {tenon.name = "c"})
    -> (!u {tenon.name = "y"}) attributes {tenon.entry} {
  %t = tenon.contract "b h i x, b h x y d -> b h i y d" %a, %u : (!a, !u) -> !u
  %y = tenon.contract "b h j y, b h i y d -> b h i j d" %c, %t : (!c, !u) -> !u
  return %y : !u
}
