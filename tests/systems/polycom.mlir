// PolyCom: PolyNorm and PolyReLU, cubic compositions used as activations.
!x = tensor<?x?x70xf32, #tenon.dims<[B, N, 70]>>
!w = tensor<4xf32>
!norm = tensor<?x?x70xf32, #tenon.dims<[B, N, 70]>>
!relu = tensor<?x?x70xf32, #tenon.dims<[B, N, 70]>>
tenon.symbol @B in [1, 64]
tenon.symbol @N in [1, 4096]
func.func @main(%x: !x {tenon.name = "x"}, %w: !w {tenon.name = "w"})
    -> (!norm {tenon.name = "norm"}, !relu {tenon.name = "relu"}) attributes {tenon.entry} {
  %x2 = tenon.map %a = %x at %b, %i, %c : (!x) -> !x = %a[%b, %i, %c] * %a[%b, %i, %c]
  %x3 = tenon.map %a = %x, %s = %x2 at %b, %i, %c : (!x, !x) -> !x = %a[%b, %i, %c] * %s[%b, %i, %c]
  %n1 = tenon.norm rms %x over 1 epsilon 1.0e-6 : !x -> !x
  %n2 = tenon.norm rms %x2 over 1 epsilon 1.0e-6 : !x -> !x
  %n3 = tenon.norm rms %x3 over 1 epsilon 1.0e-6 : !x -> !x
  %norm = tenon.map %p = %n1, %q = %n2, %r = %n3, %v = %w at %b, %i, %c : (!x, !x, !x, !w) -> !norm
    = %v[0] * %r[%b, %i, %c] + %v[1] * %q[%b, %i, %c] + %v[2] * %p[%b, %i, %c] + %v[3]
  %relu = tenon.map %a = %x, %v = %w at %b, %i, %c : (!x, !w) -> !relu
    = let %r = max(%a[%b, %i, %c], 0) in ((%v[0] * %r + %v[1]) * %r + %v[2]) * %r + %v[3]
  return %norm, %relu : !norm, !relu
}
