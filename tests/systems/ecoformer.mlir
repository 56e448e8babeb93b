// EcoFormer: products of 16-bit hash codes plus 17, normalised by their sum.
!q = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!k = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!v = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!y = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
tenon.symbol @B in [1, 64]
tenon.symbol @N in [1, 4096]
func.func @main(%q: !q {tenon.name = "q"}, %k: !k {tenon.name = "k"}, %v: !v {tenon.name = "v"})
    -> (!y {tenon.name = "y"}) attributes {tenon.entry} {
  %qh = tenon.map %a = %q at %b, %h, %i, %d : (!q) -> !q = select(%a[%b, %h, %i, %d] >= 0, 1, -1)
  %kh = tenon.map %a = %k at %b, %h, %i, %d : (!k) -> !k = select(%a[%b, %h, %i, %d] >= 0, 1, -1)

  %y = tenon.attention %qh, (%kh), (%v) normalise sum empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
    : (!q, !k, !v) -> !y
    score (%x, %b, %h, %i, %j) = %x + 17
  return %y : !y
}
