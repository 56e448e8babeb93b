// FNet: the real part of a Fourier transform over tokens and channels.
!x = tensor<?x96x24xf32, #tenon.dims<[B, 96, 24]>>
!y = tensor<?x96x24xf32, #tenon.dims<[B, 96, 24]>>
!real = tensor<?x96x24x1xf32, #tenon.dims<[B, 96, 24, 1]>>
!complex = tensor<?x96x24x2xf32, #tenon.dims<[B, 96, 24, 2]>>
tenon.symbol @B in [1, 16]
func.func @main(%x: !x {tenon.name = "x"})
    -> (!y {tenon.name = "y"}) attributes {tenon.entry} {
  %r = tenon.reshape %x : !x -> !real
  %channels = tenon.fft %r length #tenon.dim<24> axis 2 parts 3 : !real -> !complex
  %tokens = tenon.fft %channels length #tenon.dim<96> axis 1 parts 3 : !complex -> !real
  %y = tenon.reshape %tokens : !real -> !y
  return %y : !y
}
