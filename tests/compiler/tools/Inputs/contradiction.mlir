// The rows of the weight are not what the input has.
func.func @main(%x: tensor<2x4xf32>, %w: tensor<5x3xf32>) -> tensor<2x3xf32> attributes {tenon.entry} {
  %y = tenon.contract "m k, k n -> m n" %x, %w : (tensor<2x4xf32>, tensor<5x3xf32>) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}
