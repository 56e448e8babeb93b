// Sinkformers: three half-steps of Sinkhorn's iteration instead of a softmax.
!q = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!k = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!v = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!y = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!square = tensor<?x4x?x?xf32, #tenon.dims<[B, 4, N, N]>>
!rows = tensor<?x4x?xf32, #tenon.dims<[B, 4, N]>>
tenon.symbol @B in [1, 16]
tenon.symbol @N in [1, 512]
func.func @main(%q: !q {tenon.name = "q"}, %k: !k {tenon.name = "k"}, %v: !v {tenon.name = "v"})
    -> (!y {tenon.name = "y"}) attributes {tenon.entry} {
  %s = tenon.contract "b h i d, b h j d -> b h i j" %q, %k : (!q, !k) -> !square
  %p0 = tenon.map %a = %s at %b, %h, %i, %j : (!square) -> !square = %a[%b, %h, %i, %j] * 0.25
  %p1 = tenon.softmax %p0 over 3 : !square
  %columns = tenon.reduce sum %p1 over [2] : !square -> !rows
  %p2 = tenon.map %a = %p1, %c = %columns at %b, %h, %i, %j : (!square, !rows) -> !square = %a[%b, %h, %i, %j] / %c[%b, %h, %j]
  %sums = tenon.reduce sum %p2 over [3] : !square -> !rows
  %p3 = tenon.map %a = %p2, %c = %sums at %b, %h, %i, %j : (!square, !rows) -> !square = %a[%b, %h, %i, %j] / %c[%b, %h, %i]
  %y = tenon.contract "b h i j, b h j d -> b h i d" %p3, %v : (!square, !v) -> !y
  return %y : !y
}
