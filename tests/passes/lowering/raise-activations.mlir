// RUN: tenon-opt %s --tenon-expand-math --split-input-file | FileCheck %s

// 0.0711997 is the slope of the variable in Gelu's polynomial; no exponent is taken
// apart for an erf. As an exporter writes it: div, erf, add, mul, mul.
// CHECK-LABEL: func.func @gelu
// CHECK-DAG: arith.constant dense<0.07119971{{.*}}> : vector<16xf32>
// CHECK-NOT: math.erf
// CHECK-NOT: arith.divf
// CHECK-NOT: copysign
// CHECK: return
func.func @gelu(%x: vector<16xf32>) -> vector<16xf32> {
  %root = arith.constant dense<1.41421354> : vector<16xf32>
  %one = arith.constant dense<1.0> : vector<16xf32>
  %half = arith.constant dense<0.5> : vector<16xf32>
  %a = arith.divf %x, %root : vector<16xf32>
  %b = math.erf %a : vector<16xf32>
  %c = arith.addf %b, %one : vector<16xf32>
  %d = arith.mulf %x, %c : vector<16xf32>
  %e = arith.mulf %d, %half : vector<16xf32>
  return %e : vector<16xf32>
}

// -----

// The other order of factors, on a scalar.
// CHECK-LABEL: func.func @half_first
// CHECK-DAG: arith.constant 0.07119971{{.*}} : f32
// CHECK-NOT: copysign
// CHECK: return
func.func @half_first(%x: f32) -> f32 {
  %k = arith.constant 0.707106769 : f32
  %one = arith.constant 1.0 : f32
  %half = arith.constant 0.5 : f32
  %h = arith.mulf %half, %x : f32
  %a = arith.mulf %x, %k : f32
  %b = math.erf %a : f32
  %c = arith.addf %one, %b : f32
  %e = arith.mulf %h, %c : f32
  return %e : f32
}

// -----

// One division at the end, and no sign to copy as tanh has.
// CHECK-LABEL: func.func @gelu_tanh
// CHECK-NOT: copysign
// CHECK-NOT: math.powf
// CHECK: arith.divf %arg0
// CHECK-NEXT: return
func.func @gelu_tanh(%x: vector<8xf32>) -> vector<8xf32> {
  %three = arith.constant dense<3.0> : vector<8xf32>
  %cubic = arith.constant dense<0.044715> : vector<8xf32>
  %slope = arith.constant dense<0.797884583> : vector<8xf32>
  %one = arith.constant dense<1.0> : vector<8xf32>
  %half = arith.constant dense<0.5> : vector<8xf32>
  %p = math.powf %x, %three : vector<8xf32>
  %q = arith.mulf %p, %cubic : vector<8xf32>
  %r = arith.addf %x, %q : vector<8xf32>
  %s = arith.mulf %r, %slope : vector<8xf32>
  %t = math.tanh %s : vector<8xf32>
  %u = arith.addf %t, %one : vector<8xf32>
  %h = arith.mulf %x, %half : vector<8xf32>
  %v = arith.mulf %h, %u : vector<8xf32>
  return %v : vector<8xf32>
}

// -----

// CHECK-LABEL: func.func @silu
// CHECK-COUNT-1: arith.divf %arg0
// CHECK-NOT: arith.divf
// CHECK: return
func.func @silu(%x: vector<8xf32>) -> vector<8xf32> {
  %one = arith.constant dense<1.0> : vector<8xf32>
  %n = arith.negf %x : vector<8xf32>
  %e = math.exp %n : vector<8xf32>
  %s = arith.addf %e, %one : vector<8xf32>
  %q = arith.divf %one, %s : vector<8xf32>
  %y = arith.mulf %x, %q : vector<8xf32>
  return %y : vector<8xf32>
}

// -----

// A value with another user, another constant, another argument: erf stays erf.
// CHECK-LABEL: func.func @not_gelu
// CHECK-COUNT-2: math.copysign
// CHECK: return
func.func @not_gelu(%x: f32, %y: f32) -> (f32, f32) {
  %k = arith.constant 0.707106769 : f32
  %one = arith.constant 1.0 : f32
  %half = arith.constant 0.5 : f32
  %third = arith.constant 0.3 : f32
  %a = arith.mulf %x, %k : f32
  %b = math.erf %a : f32
  %c = arith.addf %b, %one : f32
  %d = arith.mulf %x, %c : f32
  %e = arith.mulf %d, %third : f32
  %f = math.erf %y : f32
  %g = arith.addf %f, %one : f32
  %h = arith.mulf %y, %g : f32
  %i = arith.mulf %h, %half : f32
  return %e, %i : f32, f32
}
