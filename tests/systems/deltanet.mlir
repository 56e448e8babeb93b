// DeltaNet: a value replaces what stood under its key, by a rate sigmoid(b); keys of length one
!x = tensor<?x?x4x16xf32, #tenon.dims<[B, N, 4, 16]>>
!v = tensor<?x?x4x32xf32, #tenon.dims<[B, N, 4, 32]>>
!g = tensor<?x?x4xf32, #tenon.dims<[B, N, 4]>>
tenon.symbol @B in [1, 64]
tenon.symbol @N in [1, 4096]
func.func @main(%q: !x {tenon.name = "q"}, %k: !x {tenon.name = "k"}, %v: !v {tenon.name = "v"}, %b: !g {tenon.name = "b"})
    -> (!v {tenon.name = "y"}) attributes {tenon.entry} {
  %q2 = tenon.map %l = %q at %b, %n, %h, %d : (!x) -> !x = %l[%b, %n, %h, %d] * %l[%b, %n, %h, %d]
  %qs = tenon.reduce sum %q2 over [3] : !x -> !g
  %qn = tenon.map %l = %q, %m = %qs at %b, %n, %h, %d : (!x, !g) -> !x = %l[%b, %n, %h, %d] / sqrt(%m[%b, %n, %h] + 1.0e-6) * 0.25
  %k2 = tenon.map %l = %k at %b, %n, %h, %d : (!x) -> !x = %l[%b, %n, %h, %d] * %l[%b, %n, %h, %d]
  %ks = tenon.reduce sum %k2 over [3] : !x -> !g
  %kn = tenon.map %l = %k, %m = %ks at %b, %n, %h, %d : (!x, !g) -> !x = %l[%b, %n, %h, %d] / sqrt(%m[%b, %n, %h] + 1.0e-6)
  %r = tenon.map %l = %b at %p, %n, %h : (!g) -> !g = 1 / (1 + exp(0.0 - %l[%p, %n, %h]))
  %y = tenon.scan %qn, %kn, %v rate (%r : !g) layout ["b n h d", "b n h d", "b n h d", "b n h", "b n h d"] : !x, !x, !v -> !v
  return %y : !v
}
