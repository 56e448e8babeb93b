// SPFormer: pixels and the 3 x 3 superpixels around them attend to each other, one score under two normalisations.
!x = tensor<?x144x16xf32, #tenon.dims<[B, 144, 16]>>
!s = tensor<?x16x16xf32, #tenon.dims<[B, 16, 16]>>
tenon.symbol @B in [1, 16]
func.func @main(%pixels: !x {tenon.name = "pixels"}, %qx: !x {tenon.name = "qx"}, %vx: !x {tenon.name = "vx"}, %cells: !s {tenon.name = "cells"}, %ks: !s {tenon.name = "ks"}, %vs: !s {tenon.name = "vs"})
    -> (!x {tenon.name = "x1"}, !s {tenon.name = "s1"}) attributes {tenon.entry} {
  %toCells = tenon.attention %ks, (%qx), (%vx) normalise softmax empty zero layout ["b n d", "b n d", "b n d", "b n d"]
    : (!s, !x, !x) -> !s
    keep (%b, %h, %i, %j) = %i / 4 - %j / 36 <= 1 and %j / 36 - %i / 4 <= 1 and (%i - %i / 4 * 4) - (%j - %j / 12 * 12) / 3 <= 1 and (%j - %j / 12 * 12) / 3 - (%i - %i / 4 * 4) <= 1
  %toPixels = tenon.attention %qx, (%ks), (%vs) normalise softmax empty zero layout ["b n d", "b n d", "b n d", "b n d"]
    : (!x, !s, !s) -> !x
    keep (%b, %h, %i, %j) = %j / 4 - %i / 36 <= 1 and %i / 36 - %j / 4 <= 1 and (%j - %j / 4 * 4) - (%i - %i / 12 * 12) / 3 <= 1 and (%i - %i / 12 * 12) / 3 - (%j - %j / 4 * 4) <= 1
  %s1 = tenon.map %a = %toCells, %c = %cells at %b, %n, %d : (!s, !s) -> !s = %a[%b, %n, %d] + %c[%b, %n, %d]
  %x1 = tenon.map %a = %toPixels, %c = %pixels at %b, %n, %d : (!x, !x) -> !x = %a[%b, %n, %d] + %c[%b, %n, %d]
  return %x1, %s1 : !x, !s
}
