// Mamba-2 hybrid: a whole Mamba-2 layer, causal attention of 4 heads on 2 key heads, and an MLP, each behind an RMS norm
!x = tensor<?x?x24xf32, #tenon.dims<[B, N, 24]>>
!wide = tensor<?x?x132xf32, #tenon.dims<[B, N, 132]>>
!conv = tensor<?x?x80xf32, #tenon.dims<[B, N, 80]>>
!value = tensor<?x?x4x12xf32, #tenon.dims<[B, N, 4, 12]>>
!group = tensor<?x?x2x8xf32, #tenon.dims<[B, N, 2, 8]>>
!gate = tensor<?x?x4xf32, #tenon.dims<[B, N, 4]>>
!gated = tensor<?x?x2x24xf32, #tenon.dims<[B, N, 2, 24]>>
!inner = tensor<?x?x48xf32, #tenon.dims<[B, N, 48]>>
!q = tensor<?x?x4x6xf32, #tenon.dims<[B, N, 4, 6]>>
!k = tensor<?x?x2x6xf32, #tenon.dims<[B, N, 2, 6]>>
!qkv = tensor<?x?x48xf32, #tenon.dims<[B, N, 48]>>
!d = tensor<24xf32>
!four = tensor<4xf32>
tenon.symbol @B in [1, 64]
tenon.symbol @N in [1, 4096]
func.func @main(%x: !x {tenon.name = "x"}, %norm1: !d {tenon.name = "norm1"}, %norm2: !d {tenon.name = "norm2"}, %norm3: !d {tenon.name = "norm3"},
                %into: tensor<24x132xf32> {tenon.name = "into"}, %taps: tensor<80x4xf32> {tenon.name = "taps"}, %shift: tensor<80xf32> {tenon.name = "shift"},
                %A: !four {tenon.name = "A"}, %bias: !four {tenon.name = "bias"}, %D: !four {tenon.name = "D"},
                %scale: tensor<2x24xf32> {tenon.name = "scale"}, %out: tensor<48x24xf32> {tenon.name = "out"},
                %wqkv: tensor<24x48xf32> {tenon.name = "wqkv"}, %wo: tensor<24x24xf32> {tenon.name = "wo"},
                %up: tensor<24x48xf32> {tenon.name = "up"}, %down: tensor<48x24xf32> {tenon.name = "down"})
    -> (!x {tenon.name = "y"}) attributes {tenon.entry} {
  // Mamba-2: z | x | B | C | dt of one product; x, B and C convolved over four steps.
  %n1 = tenon.norm rms %x scale %norm1 : !d over 1 epsilon 1.0e-5 : !x -> !x
  %zxbc = tenon.contract "b n d, d e -> b n e" %n1, %into : (!x, tensor<24x132xf32>) -> !wide
  %xbc = tenon.map %a = %zxbc, %w = %taps, %s = %shift at %b, %n, %c : (!wide, tensor<80x4xf32>, tensor<80xf32>) -> !conv =
    let %t = %s[%c] + %w[%c, 3] * %a[%b, %n, %c + 48]
      + select(%n >= 1, %w[%c, 2], 0.0) * %a[%b, max(%n - 1, 0), %c + 48]
      + select(%n >= 2, %w[%c, 1], 0.0) * %a[%b, max(%n - 2, 0), %c + 48]
      + select(%n >= 3, %w[%c, 0], 0.0) * %a[%b, max(%n - 3, 0), %c + 48] in %t / (1 + exp(-%t))
  %step = tenon.map %a = %zxbc, %c = %bias at %b, %n, %h : (!wide, !four) -> !gate =
    let %t = %a[%b, %n, %h + 128] + %c[%h] in max(%t, 0.0) + log(1 + exp(-abs(%t)))
  %decay = tenon.map %l = %step, %m = %A at %b, %n, %h : (!gate, !four) -> !gate = exp(-exp(%m[%h]) * %l[%b, %n, %h])
  %u = tenon.map %a = %xbc, %m = %step at %b, %n, %h, %d : (!conv, !gate) -> !value = %a[%b, %n, %h * 12 + %d] * %m[%b, %n, %h]
  %Bt = tenon.map %a = %xbc at %b, %n, %g, %d : (!conv) -> !group = %a[%b, %n, %g * 8 + %d + 48]
  %Ct = tenon.map %a = %xbc at %b, %n, %g, %d : (!conv) -> !group = %a[%b, %n, %g * 8 + %d + 64]
  %o = tenon.scan %Ct, %Bt, %u decay (%decay : !gate) layout ["b n h d", "b n h d", "b n h d", "b n h", "b n h d"] : !group, !group, !value -> !value
  %skipped = tenon.map %l = %o, %a = %xbc, %c = %D, %z = %zxbc at %b, %n, %g, %e : (!value, !conv, !four, !wide) -> !gated =
    let %h = %g * 2 + %e / 12 in let %f = %z[%b, %n, %g * 24 + %e] in
    (%l[%b, %n, %h, mod(%e, 12)] + %c[%h] * %a[%b, %n, %g * 24 + %e]) * (%f / (1 + exp(-%f)))
  %normed = tenon.norm rms %skipped over 1 epsilon 1.0e-5 : !gated -> !gated
  %scaled = tenon.map %a = %normed, %w = %scale at %b, %n, %g, %e : (!gated, tensor<2x24xf32>) -> !gated = %a[%b, %n, %g, %e] * %w[%g, %e]
  %rows = tenon.reshape %scaled : !gated -> !inner
  %p1 = tenon.contract "b n e, e d -> b n d" %rows, %out : (!inner, tensor<48x24xf32>) -> !x
  %x1 = tenon.map %a = %x, %c = %p1 at %b, %n, %d : (!x, !x) -> !x = %a[%b, %n, %d] + %c[%b, %n, %d]

  // Attention.
  %n2 = tenon.norm rms %x1 scale %norm2 : !d over 1 epsilon 1.0e-5 : !x -> !x
  %qkv = tenon.contract "b n d, d e -> b n e" %n2, %wqkv : (!x, tensor<24x48xf32>) -> !qkv
  %q = tenon.map %a = %qkv at %b, %n, %h, %d : (!qkv) -> !q = %a[%b, %n, %h * 6 + %d]
  %k = tenon.map %a = %qkv at %b, %n, %h, %d : (!qkv) -> !k = %a[%b, %n, %h * 6 + %d + 24]
  %v = tenon.map %a = %qkv at %b, %n, %h, %d : (!qkv) -> !k = %a[%b, %n, %h * 6 + %d + 36]
  %heads = tenon.attention %q, (%k), (%v) normalise softmax empty zero layout ["b n h d", "b n h d", "b n h d", "b n h d"]
    : (!q, !k, !k) -> !q
    score (%s, %b, %h, %i, %j) = %s * 0.408248290463863
    keep (%b, %h, %i, %j) = %j <= %i
  %joined = tenon.reshape %heads : !q -> !x
  %p2 = tenon.contract "b n e, e d -> b n d" %joined, %wo : (!x, tensor<24x24xf32>) -> !x
  %x2 = tenon.map %a = %x1, %c = %p2 at %b, %n, %d : (!x, !x) -> !x = %a[%b, %n, %d] + %c[%b, %n, %d]

  // MLP.
  %n3 = tenon.norm rms %x2 scale %norm3 : !d over 1 epsilon 1.0e-5 : !x -> !x
  %hidden = tenon.contract "b n d, d e -> b n e" %n3, %up : (!x, tensor<24x48xf32>) -> !inner
  %active = tenon.map %a = %hidden at %b, %n, %e : (!inner) -> !inner = let %t = max(%a[%b, %n, %e], 0.0) in %t * %t
  %p3 = tenon.contract "b n e, e d -> b n d" %active, %down : (!inner, tensor<48x24xf32>) -> !x
  %y = tenon.map %a = %x2, %c = %p3 at %b, %n, %d : (!x, !x) -> !x = %a[%b, %n, %d] + %c[%b, %n, %d]
  return %y : !x
}
