// Scalar operations where a width, a sign or a NaN decides.
// RUN: tenon-interpret %s | FileCheck %s

// -7 by 2: towards zero, to minus infinity, to plus infinity, the remainder; -7 as an unsigned byte is 249.
// CHECK: @divisions i8[5]: [-3, -4, -3, -1, 124]
func.func @divisions() -> tensor<5xi8> {
  %r = tenon.map at %i : () -> tensor<5xi8> {
    %a = arith.constant -7 : i8
    %b = arith.constant 2 : i8
    %0 = arith.divsi %a, %b : i8
    %1 = arith.floordivsi %a, %b : i8
    %2 = arith.ceildivsi %a, %b : i8
    %3 = arith.remsi %a, %b : i8
    %4 = arith.divui %a, %b : i8
    %c1 = arith.constant 1 : index
    %c2 = arith.constant 2 : index
    %c3 = arith.constant 3 : index
    %c4 = arith.constant 4 : index
    %is1 = arith.cmpi eq, %i, %c1 : index
    %is2 = arith.cmpi eq, %i, %c2 : index
    %is3 = arith.cmpi eq, %i, %c3 : index
    %is4 = arith.cmpi eq, %i, %c4 : index
    %s1 = arith.select %is1, %1, %0 : i8
    %s2 = arith.select %is2, %2, %s1 : i8
    %s3 = arith.select %is3, %3, %s2 : i8
    %s4 = arith.select %is4, %4, %s3 : i8
    tenon.yield %s4 : i8
  }
  return %r : tensor<5xi8>
}

// A true i1 is -1 as a signed number and 1 as an unsigned one: 10 · -1 + 1.
// CHECK: @booleans f32[]: -9
func.func @booleans() -> tensor<f32> {
  %r = tenon.map at () : () -> tensor<f32> {
    %t = arith.constant true
    %s = arith.extsi %t : i1 to i32
    %ten = arith.constant 10 : i32
    %p = arith.muli %s, %ten : i32
    %f = arith.sitofp %p : i32 to f32
    %u = arith.uitofp %t : i1 to f32
    %v = arith.addf %f, %u : f32
    tenon.yield %v : f32
  }
  return %r : tensor<f32>
}

// maximumf gives the NaN, maxnumf the number.
// CHECK: @maxima f32[2]: [nan, 1]
func.func @maxima() -> tensor<2xf32> {
  %r = tenon.map at %i : () -> tensor<2xf32> {
    %one = arith.constant 1.0 : f32
    %nan = arith.constant 0x7fc00000 : f32
    %a = arith.maximumf %one, %nan : f32
    %b = arith.maxnumf %one, %nan : f32
    %c0 = arith.constant 0 : index
    %first = arith.cmpi eq, %i, %c0 : index
    %v = arith.select %first, %a, %b : f32
    tenon.yield %v : f32
  }
  return %r : tensor<2xf32>
}

// 300 wraps to 44 in 8 bits; the bits of 1.0f are 0x3f800000.
// CHECK: @bits i32[]: 1065353260
func.func @bits() -> tensor<i32> {
  %r = tenon.map at () : () -> tensor<i32> {
    %wide = arith.constant 300 : i32
    %narrow = arith.trunci %wide : i32 to i8
    %back = arith.extui %narrow : i8 to i32
    %one = arith.constant 1.0 : f32
    %bits = arith.bitcast %one : f32 to i32
    %v = arith.ori %bits, %back : i32
    tenon.yield %v : i32
  }
  return %r : tensor<i32>
}
