// Hiformer: a projection of its own for each feature token, and a composite one of low rank for all.
!x = tensor<?x5x24xf32, #tenon.dims<[B, 5, 24]>>
!w = tensor<5x24x32xf32>
!a = tensor<120x6xf32>
!c = tensor<6x160xf32>
!own = tensor<?x5x32xf32, #tenon.dims<[B, 5, 32]>>
!composite = tensor<?x5x32xf32, #tenon.dims<[B, 5, 32]>>
!flat = tensor<?x120xf32, #tenon.dims<[B, 120]>>
!low = tensor<?x6xf32, #tenon.dims<[B, 6]>>
!wide = tensor<?x160xf32, #tenon.dims<[B, 160]>>
tenon.symbol @B in [1, 4096]
func.func @main(%x: !x {tenon.name = "x"}, %w: !w {tenon.name = "w"}, %a: !a {tenon.name = "a"}, %c: !c {tenon.name = "c"})
    -> (!own {tenon.name = "own"}, !composite {tenon.name = "composite"}) attributes {tenon.entry} {
  %own = tenon.contract "b t d, t d e -> b t e" %x, %w : (!x, !w) -> !own
  %flat = tenon.reshape %x : !x -> !flat
  %low = tenon.contract "b k, k r -> b r" %flat, %a : (!flat, !a) -> !low
  %wide = tenon.contract "b r, r n -> b n" %low, %c : (!low, !c) -> !wide
  %composite = tenon.reshape %wide : !wide -> !composite
  return %own, %composite : !own, !composite
}
