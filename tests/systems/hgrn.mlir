// HGRN: every channel a recurrence of its own, h = f h + (1 - f) silu(i)
!x = tensor<?x?x48xf32, #tenon.dims<[B, N, 48]>>
!one = tensor<1xf32>
tenon.symbol @B in [1, 64]
tenon.symbol @N in [1, 4096]
func.func @main(%i: !x {tenon.name = "i"}, %f: !x {tenon.name = "f"})
    -> (!x {tenon.name = "y"}) attributes {tenon.entry} {
  %a = tenon.map %l = %f at %b, %n, %c : (!x) -> !x = 0.125 + 0.875 / (1 + exp(0.0 - %l[%b, %n, %c]))
  %v = tenon.map %l = %i, %m = %a at %b, %n, %c : (!x, !x) -> !x = let %e = %l[%b, %n, %c] in (1 - %m[%b, %n, %c]) * %e / (1 + exp(0.0 - %e))
  %q = tenon.map at %c : () -> !one = 1.0
  %y = tenon.scan %q, %q, %v decay (%a : !x) layout ["d", "d", "b n h", "b n h", "b n h"] : !one, !one, !x -> !x
  return %y : !x
}
