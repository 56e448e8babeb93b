// ATLAS: a chunk of a linear memory of polynomial features that learns from the last 8 tokens at every step, by orthogonalised momentum
!k = tensor<?x2x?x3xf32, #tenon.dims<[B, 2, N, 3]>>
!v = tensor<?x2x?x5xf32, #tenon.dims<[B, 2, N, 5]>>
!phi = tensor<?x2x?x13xf32, #tenon.dims<[B, 2, N, 13]>>
!gate = tensor<?x2x?xf32, #tenon.dims<[B, 2, N]>>
!window = tensor<?x2x?x?xf32, #tenon.dims<[B, 2, N, N]>>
!w = tensor<?x2x13x5xf32, #tenon.dims<[B, 2, 13, 5]>>
!state = tensor<?x2x1x65xf32, #tenon.dims<[B, 2, 1, 65]>>
!along = tensor<?x2x?x65xf32, #tenon.dims<[B, 2, N, 65]>>
!each = tensor<?x2x?x13x5xf32, #tenon.dims<[B, 2, N, 13, 5]>>
!square = tensor<?x2x?x5x5xf32, #tenon.dims<[B, 2, N, 5, 5]>>
!one = tensor<1xf32>
!terms = tensor<3xf32>
tenon.symbol @B in [1, 64]
tenon.symbol @N in [1, 256]
func.func @main(%q: !k {tenon.name = "q"}, %k: !k {tenon.name = "k"}, %v: !v {tenon.name = "v"}, %terms: !terms {tenon.name = "terms"},
                %gamma: !gate {tenon.name = "gamma"}, %theta: !gate {tenon.name = "theta"}, %eta: !gate {tenon.name = "eta"}, %alpha: !gate {tenon.name = "alpha"},
                %W: !w {tenon.name = "W"}, %S: !w {tenon.name = "S"})
    -> (!v {tenon.name = "y"}, !w {tenon.name = "W after"}, !w {tenon.name = "S after"}) attributes {tenon.entry} {
  // phi(x) = terms[0], terms[1] x, terms[2] x (outer) x.
  %phik = tenon.map %a = %k, %c = %terms at %b, %h, %n, %e : (!k, !terms) -> !phi
    = let %p = max(%e - 4, 0) in let %linear = %a[%b, %h, %n, min(max(%e - 1, 0), 2)] in
      select(%e == 0, %c[0], select(%e < 4, %c[1] * %linear, %c[2] * %a[%b, %h, %n, %p / 3] * %a[%b, %h, %n, mod(%p, 3)]))
  %phiq = tenon.map %a = %q, %c = %terms at %b, %h, %n, %e : (!k, !terms) -> !phi
    = let %p = max(%e - 4, 0) in let %linear = %a[%b, %h, %n, min(max(%e - 1, 0), 2)] in
      select(%e == 0, %c[0], select(%e < 4, %c[1] * %linear, %c[2] * %a[%b, %h, %n, %p / 3] * %a[%b, %h, %n, mod(%p, 3)]))

  // The gradients of the last 8 tokens' gamma |phi(k) W - v|^2, at the weights of the chunk's start.
  %r = tenon.contract "b h n e, b h e d -> b h n d" %phik, %W : (!phi, !w) -> !v
  %g = tenon.map %x = %phik, %a = %r, %t = %v at %b, %h, %n, %c : (!phi, !v, !v) -> !along
    = let %d = mod(%c, 5) in 2 * %x[%b, %h, %n, %c / 5] * (%a[%b, %h, %n, %d] - %t[%b, %h, %n, %d])
  %near = tenon.map %a = %gamma at %b, %h, %n, %i : (!gate) -> !window = select(%i <= %n and %n - %i < 8, %a[%b, %h, %i], 0.0)
  %G = tenon.contract "b h n i, b h i c -> b h n c" %near, %g : (!window, !along) -> !along
  %one = tenon.map at %d : () -> !one = 1.0
  %Sfrom = tenon.reshape %S : !w -> !state
  %Sall, %Sto = tenon.scan %one, %one, %G decay (%theta : !gate) from (%Sfrom : !state) layout ["d", "d", "b h n d", "b h n", "b h n d"] : !one, !one, !along -> !along, !state

  // Newton and Schulz's iteration, five times: X <- a X + X (b A + c A^2), A = X^T X, from S of Frobenius norm one.
  %squares = tenon.map %a = %Sall at %b, %h, %n, %c : (!along) -> !along = %a[%b, %h, %n, %c] * %a[%b, %h, %n, %c]
  %length = tenon.reduce sum %squares over [3] : !along -> !gate
  %X0 = tenon.map %a = %Sall, %l = %length at %b, %h, %n, %e, %d : (!along, !gate) -> !each = %a[%b, %h, %n, %e * 5 + %d] / (sqrt(%l[%b, %h, %n]) + 1.0e-7)
  %A0 = tenon.contract "b h n e d, b h n e f -> b h n d f" %X0, %X0 : (!each, !each) -> !square
  %AA0 = tenon.contract "b h n d e, b h n e f -> b h n d f" %A0, %A0 : (!square, !square) -> !square
  %P0 = tenon.map %a = %A0, %s = %AA0 at %b, %h, %n, %d, %f : (!square, !square) -> !square
    = select(%d == %f, 3.4445, 0.0) - 4.7750 * %a[%b, %h, %n, %d, %f] + 2.0315 * %s[%b, %h, %n, %d, %f]
  %X1 = tenon.contract "b h n e d, b h n d f -> b h n e f" %X0, %P0 : (!each, !square) -> !each
  %A1 = tenon.contract "b h n e d, b h n e f -> b h n d f" %X1, %X1 : (!each, !each) -> !square
  %AA1 = tenon.contract "b h n d e, b h n e f -> b h n d f" %A1, %A1 : (!square, !square) -> !square
  %P1 = tenon.map %a = %A1, %s = %AA1 at %b, %h, %n, %d, %f : (!square, !square) -> !square
    = select(%d == %f, 3.4445, 0.0) - 4.7750 * %a[%b, %h, %n, %d, %f] + 2.0315 * %s[%b, %h, %n, %d, %f]
  %X2 = tenon.contract "b h n e d, b h n d f -> b h n e f" %X1, %P1 : (!each, !square) -> !each
  %A2 = tenon.contract "b h n e d, b h n e f -> b h n d f" %X2, %X2 : (!each, !each) -> !square
  %AA2 = tenon.contract "b h n d e, b h n e f -> b h n d f" %A2, %A2 : (!square, !square) -> !square
  %P2 = tenon.map %a = %A2, %s = %AA2 at %b, %h, %n, %d, %f : (!square, !square) -> !square
    = select(%d == %f, 3.4445, 0.0) - 4.7750 * %a[%b, %h, %n, %d, %f] + 2.0315 * %s[%b, %h, %n, %d, %f]
  %X3 = tenon.contract "b h n e d, b h n d f -> b h n e f" %X2, %P2 : (!each, !square) -> !each
  %A3 = tenon.contract "b h n e d, b h n e f -> b h n d f" %X3, %X3 : (!each, !each) -> !square
  %AA3 = tenon.contract "b h n d e, b h n e f -> b h n d f" %A3, %A3 : (!square, !square) -> !square
  %P3 = tenon.map %a = %A3, %s = %AA3 at %b, %h, %n, %d, %f : (!square, !square) -> !square
    = select(%d == %f, 3.4445, 0.0) - 4.7750 * %a[%b, %h, %n, %d, %f] + 2.0315 * %s[%b, %h, %n, %d, %f]
  %X4 = tenon.contract "b h n e d, b h n d f -> b h n e f" %X3, %P3 : (!each, !square) -> !each
  %A4 = tenon.contract "b h n e d, b h n e f -> b h n d f" %X4, %X4 : (!each, !each) -> !square
  %AA4 = tenon.contract "b h n d e, b h n e f -> b h n d f" %A4, %A4 : (!square, !square) -> !square
  %P4 = tenon.map %a = %A4, %s = %AA4 at %b, %h, %n, %d, %f : (!square, !square) -> !square
    = select(%d == %f, 3.4445, 0.0) - 4.7750 * %a[%b, %h, %n, %d, %f] + 2.0315 * %s[%b, %h, %n, %d, %f]
  %X5 = tenon.contract "b h n e d, b h n d f -> b h n e f" %X4, %P4 : (!each, !square) -> !each

  %step = tenon.map %a = %X5, %l = %eta at %b, %h, %n, %c : (!each, !gate) -> !along = -%l[%b, %h, %n] * %a[%b, %h, %n, %c / 5, mod(%c, 5)]
  %Wfrom = tenon.reshape %W : !w -> !state
  %Wall, %Wto = tenon.scan %one, %one, %step decay (%alpha : !gate) from (%Wfrom : !state) layout ["d", "d", "b h n d", "b h n", "b h n d"] : !one, !one, !along -> !along, !state
  %Weach = tenon.reshape %Wall : !along -> !each
  %y = tenon.contract "b h n e, b h n e d -> b h n d" %phiq, %Weach : (!phi, !each) -> !v
  %Wafter = tenon.reshape %Wto : !state -> !w
  %Safter = tenon.reshape %Sto : !state -> !w
  return %y, %Wafter, %Safter : !v, !w, !w
}
