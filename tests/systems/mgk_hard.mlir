// Transformer-MGK, hard: the nearer of two keys of a position gives its score.
!q = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!square = tensor<?x4x?x?xf32, #tenon.dims<[B, 4, N, N]>>
!norm = tensor<?x4x?xf32, #tenon.dims<[B, 4, N]>>
tenon.symbol @B in [1, 16]
tenon.symbol @N in [1, 512]
func.func @main(%q: !q {tenon.name = "q"}, %k0: !q {tenon.name = "k0"}, %k1: !q {tenon.name = "k1"}, %v: !q {tenon.name = "v"})
    -> (!q {tenon.name = "y"}) attributes {tenon.entry} {
  %s0 = tenon.map %a = %k0 at %b, %h, %i, %d : (!q) -> !q = %a[%b, %h, %i, %d] * %a[%b, %h, %i, %d]
  %s1 = tenon.map %a = %k1 at %b, %h, %i, %d : (!q) -> !q = %a[%b, %h, %i, %d] * %a[%b, %h, %i, %d]
  %n0 = tenon.reduce sum %s0 over [3] : !q -> !norm
  %n1 = tenon.reduce sum %s1 over [3] : !q -> !norm
  %other = tenon.contract "b h i d, b h j d -> b h i j" %q, %k1 : (!q, !q) -> !square
  %y = tenon.attention %q, (%k0), (%v) captures (%other, %n0, %n1) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
    : (!q, !q, !q, !square, !norm, !norm) -> !q
    score (%x, %b, %h, %i, %j, %other, %n0, %n1) = max(%x - 0.5 * %n0[%b, %h, %j], %other[%b, %h, %i, %j] - 0.5 * %n1[%b, %h, %j]) * 0.25
  return %y : !q
}
