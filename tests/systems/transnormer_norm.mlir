// TransNormer's NormAttention: causal, scores of features elu(x) + 1 without a denominator, then an RMS norm
!x = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
tenon.symbol @B in [1, 64]
tenon.symbol @N in [1, 4096]
func.func @main(%q: !x {tenon.name = "q"}, %k: !x {tenon.name = "k"}, %v: !x {tenon.name = "v"})
    -> (!x {tenon.name = "y"}) attributes {tenon.entry} {
  %qf = tenon.map %a = %q at %b, %h, %i, %d : (!x) -> !x = let %x = %a[%b, %h, %i, %d] in select(%x > 0, %x + 1, exp(min(%x, 0)))
  %kf = tenon.map %a = %k at %b, %h, %i, %d : (!x) -> !x = let %x = %a[%b, %h, %i, %d] in select(%x > 0, %x + 1, exp(min(%x, 0)))
  %o = tenon.attention %qf, (%kf), (%v) normalise none empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"] : (!x, !x, !x) -> !x
    keep (%b, %h, %i, %j) = %j <= %i
  %y = tenon.norm rms %o over 1 epsilon 1.0e-8 : !x -> !x
  return %y : !x
}
