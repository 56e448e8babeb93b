// Key-Value Transformer: keys are queries too, with a weighted sum of position features as bias.
!k = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!v = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!feature = tensor<?x?x10xf32, #tenon.dims<[N, N, 10]>>
!w = tensor<10xf32>
!y = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!bias = tensor<?x?xf32, #tenon.dims<[N, N]>>
tenon.symbol @B in [1, 64]
tenon.symbol @N in [1, 4096]
func.func @main(%k: !k {tenon.name = "k"}, %v: !v {tenon.name = "v"}, %feature: !feature {tenon.name = "feature"}, %w: !w {tenon.name = "w"})
    -> (!y {tenon.name = "y"}) attributes {tenon.entry} {
  %bias = tenon.contract "i j p, p -> i j" %feature, %w : (!feature, !w) -> !bias
  %gain = tenon.reduce sum %w over [0] : !w -> tensor<f32>

  %y = tenon.attention %k, (%k), (%v) captures (%bias, %gain) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
    : (!k, !k, !v, !bias, tensor<f32>) -> !y
    score (%x, %b, %h, %i, %j, %bias, %gain) = %x * 0.25 * %gain[] + %bias[%i, %j]
  return %y : !y
}
