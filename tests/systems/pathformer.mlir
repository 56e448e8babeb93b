// Pathformer: the seasonality of its router, the three strongest frequencies of each series of 96 steps
!x = tensor<?x96x?xf32, #tenon.dims<[B, 96, V]>>
!real = tensor<?x96x?x1xf32, #tenon.dims<[B, 96, V, 1]>>
!spectrum = tensor<?x49x?x2xf32, #tenon.dims<[B, 49, V, 2]>>
!power = tensor<?x49x?xf32, #tenon.dims<[B, 49, V]>>
!pairs = tensor<?x49x?x49xf32, #tenon.dims<[B, 49, V, 49]>>
tenon.symbol @B in [1, 64]
tenon.symbol @V in [1, 512]
func.func @main(%x: !x {tenon.name = "x"}) -> (!x {tenon.name = "y"}) attributes {tenon.entry} {
  %series = tenon.reshape %x : !x -> !real
  %f = tenon.fft %series length #tenon.dim<96> axis 1 parts 3 : !real -> !spectrum
  // The mean and the frequency of half the steps never count; of equal ones the lower counts more.
  %power = tenon.map %a = %f at %b, %k, %v : (!spectrum) -> !power = select(%k == 0 or %k == 48, -1.0,
    %a[%b, %k, %v, 0] * %a[%b, %k, %v, 0] + %a[%b, %k, %v, 1] * %a[%b, %k, %v, 1])
  %above = tenon.map %a = %power at %b, %k, %v, %l : (!power) -> !pairs
    = let %own = %a[%b, %k, %v] in let %other = %a[%b, %l, %v] in select(%other > %own or (%other == %own and %l < %k), 1.0, 0.0)
  %rank = tenon.reduce sum %above over [3] : !pairs -> !power
  %kept = tenon.map %a = %f, %r = %rank at %b, %k, %v, %c : (!spectrum, !power) -> !spectrum
    = select(%r[%b, %k, %v] < 3, 2 * %a[%b, %k, %v, %c], 0.0)
  // The negative frequencies are conjugates: the real part of twice the positive ones is the sum of both.
  %s = tenon.fft inverse %kept length #tenon.dim<96> axis 1 parts 3 : !spectrum -> !real
  %y = tenon.reshape %s : !real -> !x
  return %y : !x
}
