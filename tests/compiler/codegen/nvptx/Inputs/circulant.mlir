// Circular convolutions: one kernel of all channels and one of each, an odd number of channels and an even one in several blocks,
// with features, with kernels that may be beyond what transforms bear.
!x = tensor<2x3x30x5xf32>
!y = tensor<2x3x33x5xf32>
!q = tensor<2x3x33x4xf32>
!k = tensor<2x3x30x4xf32>
func.func @main(%x: !x {tenon.name = "x"}, %q: !q {tenon.name = "q"}, %k: !k {tenon.name = "k"},
                %s: tensor<3x2x64xf32> {tenon.name = "s"}, %g: tensor<3x1x64xf32> {tenon.name = "g"},
                %sc: tensor<3x2x64x5xf32> {tenon.name = "sc"}, %gc: tensor<3x1x64x5xf32> {tenon.name = "gc"},
                %w: tensor<1x1x300x40xf32> {tenon.name = "w"}, %sw: tensor<1x2x512xf32> {tenon.name = "sw"})
    -> (!y {tenon.name = "plain"}, !y {tenon.name = "features"}, !y {tenon.name = "channels"}, !y {tenon.name = "uneven"}, !y {tenon.name = "uneven_channels"},
        tensor<1x1x512x40xf32> {tenon.name = "wide"}) attributes {tenon.entry} {
  %plain = tenon.circulant %x spectrum %s : (!x, tensor<3x2x64xf32>) -> !y
  %features = tenon.circulant %x spectrum %s features %q, %k : (!x, tensor<3x2x64xf32>, !q, !k) -> !y
  %channels = tenon.circulant %x spectrum %sc : (!x, tensor<3x2x64x5xf32>) -> !y
  %uneven = tenon.circulant %x spectrum %s kernel %g features %q, %k : (!x, tensor<3x2x64xf32>, tensor<3x1x64xf32>, !q, !k) -> !y
  %unevenc = tenon.circulant %x spectrum %sc kernel %gc : (!x, tensor<3x2x64x5xf32>, tensor<3x1x64x5xf32>) -> !y
  %wide = tenon.circulant %w spectrum %sw : (tensor<1x1x300x40xf32>, tensor<1x2x512xf32>) -> tensor<1x1x512x40xf32>
  return %plain, %features, %channels, %uneven, %unevenc, %wide : !y, !y, !y, !y, !y, tensor<1x1x512x40xf32>
}
