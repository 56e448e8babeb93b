// Gated linear attention: each row of the state decays by a gate of its own, sigmoid(g)^(1/16)
!x = tensor<?x?x4x16xf32, #tenon.dims<[B, N, 4, 16]>>
!v = tensor<?x?x4x32xf32, #tenon.dims<[B, N, 4, 32]>>
tenon.symbol @B in [1, 64]
tenon.symbol @N in [1, 4096]
func.func @main(%q: !x {tenon.name = "q"}, %k: !x {tenon.name = "k"}, %v: !v {tenon.name = "v"}, %g: !x {tenon.name = "g"})
    -> (!v {tenon.name = "y"}) attributes {tenon.entry} {
  %a = tenon.map %l = %g at %b, %n, %h, %d : (!x) -> !x = exp(0.0 - log(1 + exp(0.0 - %l[%b, %n, %h, %d])) / 16.0)
  %s = tenon.map %l = %q at %b, %n, %h, %d : (!x) -> !x = %l[%b, %n, %h, %d] * 0.25
  %y = tenon.scan %s, %k, %v decay (%a : !x) layout ["b n h d", "b n h d", "b n h d", "b n h d", "b n h d"] : !x, !x, !v -> !v
  return %y : !v
}
