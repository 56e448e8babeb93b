// Rows of a table at given positions: the data may ask for a row there is not.
tenon.symbol @N in [1, 128]
tenon.weight @table : tensor<5x2xf32> = dense<[[0.0, 1.0], [10.0, 11.0], [20.0, 21.0], [30.0, 31.0], [40.0, 41.0]]> : tensor<5x2xf32>

func.func @main(%ids: tensor<?xi64, #tenon.dims<[N]>> {tenon.name = "ids"})
    -> (tensor<?x2xf32, #tenon.dims<[N, 2]>> {tenon.name = "rows"}) attributes {tenon.entry} {
  %table = tenon.get @table : tensor<5x2xf32>
  %rows = tenon.map %p = %ids, %t = %table at %i, %j : (tensor<?xi64, #tenon.dims<[N]>>, tensor<5x2xf32>) -> tensor<?x2xf32, #tenon.dims<[N, 2]>> {
    %0 = tenon.load %p[%i] : tensor<?xi64, #tenon.dims<[N]>>
    %1 = arith.index_cast %0 : i64 to index
    %2 = tenon.load %t[%1, %j] : tensor<5x2xf32>
    tenon.yield %2 : f32
  } loc("embeddings/Gather")
  return %rows : tensor<?x2xf32, #tenon.dims<[N, 2]>>
}
