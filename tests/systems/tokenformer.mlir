// TokenFormer's Pattention: GELU of scores over parameter tokens, scaled by sqrt(n) over their norm.
!x = tensor<?x?x32xf32, #tenon.dims<[B, N, 32]>>
!k = tensor<48x32xf32>
!v = tensor<48x24xf32>
!y = tensor<?x?x24xf32, #tenon.dims<[B, N, 24]>>
!a = tensor<?x?x48xf32, #tenon.dims<[B, N, 48]>>
!rows = tensor<?x?xf32, #tenon.dims<[B, N]>>
tenon.symbol @B in [1, 64]
tenon.symbol @N in [1, 4096]
func.func @main(%x: !x {tenon.name = "x"}, %k: !k {tenon.name = "k"}, %v: !v {tenon.name = "v"})
    -> (!y {tenon.name = "y"}) attributes {tenon.entry} {
  %a = tenon.contract "b i d, n d -> b i n" %x, %k : (!x, !k) -> !a
  %squares = tenon.map %p = %a at %b, %i, %n : (!a) -> !a = %p[%b, %i, %n] * %p[%b, %i, %n]
  %norm = tenon.reduce sum %squares over [2] : !a -> !rows
  %g = tenon.map %p = %a, %s = %norm at %b, %i, %n : (!a, !rows) -> !a =
    let %u = %p[%b, %i, %n] * sqrt(48.0 / %s[%b, %i]) in %u * 0.5 * (1 + erf(%u * 0.7071067811865476))
  %y = tenon.contract "b i n, n e -> b i e" %g, %v : (!a, !v) -> !y
  return %y : !y
}
