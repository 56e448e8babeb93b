// Every kind of weight and recipe. In float64 a cast to f16 does not round; --plain does.
// RUN: tenon-interpret %s --digits 9 | FileCheck %s
// RUN: tenon-interpret %s --digits 9 --plain | FileCheck %s --check-prefix=PLAIN
tenon.weight @a : tensor<2x2xf32> = dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>
tenon.weight @b : tensor<2x1xf32> = dense<[[10.0], [20.0]]> : tensor<2x1xf32>
tenon.weight @third : tensor<1xf32> = dense<0.333333343> : tensor<1xf32>

tenon.weight @concat : tensor<2x3xf32> = #tenon.recipe<concat [@a, @b] {axis = 1}>
tenon.weight @transpose : tensor<3x2xf32> = #tenon.recipe<transpose [@concat] {permutation = array<i64: 1, 0>}>
tenon.weight @reshape : tensor<6xf32> = #tenon.recipe<reshape [@transpose]>
tenon.weight @slice : tensor<2xf32> = #tenon.recipe<slice [@reshape] {axis = 0, begin = 3}>
tenon.weight @scale : tensor<2xf32> = #tenon.recipe<scale [@slice] {factor = 0.5}>
tenon.weight @multiply : tensor<2x2xf32> = #tenon.recipe<multiply [@a, @b]>
tenon.weight @add : tensor<2x2xf32> = #tenon.recipe<add [@a, @scale]>
tenon.weight @panels : tensor<2x2x2xf32> = #tenon.recipe<panels [@concat] {width = 2}>
tenon.weight @cast : tensor<1xf16> = #tenon.recipe<cast [@third]>

// CHECK: @all f32[2, 3]: {{\[}}[1, 2, 10], [3, 4, 20]]
// CHECK: @all f32[6]: [1, 3, 2, 4, 10, 20]
// CHECK: @all f32[2]: [4, 10]
// CHECK: @all f32[2, 2]: {{\[}}[10, 20], [60, 80]]
// CHECK: @all f32[2, 2]: {{\[}}[3, 7], [5, 9]]
// CHECK: @all f32[2, 2, 2]: {{\[\[}}[1, 2], [3, 4]], {{\[}}[10, 0], [20, 0]]]
// CHECK: @all f16[1]: [0.333333343]
// PLAIN: @all f16[1]: [0.333251953]
func.func @all() -> (tensor<2x3xf32>, tensor<6xf32>, tensor<2xf32>, tensor<2x2xf32>, tensor<2x2xf32>, tensor<2x2x2xf32>, tensor<1xf16>) {
  %0 = tenon.get @concat : tensor<2x3xf32>
  %1 = tenon.get @reshape : tensor<6xf32>
  %2 = tenon.get @slice : tensor<2xf32>
  %3 = tenon.get @multiply : tensor<2x2xf32>
  %4 = tenon.get @add : tensor<2x2xf32>
  %5 = tenon.get @panels : tensor<2x2x2xf32>
  %6 = tenon.get @cast : tensor<1xf16>
  return %0, %1, %2, %3, %4, %5, %6 : tensor<2x3xf32>, tensor<6xf32>, tensor<2xf32>, tensor<2x2xf32>, tensor<2x2xf32>, tensor<2x2x2xf32>, tensor<1xf16>
}
