// Rows behind rows, run after run; a recurrence; what a run that does not fit leaves behind.
// RUN: tenon-interpret %s --entry=push,push,sum,push,sum --input 0=1,2 | FileCheck %s --check-prefix=CHECK-CACHE
// RUN: tenon-interpret %s --entry=decay,decay,decay --input 0=8 | FileCheck %s --check-prefix=CHECK-DECAY
// RUN: not tenon-interpret %s --entry=push,push,push,push --input 0=1,2 2>&1 | FileCheck %s --check-prefix=CHECK-FULL
// RUN: tenon-interpret %s --entry=turn,turn | FileCheck %s --check-prefix=CHECK-TURN

tenon.symbol @P in [0, 3] kept
tenon.state @rows : tensor<3x2xf32>

// CHECK-CACHE: @push f32[1, 2]: {{\[}}[1, 2]]
// CHECK-CACHE: @push f32[2, 2]: {{\[}}[1, 2], [1, 2]]
// CHECK-CACHE: @sum f32[2]: [2, 4]
// CHECK-CACHE: @push f32[3, 2]: {{\[}}[1, 2], [1, 2], [1, 2]]
// CHECK-CACHE: @sum f32[2]: [3, 6]
// CHECK-FULL: the next @P is 4, wanted a value in [0, 3]
func.func @push(%x: tensor<1x2xf32>) -> tensor<?x2xf32, #tenon.dims<[P + 1, 2]>> {
  %old = tenon.state_get @rows : tensor<?x2xf32, #tenon.dims<[P, 2]>>
  %all = tenon.append %x to %old : tensor<1x2xf32> to tensor<?x2xf32, #tenon.dims<[P, 2]>> -> tensor<?x2xf32, #tenon.dims<[P + 1, 2]>>
  tenon.state_set @rows, %all : tensor<?x2xf32, #tenon.dims<[P + 1, 2]>>
  tenon.advance @P to #tenon.dim<P + 1>
  return %all : tensor<?x2xf32, #tenon.dims<[P + 1, 2]>>
}

func.func @sum() -> tensor<2xf32> {
  %all = tenon.state_get @rows : tensor<?x2xf32, #tenon.dims<[P, 2]>>
  %s = tenon.reduce sum %all over [0] : tensor<?x2xf32, #tenon.dims<[P, 2]>> -> tensor<2xf32>
  return %s : tensor<2xf32>
}

tenon.weight @half : tensor<1xf32> = dense<[0.5]> : tensor<1xf32>
tenon.state @level : tensor<1xf32> = @half

// 0.5 / 2 + 8, and so on: the state starts as its weight.
// CHECK-DECAY: @decay f32[1]: [8.25]
// CHECK-DECAY: @decay f32[1]: [12.125]
// CHECK-DECAY: @decay f32[1]: [14.0625]
func.func @decay(%x: tensor<1xf32>) -> tensor<1xf32> {
  %h = tenon.state_get @level : tensor<1xf32>
  %y = tenon.map %a = %h, %b = %x at %i : (tensor<1xf32>, tensor<1xf32>) -> tensor<1xf32> = %a[%i] * 0.5 + %b[%i]
  tenon.state_set @level, %y : tensor<1xf32>
  return %y : tensor<1xf32>
}

tenon.weight @one : tensor<1xf32> = dense<[1.0]> : tensor<1xf32>
tenon.weight @two : tensor<1xf32> = dense<[2.0]> : tensor<1xf32>
tenon.state @left : tensor<1xf32> = @one
tenon.state @right : tensor<1xf32> = @two

// All reads are of the states before the run, whatever the order of setting.
// CHECK-TURN: @turn f32[1]: [1]
// CHECK-TURN: @turn f32[1]: [2]
func.func @turn() -> tensor<1xf32> {
  %l = tenon.state_get @left : tensor<1xf32>
  tenon.state_set @right, %l : tensor<1xf32>
  %r = tenon.state_get @right : tensor<1xf32>
  tenon.state_set @left, %r : tensor<1xf32>
  return %l : tensor<1xf32>
}
