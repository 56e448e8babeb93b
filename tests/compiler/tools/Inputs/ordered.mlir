// The first N of T elements, which are that many where N <= T alone.
tenon.symbol @N in [0, 64]
tenon.symbol @T in [0, 64]
func.func @main(%x: tensor<?xf32, #tenon.dims<[N]>> {tenon.name = "x"}, %all: tensor<?xf32, #tenon.dims<[T]>> {tenon.name = "all"})
    -> (tensor<?xf32, #tenon.dims<[N]>> {tenon.name = "y"})
    attributes {tenon.entry, tenon.ordered = [{sizes = #tenon.dims<[N, T]>, source = "first"}]} {
  %y = tenon.map %s = %x, %t = %all at %i : (tensor<?xf32, #tenon.dims<[N]>>, tensor<?xf32, #tenon.dims<[T]>>) -> tensor<?xf32, #tenon.dims<[N]>> = %s[%i] + %t[%i]
  return %y : tensor<?xf32, #tenon.dims<[N]>>
}
