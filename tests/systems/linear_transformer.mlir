// Linear Transformer: the score is a product of features elu(x) + 1, causal, normalised by its sum.
!q = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!k = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!v = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!y = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
tenon.symbol @B in [1, 64]
tenon.symbol @N in [1, 4096]
func.func @main(%q: !q {tenon.name = "q"}, %k: !k {tenon.name = "k"}, %v: !v {tenon.name = "v"})
    -> (!y {tenon.name = "y"}) attributes {tenon.entry} {
  %qf = tenon.map %a = %q at %b, %h, %i, %d : (!q) -> !q = let %x = %a[%b, %h, %i, %d] in select(%x > 0, %x + 1, exp(min(%x, 0)))
  %kf = tenon.map %a = %k at %b, %h, %i, %d : (!k) -> !k = let %x = %a[%b, %h, %i, %d] in select(%x > 0, %x + 1, exp(min(%x, 0)))

  %y = tenon.attention %qf, (%kf), (%v) normalise sum empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
    : (!q, !k, !v) -> !y
    keep (%b, %h, %i, %j) = %j <= %i
  return %y : !y
}
