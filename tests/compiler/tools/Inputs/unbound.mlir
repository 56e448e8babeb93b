// N stands in no dimension of its own.
tenon.symbol @N in [1, 8]
func.func @main(%x: tensor<?xf32, #tenon.dims<[N + 1]>> {tenon.name = "x"}) -> (tensor<?xf32, #tenon.dims<[N + 1]>> {tenon.name = "y"}) attributes {tenon.entry} {
  %y = tenon.map %a = %x at %i : (tensor<?xf32, #tenon.dims<[N + 1]>>) -> tensor<?xf32, #tenon.dims<[N + 1]>> = %a[%i] * 2
  return %y : tensor<?xf32, #tenon.dims<[N + 1]>>
}
