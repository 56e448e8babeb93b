// Titans: a chunk of a memory of two layers that learns: gradients at its start, momentum, then forgetting
!k = tensor<?x2x?x4xf32, #tenon.dims<[B, 2, N, 4]>>
!m = tensor<?x2x?x16xf32, #tenon.dims<[B, 2, N, 16]>>
!gate = tensor<?x2x?xf32, #tenon.dims<[B, 2, N]>>
!w1 = tensor<?x2x4x16xf32, #tenon.dims<[B, 2, 4, 16]>>
!w2 = tensor<?x2x16x4xf32, #tenon.dims<[B, 2, 16, 4]>>
!state = tensor<?x2x1x64xf32, #tenon.dims<[B, 2, 1, 64]>>
!along = tensor<?x2x?x64xf32, #tenon.dims<[B, 2, N, 64]>>
!each1 = tensor<?x2x?x4x16xf32, #tenon.dims<[B, 2, N, 4, 16]>>
!each2 = tensor<?x2x?x16x4xf32, #tenon.dims<[B, 2, N, 16, 4]>>
!one = tensor<1xf32>
tenon.symbol @B in [1, 64]
tenon.symbol @N in [1, 256]
func.func @main(%q: !k {tenon.name = "q"}, %k: !k {tenon.name = "k"}, %v: !k {tenon.name = "v"},
                %eta: !gate {tenon.name = "eta"}, %theta: !gate {tenon.name = "theta"}, %alpha: !gate {tenon.name = "alpha"},
                %W1: !w1 {tenon.name = "W1"}, %W2: !w2 {tenon.name = "W2"}, %S1: !w1 {tenon.name = "S1"}, %S2: !w2 {tenon.name = "S2"})
    -> (!k {tenon.name = "y"}, !w1 {tenon.name = "W1 after"}, !w2 {tenon.name = "W2 after"}, !w1 {tenon.name = "S1 after"}, !w2 {tenon.name = "S2 after"}) attributes {tenon.entry} {
  %keeps = tenon.map %a = %eta at %b, %h, %n : (!gate) -> !gate = 1 / (1 + exp(-%a[%b, %h, %n]))
  %learns = tenon.map %a = %theta at %b, %h, %n : (!gate) -> !gate = 1 / (1 + exp(-%a[%b, %h, %n]))
  %stays = tenon.map %a = %alpha at %b, %h, %n : (!gate) -> !gate = 1 / (1 + exp(%a[%b, %h, %n]))

  // The gradients of |M(k) - v|^2 for M(x) = x + silu(x W1) W2, each token's at the weights of the chunk's start.
  %p = tenon.contract "b h n d, b h d m -> b h n m" %k, %W1 : (!k, !w1) -> !m
  %a1 = tenon.map %a = %p at %b, %h, %n, %m : (!m) -> !m = let %x = %a[%b, %h, %n, %m] in %x / (1 + exp(-%x))
  %r = tenon.contract "b h n m, b h m d -> b h n d" %a1, %W2 : (!m, !w2) -> !k
  %e = tenon.map %a = %r, %x = %k, %t = %v at %b, %h, %n, %d : (!k, !k, !k) -> !k
    = 2 * (%a[%b, %h, %n, %d] + %x[%b, %h, %n, %d] - %t[%b, %h, %n, %d])
  %back = tenon.contract "b h n d, b h m d -> b h n m" %e, %W2 : (!k, !w2) -> !m
  %inner = tenon.map %a = %back, %x = %p at %b, %h, %n, %m : (!m, !m) -> !m
    = let %t = %x[%b, %h, %n, %m] in let %s = 1 / (1 + exp(-%t)) in %a[%b, %h, %n, %m] * %s * (1 + %t * (1 - %s))
  %g1 = tenon.map %a = %k, %x = %inner, %l = %learns at %b, %h, %n, %c : (!k, !m, !gate) -> !along
    = -%l[%b, %h, %n] * %a[%b, %h, %n, %c / 16] * %x[%b, %h, %n, mod(%c, 16)]
  %g2 = tenon.map %a = %a1, %x = %e, %l = %learns at %b, %h, %n, %c : (!m, !k, !gate) -> !along
    = -%l[%b, %h, %n] * %a[%b, %h, %n, %c / 4] * %x[%b, %h, %n, mod(%c, 4)]

  // Two recurrences over the gradients: S = keeps S - learns G, W = stays W + S.
  %one = tenon.map at %d : () -> !one = 1.0
  %S1from = tenon.reshape %S1 : !w1 -> !state
  %S2from = tenon.reshape %S2 : !w2 -> !state
  %W1from = tenon.reshape %W1 : !w1 -> !state
  %W2from = tenon.reshape %W2 : !w2 -> !state
  %S1all, %S1to = tenon.scan %one, %one, %g1 decay (%keeps : !gate) from (%S1from : !state) layout ["d", "d", "b h n d", "b h n", "b h n d"] : !one, !one, !along -> !along, !state
  %S2all, %S2to = tenon.scan %one, %one, %g2 decay (%keeps : !gate) from (%S2from : !state) layout ["d", "d", "b h n d", "b h n", "b h n d"] : !one, !one, !along -> !along, !state
  %W1all, %W1to = tenon.scan %one, %one, %S1all decay (%stays : !gate) from (%W1from : !state) layout ["d", "d", "b h n d", "b h n", "b h n d"] : !one, !one, !along -> !along, !state
  %W2all, %W2to = tenon.scan %one, %one, %S2all decay (%stays : !gate) from (%W2from : !state) layout ["d", "d", "b h n d", "b h n", "b h n d"] : !one, !one, !along -> !along, !state

  // Every query at the weights of its token.
  %W1each = tenon.reshape %W1all : !along -> !each1
  %W2each = tenon.reshape %W2all : !along -> !each2
  %pq = tenon.contract "b h n d, b h n d m -> b h n m" %q, %W1each : (!k, !each1) -> !m
  %aq = tenon.map %a = %pq at %b, %h, %n, %m : (!m) -> !m = let %x = %a[%b, %h, %n, %m] in %x / (1 + exp(-%x))
  %rq = tenon.contract "b h n m, b h n m d -> b h n d" %aq, %W2each : (!m, !each2) -> !k
  %y = tenon.map %a = %rq, %x = %q at %b, %h, %n, %d : (!k, !k) -> !k = %a[%b, %h, %n, %d] + %x[%b, %h, %n, %d]
  %W1after = tenon.reshape %W1to : !state -> !w1
  %W2after = tenon.reshape %W2to : !state -> !w2
  %S1after = tenon.reshape %S1to : !state -> !w1
  %S2after = tenon.reshape %S2to : !state -> !w2
  return %y, %W1after, %W2after, %S1after, %S2after : !k, !w1, !w2, !w1, !w2
}
