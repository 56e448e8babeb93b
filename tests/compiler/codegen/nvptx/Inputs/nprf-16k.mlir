// NPRF over 16384 tokens: kernelised attention with a Toeplitz factor.
!x = tensor<1x2x16384x64xf32>
!bias = tensor<2x32767xf32>
func.func @main(%q: !x {tenon.name = "q"}, %k: !x {tenon.name = "k"}, %v: !x {tenon.name = "v"}, %bias: !bias {tenon.name = "bias"})
    -> (!x {tenon.name = "y"}) attributes {tenon.entry} {
  %qf = tenon.map %a = %q at %b, %h, %i, %m : (!x) -> !x = exp(%a[%b, %h, %i, %m] * 0.25)
  %kf = tenon.map %a = %k at %b, %h, %i, %m : (!x) -> !x = exp(%a[%b, %h, %i, %m] * 0.25)
  %y = tenon.attention %qf, (%kf), (%v) captures (%bias) normalise sum empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
    : (!x, !x, !x, !bias) -> !x
    score (%x, %b, %h, %i, %j, %c) = %x * exp(%c[%h, %j - %i + 16383])
  return %y : !x
}
