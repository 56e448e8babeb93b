// HGRN2: what a row of the state does not forget is what it writes, k = 1 - f; a lower bound for f
!x = tensor<?x?x4x16xf32, #tenon.dims<[B, N, 4, 16]>>
!v = tensor<?x?x4x32xf32, #tenon.dims<[B, N, 4, 32]>>
!low = tensor<4x16xf32>
tenon.symbol @B in [1, 64]
tenon.symbol @N in [1, 4096]
func.func @main(%q: !x {tenon.name = "q"}, %f: !x {tenon.name = "f"}, %v: !v {tenon.name = "v"}, %low: !low {tenon.name = "low"})
    -> (!v {tenon.name = "y"}) attributes {tenon.entry} {
  %a = tenon.map %l = %f, %m = %low at %b, %n, %h, %d : (!x, !low) -> !x = let %c = %m[%h, %d] in %c + (1 - %c) / (1 + exp(0.0 - %l[%b, %n, %h, %d]))
  %k = tenon.map %l = %a at %b, %n, %h, %d : (!x) -> !x = 1 - %l[%b, %n, %h, %d]
  %s = tenon.map %l = %q at %b, %n, %h, %d : (!x) -> !x = let %e = %l[%b, %n, %h, %d] in %e / (1 + exp(0.0 - %e)) * 0.25
  %y = tenon.scan %s, %k, %v decay (%a : !x) layout ["b n h d", "b n h d", "b n h d", "b n h d", "b n h d"] : !x, !x, !v -> !v
  return %y : !v
}
