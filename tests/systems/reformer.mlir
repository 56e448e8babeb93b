// Reformer: one key and query, hashed into 8 buckets; tokens sorted by bucket see those of it in their chunk of 16 and the one before
!q = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!turn = tensor<4x16x4xf32>
!half = tensor<?x4x?x4xf32, #tenon.dims<[B, 4, N, 4]>>
!each = tensor<?x4x?x8xf32, #tenon.dims<[B, 4, N, 8]>>
!rows = tensor<?x4x?xf32, #tenon.dims<[B, 4, N]>>
!places = tensor<?x4x?xi64, #tenon.dims<[B, 4, N]>>
!numbers = tensor<?x4x?x8xi64, #tenon.dims<[B, 4, N, 8]>>
!buckets = tensor<?x4x8xf32, #tenon.dims<[B, 4, 8]>>
!tuples = tensor<?x4x?x3xi64, #tenon.dims<[B, 4, N, 3]>>
!listed = tensor<?x3xi64, #tenon.dims<[4 * B * N, 3]>>
!all = tensor<?xi64, #tenon.dims<[4 * B * N]>>
tenon.symbol @B in [1, 64]
tenon.symbol @N in [1, 16384]
func.func @main(%q: !q {tenon.name = "q"}, %v: !q {tenon.name = "v"}, %turn: !turn {tenon.name = "turn"})
    -> (!q {tenon.name = "y"}) attributes {tenon.entry} {
  // The bucket: which of the coordinates of the turned query, then of their negatives, is greatest.
  %turned = tenon.contract "b h n d, h d c -> b h n c" %q, %turn : (!q, !turn) -> !half
  %signed = tenon.map %a = %turned at %b, %h, %i, %c : (!half) -> !each = select(%c < 4, 1.0, -1.0) * %a[%b, %h, %i, mod(%c, 4)]
  %greatest = tenon.reduce max %signed over [3] : !each -> !rows
  %candidates = tenon.map %a = %signed, %m = %greatest at %b, %h, %i, %c : (!each, !rows) -> !numbers = select(%a[%b, %h, %i, %c] == %m[%b, %h, %i], %c, 7)
  %bucket = tenon.reduce min %candidates over [3] : !numbers -> !places

  // Where a token comes when they are sorted by bucket: behind the buckets before, and those of its own before it.
  %is = tenon.map %a = %bucket at %b, %h, %i, %c : (!places) -> !each = select(%a[%b, %h, %i] == %c, 1.0, 0.0)
  %ones = tenon.map at %b, %h, %i : () -> !rows = 1.0
  %own = tenon.scan %is, %is, %ones layout ["b h n d", "b h n d", "b h n", "b h n"] : !each, !each, !rows -> !rows
  %counts = tenon.reduce sum %is over [2] : !each -> !buckets
  %precedes = tenon.map at %c, %e : () -> tensor<8x8xf32> = select(%c < %e, 1.0, 0.0)
  %before = tenon.contract "b h c, c e -> b h e" %counts, %precedes : (!buckets, tensor<8x8xf32>) -> !buckets
  %place = tenon.map %a = %own, %f = %before, %c = %bucket at %b, %h, %i : (!rows, !buckets, !places) -> !places
    = int(%f[%b, %h, %c[%b, %h, %i]] + %a[%b, %h, %i] - 1)

  // And which token comes at a place.
  %tuples = tenon.map %a = %place at %b, %h, %i, %t : (!places) -> !tuples = select(%t == 0, %b, select(%t == 1, %h, %a[%b, %h, %i]))
  %listed = tenon.reshape %tuples : !tuples -> !listed
  %tokens = tenon.map at %b, %h, %i : () -> !places = %i
  %all = tenon.reshape %tokens : !places -> !all
  %none = tenon.map at %b, %h, %i : () -> !places = 0
  %order = tenon.scatter %all into %none at %listed : !all into !places at !listed

  %squares = tenon.map %a = %q at %b, %h, %i, %d : (!q) -> !q = %a[%b, %h, %i, %d] * %a[%b, %h, %i, %d]
  %norms = tenon.reduce sum %squares over [3] : !q -> !rows
  %qs = tenon.map %a = %q, %o = %order at %b, %h, %i, %d : (!q, !places) -> !q = %a[%b, %h, %o[%b, %h, %i], %d]
  %ks = tenon.map %a = %q, %n = %norms, %o = %order at %b, %h, %i, %d : (!q, !rows, !places) -> !q
    = let %t = %o[%b, %h, %i] in %a[%b, %h, %t, %d] / sqrt(%n[%b, %h, %t])
  %vs = tenon.map %a = %v, %o = %order at %b, %h, %i, %d : (!q, !places) -> !q = %a[%b, %h, %o[%b, %h, %i], %d]
  %bs = tenon.map %a = %bucket, %o = %order at %b, %h, %i : (!places, !places) -> !places = %a[%b, %h, %o[%b, %h, %i]]
  %ys = tenon.attention %qs, (%ks), (%vs) captures (%bs) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
    : (!q, !q, !q, !places) -> !q
    score (%x, %b, %h, %i, %j, %t) = select(%i == %j, -1.0e5, %x * 0.25)
    keep (%b, %h, %i, %j, %t) = %j / 16 <= %i / 16 and %i / 16 - %j / 16 <= 1 and %t[%b, %h, %i] == %t[%b, %h, %j]
  %y = tenon.map %a = %ys, %p = %place at %b, %h, %i, %d : (!q, !places) -> !q = %a[%b, %h, %p[%b, %h, %i], %d]
  return %y : !q
}
