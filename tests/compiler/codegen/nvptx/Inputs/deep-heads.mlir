// Heads deeper than 128: prefill, causal and full, and one token of 8 heads over a cache of 2, in f32 and bf16; queries and keys
// deeper than values.
tenon.symbol @N in [1, 4096]
tenon.symbol @M in [1, 4096]

!x = tensor<?x4x256xf32, #tenon.dims<[N, 4, 256]>>
!b = tensor<?x4x256xbf16, #tenon.dims<[N, 4, 256]>>
!k = tensor<?x4x192xf32, #tenon.dims<[N, 4, 192]>>
!v = tensor<?x4x128xf32, #tenon.dims<[N, 4, 128]>>
!c = tensor<?x2x256xf32, #tenon.dims<[M, 2, 256]>>
!d = tensor<?x2x256xbf16, #tenon.dims<[M, 2, 256]>>

func.func @main(%x: !x {tenon.name = "x"}, %b: !b {tenon.name = "b"}, %k: !k {tenon.name = "k"}, %v: !v {tenon.name = "v"},
                %q: tensor<1x8x256xf32> {tenon.name = "q"}, %c: !c {tenon.name = "c"},
                %r: tensor<1x8x256xbf16> {tenon.name = "r"}, %d: !d {tenon.name = "d"})
    -> (!x {tenon.name = "o"}, !b {tenon.name = "p"}, !v {tenon.name = "s"}, tensor<1x8x256xf32> {tenon.name = "t"},
        tensor<1x8x256xbf16> {tenon.name = "u"}) attributes {tenon.entry} {
  %o = tenon.attention %x, (%x), (%x) normalise softmax empty zero layout ["n h d", "n h d", "n h d", "n h d"] : (!x, !x, !x) -> !x
    score (%a, %z, %h, %i, %j) = %a * 0.0625
    keep (%z, %h, %i, %j) = %j <= %i
  %p = tenon.attention %b, (%b), (%b) normalise softmax empty zero layout ["n h d", "n h d", "n h d", "n h d"] : (!b, !b, !b) -> !b
    score (%a, %z, %h, %i, %j) = %a * 0.0625
  %s = tenon.attention %k, (%k), (%v) normalise softmax empty zero layout ["n h d", "n h d", "n h d", "n h d"] : (!k, !k, !v) -> !v
    score (%a, %z, %h, %i, %j) = %a * 0.0722
    keep (%z, %h, %i, %j) = %j <= %i
  %t = tenon.attention %q, (%c), (%c) normalise softmax empty zero layout ["n h d", "n h d", "n h d", "n h d"]
    : (tensor<1x8x256xf32>, !c, !c) -> tensor<1x8x256xf32>
    score (%a, %z, %h, %i, %j) = %a * 0.0625
  %u = tenon.attention %r, (%d), (%d) normalise softmax empty zero layout ["n h d", "n h d", "n h d", "n h d"]
    : (tensor<1x8x256xbf16>, !d, !d) -> tensor<1x8x256xbf16>
    score (%a, %z, %h, %i, %j) = %a * 0.0625
  return %o, %p, %s, %t, %u : !x, !b, !v, tensor<1x8x256xf32>, tensor<1x8x256xbf16>
}
