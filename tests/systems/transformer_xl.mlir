// Transformer-XL: content scores plus relative position scores, read by the shift instead of moved.
!q = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!k = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, T, 16]>>
!v = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, T, 16]>>
!r = tensor<?x4x16xf32, #tenon.dims<[T, 4, 16]>>
!u = tensor<4x16xf32>
!w = tensor<4x16xf32>
!y = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!p = tensor<?x4x?x?xf32, #tenon.dims<[B, 4, N, T]>>
tenon.symbol @B in [1, 64]
tenon.symbol @N in [1, 2048]
tenon.symbol @T in [1, 4096]
func.func @main(%q: !q {tenon.name = "q"}, %k: !k {tenon.name = "k"}, %v: !v {tenon.name = "v"}, %r: !r {tenon.name = "r"}, %u: !u {tenon.name = "u"}, %w: !w {tenon.name = "w"})
    -> (!y {tenon.name = "y"}) attributes {tenon.entry} {
  %qu = tenon.map %a = %q, %c = %u at %b, %h, %i, %d : (!q, !u) -> !q = %a[%b, %h, %i, %d] + %c[%h, %d]
  %qw = tenon.map %a = %q, %c = %w at %b, %h, %i, %d : (!q, !w) -> !q = %a[%b, %h, %i, %d] + %c[%h, %d]
  %p = tenon.contract "b h i d, t h d -> b h i t" %qw, %r : (!q, !r) -> !p
  %y = tenon.attention %qu, (%k), (%v) captures (%p) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
    : (!q, !k, !v, !p) -> !y
    score (%x, %b, %h, %i, %j, %p) = (%x + %p[%b, %h, %i, max(min(%i + size(T) - size(N) - %j, size(T) - 1), 0)]) * 0.25
    keep (%b, %h, %i, %j, %p) = %j <= %i + size(T) - size(N)
  return %y : !y
}
