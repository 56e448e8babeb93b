// Learning Transformer Programs: each query reads the value of its best key, the first where several are.
!q = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
tenon.symbol @B in [1, 16]
tenon.symbol @N in [1, 512]
func.func @main(%q: !q {tenon.name = "q"}, %k: !q {tenon.name = "k"}, %v: !q {tenon.name = "v"})
    -> (!q {tenon.name = "y"}) attributes {tenon.entry} {
  %y = tenon.attention %q, (%k), (%v) normalise hard empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
    : (!q, !q, !q) -> !q
  return %y : !q
}
