// y = x W + b for 1 to 64 rows, and its softmax: two outputs, one with a name that has a folder.
tenon.symbol @N in [1, 64]
tenon.weight @w : tensor<4x3xf32> = dense<[[1.0, 2.0, 3.0], [0.5, 0.0, -0.5], [-1.0, 1.0, 0.25], [0.0, 4.0, 1.0]]> : tensor<4x3xf32>
tenon.weight @b : tensor<3xf32> = dense<[0.5, -1.0, 2.0]> : tensor<3xf32>

func.func @main(%x: tensor<?x4xf32, #tenon.dims<[N, 4]>> {tenon.name = "x"})
    -> (tensor<?x3xf32, #tenon.dims<[N, 3]>> {tenon.name = "y"}, tensor<?x3xf32, #tenon.dims<[N, 3]>> {tenon.name = "heads/p.0"})
    attributes {tenon.entry} {
  %w = tenon.get @w : tensor<4x3xf32>
  %b = tenon.get @b : tensor<3xf32>
  %0 = tenon.contract "m k, k n -> m n" %x, %w : (tensor<?x4xf32, #tenon.dims<[N, 4]>>, tensor<4x3xf32>) -> tensor<?x3xf32, #tenon.dims<[N, 3]>> loc("dense/MatMul")
  %1 = tenon.map %s = %0, %t = %b at %i, %j : (tensor<?x3xf32, #tenon.dims<[N, 3]>>, tensor<3xf32>) -> tensor<?x3xf32, #tenon.dims<[N, 3]>> {
    %2 = tenon.load %s[%i, %j] : tensor<?x3xf32, #tenon.dims<[N, 3]>>
    %3 = tenon.load %t[%j] : tensor<3xf32>
    %4 = arith.addf %2, %3 : f32
    tenon.yield %4 : f32
  } loc("dense/Add")
  %5 = tenon.softmax %1 over 1 : tensor<?x3xf32, #tenon.dims<[N, 3]>> loc("Softmax")
  return %1, %5 : tensor<?x3xf32, #tenon.dims<[N, 3]>>, tensor<?x3xf32, #tenon.dims<[N, 3]>>
}
