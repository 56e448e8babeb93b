// MossFormer: a whole block: squared ReLU attention in groups of 32 and linear attention over all, by one query and key, and a triple gate
!x = tensor<?x?x12xf32, #tenon.dims<[B, N, 12]>>
!row = tensor<?x?xf32, #tenon.dims<[B, N]>>
!vu = tensor<?x?x48xf32, #tenon.dims<[B, N, 48]>>
!vut = tensor<?x?x48x17xf32, #tenon.dims<[B, N, 48, 17]>>
!z = tensor<?x?x8xf32, #tenon.dims<[B, N, 8]>>
!zt = tensor<?x?x8x17xf32, #tenon.dims<[B, N, 8, 17]>>
!xt = tensor<?x?x12x17xf32, #tenon.dims<[B, N, 12, 17]>>
!copy = tensor<?x?x4x8xf32, #tenon.dims<[B, N, 4, 8]>>
!o = tensor<?x?x24xf32, #tenon.dims<[B, N, 24]>>
!one = tensor<1xf32>
tenon.symbol @B in [1, 64]
tenon.symbol @N in [1, 4096]
func.func @main(%x: !x {tenon.name = "x"}, %gains: tensor<3xf32> {tenon.name = "gains"},
                %wvu: tensor<12x48xf32> {tenon.name = "wvu"}, %tvu: tensor<48x17xf32> {tenon.name = "tvu"},
                %wz: tensor<12x8xf32> {tenon.name = "wz"}, %tz: tensor<8x17xf32> {tenon.name = "tz"},
                %factors: tensor<4x8xf32> {tenon.name = "factors"}, %offsets: tensor<4x8xf32> {tenon.name = "offsets"},
                %wo: tensor<24x12xf32> {tenon.name = "wo"}, %to: tensor<12x17xf32> {tenon.name = "to"})
    -> (!x {tenon.name = "y"}) attributes {tenon.entry} {
  %gvu = tenon.map %a = %gains at %i : (tensor<3xf32>) -> !one = %a[0]
  %gz = tenon.map %a = %gains at %i : (tensor<3xf32>) -> !one = %a[1]
  %go = tenon.map %a = %gains at %i : (tensor<3xf32>) -> !one = %a[2]

  // Half of the channels come from the step before.
  %shifted = tenon.map %a = %x at %b, %n, %c : (!x) -> !x
    = select(%c >= 6, %a[%b, %n, %c], select(%n > 0, %a[%b, max(%n - 1, 0), %c], 0.0))
  %vusq = tenon.map %a = %shifted at %b, %n, %c : (!x) -> !x = %a[%b, %n, %c] * %a[%b, %n, %c]
  %vul = tenon.reduce sum %vusq over [2] : !x -> !row
  %vus = tenon.map %a = %shifted, %l = %vul, %g = %gvu at %b, %n, %c : (!x, !row, !one) -> !x
    = %g[0] * %a[%b, %n, %c] / max(sqrt(%l[%b, %n] / 12), 1.0e-5)
  %vup = tenon.contract "b n c, c e -> b n e" %vus, %wvu : (!x, tensor<12x48xf32>) -> !vu
  %vua = tenon.map %a = %vup at %b, %n, %e : (!vu) -> !vu = let %t = %a[%b, %n, %e] in %t / (1 + exp(-%t))
  %vut = tenon.map %a = %vua, %w = %tvu at %b, %n, %e, %t : (!vu, tensor<48x17xf32>) -> !vut
    = let %m = %n + %t - 8 in select(%m >= 0 and %m < size(N), %w[%e, %t] * %a[%b, min(max(%m, 0), size(N) - 1), %e], 0.0)
  %vuc = tenon.reduce sum %vut over [3] : !vut -> !vu
  %vu = tenon.map %a = %vua, %c = %vuc at %b, %n, %e : (!vu, !vu) -> !vu = %a[%b, %n, %e] + %c[%b, %n, %e]
  %zsq = tenon.map %a = %shifted at %b, %n, %c : (!x) -> !x = %a[%b, %n, %c] * %a[%b, %n, %c]
  %zl = tenon.reduce sum %zsq over [2] : !x -> !row
  %zs = tenon.map %a = %shifted, %l = %zl, %g = %gz at %b, %n, %c : (!x, !row, !one) -> !x
    = %g[0] * %a[%b, %n, %c] / max(sqrt(%l[%b, %n] / 12), 1.0e-5)
  %zp = tenon.contract "b n c, c e -> b n e" %zs, %wz : (!x, tensor<12x8xf32>) -> !z
  %za = tenon.map %a = %zp at %b, %n, %e : (!z) -> !z = let %t = %a[%b, %n, %e] in %t / (1 + exp(-%t))
  %zt = tenon.map %a = %za, %w = %tz at %b, %n, %e, %t : (!z, tensor<8x17xf32>) -> !zt
    = let %m = %n + %t - 8 in select(%m >= 0 and %m < size(N), %w[%e, %t] * %a[%b, min(max(%m, 0), size(N) - 1), %e], 0.0)
  %zc = tenon.reduce sum %zt over [3] : !zt -> !z
  %z = tenon.map %a = %za, %c = %zc at %b, %n, %e : (!z, !z) -> !z = %a[%b, %n, %e] + %c[%b, %n, %e]

  // Queries and keys of both attentions are four affine copies, turned by their position.
  %copies = tenon.map %a = %z, %f = %factors, %s = %offsets at %b, %n, %k, %d : (!z, tensor<4x8xf32>, tensor<4x8xf32>) -> !copy
    = %a[%b, %n, %d] * %f[%k, %d] + %s[%k, %d]
  %turned = tenon.map %a = %copies at %b, %n, %k, %d : (!copy) -> !copy
    = let %t = %n * exp(-9.210340371976184 * (%d / 2) * 2 / 8) in let %even = mod(%d, 2) == 0 in
      %a[%b, %n, %k, %d] * cos(%t) + select(%even, -1.0, 1.0) * %a[%b, %n, %k, select(%even, %d + 1, %d - 1)] * sin(%t)
  %local = tenon.attention %turned, (%turned), (%vu) normalise none empty zero layout ["b n 0 d", "b n 2 d", "b n d", "b n d"]
    : (!copy, !copy, !vu) -> !vu
    score (%s, %b, %h, %i, %j) = let %r = max(%s / 32, 0) in %r * %r
    keep (%b, %h, %i, %j) = %i / 32 == %j / 32
  %all = tenon.attention %turned, (%turned), (%vu) normalise none empty zero layout ["b n 1 d", "b n 3 d", "b n d", "b n d"]
    : (!copy, !copy, !vu) -> !vu
  %gated = tenon.map %l = %local, %m = %all, %p = %vu at %b, %n, %e : (!vu, !vu, !vu) -> !o
    = let %av = %l[%b, %n, %e] + %m[%b, %n, %e] / size(N) in let %au = %l[%b, %n, %e + 24] + %m[%b, %n, %e + 24] / size(N) in
      %au * %p[%b, %n, %e] / (1 + exp(-%av * %p[%b, %n, %e + 24]))
  %osq = tenon.map %a = %gated at %b, %n, %c : (!o) -> !o = %a[%b, %n, %c] * %a[%b, %n, %c]
  %ol = tenon.reduce sum %osq over [2] : !o -> !row
  %os = tenon.map %a = %gated, %l = %ol, %g = %go at %b, %n, %c : (!o, !row, !one) -> !o
    = %g[0] * %a[%b, %n, %c] / max(sqrt(%l[%b, %n] / 24), 1.0e-5)
  %op = tenon.contract "b n c, c e -> b n e" %os, %wo : (!o, tensor<24x12xf32>) -> !x
  %oa = tenon.map %a = %op at %b, %n, %e : (!x) -> !x = let %t = %a[%b, %n, %e] in %t / (1 + exp(-%t))
  %ot = tenon.map %a = %oa, %w = %to at %b, %n, %e, %t : (!x, tensor<12x17xf32>) -> !xt
    = let %m = %n + %t - 8 in select(%m >= 0 and %m < size(N), %w[%e, %t] * %a[%b, min(max(%m, 0), size(N) - 1), %e], 0.0)
  %oc = tenon.reduce sum %ot over [3] : !xt -> !x
  %o = tenon.map %a = %oa, %c = %oc at %b, %n, %e : (!x, !x) -> !x = %a[%b, %n, %e] + %c[%b, %n, %e]
  %y = tenon.map %a = %x, %c = %o at %b, %n, %d : (!x, !x) -> !x = %a[%b, %n, %d] + %c[%b, %n, %d]
  return %y : !x
}
