// Grouped and multi query attention: 8 causal query heads on 2 key heads, and on 1 with a window of 24
!q = tensor<?x8x?x16xf32, #tenon.dims<[B, 8, N, 16]>>
!two = tensor<?x2x?x16xf32, #tenon.dims<[B, 2, N, 16]>>
!one = tensor<?x1x?x16xf32, #tenon.dims<[B, 1, N, 16]>>
tenon.symbol @B in [1, 64]
tenon.symbol @N in [1, 4096]
func.func @main(%q: !q {tenon.name = "q"}, %k2: !two {tenon.name = "k2"}, %v2: !two {tenon.name = "v2"}, %k1: !one {tenon.name = "k1"}, %v1: !one {tenon.name = "v1"})
    -> (!q {tenon.name = "grouped"}, !q {tenon.name = "multi"}) attributes {tenon.entry} {
  %grouped = tenon.attention %q, (%k2), (%v2) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
    : (!q, !two, !two) -> !q
    score (%x, %b, %h, %i, %j) = %x * 0.25
    keep (%b, %h, %i, %j) = %j <= %i
  %multi = tenon.attention %q, (%k1), (%v1) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
    : (!q, !one, !one) -> !q
    score (%x, %b, %h, %i, %j) = %x * 0.25
    keep (%b, %h, %i, %j) = %j <= %i and %i - %j < 24
  return %grouped, %multi : !q, !q
}
