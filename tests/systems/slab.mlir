// SLAB: linear attention by ReLU features with a floor under the denominator.
!q = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!k = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!v = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!y = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!state = tensor<?x4x16x16xf32, #tenon.dims<[B, 4, 16, 16]>>
!keys = tensor<?x4x16xf32, #tenon.dims<[B, 4, 16]>>
!rows = tensor<?x4x?xf32, #tenon.dims<[B, 4, N]>>
tenon.symbol @B in [1, 64]
tenon.symbol @N in [1, 4096]
func.func @main(%q: !q {tenon.name = "q"}, %k: !k {tenon.name = "k"}, %v: !v {tenon.name = "v"})
    -> (!y {tenon.name = "y"}) attributes {tenon.entry} {
  %qr = tenon.map %a = %q at %b, %h, %i, %d : (!q) -> !q = max(%a[%b, %h, %i, %d], 0)
  %kr = tenon.map %a = %k at %b, %h, %i, %d : (!k) -> !k = max(%a[%b, %h, %i, %d], 0)
  %state = tenon.contract "b h n d, b h n e -> b h d e" %kr, %v : (!k, !v) -> !state
  %sum = tenon.reduce sum %kr over [2] : !k -> !keys
  %above = tenon.contract "b h n d, b h d e -> b h n e" %qr, %state : (!q, !state) -> !y
  %below = tenon.contract "b h n d, b h d -> b h n" %qr, %sum : (!q, !keys) -> !rows
  %y = tenon.map %a = %above, %c = %below at %b, %h, %i, %d : (!y, !rows) -> !y = %a[%b, %h, %i, %d] / (%c[%b, %h, %i] + 1.0e-6)
  return %y : !y
}
