// RUN: tenon-interpret %s | FileCheck %s
tenon.weight @x : tensor<2x2xf32> = dense<[[1.0, 3.0], [5.0, 5.0]]> : tensor<2x2xf32>
tenon.weight @g : tensor<2xf32> = dense<[10.0, 100.0]> : tensor<2xf32>
tenon.weight @b : tensor<2xf32> = dense<[0.5, 0.25]> : tensor<2xf32>

// Mean 2, variance 1; then mean 5, variance 0 with epsilon under the root.
// CHECK: @layer f32[2, 2]: {{\[}}[-9.5, 100.25], [0.5, 0.25]]
func.func @layer() -> tensor<2x2xf32> {
  %x = tenon.get @x : tensor<2x2xf32>
  %g = tenon.get @g : tensor<2xf32>
  %b = tenon.get @b : tensor<2xf32>
  %r = tenon.norm layer %x scale %g : tensor<2xf32> shift %b : tensor<2xf32> over 1 epsilon 1.0e-30 : tensor<2x2xf32> -> tensor<2x2xf32>
  return %r : tensor<2x2xf32>
}
// mean(x²) = 5, and 25.
// CHECK: @rms f32[2, 2]: {{\[}}[0.447214, 1.34164], [1, 1]]
func.func @rms() -> tensor<2x2xf32> {
  %x = tenon.get @x : tensor<2x2xf32>
  %r = tenon.norm rms %x over 1 epsilon 0.0 : tensor<2x2xf32> -> tensor<2x2xf32>
  return %r : tensor<2x2xf32>
}

// Four channels in two groups, one position each: (0 1) and (2 3) become (-1 1), then scale and shift per channel.
tenon.weight @scale : tensor<4xf32> = dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>
tenon.weight @c : tensor<1x4x1xf32> = dense<[[[0.0], [1.0], [2.0], [3.0]]]> : tensor<1x4x1xf32>
// CHECK: @group f32[1, 4, 1]: {{\[\[}}[-1], [2], [-3], [4]]]
func.func @group() -> tensor<1x4x1xf32> {
  %x = tenon.get @c : tensor<1x4x1xf32>
  %s = tenon.get @scale : tensor<4xf32>
  %r = tenon.norm group %x scale %s : tensor<4xf32> over 2 epsilon 0.0 : tensor<1x4x1xf32> -> tensor<1x4x1xf32>
  return %r : tensor<1x4x1xf32>
}
