// LMUFormer: a linear memory of one number a step, by its impulse responses: transformed and as sums, each with its layer
!x = tensor<?x48x8xf32, #tenon.dims<[B, 48, 8]>>
!u = tensor<?x48xf32, #tenon.dims<[B, 48]>>
!m = tensor<?x1x48x12xf32, #tenon.dims<[B, 1, 48, 12]>>
!rows = tensor<?x48x12xf32, #tenon.dims<[B, 48, 12]>>
!h = tensor<?x48x10xf32, #tenon.dims<[B, 48, 10]>>
!diagonals = tensor<1x95x12xf32>
tenon.symbol @B in [1, 16]
func.func @main(%x: !x {tenon.name = "x"}, %wu: tensor<8xf32> {tenon.name = "wu"}, %wm: tensor<12x10xf32> {tenon.name = "wm"},
                %wx: tensor<8x10xf32> {tenon.name = "wx"}, %b: tensor<10xf32> {tenon.name = "b"}, %H: tensor<48x12xf32> {tenon.name = "H"})
    -> (!h {tenon.name = "fft"}, !h {tenon.name = "direct"}) attributes {tenon.entry} {
  %s = tenon.contract "b n d, d -> b n" %x, %wu : (!x, tensor<8xf32>) -> !u
  %u = tenon.map %a = %s at %b0, %one, %n, %c : (!u) -> !m = max(%a[%b0, %n], 0.0)
  %t = tenon.map %a = %H at %one, %p, %c : (tensor<48x12xf32>) -> !diagonals = %a[max(47 - %p, 0), %c]
  %p = tenon.contract "b n d, d e -> b n e" %x, %wx : (!x, tensor<8x10xf32>) -> !h
  %m1 = tenon.toeplitz %u diagonals %t causal form fft : (!m, !diagonals) -> !m
  %r1 = tenon.reshape %m1 : !m -> !rows
  %g1 = tenon.contract "b n q, q e -> b n e" %r1, %wm : (!rows, tensor<12x10xf32>) -> !h
  %h1 = tenon.map %a = %g1, %c = %p, %s0 = %b at %b0, %n, %e : (!h, !h, tensor<10xf32>) -> !h = max(%a[%b0, %n, %e] + %c[%b0, %n, %e] + %s0[%e], 0.0)
  %m2 = tenon.toeplitz %u diagonals %t causal form direct : (!m, !diagonals) -> !m
  %r2 = tenon.reshape %m2 : !m -> !rows
  %g2 = tenon.contract "b n q, q e -> b n e" %r2, %wm : (!rows, tensor<12x10xf32>) -> !h
  %h2 = tenon.map %a = %g2, %c = %p, %s0 = %b at %b0, %n, %e : (!h, !h, tensor<10xf32>) -> !h = max(%a[%b0, %n, %e] + %c[%b0, %n, %e] + %s0[%e], 0.0)
  return %h1, %h2 : !h, !h
}
