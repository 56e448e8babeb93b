// Synthesizer: factorised random scores, which no input changes.
!r = tensor<4x?x8xf32, #tenon.dims<[4, N, 8]>>
!s = tensor<4x?x8xf32, #tenon.dims<[4, N, 8]>>
!v = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!y = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!square = tensor<4x?x?xf32, #tenon.dims<[4, N, N]>>
tenon.symbol @B in [1, 64]
tenon.symbol @N in [1, 4096]
func.func @main(%r: !r {tenon.name = "r"}, %s: !s {tenon.name = "s"}, %v: !v {tenon.name = "v"})
    -> (!y {tenon.name = "y"}) attributes {tenon.entry} {
  %scores = tenon.contract "h i r, h j r -> h i j" %r, %s : (!r, !s) -> !square
  %p = tenon.softmax %scores over 2 : !square
  %y = tenon.contract "h i j, b h j d -> b h i d" %p, %v : (!square, !v) -> !y
  return %y : !y
}
