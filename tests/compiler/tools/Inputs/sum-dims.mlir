// y = the last N of a tensor of 2 P + N elements: a dim that is a sum.
tenon.symbol @N in [1, 64]
tenon.symbol @P in [0, 64]
func.func @main(%x: tensor<?xf32, #tenon.dims<[N]>> {tenon.name = "x"}, %p: tensor<?xf32, #tenon.dims<[P]>> {tenon.name = "p"},
                %all: tensor<?xf32, #tenon.dims<[N + 2 * P]>> {tenon.name = "all"})
    -> (tensor<?xf32, #tenon.dims<[N]>> {tenon.name = "y"}) attributes {tenon.entry} {
  %y = tenon.map %s = %x, %t = %all at %i : (tensor<?xf32, #tenon.dims<[N]>>, tensor<?xf32, #tenon.dims<[N + 2 * P]>>) -> tensor<?xf32, #tenon.dims<[N]>> {
    %a = tenon.load %s[%i] : tensor<?xf32, #tenon.dims<[N]>>
    %b = tenon.load %t[%i] : tensor<?xf32, #tenon.dims<[N + 2 * P]>>
    %c = arith.addf %a, %b : f32
    tenon.yield %c : f32
  }
  return %y : tensor<?xf32, #tenon.dims<[N]>>
}
