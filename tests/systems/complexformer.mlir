// ComplexFormer: magnitudes times the cosine of adapted phases, as a dot product of transformed halves.
!q = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!k = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!v = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!delta = tensor<4x8xf32>
!bias = tensor<4x8xf32>
!y = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
tenon.symbol @B in [1, 64]
tenon.symbol @N in [1, 4096]
func.func @main(%q: !q {tenon.name = "q"}, %k: !k {tenon.name = "k"}, %v: !v {tenon.name = "v"}, %delta: !delta {tenon.name = "delta"}, %bias: !bias {tenon.name = "bias"})
    -> (!y {tenon.name = "y"}) attributes {tenon.entry} {
  %qt = tenon.map %a = %q, %s = %delta, %c = %bias at %b, %h, %i, %d : (!q, !delta, !bias) -> !q =
    let %p = mod(%d, 8) in let %re = %a[%b, %h, %i, %p] in let %im = %a[%b, %h, %i, %p + 8] in
    let %r = sqrt(%re * %re + %im * %im + 1.0e-9) in
    let %t = %s[%h, %p] * atan2(%im, %re) + %i * pow(10000.0, -(%p + 1) / 8.0) + %c[%h, %p] in
    %r * select(%d < 8, cos(%t), sin(%t))
  %kt = tenon.map %a = %k, %s = %delta at %b, %h, %i, %d : (!k, !delta) -> !k =
    let %p = mod(%d, 8) in let %re = %a[%b, %h, %i, %p] in let %im = %a[%b, %h, %i, %p + 8] in
    let %r = sqrt(%re * %re + %im * %im + 1.0e-9) in
    let %t = %s[%h, %p] * atan2(%im, %re) + %i * pow(10000.0, -(%p + 1) / 8.0) in
    %r * select(%d < 8, cos(%t), sin(%t))

  %y = tenon.attention %qt, (%kt), (%v) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
    : (!q, !k, !v) -> !y
    keep (%b, %h, %i, %j) = %j <= %i
  return %y : !y
}
