// Longformer: a band of keys and global ones; global queries see all, through projections of their own.
!q = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!mark = tensor<?x?xi64, #tenon.dims<[B, N]>>
tenon.symbol @B in [1, 16]
tenon.symbol @N in [1, 512]
func.func @main(%q: !q {tenon.name = "q"}, %k: !q {tenon.name = "k"}, %v: !q {tenon.name = "v"}, %qg: !q {tenon.name = "qg"}, %kg: !q {tenon.name = "kg"}, %vg: !q {tenon.name = "vg"}, %mark: !mark {tenon.name = "mark"})
    -> (!q {tenon.name = "y"}) attributes {tenon.entry} {
  %near = tenon.attention %q, (%k), (%v) captures (%mark) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
    : (!q, !q, !q, !mark) -> !q
    keep (%b, %h, %i, %j, %mark) = (%i - %j <= 16 and %j - %i <= 16) or not (%mark[%b, %j] == 0)
  %far = tenon.attention %qg, (%kg), (%vg) captures (%mark) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
    : (!q, !q, !q, !mark) -> !q
    keep (%b, %h, %i, %j, %mark) = not (%mark[%b, %i] == 0)
  %y = tenon.map %a = %near, %g = %far, %m = %mark at %b, %h, %i, %d : (!q, !q, !mark) -> !q = select(%m[%b, %i] == 0, %a[%b, %h, %i, %d], %g[%b, %h, %i, %d])
  return %y : !q
}
