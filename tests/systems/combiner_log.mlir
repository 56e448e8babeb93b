// Combiner, log-sparse: one softmax over a query itself and, for each bit of its position that is 1, the block of that size before it.
!q = tensor<?x4x32x16xf32, #tenon.dims<[B, 4, 32, 16]>>
!cut1 = tensor<?x4x16x2x16xf32, #tenon.dims<[B, 4, 16, 2, 16]>>
!s1 = tensor<?x4x16x16xf32, #tenon.dims<[B, 4, 16, 16]>>
!in1 = tensor<?x16x2x16xf32, #tenon.dims<[4 * B, 16, 2, 16]>>
!one1 = tensor<?x16x1x16xf32, #tenon.dims<[4 * B, 16, 1, 16]>>
!cut2 = tensor<?x4x8x4x16xf32, #tenon.dims<[B, 4, 8, 4, 16]>>
!s2 = tensor<?x4x8x16xf32, #tenon.dims<[B, 4, 8, 16]>>
!in2 = tensor<?x8x4x16xf32, #tenon.dims<[4 * B, 8, 4, 16]>>
!one2 = tensor<?x8x1x16xf32, #tenon.dims<[4 * B, 8, 1, 16]>>
!cut3 = tensor<?x4x4x8x16xf32, #tenon.dims<[B, 4, 4, 8, 16]>>
!s3 = tensor<?x4x4x16xf32, #tenon.dims<[B, 4, 4, 16]>>
!in3 = tensor<?x4x8x16xf32, #tenon.dims<[4 * B, 4, 8, 16]>>
!one3 = tensor<?x4x1x16xf32, #tenon.dims<[4 * B, 4, 1, 16]>>
!cut4 = tensor<?x4x2x16x16xf32, #tenon.dims<[B, 4, 2, 16, 16]>>
!s4 = tensor<?x4x2x16xf32, #tenon.dims<[B, 4, 2, 16]>>
!in4 = tensor<?x2x16x16xf32, #tenon.dims<[4 * B, 2, 16, 16]>>
!one4 = tensor<?x2x1x16xf32, #tenon.dims<[4 * B, 2, 1, 16]>>
tenon.symbol @B in [1, 16]
func.func @main(%q: !q {tenon.name = "q"}, %k: !q {tenon.name = "k"}, %v: !q {tenon.name = "v"})
    -> (!q {tenon.name = "y"}) attributes {tenon.entry} {
  %qc1 = tenon.reshape %q : !q -> !cut1
  %kc1 = tenon.reshape %k : !q -> !cut1
  %qm1 = tenon.reduce max %qc1 over [3] : !cut1 -> !s1
  %k1 = tenon.reduce max %kc1 over [3] : !cut1 -> !s1
  %qo1 = tenon.reshape %qm1 : !s1 -> !one1
  %ki1 = tenon.reshape %k : !q -> !in1
  %vi1 = tenon.reshape %v : !q -> !in1
  %o1 = tenon.attention %qo1, (%ki1), (%vi1) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
    : (!one1, !in1, !in1) -> !one1
  %v1 = tenon.reshape %o1 : !one1 -> !s1
  %qc2 = tenon.reshape %q : !q -> !cut2
  %kc2 = tenon.reshape %k : !q -> !cut2
  %qm2 = tenon.reduce max %qc2 over [3] : !cut2 -> !s2
  %k2 = tenon.reduce max %kc2 over [3] : !cut2 -> !s2
  %qo2 = tenon.reshape %qm2 : !s2 -> !one2
  %ki2 = tenon.reshape %k : !q -> !in2
  %vi2 = tenon.reshape %v : !q -> !in2
  %o2 = tenon.attention %qo2, (%ki2), (%vi2) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
    : (!one2, !in2, !in2) -> !one2
  %v2 = tenon.reshape %o2 : !one2 -> !s2
  %qc3 = tenon.reshape %q : !q -> !cut3
  %kc3 = tenon.reshape %k : !q -> !cut3
  %qm3 = tenon.reduce max %qc3 over [3] : !cut3 -> !s3
  %k3 = tenon.reduce max %kc3 over [3] : !cut3 -> !s3
  %qo3 = tenon.reshape %qm3 : !s3 -> !one3
  %ki3 = tenon.reshape %k : !q -> !in3
  %vi3 = tenon.reshape %v : !q -> !in3
  %o3 = tenon.attention %qo3, (%ki3), (%vi3) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
    : (!one3, !in3, !in3) -> !one3
  %v3 = tenon.reshape %o3 : !one3 -> !s3
  %qc4 = tenon.reshape %q : !q -> !cut4
  %kc4 = tenon.reshape %k : !q -> !cut4
  %qm4 = tenon.reduce max %qc4 over [3] : !cut4 -> !s4
  %k4 = tenon.reduce max %kc4 over [3] : !cut4 -> !s4
  %qo4 = tenon.reshape %qm4 : !s4 -> !one4
  %ki4 = tenon.reshape %k : !q -> !in4
  %vi4 = tenon.reshape %v : !q -> !in4
  %o4 = tenon.attention %qo4, (%ki4), (%vi4) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
    : (!one4, !in4, !in4) -> !one4
  %v4 = tenon.reshape %o4 : !one4 -> !s4
  %y = tenon.attention %q, (%k, %k1, %k2, %k3, %k4), (%v, %v1, %v2, %v3, %v4) normalise softmax empty zero
    layout ["b h n d", "b h n d", "b h n d", "b h n d", "b h n d", "b h n d", "b h n d", "b h n d", "b h n d", "b h n d", "b h n d", "b h n d"]
    : (!q, !q, !s1, !s2, !s3, !s4, !q, !s1, !s2, !s3, !s4) -> !q
    keep (%b, %h, %i, %j) = %j == %i
      or (%j == %i - 1 and %i == %i / 2 * 2 + 1)
      or (%j - 32 == %i / 2 - 1 and %j >= 32 and %i / 2 == %i / 4 * 2 + 1)
      or (%j - 48 == %i / 4 - 1 and %j >= 48 and %i / 4 == %i / 8 * 2 + 1)
      or (%j - 56 == %i / 8 - 1 and %j >= 56 and %i / 8 == %i / 16 * 2 + 1)
      or (%j - 60 == %i / 16 - 1 and %j >= 60 and %i / 16 == %i / 32 * 2 + 1)
  return %y : !q
}
