// One product of odd sizes.
tenon.symbol @M in [0, 4096]
tenon.weight @w : tensor<39x50xf32> = #tenon.random<7, 0.5>
func.func @main(%x: tensor<?x39xf32, #tenon.dims<[M, 39]>> {tenon.name = "x"}) -> (tensor<?x50xf32, #tenon.dims<[M, 50]>> {tenon.name = "y"}) attributes {tenon.entry} {
  %w = tenon.get @w : tensor<39x50xf32>
  %y = tenon.contract "m k, k n -> m n" %x, %w : (tensor<?x39xf32, #tenon.dims<[M, 39]>>, tensor<39x50xf32>) -> tensor<?x50xf32, #tenon.dims<[M, 50]>>
  return %y : tensor<?x50xf32, #tenon.dims<[M, 50]>>
}
