// MemoryFormer: signs of channel groups address tables, the rows found are weighted and summed.
!x = tensor<?x?x24xf32, #tenon.dims<[B, N, 24]>>
!table = tensor<6x16x20xf32>
!y = tensor<?x?x20xf32, #tenon.dims<[B, N, 20]>>
!at = tensor<?x?x6xi64, #tenon.dims<[B, N, 6]>>
!weight = tensor<?x?x6xf32, #tenon.dims<[B, N, 6]>>
!found = tensor<?x?x6x20xf32, #tenon.dims<[B, N, 6, 20]>>
tenon.symbol @B in [1, 64]
tenon.symbol @N in [1, 4096]
func.func @main(%x: !x {tenon.name = "x"}, %table: !table {tenon.name = "table"})
    -> (!y {tenon.name = "y"}) attributes {tenon.entry} {
  %at = tenon.map %a = %x at %b, %n, %g : (!x) -> !at =
    select(%a[%b, %n, %g * 4] >= 0, 1, 0) + select(%a[%b, %n, %g * 4 + 1] >= 0, 2, 0)
    + select(%a[%b, %n, %g * 4 + 2] >= 0, 4, 0) + select(%a[%b, %n, %g * 4 + 3] >= 0, 8, 0)
  %weight = tenon.map %a = %x at %b, %n, %g : (!x) -> !weight =
    1 / ((1 + exp(-2 * abs(%a[%b, %n, %g * 4]))) * (1 + exp(-2 * abs(%a[%b, %n, %g * 4 + 1])))
    * (1 + exp(-2 * abs(%a[%b, %n, %g * 4 + 2]))) * (1 + exp(-2 * abs(%a[%b, %n, %g * 4 + 3]))))
  %found = tenon.map %t = %table, %p = %at, %w = %weight at %b, %n, %g, %e : (!table, !at, !weight) -> !found =
    %t[%g, %p[%b, %n, %g], %e] * %w[%b, %n, %g]
  %y = tenon.reduce sum %found over [2] : !found -> !y
  return %y : !y
}
