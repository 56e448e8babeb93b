// Hyena: two gated long convolutions, causal, with a filter of each channel as long as the sequence.
!x = tensor<?x200x16xf32, #tenon.dims<[B, 200, 16]>>
!four = tensor<?x1x200x16xf32, #tenon.dims<[B, 1, 200, 16]>>
!filter = tensor<200x16xf32>
!diagonals = tensor<1x399x16xf32>
tenon.symbol @B in [1, 16]
func.func @main(%x1: !x {tenon.name = "x1"}, %x2: !x {tenon.name = "x2"}, %v: !x {tenon.name = "v"}, %f1: !filter {tenon.name = "f1"},
                %f2: !filter {tenon.name = "f2"}, %d: tensor<2x16xf32> {tenon.name = "d"}) -> (!x {tenon.name = "y"}) attributes {tenon.entry} {
  // Of what lies i - j = 199 - p back; what lies ahead is left out.
  %t1 = tenon.map %a = %f1 at %one, %p, %c : (!filter) -> !diagonals = %a[max(199 - %p, 0), %c]
  %t2 = tenon.map %a = %f2 at %one, %p, %c : (!filter) -> !diagonals = %a[max(199 - %p, 0), %c]
  %v4 = tenon.reshape %v : !x -> !four
  %c1 = tenon.toeplitz %v4 diagonals %t1 causal form fft : (!four, !diagonals) -> !four
  %r1 = tenon.reshape %c1 : !four -> !x
  %z1 = tenon.map %a = %r1, %b = %v, %g = %x1, %s = %d at %n, %i, %c : (!x, !x, !x, tensor<2x16xf32>) -> !x
      = %g[%n, %i, %c] * (%a[%n, %i, %c] + %s[0, %c] * %b[%n, %i, %c])
  %z4 = tenon.reshape %z1 : !x -> !four
  %c2 = tenon.toeplitz %z4 diagonals %t2 causal : (!four, !diagonals) -> !four
  %r2 = tenon.reshape %c2 : !four -> !x
  %y = tenon.map %a = %r2, %b = %z1, %g = %x2, %s = %d at %n, %i, %c : (!x, !x, !x, tensor<2x16xf32>) -> !x
      = %g[%n, %i, %c] * (%a[%n, %i, %c] + %s[1, %c] * %b[%n, %i, %c])
  return %y : !x
}
