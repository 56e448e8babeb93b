// CCT: sequence pooling, a softmax over tokens of one learned projection.
!x = tensor<?x?x40xf32, #tenon.dims<[B, N, 40]>>
!w = tensor<40xf32>
!c = tensor<f32>
!y = tensor<?x40xf32, #tenon.dims<[B, 40]>>
!rows = tensor<?x?xf32, #tenon.dims<[B, N]>>
tenon.symbol @B in [1, 64]
tenon.symbol @N in [1, 4096]
func.func @main(%x: !x {tenon.name = "x"}, %w: !w {tenon.name = "w"}, %c: !c {tenon.name = "c"})
    -> (!y {tenon.name = "y"}) attributes {tenon.entry} {
  %s = tenon.contract "b n c, c -> b n" %x, %w : (!x, !w) -> !rows
  %t = tenon.map %a = %s, %o = %c at %b, %n : (!rows, !c) -> !rows = %a[%b, %n] + %o[]
  %p = tenon.softmax %t over 1 : !rows
  %y = tenon.contract "b n, b n c -> b c" %p, %x : (!rows, !x) -> !y
  return %y : !y
}
