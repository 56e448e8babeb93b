// T2T-ViT's tokens-to-token attention: one head of positive random features, and a skip from the values
!x = tensor<?x?x32xf32, #tenon.dims<[B, N, 32]>>
!f = tensor<?x?x24xf32, #tenon.dims<[B, N, 24]>>
!w = tensor<24x32xf32>
!proj = tensor<32x32xf32>
!n = tensor<?x?xf32, #tenon.dims<[B, N]>>
!s = tensor<?x24x32xf32, #tenon.dims<[B, 24, 32]>>
!z = tensor<?x24xf32, #tenon.dims<[B, 24]>>
tenon.symbol @B in [1, 64]
tenon.symbol @N in [1, 4096]
func.func @main(%q: !x {tenon.name = "q"}, %k: !x {tenon.name = "k"}, %v: !x {tenon.name = "v"}, %w: !w {tenon.name = "w"}, %proj: !proj {tenon.name = "proj"})
    -> (!x {tenon.name = "y"}) attributes {tenon.entry} {
  %qw = tenon.contract "b n d, m d -> b n m" %q, %w : (!x, !w) -> !f
  %kw = tenon.contract "b n d, m d -> b n m" %k, %w : (!x, !w) -> !f
  %q2 = tenon.map %a = %q at %b, %n, %d : (!x) -> !x = %a[%b, %n, %d] * %a[%b, %n, %d]
  %k2 = tenon.map %a = %k at %b, %n, %d : (!x) -> !x = %a[%b, %n, %d] * %a[%b, %n, %d]
  %ql = tenon.reduce sum %q2 over [2] : !x -> !n
  %kl = tenon.reduce sum %k2 over [2] : !x -> !n
  %qf = tenon.map %a = %qw, %c = %ql at %b, %n, %m : (!f, !n) -> !f = exp(%a[%b, %n, %m] - %c[%b, %n] / 2) / sqrt(24.0)
  %kf = tenon.map %a = %kw, %c = %kl at %b, %n, %m : (!f, !n) -> !f = exp(%a[%b, %n, %m] - %c[%b, %n] / 2) / sqrt(24.0)
  %s = tenon.contract "b n m, b n e -> b m e" %kf, %v : (!f, !x) -> !s
  %z = tenon.reduce sum %kf over [1] : !f -> !z
  %above = tenon.contract "b n m, b m e -> b n e" %qf, %s : (!f, !s) -> !x
  %below = tenon.contract "b n m, b m -> b n" %qf, %z : (!f, !z) -> !n
  %o = tenon.map %a = %above, %c = %below at %b, %n, %d : (!x, !n) -> !x = %a[%b, %n, %d] / (%c[%b, %n] + 1.0e-8)
  %p = tenon.contract "b n d, e d -> b n e" %o, %proj : (!x, !proj) -> !x
  %y = tenon.map %a = %p, %c = %v at %b, %n, %d : (!x, !x) -> !x = %a[%b, %n, %d] + %c[%b, %n, %d]
  return %y : !x
}
