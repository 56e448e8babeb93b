// KAT: a rational activation, its denominator shared by each of eight groups of channels.
!x = tensor<?x?x64xf32, #tenon.dims<[B, N, 64]>>
!a = tensor<6xf32>
!g = tensor<8x4xf32>
!y = tensor<?x?x64xf32, #tenon.dims<[B, N, 64]>>
tenon.symbol @B in [1, 64]
tenon.symbol @N in [1, 4096]
func.func @main(%x: !x {tenon.name = "x"}, %a: !a {tenon.name = "a"}, %g: !g {tenon.name = "g"})
    -> (!y {tenon.name = "y"}) attributes {tenon.entry} {
  %y = tenon.map %in = %x, %p = %a, %q = %g at %b, %i, %c : (!x, !a, !g) -> !y =
    let %v = %in[%b, %i, %c] in let %u = abs(%v) in let %k = %c / 8 in
    (((((%p[5] * %v + %p[4]) * %v + %p[3]) * %v + %p[2]) * %v + %p[1]) * %v + %p[0])
    / (1 + (((abs(%q[%k, 3]) * %u + abs(%q[%k, 2])) * %u + abs(%q[%k, 1])) * %u + abs(%q[%k, 0])) * %u)
  return %y : !y
}
