// Linformer: keys and values projected along the sequence to a fixed count.
!q = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!k = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!v = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!e = tensor<8x?xf32, #tenon.dims<[8, N]>>
!f = tensor<8x?xf32, #tenon.dims<[8, N]>>
!y = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!few = tensor<?x4x8x16xf32, #tenon.dims<[B, 4, 8, 16]>>
tenon.symbol @B in [1, 64]
tenon.symbol @N in [1, 4096]
func.func @main(%q: !q {tenon.name = "q"}, %k: !k {tenon.name = "k"}, %v: !v {tenon.name = "v"}, %e: !e {tenon.name = "e"}, %f: !f {tenon.name = "f"})
    -> (!y {tenon.name = "y"}) attributes {tenon.entry} {
  %kp = tenon.contract "b h n d, p n -> b h p d" %k, %e : (!k, !e) -> !few
  %vp = tenon.contract "b h n d, p n -> b h p d" %v, %f : (!v, !f) -> !few

  %y = tenon.attention %q, (%kp), (%vp) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
    : (!q, !few, !few) -> !y
    score (%x, %b, %h, %i, %j) = %x * 0.25
  return %y : !y
}
