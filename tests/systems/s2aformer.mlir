// S2AFormer: keys of a reduced map, queries and keys of few channels, values of all.
!q = tensor<?x4x?x2xf32, #tenon.dims<[B, 4, N, 2]>>
!k = tensor<?x4x?x2xf32, #tenon.dims<[B, 4, R, 2]>>
!v = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, R, 16]>>
!y = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
tenon.symbol @B in [1, 16]
tenon.symbol @N in [1, 512]
tenon.symbol @R in [1, 512]
func.func @main(%q: !q {tenon.name = "q"}, %k: !k {tenon.name = "k"}, %v: !v {tenon.name = "v"})
    -> (!y {tenon.name = "y"}) attributes {tenon.entry} {
  %y = tenon.attention %q, (%k), (%v) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
    : (!q, !k, !v) -> !y
    score (%x, %b, %h, %i, %j) = %x * 0.707106769
  return %y : !y
}
