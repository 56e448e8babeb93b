// Attention whose weights are a result, and one whose heads' weights are mixed.
tenon.symbol @N in [1, 64]
!q = tensor<2x?x4xf32, #tenon.dims<[2, N, 4]>>
!s = tensor<2x?x?xf32, #tenon.dims<[2, N, N]>>
func.func @main(%q: !q {tenon.name = "q"}, %w: tensor<2x2xf32> {tenon.name = "w"})
    -> (!q {tenon.name = "y"}, !s {tenon.name = "weights"}, !q {tenon.name = "z"}) attributes {tenon.entry} {
  %s = tenon.contract "h m k, h n k -> h m n" %q, %q : (!q, !q) -> !s
  %p = tenon.softmax %s over 2 : !s
  %y = tenon.contract "h m k, h k n -> h m n" %p, %q : (!s, !q) -> !q
  %t = tenon.contract "h m k, h n k -> h m n" %y, %q : (!q, !q) -> !s
  %r = tenon.softmax %t over 2 : !s
  %m = tenon.contract "h m n, h g -> g m n" %r, %w : (!s, tensor<2x2xf32>) -> !s
  %z = tenon.contract "h m k, h k n -> h m n" %m, %q : (!s, !q) -> !q
  return %y, %p, %z : !q, !s, !q
}
