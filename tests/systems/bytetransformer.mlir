// ByteTransformer: sentences packed without padding, block-diagonal by the offsets where they begin.
!x = tensor<?x3x4x16xf32, #tenon.dims<[T, 3, 4, 16]>>
!bias = tensor<3x4x16xf32>
!o = tensor<?xi64, #tenon.dims<[D]>>
!pairs = tensor<?x?xi64, #tenon.dims<[T, D]>>
!ids = tensor<?xi64, #tenon.dims<[T]>>
!y = tensor<?x4x16xf32, #tenon.dims<[T, 4, 16]>>
tenon.symbol @T in [1, 4096]
tenon.symbol @D in [1, 64]
func.func @main(%qkv: !x {tenon.name = "qkv"}, %bias: !bias {tenon.name = "bias"}, %offsets: !o {tenon.name = "offsets"})
    -> (!y {tenon.name = "y"}) attributes {tenon.entry} {
  %with = tenon.map %a = %qkv, %c = %bias at %t, %s, %h, %d : (!x, !bias) -> !x = %a[%t, %s, %h, %d] + %c[%s, %h, %d]
  %begun = tenon.map %o = %offsets at %t, %d : (!o) -> !pairs = select(%o[%d] <= %t, 1, 0)
  %id = tenon.reduce sum %begun over [1] : !pairs -> !ids
  %y = tenon.attention %with, (%with), (%with) captures (%id) normalise softmax empty zero layout ["n 0 h d", "n 1 h d", "n 2 h d", "n h d"]
    : (!x, !x, !x, !ids) -> !y
    score (%x, %b, %h, %i, %j, %id) = %x * 0.25
    keep (%b, %h, %i, %j, %id) = %id[%i] == %id[%j]
  return %y : !y
}
