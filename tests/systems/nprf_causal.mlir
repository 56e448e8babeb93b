// NPRF, causal: kernelised attention with a Toeplitz factor, exp(b[j - i]), over the keys up to the query.
!q = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!k = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!v = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!w = tensor<4x16x32xf32>
!bias = tensor<4x?xf32, #tenon.dims<[4, 2 * N - 1]>>
!y = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!f = tensor<?x4x?x32xf32, #tenon.dims<[B, 4, N, 32]>>
tenon.symbol @B in [1, 64]
tenon.symbol @N in [1, 4096]
func.func @main(%q: !q {tenon.name = "q"}, %k: !k {tenon.name = "k"}, %v: !v {tenon.name = "v"}, %w: !w {tenon.name = "w"}, %bias: !bias {tenon.name = "bias"})
    -> (!y {tenon.name = "y"}) attributes {tenon.entry} {
  %qu = tenon.norm rms %q over 1 epsilon 0.0 : !q -> !q
  %ku = tenon.norm rms %k over 1 epsilon 0.0 : !k -> !k
  %qw = tenon.contract "b h n d, h d m -> b h n m" %qu, %w : (!q, !w) -> !f
  %kw = tenon.contract "b h n d, h d m -> b h n m" %ku, %w : (!k, !w) -> !f
  %qf = tenon.map %a = %qw at %b, %h, %i, %m : (!f) -> !f = exp(%a[%b, %h, %i, %m] * 0.25)
  %kf = tenon.map %a = %kw at %b, %h, %i, %m : (!f) -> !f = exp(%a[%b, %h, %i, %m] * 0.25)
  %c = tenon.map %a = %bias at %h, %t : (!bias) -> !bias = exp(%a[%h, %t])

  %y = tenon.attention %qf, (%kf), (%v) captures (%c) normalise sum empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
    : (!f, !f, !v, !bias) -> !y
    score (%x, %b, %h, %i, %j, %c) = %x * %c[%h, %j - %i + size(N) - 1]
    keep (%b, %h, %i, %j, %c) = %j <= %i
  return %y : !y
}
