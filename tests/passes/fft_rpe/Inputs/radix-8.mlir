// 2048 = 8 · 8 · 8 · 4
func.func @main(%x: tensor<64x2048x2xf32> {tenon.name = "x"}) -> (tensor<64x2048x2xf32> {tenon.name = "y"}) attributes {tenon.entry} {
  %y = tenon.fft %x length #tenon.dim<2048> axis 1 parts 2 : tensor<64x2048x2xf32> -> tensor<64x2048x2xf32>
  return %y : tensor<64x2048x2xf32>
}
