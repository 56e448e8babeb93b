// The softmax of 1 to 64 rows of 100.
tenon.symbol @N in [1, 64]

func.func @main(%x: tensor<?x100xf32, #tenon.dims<[N, 100]>> {tenon.name = "x"})
    -> (tensor<?x100xf32, #tenon.dims<[N, 100]>> {tenon.name = "y"}) attributes {tenon.entry} {
  %0 = tenon.softmax %x over 1 : tensor<?x100xf32, #tenon.dims<[N, 100]>>
  return %0 : tensor<?x100xf32, #tenon.dims<[N, 100]>>
}
