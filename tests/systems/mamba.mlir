// Mamba: each channel's 8 states decay by exp(dt A) and take in dt B x, read by C, with a skip D x
!x = tensor<?x?x24xf32, #tenon.dims<[B, N, 24]>>
!bc = tensor<?x?x8xf32, #tenon.dims<[B, N, 8]>>
!A = tensor<24x8xf32>
!e = tensor<24xf32>
!a = tensor<?x?x24x8xf32, #tenon.dims<[B, N, 24, 8]>>
tenon.symbol @B in [1, 64]
tenon.symbol @N in [1, 4096]
func.func @main(%x: !x {tenon.name = "x"}, %Bt: !bc {tenon.name = "Bt"}, %Ct: !bc {tenon.name = "Ct"}, %dt: !x {tenon.name = "dt"}, %A: !A {tenon.name = "A"}, %bias: !e {tenon.name = "bias"}, %D: !e {tenon.name = "D"})
    -> (!x {tenon.name = "y"}) attributes {tenon.entry} {
  %step = tenon.map %l = %dt, %c = %bias at %b, %n, %h : (!x, !e) -> !x = log(1 + exp(%l[%b, %n, %h] + %c[%h]))
  %a = tenon.map %l = %step, %m = %A at %b, %n, %h, %d : (!x, !A) -> !a = exp(0.0 - exp(%m[%h, %d]) * %l[%b, %n, %h])
  %u = tenon.map %l = %x, %m = %step at %b, %n, %h : (!x, !x) -> !x = %l[%b, %n, %h] * %m[%b, %n, %h]
  %o = tenon.scan %Ct, %Bt, %u decay (%a : !a) layout ["b n d", "b n d", "b n h", "b n h d", "b n h"] : !bc, !bc, !x -> !x
  %y = tenon.map %l = %o, %m = %x, %c = %D at %b, %n, %h : (!x, !x, !e) -> !x = %l[%b, %n, %h] + %c[%h] * %m[%b, %n, %h]
  return %y : !x
}
