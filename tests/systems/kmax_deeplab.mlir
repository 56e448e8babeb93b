// kMaX-DeepLab: each pixel goes to the query that scores it highest, a query sums the values of its pixels.
!q = tensor<?x?x16xf32, #tenon.dims<[B, L, 16]>>
!p = tensor<?x?x16xf32, #tenon.dims<[B, P, 16]>>
!v = tensor<?x?x24xf32, #tenon.dims<[B, P, 24]>>
!y = tensor<?x?x24xf32, #tenon.dims<[B, L, 24]>>
tenon.symbol @B in [1, 16]
tenon.symbol @L in [1, 256]
tenon.symbol @P in [1, 1024]
func.func @main(%kernels: !q {tenon.name = "kernels"}, %pixels: !p {tenon.name = "pixels"}, %values: !v {tenon.name = "values"})
    -> (!y {tenon.name = "y"}) attributes {tenon.entry} {
  %y = tenon.attention %kernels, (%pixels), (%values) normalise hard over queries empty zero layout ["b n d", "b n d", "b n d", "b n d"]
    : (!q, !p, !v) -> !y
    score (%x, %b, %h, %i, %j) = %x * 0.9 + 0.1
  return %y : !y
}
