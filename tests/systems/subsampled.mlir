// SSA: all queries on a drawn subset of the keys, gathered by index.
!q = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!k = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!v = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!drawn = tensor<?xi64, #tenon.dims<[M]>>
!y = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!few = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, M, 16]>>
tenon.symbol @B in [1, 64]
tenon.symbol @N in [1, 4096]
tenon.symbol @M in [1, 4096]
func.func @main(%q: !q {tenon.name = "q"}, %k: !k {tenon.name = "k"}, %v: !v {tenon.name = "v"}, %drawn: !drawn {tenon.name = "drawn"})
    -> (!y {tenon.name = "y"}) attributes {tenon.entry} {
  %ks = tenon.map %a = %k, %c = %drawn at %b, %h, %j, %d : (!k, !drawn) -> !few = %a[%b, %h, %c[%j], %d]
  %vs = tenon.map %a = %v, %c = %drawn at %b, %h, %j, %d : (!v, !drawn) -> !few = %a[%b, %h, %c[%j], %d]

  %y = tenon.attention %q, (%ks), (%vs) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
    : (!q, !few, !few) -> !y
    score (%x, %b, %h, %i, %j) = %x * 0.25
  return %y : !y
}
