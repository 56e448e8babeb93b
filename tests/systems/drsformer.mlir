// DRSformer: channels attend to channels; four softmaxes over the greatest scores of a row are summed with learned weights.
!q = tensor<?x2x12x?xf32, #tenon.dims<[B, 2, 12, P]>>
!norm = tensor<?x2x12xf32, #tenon.dims<[B, 2, 12]>>
!t = tensor<2xf32>
!w = tensor<4xf32>
tenon.symbol @B in [1, 16]
tenon.symbol @P in [1, 4096]
func.func @main(%q0: !q {tenon.name = "q0"}, %k0: !q {tenon.name = "k0"}, %v: !q {tenon.name = "v"}, %temperature: !t {tenon.name = "temperature"}, %weights: !w {tenon.name = "weights"})
    -> (!q {tenon.name = "y"}) attributes {tenon.entry} {
  %q2 = tenon.map %a = %q0 at %b, %h, %c, %p : (!q) -> !q = %a[%b, %h, %c, %p] * %a[%b, %h, %c, %p]
  %k2 = tenon.map %a = %k0 at %b, %h, %c, %p : (!q) -> !q = %a[%b, %h, %c, %p] * %a[%b, %h, %c, %p]
  %sq = tenon.reduce sum %q2 over [3] : !q -> !norm
  %sk = tenon.reduce sum %k2 over [3] : !q -> !norm
  %nq = tenon.map %a = %sq at %b, %h, %c : (!norm) -> !norm = sqrt(%a[%b, %h, %c])
  %nk = tenon.map %a = %sk at %b, %h, %c : (!norm) -> !norm = sqrt(%a[%b, %h, %c])
  %q = tenon.map %a = %q0, %n = %nq at %b, %h, %c, %p : (!q, !norm) -> !q = %a[%b, %h, %c, %p] / max(%n[%b, %h, %c], 0.000000000001)
  %k = tenon.map %a = %k0, %n = %nk at %b, %h, %c, %p : (!q, !norm) -> !q = %a[%b, %h, %c, %p] / max(%n[%b, %h, %c], 0.000000000001)
  %o0 = tenon.attention %q, (%k), (%v) captures (%temperature) normalise topk_softmax 6 empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
    : (!q, !q, !q, !t) -> !q
    score (%x, %b, %h, %i, %j, %t) = %x * %t[%h]
  %o1 = tenon.attention %q, (%k), (%v) captures (%temperature) normalise topk_softmax 8 empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
    : (!q, !q, !q, !t) -> !q
    score (%x, %b, %h, %i, %j, %t) = %x * %t[%h]
  %o2 = tenon.attention %q, (%k), (%v) captures (%temperature) normalise topk_softmax 9 empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
    : (!q, !q, !q, !t) -> !q
    score (%x, %b, %h, %i, %j, %t) = %x * %t[%h]
  %o3 = tenon.attention %q, (%k), (%v) captures (%temperature) normalise topk_softmax 9 empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
    : (!q, !q, !q, !t) -> !q
    score (%x, %b, %h, %i, %j, %t) = %x * %t[%h]
  %y = tenon.map %a = %o0, %c = %o1, %e = %o2, %g = %o3, %w = %weights at %b, %h, %n, %p : (!q, !q, !q, !q, !w) -> !q = %a[%b, %h, %n, %p] * %w[0] + %c[%b, %h, %n, %p] * %w[1] + %e[%b, %h, %n, %p] * %w[2] + %g[%b, %h, %n, %p] * %w[3]
  return %y : !q
}
