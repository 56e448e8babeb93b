// NPRF, causal, by Fourier transforms of blocks of 48 rows: the rows that see few keys directly, the others by one convolution for each feature.
!q = tensor<?x2x120x16xf32, #tenon.dims<[B, 2, 120, 16]>>
!w = tensor<2x16x8xf32>
!bias = tensor<2x239xf32>
!f = tensor<?x2x120x8xf32, #tenon.dims<[B, 2, 120, 8]>>
tenon.symbol @B in [1, 64]
func.func @main(%q: !q {tenon.name = "q"}, %k: !q {tenon.name = "k"}, %v: !q {tenon.name = "v"}, %w: !w {tenon.name = "w"}, %bias: !bias {tenon.name = "bias"})
    -> (!q {tenon.name = "y"}) attributes {tenon.entry} {
  %qu = tenon.norm rms %q over 1 epsilon 0.0 : !q -> !q
  %ku = tenon.norm rms %k over 1 epsilon 0.0 : !q -> !q
  %qw = tenon.contract "b h n d, h d m -> b h n m" %qu, %w : (!q, !w) -> !f
  %kw = tenon.contract "b h n d, h d m -> b h n m" %ku, %w : (!q, !w) -> !f
  %qf = tenon.map %a = %qw at %b, %h, %i, %m : (!f) -> !f = exp(%a[%b, %h, %i, %m] * 0.25)
  %kf = tenon.map %a = %kw at %b, %h, %i, %m : (!f) -> !f = exp(%a[%b, %h, %i, %m] * 0.25)

  %y = tenon.attention %qf, (%kf), (%v) captures (%bias) normalise sum empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"] algorithm fft_blocks {tenon.block = 48 : i64}
    : (!f, !f, !q, !bias) -> !q
    score (%x, %b, %h, %i, %j, %c) = %x * exp(%c[%h, %j - %i + 119])
    keep (%b, %h, %i, %j, %c) = %j <= %i
  return %y : !q
}
