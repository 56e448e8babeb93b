// FNet over sequences of any length: the transform over channels, then a product with the powers of the length.
!x = tensor<?x?x24xf32, #tenon.dims<[B, N, 24]>>
!y = tensor<?x?x24xf32, #tenon.dims<[B, N, 24]>>
!real = tensor<?x?x24x1xf32, #tenon.dims<[B, N, 24, 1]>>
!complex = tensor<?x?x24x2xf32, #tenon.dims<[B, N, 24, 2]>>
tenon.symbol @B in [1, 16]
tenon.symbol @N in [1, 512]
func.func @main(%x: !x {tenon.name = "x"})
    -> (!y {tenon.name = "y"}) attributes {tenon.entry} {
  %r = tenon.reshape %x : !x -> !real
  %channels = tenon.fft %r length #tenon.dim<24> axis 2 parts 3 : !real -> !complex
  %tokens = tenon.fft %channels length #tenon.dim<N> axis 1 parts 3 : !complex -> !real
  %y = tenon.reshape %tokens : !real -> !y
  return %y : !y
}
