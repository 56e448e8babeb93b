// Swin: attention in windows of 7 x 7 with a bias per difference of rows and columns; shifted windows are masked by region.
!q = tensor<?x3x49x32xf32, #tenon.dims<[B, 3, 49, 32]>>
!k = tensor<?x3x49x32xf32, #tenon.dims<[B, 3, 49, 32]>>
!v = tensor<?x3x49x32xf32, #tenon.dims<[B, 3, 49, 32]>>
!table = tensor<3x169xf32>
!region = tensor<?x49xi32, #tenon.dims<[B, 49]>>
!y = tensor<?x3x49x32xf32, #tenon.dims<[B, 3, 49, 32]>>
tenon.symbol @B in [1, 256]
func.func @main(%q: !q {tenon.name = "q"}, %k: !k {tenon.name = "k"}, %v: !v {tenon.name = "v"}, %table: !table {tenon.name = "table"}, %region: !region {tenon.name = "region"})
    -> (!y {tenon.name = "y"}) attributes {tenon.entry} {
  %y = tenon.attention %q, (%k), (%v) captures (%table, %region) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
    : (!q, !k, !v, !table, !region) -> !y
    score (%x, %b, %h, %i, %j, %table, %region) = %x * 0.17677669529663687
      + %table[%h, (%i / 7 - %j / 7 + 6) * 13 + (mod(%i, 7) - mod(%j, 7) + 6)]
    keep (%b, %h, %i, %j, %table, %region) = %region[%b, %i] == %region[%b, %j]
  return %y : !y
}
