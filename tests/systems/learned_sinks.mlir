// Learned sinks: a key source of one key for each head, whose score is a weight and whose value is zero.
!q = tensor<?x8x?x16xf32, #tenon.dims<[B, 8, N, 16]>>
!k = tensor<?x2x?x16xf32, #tenon.dims<[B, 2, N, 16]>>
!z = tensor<?x2x1x16xf32, #tenon.dims<[B, 2, 1, 16]>>
!s = tensor<8xf32>
tenon.symbol @B in [1, 16]
tenon.symbol @N in [1, 512]
func.func @main(%q: !q {tenon.name = "q"}, %k: !k {tenon.name = "k"}, %v: !k {tenon.name = "v"}, %sinks: !s {tenon.name = "sinks"})
    -> (!q {tenon.name = "y"}) attributes {tenon.entry} {
  %zero = tenon.map at %b, %h, %n, %d : () -> !z = 0
  %y = tenon.attention %q, (%k, %zero), (%v, %zero) captures (%sinks) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d", "b h n d", "b h n d"]
    : (!q, !k, !z, !k, !z, !s) -> !q
    score (%x, %b, %h, %i, %j, %s) = select(%j < size(N), %x * 0.25, %s[%h])
    keep (%b, %h, %i, %j, %s) = %j <= %i or %j == size(N)
  return %y : !q
}
