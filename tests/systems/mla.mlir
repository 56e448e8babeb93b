// X-EcoMLA: heads of two parts, a content product and a rotary part whose key all heads share.
!qn = tensor<?x?x4x24xf32, #tenon.dims<[B, N, 4, 24]>>
!qr = tensor<?x?x4x8xf32, #tenon.dims<[B, N, 4, 8]>>
!kn = tensor<?x?x4x24xf32, #tenon.dims<[B, N, 4, 24]>>
!kr = tensor<?x?x8xf32, #tenon.dims<[B, N, 8]>>
!v = tensor<?x?x4x20xf32, #tenon.dims<[B, N, 4, 20]>>
!y = tensor<?x?x4x20xf32, #tenon.dims<[B, N, 4, 20]>>
!both = tensor<?x?x4x32xf32, #tenon.dims<[B, N, 4, 32]>>
tenon.symbol @B in [1, 64]
tenon.symbol @N in [1, 4096]
func.func @main(%qn: !qn {tenon.name = "qn"}, %qr: !qr {tenon.name = "qr"}, %kn: !kn {tenon.name = "kn"}, %kr: !kr {tenon.name = "kr"}, %v: !v {tenon.name = "v"})
    -> (!y {tenon.name = "y"}) attributes {tenon.entry} {
  %q = tenon.map %a = %qn, %c = %qr at %b, %n, %h, %d : (!qn, !qr) -> !both =
    select(%d < 24, %a[%b, %n, %h, min(%d, 23)], %c[%b, %n, %h, max(%d - 24, 0)])
  %k = tenon.map %a = %kn, %c = %kr at %b, %n, %h, %d : (!kn, !kr) -> !both =
    select(%d < 24, %a[%b, %n, %h, min(%d, 23)], %c[%b, %n, max(%d - 24, 0)])

  %y = tenon.attention %q, (%k), (%v) normalise softmax empty zero layout ["b n h d", "b n h d", "b n h d", "b n h d"]
    : (!both, !both, !v) -> !y
    score (%x, %b, %h, %i, %j) = %x * 0.17677669529663687
    keep (%b, %h, %i, %j) = %j <= %i
  return %y : !y
}
