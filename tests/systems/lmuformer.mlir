// LMUFormer: a linear memory of one number a step by its three lowerings, each with its layer: recurrent, Toeplitz product, FFT
!x = tensor<?x48x8xf32, #tenon.dims<[B, 48, 8]>>
!u = tensor<?x48xf32, #tenon.dims<[B, 48]>>
!m = tensor<?x48x12xf32, #tenon.dims<[B, 48, 12]>>
!h = tensor<?x48x10xf32, #tenon.dims<[B, 48, 10]>>
!A = tensor<12x12xf32>
tenon.symbol @B in [1, 16]
func.func @main(%x: !x {tenon.name = "x"}, %wu: tensor<8xf32> {tenon.name = "wu"}, %wm: tensor<12x10xf32> {tenon.name = "wm"},
                %wx: tensor<8x10xf32> {tenon.name = "wx"}, %b: tensor<10xf32> {tenon.name = "b"}, %A: !A {tenon.name = "A"},
                %B: tensor<12xf32> {tenon.name = "B"})
    -> (!h {tenon.name = "recurrent"}, !h {tenon.name = "toeplitz"}, !h {tenon.name = "fft"}) attributes {tenon.entry} {
  %s = tenon.contract "b n d, d -> b n" %x, %wu : (!x, tensor<8xf32>) -> !u
  %u = tenon.map %a = %s at %b0, %n : (!u) -> !u = max(%a[%b0, %n], 0.0)
  %p = tenon.contract "b n d, d e -> b n e" %x, %wx : (!x, tensor<8x10xf32>) -> !h
  // Every row of the memory is read: the identity asks for it.
  %I = tenon.map at %i, %j : () -> !A = select(%i < %j, 0.0, select(%j < %i, 0.0, 1.0))
  %m1 = tenon.scan %I, %B, %u transition (%A : !A) layout ["h d", "d", "b n", "b n h"] {tenon.form = "steps"} : !A, tensor<12xf32>, !u -> !m
  %g1 = tenon.contract "b n q, q e -> b n e" %m1, %wm : (!m, tensor<12x10xf32>) -> !h
  %h1 = tenon.map %a = %g1, %c = %p, %s0 = %b at %b0, %n, %e : (!h, !h, tensor<10xf32>) -> !h = max(%a[%b0, %n, %e] + %c[%b0, %n, %e] + %s0[%e], 0.0)
  %m2 = tenon.scan %I, %B, %u transition (%A : !A) layout ["h d", "d", "b n", "b n h"] {tenon.form = "toeplitz"} : !A, tensor<12xf32>, !u -> !m
  %g2 = tenon.contract "b n q, q e -> b n e" %m2, %wm : (!m, tensor<12x10xf32>) -> !h
  %h2 = tenon.map %a = %g2, %c = %p, %s0 = %b at %b0, %n, %e : (!h, !h, tensor<10xf32>) -> !h = max(%a[%b0, %n, %e] + %c[%b0, %n, %e] + %s0[%e], 0.0)
  %m3 = tenon.scan %I, %B, %u transition (%A : !A) layout ["h d", "d", "b n", "b n h"] {tenon.form = "fft"} : !A, tensor<12xf32>, !u -> !m
  %g3 = tenon.contract "b n q, q e -> b n e" %m3, %wm : (!m, tensor<12x10xf32>) -> !h
  %h3 = tenon.map %a = %g3, %c = %p, %s0 = %b at %b0, %n, %e : (!h, !h, tensor<10xf32>) -> !h = max(%a[%b0, %n, %e] + %c[%b0, %n, %e] + %s0[%e], 0.0)
  return %h1, %h2, %h3 : !h, !h, !h
}
