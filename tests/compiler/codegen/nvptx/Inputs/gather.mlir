// Rows of a table of 7, by number; an index outside is an error.
tenon.symbol @N in [1, 64]

func.func @main(%t: tensor<7x5xf32> {tenon.name = "t"}, %i: tensor<?xi64, #tenon.dims<[N]>> {tenon.name = "i"})
    -> (tensor<?x5xf32, #tenon.dims<[N, 5]>> {tenon.name = "y"}) attributes {tenon.entry} {
  %y = tenon.map %a = %i, %b = %t at %n, %c : (tensor<?xi64, #tenon.dims<[N]>>, tensor<7x5xf32>) -> tensor<?x5xf32, #tenon.dims<[N, 5]>> {
    %k = tenon.load %a[%n] : tensor<?xi64, #tenon.dims<[N]>>
    %r = arith.index_cast %k : i64 to index
    %v = tenon.load %b[%r, %c] : tensor<7x5xf32>
    tenon.yield %v : f32
  }
  return %y : tensor<?x5xf32, #tenon.dims<[N, 5]>>
}
