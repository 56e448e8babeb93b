// T5: a learned bias for each bucket of distances, bidirectional, no scale.
!q = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!k = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!v = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!table = tensor<4x32xf32>
!y = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
tenon.symbol @B in [1, 64]
tenon.symbol @N in [1, 4096]
func.func @main(%q: !q {tenon.name = "q"}, %k: !k {tenon.name = "k"}, %v: !v {tenon.name = "v"}, %table: !table {tenon.name = "table"})
    -> (!y {tenon.name = "y"}) attributes {tenon.entry} {
  %y = tenon.attention %q, (%k), (%v) captures (%table) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
    : (!q, !k, !v, !table) -> !y
    score (%x, %b, %h, %i, %j, %table) =
      let %far = abs(%j - %i) in
      let %long = 8 + int(log(max(%far, 1) / 8.0) * 2.8853900817779268) in
      %x + %table[%h, select(%j > %i, 16, 0) + select(%far < 8, %far, min(%long, 15))]
  return %y : !y
}
