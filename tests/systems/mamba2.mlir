// Mamba-2: a scalar decay exp(dt A) for each head, B and C shared by all of them, and a skip D x
!v = tensor<?x?x4x32xf32, #tenon.dims<[B, N, 4, 32]>>
!bc = tensor<?x?x1x16xf32, #tenon.dims<[B, N, 1, 16]>>
!g = tensor<?x?x4xf32, #tenon.dims<[B, N, 4]>>
!head = tensor<4xf32>
tenon.symbol @B in [1, 64]
tenon.symbol @N in [1, 4096]
func.func @main(%x: !v {tenon.name = "x"}, %Bt: !bc {tenon.name = "Bt"}, %Ct: !bc {tenon.name = "Ct"}, %dt: !g {tenon.name = "dt"}, %A: !head {tenon.name = "A"}, %bias: !head {tenon.name = "bias"}, %D: !head {tenon.name = "D"})
    -> (!v {tenon.name = "y"}) attributes {tenon.entry} {
  %step = tenon.map %l = %dt, %c = %bias at %b, %n, %h : (!g, !head) -> !g = log(1 + exp(%l[%b, %n, %h] + %c[%h]))
  %a = tenon.map %l = %step, %m = %A at %b, %n, %h : (!g, !head) -> !g = exp(0.0 - exp(%m[%h]) * %l[%b, %n, %h])
  %u = tenon.map %l = %x, %m = %step at %b, %n, %h, %d : (!v, !g) -> !v = %l[%b, %n, %h, %d] * %m[%b, %n, %h]
  %o = tenon.scan %Ct, %Bt, %u decay (%a : !g) layout ["b n h d", "b n h d", "b n h d", "b n h", "b n h d"] : !bc, !bc, !v -> !v
  %y = tenon.map %l = %o, %m = %x, %c = %D at %b, %n, %h, %d : (!v, !v, !head) -> !v = %l[%b, %n, %h, %d] + %c[%h] * %m[%b, %n, %h, %d]
  return %y : !v
}
