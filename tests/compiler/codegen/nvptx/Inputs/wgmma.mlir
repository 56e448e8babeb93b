// A layer in bf16, against panels, and a product of two tensors in f16, of which a kernel before it rounds one.
!x = tensor<?x128xbf16, #tenon.dims<[N, 128]>>
!h = tensor<?x192xf32, #tenon.dims<[N, 192]>>
!n = tensor<?x192xf16, #tenon.dims<[N, 192]>>
!y = tensor<?x80xf32, #tenon.dims<[N, 80]>>
tenon.symbol @N in [1, 4096]
tenon.weight @w : tensor<128x192xbf16> = #tenon.random<7, 5.0e-02>
tenon.weight @v : tensor<192x80xf16> = #tenon.random<8, 5.0e-02>
func.func @main(%x: !x {tenon.name = "x"}) -> (!y {tenon.name = "y"}) attributes {tenon.entry} {
  %w = tenon.get @w : tensor<128x192xbf16>
  %v = tenon.get @v : tensor<192x80xf16>
  %p = tenon.contract "m k, k n -> m n" %x, %w : (!x, tensor<128x192xbf16>) -> !h
  %r = tenon.map %s = %p at %i, %j : (!h) -> !h = max(%s[%i, %j], 0.0)
  %n = tenon.map %s = %r at %i, %j : (!h) -> !n {
    %a = tenon.load %s[%i, %j] : !h
    %b = arith.truncf %a : f32 to f16
    tenon.yield %b : f16
  }
  %y = tenon.contract "m k, k n -> m n" %n, %v : (!n, tensor<192x80xf16>) -> !y
  return %y : !y
}
