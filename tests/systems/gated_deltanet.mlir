// Gated DeltaNet: the state decays by exp(-exp(A) softplus(g + bias)), then a value replaces what stood under its key
!x = tensor<?x?x4x16xf32, #tenon.dims<[B, N, 4, 16]>>
!v = tensor<?x?x4x32xf32, #tenon.dims<[B, N, 4, 32]>>
!g = tensor<?x?x4xf32, #tenon.dims<[B, N, 4]>>
!head = tensor<4xf32>
tenon.symbol @B in [1, 64]
tenon.symbol @N in [1, 4096]
func.func @main(%q: !x {tenon.name = "q"}, %k: !x {tenon.name = "k"}, %v: !v {tenon.name = "v"}, %b: !g {tenon.name = "b"}, %g: !g {tenon.name = "g"}, %A: !head {tenon.name = "A"}, %bias: !head {tenon.name = "bias"})
    -> (!v {tenon.name = "y"}) attributes {tenon.entry} {
  %q2 = tenon.map %l = %q at %b, %n, %h, %d : (!x) -> !x = %l[%b, %n, %h, %d] * %l[%b, %n, %h, %d]
  %qs = tenon.reduce sum %q2 over [3] : !x -> !g
  %qn = tenon.map %l = %q, %m = %qs at %b, %n, %h, %d : (!x, !g) -> !x = %l[%b, %n, %h, %d] / sqrt(%m[%b, %n, %h] + 1.0e-6) * 0.25
  %k2 = tenon.map %l = %k at %b, %n, %h, %d : (!x) -> !x = %l[%b, %n, %h, %d] * %l[%b, %n, %h, %d]
  %ks = tenon.reduce sum %k2 over [3] : !x -> !g
  %kn = tenon.map %l = %k, %m = %ks at %b, %n, %h, %d : (!x, !g) -> !x = %l[%b, %n, %h, %d] / sqrt(%m[%b, %n, %h] + 1.0e-6)
  %r = tenon.map %l = %b at %p, %n, %h : (!g) -> !g = 1 / (1 + exp(0.0 - %l[%p, %n, %h]))
  %a = tenon.map %l = %g, %m = %A, %c = %bias at %p, %n, %h : (!g, !head, !head) -> !g = exp(0.0 - exp(%m[%h]) * log(1 + exp(%l[%p, %n, %h] + %c[%h])))
  %y = tenon.scan %qn, %kn, %v decay (%a : !g) rate (%r : !g) layout ["b n h d", "b n h d", "b n h d", "b n h", "b n h", "b n h d"] : !x, !x, !v -> !v
  return %y : !v
}
