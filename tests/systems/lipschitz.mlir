// Lipschitz transformers: scores divided by the depth instead of its root, a third of the output, a damped residual.
!q = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!k = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!v = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!x = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!y = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
tenon.symbol @B in [1, 64]
tenon.symbol @N in [1, 4096]
func.func @main(%q: !q {tenon.name = "q"}, %k: !k {tenon.name = "k"}, %v: !v {tenon.name = "v"}, %x: !x {tenon.name = "x"})
    -> (!y {tenon.name = "y"}) attributes {tenon.entry} {
  %o = tenon.attention %q, (%k), (%v) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
    : (!q, !k, !v) -> !y
    score (%x, %b, %h, %i, %j) = %x / 16
    keep (%b, %h, %i, %j) = %j <= %i

  %y = tenon.map %a = %x, %f = %o at %b, %h, %i, %d : (!x, !y) -> !y = %a[%b, %h, %i, %d] * 0.9583333333333334 + %f[%b, %h, %i, %d] / 72
  return %y : !y
}
