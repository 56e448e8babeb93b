// Transformer-MGK: two keys for each position, a mixture of Gaussians as one softmax over both.
!q = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!norm = tensor<?x4x?xf32, #tenon.dims<[B, 4, N]>>
!w = tensor<2x4xf32>
tenon.symbol @B in [1, 16]
tenon.symbol @N in [1, 512]
func.func @main(%q: !q {tenon.name = "q"}, %k0: !q {tenon.name = "k0"}, %k1: !q {tenon.name = "k1"}, %v: !q {tenon.name = "v"}, %prior: !w {tenon.name = "prior"})
    -> (!q {tenon.name = "y"}) attributes {tenon.entry} {
  %q2 = tenon.map %a = %q at %b, %h, %i, %d : (!q) -> !q = %a[%b, %h, %i, %d] * %a[%b, %h, %i, %d]
  %s0 = tenon.map %a = %k0 at %b, %h, %i, %d : (!q) -> !q = %a[%b, %h, %i, %d] * %a[%b, %h, %i, %d]
  %s1 = tenon.map %a = %k1 at %b, %h, %i, %d : (!q) -> !q = %a[%b, %h, %i, %d] * %a[%b, %h, %i, %d]
  %nq = tenon.reduce sum %q2 over [3] : !q -> !norm
  %n0 = tenon.reduce sum %s0 over [3] : !q -> !norm
  %n1 = tenon.reduce sum %s1 over [3] : !q -> !norm
  %y = tenon.attention %q, (%k0, %k1), (%v, %v) captures (%nq, %n0, %n1, %prior) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d", "b h n d", "b h n d"]
    : (!q, !q, !q, !q, !q, !norm, !norm, !norm, !w) -> !q
    score (%x, %b, %h, %i, %j, %nq, %n0, %n1, %prior) = select(%j < size(N), log(%prior[0, %h]) - 0.125 * (%nq[%b, %h, %i] - 2 * %x + %n0[%b, %h, min(%j, size(N) - 1)]), log(%prior[1, %h]) - 0.375 * (%nq[%b, %h, %i] - 2 * %x + %n1[%b, %h, max(%j - size(N), 0)]))
  return %y : !q
}
