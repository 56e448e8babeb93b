// RUN: tenon-opt %s --tenon-raise-norms --canonicalize | FileCheck %s
// RUN: tenon-interpret %s --check-passes=tenon-raise-norms

tenon.symbol @S in [1, 64]
!x = tensor<?x8xf32, #tenon.dims<[S, 8]>>
!s = tensor<?xf32, #tenon.dims<[S]>>

// CHECK-LABEL: func.func @rms
// CHECK: %[[N:.*]] = tenon.norm rms %arg0 over 1 epsilon 9.99999997
// CHECK: tenon.map {{.*}} = %arg1, {{.*}} = %[[N]] at
// CHECK-NOT: tenon.reduce
func.func @rms(%x: !x, %w: tensor<8xf32>) -> !x {
  %q = tenon.map %a = %x at %i, %c : (!x) -> !x = let %v = %a[%i, %c] in %v * %v
  %s = tenon.reduce sum %q over [1] : !x -> !s
  %r = tenon.map %a = %s at %i : (!s) -> !s = 1.0 / sqrt(%a[%i] * 0.125 + 1.0e-6)
  %y = tenon.map %a = %x, %b = %r, %g = %w at %i, %c : (!x, !s, tensor<8xf32>) -> !x = %g[%c] * (%a[%i, %c] * %b[%i])
  return %y : !x
}

// The mean and the centred elements are maps of their own, the deviation divides.
// CHECK-LABEL: func.func @layer
// CHECK: %[[N:.*]] = tenon.norm layer %arg0 over 1 epsilon 9.99999974
// CHECK-NOT: tenon.reduce
func.func @layer(%x: !x) -> !x {
  %t = tenon.reduce sum %x over [1] : !x -> !s
  %m = tenon.map %a = %t at %i : (!s) -> !s = %a[%i] / 8.0
  %d = tenon.map %a = %x, %b = %m at %i, %c : (!x, !s) -> !x = %a[%i, %c] - %b[%i]
  %q = tenon.map %a = %d at %i, %c : (!x) -> !x = pow(%a[%i, %c], 2.0)
  %s = tenon.reduce sum %q over [1] : !x -> !s
  %r = tenon.map %a = %s at %i : (!s) -> !s = sqrt(%a[%i] / 8.0 + 1.0e-5)
  %y = tenon.map %a = %d, %b = %r at %i, %c : (!x, !s) -> !x = %a[%i, %c] / %b[%i]
  return %y : !x
}

// All of the reciprocal in the last map, written as a power.
// CHECK-LABEL: func.func @composed
// CHECK: tenon.norm rms %arg0
func.func @composed(%x: !x) -> !x {
  %q = tenon.map %a = %x at %i, %c : (!x) -> !x = let %v = %a[%i, %c] in %v * %v
  %s = tenon.reduce sum %q over [1] : !x -> !s
  %y = tenon.map %a = %x, %b = %s at %i, %c : (!x, !s) -> !x = pow(1.0e-6 + %b[%i] * 0.125, -0.5) * %a[%i, %c]
  return %y : !x
}

// Divided by another count than that of the row.
// CHECK-LABEL: func.func @other_count
// CHECK-NOT: tenon.norm
func.func @other_count(%x: !x) -> !x {
  %q = tenon.map %a = %x at %i, %c : (!x) -> !x = let %v = %a[%i, %c] in %v * %v
  %s = tenon.reduce sum %q over [1] : !x -> !s
  %y = tenon.map %a = %x, %b = %s at %i, %c : (!x, !s) -> !x = rsqrt(%b[%i] * 0.25 + 1.0e-6) * %a[%i, %c]
  return %y : !x
}

// The deviation of another tensor.
// CHECK-LABEL: func.func @other_tensor
// CHECK-NOT: tenon.norm
func.func @other_tensor(%x: !x, %z: !x) -> !x {
  %q = tenon.map %a = %z at %i, %c : (!x) -> !x = let %v = %a[%i, %c] in %v * %v
  %s = tenon.reduce sum %q over [1] : !x -> !s
  %y = tenon.map %a = %x, %b = %s at %i, %c : (!x, !s) -> !x = rsqrt(%b[%i] * 0.125 + 1.0e-6) * %a[%i, %c]
  return %y : !x
}
