// TimelyGPT: retention over irregular times, scores times gamma^(t_i - t_j) = exp(u_i - u_j)
!x = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!t = tensor<?x?xf32, #tenon.dims<[B, N]>>
!gamma = tensor<4xf32>
tenon.symbol @B in [1, 64]
tenon.symbol @N in [1, 4096]
func.func @main(%q: !x {tenon.name = "q"}, %k: !x {tenon.name = "k"}, %v: !x {tenon.name = "v"}, %t: !t {tenon.name = "t"}, %gamma: !gamma {tenon.name = "gamma"})
    -> (!x {tenon.name = "y"}) attributes {tenon.entry} {
  %y = tenon.attention %q, (%k), (%v) captures (%t, %gamma) normalise none empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
    : (!x, !x, !x, !t, !gamma) -> !x
    score (%x, %b, %h, %i, %j, %t, %gamma) = %x * 0.25 * exp(%t[%b, %i] * log(%gamma[%h]) - %t[%b, %j] * log(%gamma[%h]))
    keep (%b, %h, %i, %j, %t, %gamma) = %j <= %i
  return %y : !x
}
