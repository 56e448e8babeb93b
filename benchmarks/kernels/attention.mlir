// 12 heads of 64, queries, keys and values slices of one merged product; see ../README.md.
tenon.symbol @B in [0, 64]
tenon.symbol @N in [0, 65536]
func.func @main(%q: tensor<?x?x3x12x64xf32, #tenon.dims<[B, N, 3, 12, 64]>> {tenon.name = "q"}) -> (tensor<?x?x12x64xf32, #tenon.dims<[B, N, 12, 64]>> {tenon.name = "y"}) attributes {tenon.entry} {
  %o = tenon.attention %q, (%q), (%q) normalise softmax empty zero layout ["b n 0 h d", "b n 1 h d", "b n 2 h d", "b n h d"] algorithm flash
    : (tensor<?x?x3x12x64xf32, #tenon.dims<[B, N, 3, 12, 64]>>, tensor<?x?x3x12x64xf32, #tenon.dims<[B, N, 3, 12, 64]>>, tensor<?x?x3x12x64xf32, #tenon.dims<[B, N, 3, 12, 64]>>) -> tensor<?x?x12x64xf32, #tenon.dims<[B, N, 12, 64]>>
   score (%x, %b, %h, %i, %j) {
     %c = arith.constant 0.125 : f32
     %s = arith.mulf %x, %c : f32
     tenon.yield %s : f32
   }
  return %o : tensor<?x?x12x64xf32, #tenon.dims<[B, N, 12, 64]>>
}
