// Performer: positive random features, exp(w x - x^2 / 2), in their linear order of products.
!q = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!k = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!v = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!w = tensor<24x16xf32>
!y = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!f = tensor<?x4x?x24xf32, #tenon.dims<[B, 4, N, 24]>>
!state = tensor<?x4x24x16xf32, #tenon.dims<[B, 4, 24, 16]>>
!features = tensor<?x4x24xf32, #tenon.dims<[B, 4, 24]>>
!rows = tensor<?x4x?xf32, #tenon.dims<[B, 4, N]>>
tenon.symbol @B in [1, 64]
tenon.symbol @N in [1, 4096]
func.func @main(%q: !q {tenon.name = "q"}, %k: !k {tenon.name = "k"}, %v: !v {tenon.name = "v"}, %w: !w {tenon.name = "w"})
    -> (!y {tenon.name = "y"}) attributes {tenon.entry} {
  %qw = tenon.contract "b h n d, m d -> b h n m" %q, %w : (!q, !w) -> !f
  %kw = tenon.contract "b h n d, m d -> b h n m" %k, %w : (!k, !w) -> !f
  %qs = tenon.map %a = %q at %b, %h, %i, %d : (!q) -> !q = %a[%b, %h, %i, %d] * %a[%b, %h, %i, %d]
  %ks = tenon.map %a = %k at %b, %h, %i, %d : (!k) -> !k = %a[%b, %h, %i, %d] * %a[%b, %h, %i, %d]
  %qn = tenon.reduce sum %qs over [3] : !q -> !rows
  %kn = tenon.reduce sum %ks over [3] : !k -> !rows
  %qf = tenon.map %a = %qw, %n = %qn at %b, %h, %i, %m : (!f, !rows) -> !f = exp(%a[%b, %h, %i, %m] * 0.5 - %n[%b, %h, %i] * 0.125)
  %kf = tenon.map %a = %kw, %n = %kn at %b, %h, %i, %m : (!f, !rows) -> !f = exp(%a[%b, %h, %i, %m] * 0.5 - %n[%b, %h, %i] * 0.125)
  %state = tenon.contract "b h n m, b h n e -> b h m e" %kf, %v : (!f, !v) -> !state
  %sum = tenon.reduce sum %kf over [2] : !f -> !features
  %above = tenon.contract "b h n m, b h m e -> b h n e" %qf, %state : (!f, !state) -> !y
  %below = tenon.contract "b h n m, b h m -> b h n" %qf, %sum : (!f, !features) -> !rows
  %y = tenon.map %a = %above, %c = %below at %b, %h, %i, %d : (!y, !rows) -> !y = %a[%b, %h, %i, %d] / %c[%b, %h, %i]
  return %y : !y
}
