// FactFormer: a kernel integral on a grid as one product along each axis.
!u = tensor<?x?x?x4x16xf32, #tenon.dims<[B, X, Y, 4, 16]>>
!a = tensor<?x4x?x?xf32, #tenon.dims<[B, 4, X, X]>>
!c = tensor<?x4x?x?xf32, #tenon.dims<[B, 4, Y, Y]>>
!y = tensor<?x?x?x4x16xf32, #tenon.dims<[B, X, Y, 4, 16]>>
tenon.symbol @B in [1, 16]
tenon.symbol @X in [1, 256]
tenon.symbol @Y in [1, 256]
func.func @main(%u: !u {tenon.name = "u"}, %a: !a {tenon.name = "a"}, %c: !c {tenon.name = "c"})
    -> (!y {tenon.name = "y"}) attributes {tenon.entry} {
  %t = tenon.contract "b h i x, b x y h d -> b i y h d" %a, %u : (!a, !u) -> !u
  %y = tenon.contract "b h j y, b i y h d -> b i j h d" %c, %t : (!c, !u) -> !y
  return %y : !y
}
