// One token of 8 heads over a cache of 2, and a prefill as short as 16 of them, in f32 and bf16.
tenon.symbol @N in [1, 4096]

func.func @main(%q: tensor<1x8x64xf32> {tenon.name = "q"}, %kv: tensor<?x2x64xf32, #tenon.dims<[N, 2, 64]>> {tenon.name = "kv"},
                %qn: tensor<1x8x128xbf16> {tenon.name = "qn"}, %kn: tensor<?x2x128xbf16, #tenon.dims<[N, 2, 128]>> {tenon.name = "kn"},
                %p: tensor<16x8x64xf32> {tenon.name = "p"}, %pn: tensor<16x8x128xbf16> {tenon.name = "pn"},
                %w: tensor<1x8x128xf32> {tenon.name = "w"}, %kw: tensor<?x2x128xf32, #tenon.dims<[N, 2, 128]>> {tenon.name = "kw"})
    -> (tensor<1x8x64xf32> {tenon.name = "a"}, tensor<1x8x128xbf16> {tenon.name = "b"}, tensor<16x8x64xf32> {tenon.name = "c"},
        tensor<16x8x128xbf16> {tenon.name = "d"}, tensor<1x8x128xf32> {tenon.name = "e"}) attributes {tenon.entry} {
  %a = tenon.attention %q, (%kv), (%kv) normalise softmax empty zero layout ["n h d", "n h d", "n h d", "n h d"]
    : (tensor<1x8x64xf32>, tensor<?x2x64xf32, #tenon.dims<[N, 2, 64]>>, tensor<?x2x64xf32, #tenon.dims<[N, 2, 64]>>) -> tensor<1x8x64xf32>
    score (%x, %b, %h, %i, %j) = %x * 0.125
  %b = tenon.attention %qn, (%kn), (%kn) normalise softmax empty zero layout ["n h d", "n h d", "n h d", "n h d"]
    : (tensor<1x8x128xbf16>, tensor<?x2x128xbf16, #tenon.dims<[N, 2, 128]>>, tensor<?x2x128xbf16, #tenon.dims<[N, 2, 128]>>) -> tensor<1x8x128xbf16>
    score (%x, %b, %h, %i, %j) = %x * 0.09
  %c = tenon.attention %p, (%kv), (%kv) normalise softmax empty zero layout ["n h d", "n h d", "n h d", "n h d"]
    : (tensor<16x8x64xf32>, tensor<?x2x64xf32, #tenon.dims<[N, 2, 64]>>, tensor<?x2x64xf32, #tenon.dims<[N, 2, 64]>>) -> tensor<16x8x64xf32>
    score (%x, %b, %h, %i, %j) = %x * 0.125
    keep (%b, %h, %i, %j) = %j <= %i + size(N) - 16
  %d = tenon.attention %pn, (%kn), (%kn) normalise softmax empty zero layout ["n h d", "n h d", "n h d", "n h d"]
    : (tensor<16x8x128xbf16>, tensor<?x2x128xbf16, #tenon.dims<[N, 2, 128]>>, tensor<?x2x128xbf16, #tenon.dims<[N, 2, 128]>>) -> tensor<16x8x128xbf16>
    score (%x, %b, %h, %i, %j) = %x * 0.09
    keep (%b, %h, %i, %j) = %j <= %i + size(N) - 16
  %e = tenon.attention %w, (%kw), (%kw) normalise softmax empty zero layout ["n h d", "n h d", "n h d", "n h d"]
    : (tensor<1x8x128xf32>, tensor<?x2x128xf32, #tenon.dims<[N, 2, 128]>>, tensor<?x2x128xf32, #tenon.dims<[N, 2, 128]>>) -> tensor<1x8x128xf32>
    score (%x, %b, %h, %i, %j) = %x * 0.09
  return %a, %b, %c, %d, %e : tensor<1x8x64xf32>, tensor<1x8x128xbf16>, tensor<16x8x64xf32>, tensor<16x8x128xbf16>, tensor<1x8x128xf32>
}
