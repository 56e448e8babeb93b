// FNet: the real part of a Fourier transform over tokens and channels, here as products with cosines and sines.
!x = tensor<?x?x24xf32, #tenon.dims<[B, N, 24]>>
!y = tensor<?x?x24xf32, #tenon.dims<[B, N, 24]>>
!square = tensor<?x?xf32, #tenon.dims<[N, N]>>
!channels = tensor<24x24xf32>
tenon.symbol @B in [1, 16]
tenon.symbol @N in [1, 512]
func.func @main(%x: !x {tenon.name = "x"})
    -> (!y {tenon.name = "y"}) attributes {tenon.entry} {
  %cn = tenon.map at %i, %j : () -> !square = cos(mod(%i * %j, size(N)) * 6.283185307179586 / size(N))
  %sn = tenon.map at %i, %j : () -> !square = sin(mod(%i * %j, size(N)) * 6.283185307179586 / size(N))
  %cd = tenon.map at %i, %j : () -> !channels = cos(mod(%i * %j, 24) * 0.2617993877991494)
  %sd = tenon.map at %i, %j : () -> !channels = sin(mod(%i * %j, 24) * 0.2617993877991494)
  %xc = tenon.contract "b n d, d e -> b n e" %x, %cd : (!x, !channels) -> !x
  %xs = tenon.contract "b n d, d e -> b n e" %x, %sd : (!x, !channels) -> !x
  %re = tenon.contract "n m, b m e -> b n e" %cn, %xc : (!square, !x) -> !x
  %im = tenon.contract "n m, b m e -> b n e" %sn, %xs : (!square, !x) -> !x
  %y = tenon.map %a = %re, %c = %im at %b, %n, %e : (!x, !x) -> !y = %a[%b, %n, %e] - %c[%b, %n, %e]
  return %y : !y
}
