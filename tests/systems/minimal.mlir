// Reducing the Transformer to a minimum: one symmetric form per head for queries and keys, the input as value.
!x = tensor<?x?x16xf32, #tenon.dims<[B, N, 16]>>
!l = tensor<4x16x16xf32>
!y = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, N, 16]>>
!q = tensor<?x?x4x16xf32, #tenon.dims<[B, N, 4, 16]>>
tenon.symbol @B in [1, 64]
tenon.symbol @N in [1, 4096]
func.func @main(%x: !x {tenon.name = "x"}, %l: !l {tenon.name = "l"})
    -> (!y {tenon.name = "y"}) attributes {tenon.entry} {
  %m = tenon.map %a = %l at %h, %d, %e : (!l) -> !l = %a[%h, %d, %e] + %a[%h, %e, %d]
  %q = tenon.contract "b n d, h d e -> b n h e" %x, %m : (!x, !l) -> !q
  %y = tenon.attention %q, (%x), (%x) normalise softmax empty zero layout ["b n h d", "b n d", "b n d", "b h n d"]
    : (!q, !x, !x) -> !y
    score (%s, %b, %h, %i, %j) = %s * 0.25
  return %y : !y
}
