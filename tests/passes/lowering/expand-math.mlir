// RUN: tenon-opt %s --tenon-expand-math --split-input-file --verify-diagnostics | FileCheck %s

// One rounding, a polynomial, two factors of the power of two.
// CHECK-LABEL: func.func @exp
// CHECK-NOT: math.exp
// CHECK: arith.shli
// CHECK-COUNT-2: arith.mulf {{.*}} fastmath<contract> : vector<16xf32>
func.func @exp(%x: vector<16xf32>) -> vector<16xf32> {
  %y = math.exp %x : vector<16xf32>
  return %y : vector<16xf32>
}

// -----

// Scalars take the same code; f16 and bf16 are widened once around it.
// CHECK-LABEL: func.func @narrow
// CHECK: arith.extf {{.*}} : f16 to f32
// CHECK-NOT: math.tanh
// CHECK: arith.truncf {{.*}} : f32 to f16
// CHECK: arith.bitcast {{.*}} : vector<8xbf16> to vector<8xi16>
// CHECK-NOT: arith.extf
// CHECK-NOT: math.erf
// CHECK-NOT: arith.truncf
// CHECK: arith.bitcast {{.*}} : vector<8xi16> to vector<8xbf16>
func.func @narrow(%x: f16, %v: vector<8xbf16>) -> (f16, vector<8xbf16>) {
  %y = math.tanh %x : f16
  %w = math.erf %v : vector<8xbf16>
  return %y, %w : f16, vector<8xbf16>
}

// -----

// What is one instruction stays.
// CHECK-LABEL: func.func @instructions
// CHECK-NEXT: math.fma
// CHECK-NEXT: math.sqrt
// CHECK-NEXT: math.absf
// CHECK-NEXT: math.floor
// CHECK-NEXT: math.roundeven
// CHECK-NEXT: math.copysign
// CHECK-NEXT: return
func.func @instructions(%x: vector<8xf32>) -> vector<8xf32> {
  %a = math.fma %x, %x, %x : vector<8xf32>
  %b = math.sqrt %a : vector<8xf32>
  %c = math.absf %b : vector<8xf32>
  %d = math.floor %c : vector<8xf32>
  %e = math.roundeven %d : vector<8xf32>
  %f = math.copysign %e, %x : vector<8xf32>
  return %f : vector<8xf32>
}

// -----

// Squares and cubes are products, not powers.
// CHECK-LABEL: func.func @powers
// CHECK-SAME: (%[[X:.*]]: vector<8xf32>, %[[Y:.*]]: vector<8xf32>)
// CHECK: arith.mulf %[[X]], %[[X]]
// CHECK-NOT: arith.extf
// CHECK: return
func.func @powers(%x: vector<8xf32>, %y: vector<8xf32>) -> vector<8xf32> {
  %two = arith.constant dense<2.0> : vector<8xf32>
  %z = math.powf %x, %two : vector<8xf32>
  return %z : vector<8xf32>
}

// -----

// CHECK-LABEL: func.func @both
// CHECK-NOT: math.sincos
// CHECK: return
func.func @both(%x: f32) -> (f32, f32) {
  %s, %c = math.sincos %x : f32
  return %s, %c : f32, f32
}

// -----

// CHECK-LABEL: func.func @wide
// CHECK-NOT: math.{{erf|sin}}
// CHECK: return
func.func @wide(%x: f64) -> f64 {
  %y = math.erf %x : f64
  %z = math.sin %y : f64
  return %z : f64
}

// -----

func.func @wider(%x: f80) -> f80 {
  // expected-error @+1 {{has no expansion for 'f80'; wanted f32, f64, f16, bf16 or a vector of them}}
  %y = math.erf %x : f80
  return %y : f80
}
