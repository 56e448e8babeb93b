// GLM, xTrimoPGLM: a prefix, whose length is an input, sees itself; what follows is causal.
!q = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!k = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!v = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!prefix = tensor<?xi64, #tenon.dims<[B]>>
!y = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
tenon.symbol @B in [1, 64]
tenon.symbol @N in [1, 4096]
func.func @main(%q: !q {tenon.name = "q"}, %k: !k {tenon.name = "k"}, %v: !v {tenon.name = "v"}, %prefix: !prefix {tenon.name = "prefix"})
    -> (!y {tenon.name = "y"}) attributes {tenon.entry} {
  %y = tenon.attention %q, (%k), (%v) captures (%prefix) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
    : (!q, !k, !v, !prefix) -> !y
    score (%x, %b, %h, %i, %j, %prefix) = %x * 0.25
    keep (%b, %h, %i, %j, %prefix) = %j < %prefix[%b] or %j <= %i
  return %y : !y
}
