// Cross attention: the queries of one sequence on the keys of another, of which each sentence has its own number
!q = tensor<?x?x4x16xf32, #tenon.dims<[B, N, 4, 16]>>
!k = tensor<?x?x4x16xf32, #tenon.dims<[B, M, 4, 16]>>
!lengths = tensor<?xi64, #tenon.dims<[B]>>
tenon.symbol @B in [1, 64]
tenon.symbol @N in [1, 4096]
tenon.symbol @M in [1, 4096]
func.func @main(%q: !q {tenon.name = "q"}, %k: !k {tenon.name = "k"}, %v: !k {tenon.name = "v"}, %lengths: !lengths {tenon.name = "lengths"})
    -> (!q {tenon.name = "y"}) attributes {tenon.entry} {
  %y = tenon.attention %q, (%k), (%v) captures (%lengths) normalise softmax empty zero layout ["b n h d", "b n h d", "b n h d", "b n h d"]
    : (!q, !k, !k, !lengths) -> !q
    score (%x, %b, %h, %i, %j, %t) = %x * 0.25
    keep (%b, %h, %i, %j, %t) = %j < %t[%b]
  return %y : !q
}
