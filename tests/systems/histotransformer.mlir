// DCT-HistoTransformer: attention between the 36 lowest frequencies of a two-dimensional cosine transform.
!x = tensor<?x16x16x8xf32, #tenon.dims<[B, 16, 16, 8]>>
!half = tensor<?x6x16x8xf32, #tenon.dims<[B, 6, 16, 8]>>
!low = tensor<?x6x6x8xf32, #tenon.dims<[B, 6, 6, 8]>>
!tokens = tensor<?x36x8xf32, #tenon.dims<[B, 36, 8]>>
!w = tensor<8x8xf32>
!a = tensor<6x16xf32>
tenon.symbol @B in [1, 16]
func.func @main(%x: !x {tenon.name = "x"}, %wq: !w {tenon.name = "wq"}, %wk: !w {tenon.name = "wk"}, %wv: !w {tenon.name = "wv"})
    -> (!x {tenon.name = "y"}) attributes {tenon.entry} {
  // The first 6 rows of the orthonormal cosine transform of 16 points: its crop is a smaller matrix.
  %cos = tenon.map at %u, %n : () -> !a = cos(%u * (2 * %n + 1) * 0.09817477042468103)
  %a = tenon.map %c = %cos at %u, %n : (!a) -> !a = %c[%u, %n] * select(%u == 0, 0.25, 0.3535533905932738)
  %rows = tenon.contract "u n, b n m c -> b u m c" %a, %x : (!a, !x) -> !half
  %both = tenon.contract "w m, b u m c -> b u w c" %a, %rows : (!a, !half) -> !low
  %t = tenon.reshape %both : !low -> !tokens
  %q = tenon.contract "b n c, c d -> b n d" %t, %wq : (!tokens, !w) -> !tokens
  %k = tenon.contract "b n c, c d -> b n d" %t, %wk : (!tokens, !w) -> !tokens
  %v = tenon.contract "b n c, c d -> b n d" %t, %wv : (!tokens, !w) -> !tokens
  %o = tenon.attention %q, (%k), (%v) normalise softmax empty zero layout ["b n d", "b n d", "b n d", "b n d"]
    : (!tokens, !tokens, !tokens) -> !tokens
    score (%x, %b, %h, %i, %j) = %x * 0.3535533905932738
  %l = tenon.reshape %o : !tokens -> !low
  %columns = tenon.contract "w m, b u w c -> b u m c" %a, %l : (!a, !low) -> !half
  %y = tenon.contract "u n, b u m c -> b n m c" %a, %columns : (!a, !half) -> !x
  return %y : !x
}
