// Two products with odd sizes, an activation between them.
tenon.symbol @M in [0, 4096]
tenon.weight @w : tensor<39x50xf32> = #tenon.random<7, 0.5>
tenon.weight @b : tensor<50xf32> = #tenon.random<8, 0.5>
tenon.weight @v : tensor<50x35xf32> = #tenon.random<9, 0.5>
func.func @main(%x: tensor<?x39xf32, #tenon.dims<[M, 39]>> {tenon.name = "x"}) -> (tensor<?x35xf32, #tenon.dims<[M, 35]>> {tenon.name = "y"}) attributes {tenon.entry} {
  %w = tenon.get @w : tensor<39x50xf32>
  %b = tenon.get @b : tensor<50xf32>
  %v = tenon.get @v : tensor<50x35xf32>
  %p = tenon.contract "m k, k n -> m n" %x, %w : (tensor<?x39xf32, #tenon.dims<[M, 39]>>, tensor<39x50xf32>) -> tensor<?x50xf32, #tenon.dims<[M, 50]>>
  %h = tenon.map %a = %p, %c = %b at %i, %j : (tensor<?x50xf32, #tenon.dims<[M, 50]>>, tensor<50xf32>) -> tensor<?x50xf32, #tenon.dims<[M, 50]>> {
    %0 = tenon.load %a[%i, %j] : tensor<?x50xf32, #tenon.dims<[M, 50]>>
    %1 = tenon.load %c[%j] : tensor<50xf32>
    %2 = arith.addf %0, %1 : f32
    %3 = math.tanh %2 : f32
    tenon.yield %3 : f32
  }
  %y = tenon.contract "m k, k n -> m n" %h, %v : (tensor<?x50xf32, #tenon.dims<[M, 50]>>, tensor<50x35xf32>) -> tensor<?x35xf32, #tenon.dims<[M, 35]>>
  return %y : tensor<?x35xf32, #tenon.dims<[M, 35]>>
}
