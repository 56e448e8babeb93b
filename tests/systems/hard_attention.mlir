// Learning Transformer Programs: each query reads the value of its best key, the first where several are.
!q = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!k = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!v = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!y = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!square = tensor<?x4x?x?xf32, #tenon.dims<[B, 4, N, N]>>
!rows = tensor<?x4x?xf32, #tenon.dims<[B, 4, N]>>
!places = tensor<?x4x?x?xi64, #tenon.dims<[B, 4, N, N]>>
!place = tensor<?x4x?xi64, #tenon.dims<[B, 4, N]>>
tenon.symbol @B in [1, 16]
tenon.symbol @N in [1, 512]
func.func @main(%q: !q {tenon.name = "q"}, %k: !k {tenon.name = "k"}, %v: !v {tenon.name = "v"})
    -> (!y {tenon.name = "y"}) attributes {tenon.entry} {
  %s = tenon.contract "b h i d, b h j d -> b h i j" %q, %k : (!q, !k) -> !square
  %top = tenon.reduce max %s over [3] : !square -> !rows
  %place = tenon.map %a = %s, %t = %top at %b, %h, %i, %j : (!square, !rows) -> !places = select(%a[%b, %h, %i, %j] == %t[%b, %h, %i], %j, size(N) - 1)
  %first = tenon.reduce min %place over [3] : !places -> !place
  %y = tenon.map %a = %v, %p = %first at %b, %h, %i, %d : (!v, !place) -> !y = %a[%b, %h, %p[%b, %h, %i], %d]
  return %y : !y
}
