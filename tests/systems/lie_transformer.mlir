// LieTransformer: a small network of the difference of two group elements is added to the product of features.
!q = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!g = tensor<?x?x2xf32, #tenon.dims<[B, N, 2]>>
!w = tensor<4x4x4xf32>
tenon.symbol @B in [1, 16]
tenon.symbol @N in [1, 512]
func.func @main(%q: !q {tenon.name = "q"}, %k: !q {tenon.name = "k"}, %v: !q {tenon.name = "v"}, %places: !g {tenon.name = "places"}, %network: !w {tenon.name = "network"})
    -> (!q {tenon.name = "y"}) attributes {tenon.entry} {
  %y = tenon.attention %q, (%k), (%v) captures (%places, %network) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
    : (!q, !q, !q, !g, !w) -> !q
    score (%x, %b, %h, %i, %j, %g, %w) = let %u0 = %w[%h, 0, 0] * (%g[%b, %i, 0] - %g[%b, %j, 0]) + %w[%h, 0, 1] * (%g[%b, %i, 1] - %g[%b, %j, 1]) + %w[%h, 0, 2] in let %u1 = %w[%h, 1, 0] * (%g[%b, %i, 0] - %g[%b, %j, 0]) + %w[%h, 1, 1] * (%g[%b, %i, 1] - %g[%b, %j, 1]) + %w[%h, 1, 2] in let %u2 = %w[%h, 2, 0] * (%g[%b, %i, 0] - %g[%b, %j, 0]) + %w[%h, 2, 1] * (%g[%b, %i, 1] - %g[%b, %j, 1]) + %w[%h, 2, 2] in let %u3 = %w[%h, 3, 0] * (%g[%b, %i, 0] - %g[%b, %j, 0]) + %w[%h, 3, 1] * (%g[%b, %i, 1] - %g[%b, %j, 1]) + %w[%h, 3, 2] in %x * 0.25 + %w[%h, 0, 3] * %u0 / (1 + exp(0 - %u0)) + %w[%h, 1, 3] * %u1 / (1 + exp(0 - %u1)) + %w[%h, 2, 3] * %u2 / (1 + exp(0 - %u2)) + %w[%h, 3, 3] * %u3 / (1 + exp(0 - %u3))
  return %y : !q
}
