// FastRPB: linear attention, and added to it a bias of the row and the column difference times the values.
!x = tensor<?x2x320x8xf32, #tenon.dims<[B, 2, 320, 8]>>
!grid = tensor<?x2x16x20x8xf32, #tenon.dims<[B, 2, 16, 20, 8]>>
!rows = tensor<?x2x16x8xf32, #tenon.dims<[B, 2, 16, 8]>>
!columns = tensor<?x2x20x8xf32, #tenon.dims<[B, 2, 20, 8]>>
!wr = tensor<2x31xf32>
!wc = tensor<2x39xf32>
tenon.symbol @B in [1, 16]
func.func @main(%q: !x {tenon.name = "q"}, %k: !x {tenon.name = "k"}, %v: !x {tenon.name = "v"}, %wr: !wr {tenon.name = "wr"},
                %wc: !wc {tenon.name = "wc"}) -> (!x {tenon.name = "y"}) attributes {tenon.entry} {
  %qf = tenon.map %a = %q at %b, %h, %n, %d : (!x) -> !x = exp(%a[%b, %h, %n, %d])
  %kf = tenon.map %a = %k at %b, %h, %n, %d : (!x) -> !x = exp(%a[%b, %h, %n, %d])
  %o = tenon.attention %qf, (%kf), (%v) normalise sum empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"] : (!x, !x, !x) -> !x
  // A bias r[y' - y] + c[x' - x] over a grid: the first sees sums of rows, the second sums of columns.
  %g = tenon.reshape %v : !x -> !grid
  %inRows = tenon.reduce sum %g over [3] : !grid -> !rows
  %inColumns = tenon.reduce sum %g over [2] : !grid -> !columns
  %r = tenon.toeplitz %inRows diagonals %wr form fft : (!rows, !wr) -> !rows
  %c = tenon.toeplitz %inColumns diagonals %wc form fft : (!columns, !wc) -> !columns
  %og = tenon.reshape %o : !x -> !grid
  %s = tenon.map %a = %og, %e = %r, %f = %c at %b, %h, %i, %j, %d : (!grid, !rows, !columns) -> !grid
      = %a[%b, %h, %i, %j, %d] + %e[%b, %h, %i, %d] + %f[%b, %h, %j, %d]
  %y = tenon.reshape %s : !grid -> !x
  return %y : !x
}
