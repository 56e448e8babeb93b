// Sinkhorn Transformer: blocks of 8 mixed by three rounds of Sinkhorn's iteration; one softmax over the own block and the mixed one
!blocks = tensor<?x4x?x8x16xf32, #tenon.dims<[B, 4, S, 8, 16]>>
!each = tensor<?x?x8x16xf32, #tenon.dims<[B, 4 * S, 8, 16]>>
!flat = tensor<?x4x?x128xf32, #tenon.dims<[B, 4, S, 128]>>
!mean = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, S, 16]>>
!sort = tensor<4x?x16xf32, #tenon.dims<[4, S, 16]>>
!y = tensor<?x4x?x16xf32, #tenon.dims<[B, 4, 8 * S, 16]>>
tenon.symbol @B in [1, 64]
tenon.symbol @S in [1, 1024]
func.func @main(%qs: !blocks {tenon.name = "q"}, %ks: !blocks {tenon.name = "k"}, %vs: !blocks {tenon.name = "v"}, %sort: !sort {tenon.name = "sort"})
    -> (!y {tenon.name = "y"}) attributes {tenon.entry} {
  %sums = tenon.reduce sum %ks over [3] : !blocks -> !mean
  %means = tenon.map %a = %sums at %b, %h, %s, %d : (!mean) -> !mean = %a[%b, %h, %s, %d] / 8
  %columns = tenon.map %a = %sort at %b, %h, %s, %d : (!sort) -> !mean = %a[%h, %s, %d]
  %kb = tenon.reshape %ks : !blocks -> !flat
  %vb = tenon.reshape %vs : !blocks -> !flat
  %km = tenon.attention %means, (%columns), (%kb) normalise sinkhorn 6 empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
    : (!mean, !mean, !flat) -> !flat
  %vm = tenon.attention %means, (%columns), (%vb) normalise sinkhorn 6 empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
    : (!mean, !mean, !flat) -> !flat
  %q = tenon.reshape %qs : !blocks -> !each
  %k = tenon.reshape %ks : !blocks -> !each
  %v = tenon.reshape %vs : !blocks -> !each
  %kmixed = tenon.reshape %km : !flat -> !each
  %vmixed = tenon.reshape %vm : !flat -> !each
  %ys = tenon.attention %q, (%k, %kmixed), (%v, %vmixed) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d", "b h n d", "b h n d"]
    : (!each, !each, !each, !each, !each) -> !each
    score (%x, %b, %h, %i, %j) = %x * 0.25
  %y = tenon.reshape %ys : !each -> !y
  return %y : !y
}
