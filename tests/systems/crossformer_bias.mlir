// CrossFormer: a small network of the row and column difference gives the bias, evaluated once per difference.
!q = tensor<?x3x49x32xf32, #tenon.dims<[B, 3, 49, 32]>>
!k = tensor<?x3x49x32xf32, #tenon.dims<[B, 3, 49, 32]>>
!v = tensor<?x3x49x32xf32, #tenon.dims<[B, 3, 49, 32]>>
!w1 = tensor<2x8xf32>
!b1 = tensor<8xf32>
!w2 = tensor<8x3xf32>
!y = tensor<?x3x49x32xf32, #tenon.dims<[B, 3, 49, 32]>>
!hidden = tensor<169x8xf32>
!table = tensor<3x169xf32>
tenon.symbol @B in [1, 256]
func.func @main(%q: !q {tenon.name = "q"}, %k: !k {tenon.name = "k"}, %v: !v {tenon.name = "v"}, %w1: !w1 {tenon.name = "w1"}, %b1: !b1 {tenon.name = "b1"}, %w2: !w2 {tenon.name = "w2"})
    -> (!y {tenon.name = "y"}) attributes {tenon.entry} {
  %hidden = tenon.map %w = %w1, %o = %b1 at %t, %c : (!w1, !b1) -> !hidden =
    max((%t / 13 - 6) * %w[0, %c] + (mod(%t, 13) - 6) * %w[1, %c] + %o[%c], 0)
  %table = tenon.contract "t c, c h -> h t" %hidden, %w2 : (!hidden, !w2) -> !table

  %y = tenon.attention %q, (%k), (%v) captures (%table) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
    : (!q, !k, !v, !table) -> !y
    score (%x, %b, %h, %i, %j, %table) = %x * 0.17677669529663687
      + %table[%h, (%i / 7 - %j / 7 + 6) * 13 + (mod(%i, 7) - mod(%j, 7) + 6)]
  return %y : !y
}
