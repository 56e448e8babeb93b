// Rows of one and of several transforms to a block, columns, an inverse, a prime length, zeros in half of it.
func.func @main(%a: tensor<2x4096x2xf32> {tenon.name = "a"}, %b: tensor<64x64x2xf32> {tenon.name = "b"}, %c: tensor<1024x2x16xf32> {tenon.name = "c"}, %d: tensor<3x8192x2xf32> {tenon.name = "d"}, %e: tensor<4x37x2xf32> {tenon.name = "e"}, %f: tensor<2x512x2xf32> {tenon.name = "f"})
    -> (tensor<2x4096x2xf32> {tenon.name = "ya"}, tensor<64x64x2xf32> {tenon.name = "yb"}, tensor<1024x2x16xf32> {tenon.name = "yc"}, tensor<3x8192x2xf32> {tenon.name = "yd"}, tensor<4x37x2xf32> {tenon.name = "ye"}, tensor<2x513x2xf32> {tenon.name = "yf"}) attributes {tenon.entry} {
  %ya = tenon.fft %a length #tenon.dim<4096> axis 1 parts 2 : tensor<2x4096x2xf32> -> tensor<2x4096x2xf32>
  %yb = tenon.fft inverse %b length #tenon.dim<64> axis 1 parts 2 : tensor<64x64x2xf32> -> tensor<64x64x2xf32>
  %yc = tenon.fft %c length #tenon.dim<1024> axis 0 parts 1 : tensor<1024x2x16xf32> -> tensor<1024x2x16xf32>
  %yd = tenon.fft %d length #tenon.dim<8192> axis 1 parts 2 : tensor<3x8192x2xf32> -> tensor<3x8192x2xf32>
  %ye = tenon.fft %e length #tenon.dim<37> axis 1 parts 2 : tensor<4x37x2xf32> -> tensor<4x37x2xf32>
  %yf = tenon.fft %f length #tenon.dim<1024> axis 1 parts 2 : tensor<2x512x2xf32> -> tensor<2x513x2xf32>
  return %ya, %yb, %yc, %yd, %ye, %yf : tensor<2x4096x2xf32>, tensor<64x64x2xf32>, tensor<1024x2x16xf32>, tensor<3x8192x2xf32>, tensor<4x37x2xf32>, tensor<2x513x2xf32>
}
