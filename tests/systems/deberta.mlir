// DeBERTa: content to content, content to position and position to content, by clipped distance.
!q = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!k = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!v = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!kp = tensor<4x16x16xf32>
!qp = tensor<4x16x16xf32>
!y = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!table = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
tenon.symbol @B in [1, 64]
tenon.symbol @N in [1, 4096]
func.func @main(%q: !q {tenon.name = "q"}, %k: !k {tenon.name = "k"}, %v: !v {tenon.name = "v"}, %kp: !kp {tenon.name = "kp"}, %qp: !qp {tenon.name = "qp"})
    -> (!y {tenon.name = "y"}) attributes {tenon.entry} {
  %c2p = tenon.contract "b h i d, h t d -> b h i t" %q, %kp : (!q, !kp) -> !table
  %p2c = tenon.contract "b h j d, h t d -> b h j t" %k, %qp : (!k, !qp) -> !table

  %y = tenon.attention %q, (%k), (%v) captures (%c2p, %p2c) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
    : (!q, !k, !v, !table, !table) -> !y
    score (%x, %b, %h, %i, %j, %c2p, %p2c) =
      (%x + %c2p[%b, %h, %i, max(min(%i - %j + 8, 15), 0)] + %p2c[%b, %h, %j, max(min(%j - %i + 8, 15), 0)]) * 0.14433756729740643
  return %y : !y
}
