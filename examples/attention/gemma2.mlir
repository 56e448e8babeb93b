// Gemma-2's local layers: a soft cap of 50 on the scores, and a sliding window of 4096 keys;
// 8 query heads share 4 key heads.
tenon.symbol @B in [1, 64]
tenon.symbol @N in [1, 32768]

func.func @main(%q: tensor<?x?x8x256xf32, #tenon.dims<[B, N, 8, 256]>> {tenon.name = "q"},
                %k: tensor<?x?x4x256xf32, #tenon.dims<[B, N, 4, 256]>> {tenon.name = "k"},
                %v: tensor<?x?x4x256xf32, #tenon.dims<[B, N, 4, 256]>> {tenon.name = "v"})
    -> (tensor<?x?x8x256xf32, #tenon.dims<[B, N, 8, 256]>> {tenon.name = "y"}) attributes {tenon.entry} {
  %y = tenon.attention %q, (%k), (%v) normalise softmax empty zero
         layout ["b n h d", "b n h d", "b n h d", "b n h d"]
     : (tensor<?x?x8x256xf32, #tenon.dims<[B, N, 8, 256]>>, tensor<?x?x4x256xf32, #tenon.dims<[B, N, 4, 256]>>,
        tensor<?x?x4x256xf32, #tenon.dims<[B, N, 4, 256]>>) -> tensor<?x?x8x256xf32, #tenon.dims<[B, N, 8, 256]>>
    score (%x, %b, %h, %i, %j) = tanh(%x * 0.00125) * 50
    keep (%b, %h, %i, %j) = %j <= %i and %i - %j < 4096
  return %y : tensor<?x?x8x256xf32, #tenon.dims<[B, N, 8, 256]>>
}
