// What is done to rows: normalised, weighed, added up along them and across them; a map; two recurrences.
!x = tensor<?x384xf32, #tenon.dims<[N, 384]>>
!q = tensor<?x4x32xf32, #tenon.dims<[N, 4, 32]>>
!c = tensor<?x256x1xf32, #tenon.dims<[N, 256, 1]>>
!k = tensor<?x8xf32, #tenon.dims<[N, 8]>>
tenon.symbol @N in [1, 4096]
func.func @main(%x: !x {tenon.name = "x"}, %g: tensor<384xf32> {tenon.name = "g"}, %q: !q {tenon.name = "q"}, %k: !k {tenon.name = "k"}, %c: !c {tenon.name = "c"})
    -> (!x {tenon.name = "normed"}, !x {tenon.name = "rms"}, !x {tenon.name = "weights"}, tensor<?xf32, #tenon.dims<[N]>> {tenon.name = "sums"}, tensor<384xf32> {tenon.name = "columns"},
        !x {tenon.name = "mapped"}, !q {tenon.name = "heads"}, !c {tenon.name = "channels"}) attributes {tenon.entry} {
  %n = tenon.norm layer %x scale %g : tensor<384xf32> over 1 epsilon 1.0e-5 : !x -> !x
  %r = tenon.norm rms %x scale %g : tensor<384xf32> over 1 epsilon 1.0e-5 : !x -> !x
  %w = tenon.softmax %x over 1 : !x
  %s = tenon.reduce sum %x over [1] : !x -> tensor<?xf32, #tenon.dims<[N]>>
  %o = tenon.reduce max %x over [0] : !x -> tensor<384xf32>
  %m = tenon.map %a = %x, %b = %g at %i, %j : (!x, tensor<384xf32>) -> !x {
    %u = tenon.load %a[%i, %j] : !x
    %v = tenon.load %b[%j] : tensor<384xf32>
    %t = math.tanh %u : f32
    %p = arith.mulf %t, %v : f32
    tenon.yield %p : f32
  }
  %h = tenon.scan %q, %q, %q layout ["n h d", "n h d", "n h d", "n h d"] : !q, !q, !q -> !q
  %y = tenon.scan %k, %k, %c layout ["n d", "n d", "n h d", "n h d"] : !k, !k, !c -> !c
  return %n, %r, %w, %s, %o, %m, %h, %y : !x, !x, !x, tensor<?xf32, #tenon.dims<[N]>>, tensor<384xf32>, !x, !q, !c
}
