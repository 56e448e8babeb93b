// FactFormer, a whole block on a 3-D grid: three kernels, three products, one after the other.
!u = tensor<?x?x?x?x16xf32, #tenon.dims<[B, X, Y, Z, 16]>>
!h = tensor<?x2x?x?x?x8xf32, #tenon.dims<[B, 2, X, Y, Z, 8]>>
!heads = tensor<?x2xf32, #tenon.dims<[B, 2]>>
!positions = tensor<?x?x?x16xf32, #tenon.dims<[X, Y, Z, 16]>>
!c = tensor<16xf32>
!cc = tensor<16x16xf32>
!c2 = tensor<32xf32>
!cc2 = tensor<16x32xf32>
!chd = tensor<16x2x16xf32>
!chv = tensor<16x2x8xf32>
!hvc = tensor<2x8x16xf32>
!atx = tensor<?xf32, #tenon.dims<[X]>>
!mx = tensor<?x?x16xf32, #tenon.dims<[B, X, 16]>>
!wx = tensor<?x?x32xf32, #tenon.dims<[B, X, 32]>>
!qx = tensor<?x2x?x16xf32, #tenon.dims<[B, 2, X, 16]>>
!kx = tensor<?x2x?x?xf32, #tenon.dims<[B, 2, X, X]>>
!aty = tensor<?xf32, #tenon.dims<[Y]>>
!my = tensor<?x?x16xf32, #tenon.dims<[B, Y, 16]>>
!wy = tensor<?x?x32xf32, #tenon.dims<[B, Y, 32]>>
!qy = tensor<?x2x?x16xf32, #tenon.dims<[B, 2, Y, 16]>>
!ky = tensor<?x2x?x?xf32, #tenon.dims<[B, 2, Y, Y]>>
!atz = tensor<?xf32, #tenon.dims<[Z]>>
!mz = tensor<?x?x16xf32, #tenon.dims<[B, Z, 16]>>
!wz = tensor<?x?x32xf32, #tenon.dims<[B, Z, 32]>>
!qz = tensor<?x2x?x16xf32, #tenon.dims<[B, 2, Z, 16]>>
!kz = tensor<?x2x?x?xf32, #tenon.dims<[B, 2, Z, Z]>>
tenon.symbol @B in [1, 16]
tenon.symbol @X in [1, 64]
tenon.symbol @Y in [1, 64]
tenon.symbol @Z in [1, 64]
func.func @main(%u: !u {tenon.name = "u"}, %pos: !positions {tenon.name = "pos"}, %g: !c {tenon.name = "g"}, %s: !c {tenon.name = "s"},
    %wv: !chv {tenon.name = "wv"}, %win: !cc {tenon.name = "win"}, %wo: !hvc {tenon.name = "wo"}, %wp: !cc {tenon.name = "wp"},
    %atx: !atx {tenon.name = "atx"}, %wx: !cc {tenon.name = "wx"}, %gx: !c {tenon.name = "gx"}, %sx: !c {tenon.name = "sx"},
    %ax: !cc2 {tenon.name = "ax"}, %abx: !c2 {tenon.name = "abx"}, %fx: !cc {tenon.name = "fx"}, %fbx: !c {tenon.name = "fbx"},
    %wqx: !chd {tenon.name = "wqx"}, %wkx: !chd {tenon.name = "wkx"}, %aty: !aty {tenon.name = "aty"}, %wy: !cc {tenon.name = "wy"},
    %gy: !c {tenon.name = "gy"}, %sy: !c {tenon.name = "sy"}, %ay: !cc2 {tenon.name = "ay"}, %aby: !c2 {tenon.name = "aby"},
    %fy: !cc {tenon.name = "fy"}, %fby: !c {tenon.name = "fby"}, %wqy: !chd {tenon.name = "wqy"}, %wky: !chd {tenon.name = "wky"},
    %atz: !atz {tenon.name = "atz"}, %wz: !cc {tenon.name = "wz"}, %gz: !c {tenon.name = "gz"}, %sz: !c {tenon.name = "sz"},
    %az: !cc2 {tenon.name = "az"}, %abz: !c2 {tenon.name = "abz"}, %fz: !cc {tenon.name = "fz"}, %fbz: !c {tenon.name = "fbz"},
    %wqz: !chd {tenon.name = "wqz"}, %wkz: !chd {tenon.name = "wkz"})
    -> (!u {tenon.name = "y"}) attributes {tenon.entry} {
  %x = tenon.map %a = %u, %p = %pos at %b, %x, %y, %z, %c : (!u, !positions) -> !u = %a[%b, %x, %y, %z, %c] + %p[%x, %y, %z, %c]
  %n = tenon.norm layer %x scale %g : !c shift %s : !c over 1 epsilon 1.0e-5 : !u -> !u
  %v = tenon.contract "b x y z c, c h d -> b h x y z d" %n, %wv : (!u, !chv) -> !h

  // Along x: the mean over the rest of the grid, first; then what is linear, norm, gated layer, rotation, kernel.
  %sumx = tenon.reduce sum %n over [2, 3] : !u -> !mx
  %meanx = tenon.map %a = %sumx at %b, %i, %c : (!mx) -> !mx = %a[%b, %i, %c] / (size(Y) * size(Z) + 0.0)
  %inx = tenon.contract "b i c, c e -> b i e" %meanx, %win : (!mx, !cc) -> !mx
  %px = tenon.contract "b i c, c e -> b i e" %inx, %wx : (!mx, !cc) -> !mx
  %nx = tenon.norm layer %px scale %gx : !c shift %sx : !c over 1 epsilon 1.0e-5 : !mx -> !mx
  %widex = tenon.contract "b i c, c e -> b i e" %nx, %ax : (!mx, !cc2) -> !wx
  %gatedx = tenon.map %a = %widex, %o = %abx at %b, %i, %c : (!wx, !c2) -> !mx = let %t = %a[%b, %i, %c] + %o[%c] in
    0.5 * %t * (1.0 + erf(%t * 0.7071067811865476)) * (%a[%b, %i, %c + 16] + %o[%c + 16])
  %narrowx = tenon.contract "b i c, c e -> b i e" %gatedx, %fx : (!mx, !cc) -> !mx
  %rx = tenon.map %a = %narrowx, %o = %fbx at %b, %i, %c : (!mx, !c) -> !mx = %a[%b, %i, %c] + %o[%c]
  %qx0 = tenon.contract "b i c, c h d -> b h i d" %rx, %wqx : (!mx, !chd) -> !qx
  %qx = tenon.map %a = %qx0, %t = %atx at %b, %h, %i, %d : (!qx, !atx) -> !qx
    = let %f = %t[%i] * 64.0 * pow(10000.0, -0.125 * mod(%d, 8)) in
    %a[%b, %h, %i, %d] * cos(%f) + select(%d < 8, -%a[%b, %h, %i, min(%d + 8, 15)], %a[%b, %h, %i, max(%d - 8, 0)]) * sin(%f)
  %kx0 = tenon.contract "b i c, c h d -> b h i d" %rx, %wkx : (!mx, !chd) -> !qx
  %kx = tenon.map %a = %kx0, %t = %atx at %b, %h, %i, %d : (!qx, !atx) -> !qx
    = let %f = %t[%i] * 64.0 * pow(10000.0, -0.125 * mod(%d, 8)) in
    %a[%b, %h, %i, %d] * cos(%f) + select(%d < 8, -%a[%b, %h, %i, min(%d + 8, 15)], %a[%b, %h, %i, max(%d - 8, 0)]) * sin(%f)
  %kxx = tenon.contract "b h i d, b h j d -> b h i j" %qx, %kx : (!qx, !qx) -> !kx
  %alongx = tenon.contract "b h n x, b h x y z d -> b h n y z d" %kxx, %v : (!kx, !h) -> !h

  // Along y: the mean over the rest of the grid, first; then what is linear, norm, gated layer, rotation, kernel.
  %sumy = tenon.reduce sum %n over [1, 3] : !u -> !my
  %meany = tenon.map %a = %sumy at %b, %i, %c : (!my) -> !my = %a[%b, %i, %c] / (size(X) * size(Z) + 0.0)
  %iny = tenon.contract "b i c, c e -> b i e" %meany, %win : (!my, !cc) -> !my
  %py = tenon.contract "b i c, c e -> b i e" %iny, %wy : (!my, !cc) -> !my
  %ny = tenon.norm layer %py scale %gy : !c shift %sy : !c over 1 epsilon 1.0e-5 : !my -> !my
  %widey = tenon.contract "b i c, c e -> b i e" %ny, %ay : (!my, !cc2) -> !wy
  %gatedy = tenon.map %a = %widey, %o = %aby at %b, %i, %c : (!wy, !c2) -> !my = let %t = %a[%b, %i, %c] + %o[%c] in
    0.5 * %t * (1.0 + erf(%t * 0.7071067811865476)) * (%a[%b, %i, %c + 16] + %o[%c + 16])
  %narrowy = tenon.contract "b i c, c e -> b i e" %gatedy, %fy : (!my, !cc) -> !my
  %ry = tenon.map %a = %narrowy, %o = %fby at %b, %i, %c : (!my, !c) -> !my = %a[%b, %i, %c] + %o[%c]
  %qy0 = tenon.contract "b i c, c h d -> b h i d" %ry, %wqy : (!my, !chd) -> !qy
  %qy = tenon.map %a = %qy0, %t = %aty at %b, %h, %i, %d : (!qy, !aty) -> !qy
    = let %f = %t[%i] * 64.0 * pow(10000.0, -0.125 * mod(%d, 8)) in
    %a[%b, %h, %i, %d] * cos(%f) + select(%d < 8, -%a[%b, %h, %i, min(%d + 8, 15)], %a[%b, %h, %i, max(%d - 8, 0)]) * sin(%f)
  %ky0 = tenon.contract "b i c, c h d -> b h i d" %ry, %wky : (!my, !chd) -> !qy
  %ky = tenon.map %a = %ky0, %t = %aty at %b, %h, %i, %d : (!qy, !aty) -> !qy
    = let %f = %t[%i] * 64.0 * pow(10000.0, -0.125 * mod(%d, 8)) in
    %a[%b, %h, %i, %d] * cos(%f) + select(%d < 8, -%a[%b, %h, %i, min(%d + 8, 15)], %a[%b, %h, %i, max(%d - 8, 0)]) * sin(%f)
  %kyy = tenon.contract "b h i d, b h j d -> b h i j" %qy, %ky : (!qy, !qy) -> !ky
  %alongy = tenon.contract "b h n y, b h x y z d -> b h x n z d" %kyy, %alongx : (!ky, !h) -> !h

  // Along z: the mean over the rest of the grid, first; then what is linear, norm, gated layer, rotation, kernel.
  %sumz = tenon.reduce sum %n over [1, 2] : !u -> !mz
  %meanz = tenon.map %a = %sumz at %b, %i, %c : (!mz) -> !mz = %a[%b, %i, %c] / (size(X) * size(Y) + 0.0)
  %inz = tenon.contract "b i c, c e -> b i e" %meanz, %win : (!mz, !cc) -> !mz
  %pz = tenon.contract "b i c, c e -> b i e" %inz, %wz : (!mz, !cc) -> !mz
  %nz = tenon.norm layer %pz scale %gz : !c shift %sz : !c over 1 epsilon 1.0e-5 : !mz -> !mz
  %widez = tenon.contract "b i c, c e -> b i e" %nz, %az : (!mz, !cc2) -> !wz
  %gatedz = tenon.map %a = %widez, %o = %abz at %b, %i, %c : (!wz, !c2) -> !mz = let %t = %a[%b, %i, %c] + %o[%c] in
    0.5 * %t * (1.0 + erf(%t * 0.7071067811865476)) * (%a[%b, %i, %c + 16] + %o[%c + 16])
  %narrowz = tenon.contract "b i c, c e -> b i e" %gatedz, %fz : (!mz, !cc) -> !mz
  %rz = tenon.map %a = %narrowz, %o = %fbz at %b, %i, %c : (!mz, !c) -> !mz = %a[%b, %i, %c] + %o[%c]
  %qz0 = tenon.contract "b i c, c h d -> b h i d" %rz, %wqz : (!mz, !chd) -> !qz
  %qz = tenon.map %a = %qz0, %t = %atz at %b, %h, %i, %d : (!qz, !atz) -> !qz
    = let %f = %t[%i] * 64.0 * pow(10000.0, -0.125 * mod(%d, 8)) in
    %a[%b, %h, %i, %d] * cos(%f) + select(%d < 8, -%a[%b, %h, %i, min(%d + 8, 15)], %a[%b, %h, %i, max(%d - 8, 0)]) * sin(%f)
  %kz0 = tenon.contract "b i c, c h d -> b h i d" %rz, %wkz : (!mz, !chd) -> !qz
  %kz = tenon.map %a = %kz0, %t = %atz at %b, %h, %i, %d : (!qz, !atz) -> !qz
    = let %f = %t[%i] * 64.0 * pow(10000.0, -0.125 * mod(%d, 8)) in
    %a[%b, %h, %i, %d] * cos(%f) + select(%d < 8, -%a[%b, %h, %i, min(%d + 8, 15)], %a[%b, %h, %i, max(%d - 8, 0)]) * sin(%f)
  %kzz = tenon.contract "b h i d, b h j d -> b h i j" %qz, %kz : (!qz, !qz) -> !kz
  %alongz = tenon.contract "b h n z, b h x y z d -> b h x y n d" %kzz, %alongy : (!kz, !h) -> !h

  // Heads normalised over the whole grid, the variance unbiased.
  %total = tenon.reduce sum %alongz over [2, 3, 4, 5] : !h -> !heads
  %centred = tenon.map %a = %alongz, %t = %total at %b, %h, %x, %y, %z, %d : (!h, !heads) -> !h
    = %a[%b, %h, %x, %y, %z, %d] - %t[%b, %h] / (size(X) * size(Y) * size(Z) * 8 + 0.0)
  %squares = tenon.map %a = %centred at %b, %h, %x, %y, %z, %d : (!h) -> !h = %a[%b, %h, %x, %y, %z, %d] * %a[%b, %h, %x, %y, %z, %d]
  %spread = tenon.reduce sum %squares over [2, 3, 4, 5] : !h -> !heads
  %normal = tenon.map %a = %centred, %t = %spread at %b, %h, %x, %y, %z, %d : (!h, !heads) -> !h
    = %a[%b, %h, %x, %y, %z, %d] / sqrt(%t[%b, %h] / (size(X) * size(Y) * size(Z) * 8 - 1 + 0.0) + 1.0e-8)
  %o = tenon.contract "b h x y z d, h d c -> b x y z c" %normal, %wo : (!h, !hvc) -> !u
  %active = tenon.map %a = %o at %b, %x, %y, %z, %c : (!u) -> !u = let %t = %a[%b, %x, %y, %z, %c] in 0.5 * %t * (1.0 + erf(%t * 0.7071067811865476))
  %last = tenon.contract "b x y z c, c e -> b x y z e" %active, %wp : (!u, !cc) -> !u
  %y = tenon.map %a = %last, %r = %x at %b, %x, %y, %z, %c : (!u, !u) -> !u = %a[%b, %x, %y, %z, %c] + %r[%b, %x, %y, %z, %c]
  return %y : !u
}
