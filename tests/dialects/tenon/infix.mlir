// Regions written as expressions; what is printed are the operations.
// RUN: tenon-opt %s | FileCheck %s
// RUN: tenon-opt %s | tenon-opt | FileCheck %s

tenon.symbol @N in [1, 64]

// CHECK-LABEL: func.func @capped
// CHECK: score (%[[X:.*]], %{{.*}}, %[[H:.*]], %[[I:.*]], %[[J:.*]], %[[S:.*]]) {
// CHECK: %[[TANH:.*]] = math.tanh
// CHECK: arith.mulf %[[TANH]]
// CHECK: tenon.load %[[S]][%[[H]]] : tensor<2xf32>
// CHECK: arith.subi %[[J]], %[[I]] : index
// CHECK: arith.sitofp
// CHECK: keep (
// CHECK: arith.cmpi sle
// CHECK: arith.cmpi slt
// CHECK: arith.andi
// CHECK: weight (
func.func @capped(%q: tensor<4x2x8xf32>, %slopes: tensor<2xf32>) -> tensor<4x2x8xf32> {
  %o = tenon.attention %q, (%q), (%q) captures (%slopes) normalise softmax empty zero layout ["n h d", "n h d", "n h d", "n h d"]
    : (tensor<4x2x8xf32>, tensor<4x2x8xf32>, tensor<4x2x8xf32>, tensor<2xf32>) -> tensor<4x2x8xf32>
    score (%x, %b, %h, %i, %j, %slope) = tanh(%x * 0.02) * 50 + %slope[%h] * (%j - %i)
    keep (%b, %h, %i, %j, %slope) = %j <= %i and %i - %j < 40
    weight (%p, %b, %h, %i, %j, %slope) = -%p * 2.0
  return %o : tensor<4x2x8xf32>
}

// The element type of the result decides: conditions, integers and floats meet by conversion.
// CHECK-LABEL: func.func @maps
// CHECK: arith.floordivsi
// CHECK: arith.cmpi eq
// CHECK: arith.xori
// CHECK: arith.maximumf
// CHECK: arith.index_cast %{{.*}} : i32 to index
// CHECK: arith.truncf %{{.*}} : f32 to f16
func.func @maps(%x: tensor<4x8xf32>, %ids: tensor<4xi32>) -> (tensor<4x8xi1>, tensor<4x8xf32>, tensor<4x8xf16>) {
  %blocks = tenon.map at %i, %j : () -> tensor<4x8xi1> = not (%i / 2 == mod(%j, 4) or false)
  %relu = tenon.map %a = %x at %i, %j : (tensor<4x8xf32>) -> tensor<4x8xf32> = max(%a[%i, %j], 0)
  %rows = tenon.map %a = %x, %n = %ids at %i, %j : (tensor<4x8xf32>, tensor<4xi32>) -> tensor<4x8xf16>
    = let %v = %a[%n[%i], 7 - %j] in select(%v < 0, exp(%v) - 1, sqrt(abs(%v)) + pow(%v, 2))
  return %blocks, %relu, %rows : tensor<4x8xi1>, tensor<4x8xf32>, tensor<4x8xf16>
}

// CHECK-LABEL: func.func @sizes
// CHECK: tenon.size #tenon.dim<N>
// CHECK: math.atan2
// CHECK: arith.fptosi
func.func @sizes(%x: tensor<?xf32, #tenon.dims<[N]>>) -> tensor<?xf32, #tenon.dims<[N]>> {
  %r = tenon.map %a = %x at %i : (tensor<?xf32, #tenon.dims<[N]>>) -> tensor<?xf32, #tenon.dims<[N]>>
    = atan2(%a[size(N) - 1 - %i], 2) + int(%a[%i])
  return %r : tensor<?xf32, #tenon.dims<[N]>>
}

// CHECK-LABEL: func.func @scalar
// CHECK: arith.constant 1.250000e+00 : f64
func.func @scalar() -> tensor<f64> {
  %s = tenon.map at () : () -> tensor<f64> = 1.25
  return %s : tensor<f64>
}
