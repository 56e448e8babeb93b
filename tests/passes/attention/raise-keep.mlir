// RUN: tenon-opt %s --tenon-raise-keep | FileCheck %s
// RUN: tenon-interpret %s --check-passes=tenon-raise-keep --int-range=0..1
// RUN: tenon-interpret %s --check-passes=tenon-raise-keep --int-range=0..0
// RUN: tenon-interpret %s --check-passes=tenon-raise-keep --int-range=1..1

// The mask PyTorch's exporter adds. A row without live keys has equal weights, the guard stays.
// CHECK-LABEL: func.func @added_finite
// CHECK: captures (%arg1) normalise softmax empty uniform
// CHECK: score (%[[X:[a-z0-9]+]], {{.*}}) {
// CHECK: %[[Y:.*]] = arith.mulf %[[X]]
// CHECK-NEXT: tenon.yield %[[Y]]
// CHECK: keep (%[[B:[a-z0-9]+]], %{{.*}}, %{{.*}}, %[[J:[a-z0-9]+]], %[[M:[a-z0-9]+]]) {
// CHECK: tenon.load %[[M]][%[[B]], %[[J]]]
// CHECK: %[[LIVE:.*]] = arith.cmpi ne
// CHECK: tenon.yield %[[LIVE]]
// CHECK: weight (
func.func @added_finite(%q: tensor<2x3x5x4xf32>, %mask: tensor<2x5xi64>) -> tensor<2x3x5x4xf32> {
  %o = tenon.attention %q, (%q), (%q) captures (%mask) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
      : (tensor<2x3x5x4xf32>, tensor<2x3x5x4xf32>, tensor<2x3x5x4xf32>, tensor<2x5xi64>) -> tensor<2x3x5x4xf32>
    score (%x, %b, %h, %i, %j, %m) {
      %zero = arith.constant 0 : i64
      %scale = arith.constant 0.5 : f32
      %live = arith.constant 0.0 : f32
      %dead = arith.constant -3.40282347E+38 : f32
      %0 = arith.mulf %x, %scale : f32
      %1 = tenon.load %m[%b, %j] : tensor<2x5xi64>
      %2 = arith.cmpi ne, %1, %zero : i64
      %3 = arith.select %2, %live, %dead : f32
      %4 = arith.addf %0, %3 : f32
      tenon.yield %4 : f32
    } weight (%p, %b, %h, %i, %j, %m) {
      %zero = arith.constant 0.0 : f32
      %0 = arith.cmpf uno, %p, %p : f32
      %1 = arith.select %0, %zero, %p : f32
      tenon.yield %1 : f32
    }
  return %o : tensor<2x3x5x4xf32>
}

// Causal and a key mask, both -inf, one selected and one added; a row without live keys is NaN.
// CHECK-LABEL: func.func @two_infinite
// CHECK: normalise softmax empty nan
// CHECK-NOT: score (
// CHECK: keep (
// CHECK: arith.cmpi
// CHECK: arith.cmpi
// CHECK: arith.andi
func.func @two_infinite(%q: tensor<2x3x5x4xf32>, %mask: tensor<2x5xi64>) -> tensor<2x3x5x4xf32> {
  %o = tenon.attention %q, (%q), (%q) captures (%mask) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
      : (tensor<2x3x5x4xf32>, tensor<2x3x5x4xf32>, tensor<2x3x5x4xf32>, tensor<2x5xi64>) -> tensor<2x3x5x4xf32>
    score (%x, %b, %h, %i, %j, %m) {
      %zero = arith.constant 0 : i64
      %live = arith.constant 0.0 : f32
      %dead = arith.constant 0xFF800000 : f32
      %causal = arith.cmpi sgt, %j, %i : index
      %0 = arith.select %causal, %dead, %x : f32
      %1 = tenon.load %m[%b, %j] : tensor<2x5xi64>
      %2 = arith.cmpi ne, %1, %zero : i64
      %3 = arith.select %2, %live, %dead : f32
      %4 = arith.addf %0, %3 : f32
      tenon.yield %4 : f32
    }
  return %o : tensor<2x3x5x4xf32>
}

// -inf before a guard against NaN: a row without live keys is zero.
// CHECK-LABEL: func.func @guarded_infinite
// CHECK: normalise softmax empty zero
// CHECK: keep (
func.func @guarded_infinite(%q: tensor<2x3x5x4xf32>, %mask: tensor<2x5xi64>) -> tensor<2x3x5x4xf32> {
  %o = tenon.attention %q, (%q), (%q) captures (%mask) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
      : (tensor<2x3x5x4xf32>, tensor<2x3x5x4xf32>, tensor<2x3x5x4xf32>, tensor<2x5xi64>) -> tensor<2x3x5x4xf32>
    score (%x, %b, %h, %i, %j, %m) {
      %zero = arith.constant 0 : i64
      %dead = arith.constant 0xFF800000 : f32
      %0 = tenon.load %m[%b, %j] : tensor<2x5xi64>
      %1 = arith.cmpi ne, %0, %zero : i64
      %2 = arith.select %1, %x, %dead : f32
      tenon.yield %2 : f32
    } weight (%p, %b, %h, %i, %j, %m) {
      %zero = arith.constant 0.0 : f32
      %0 = arith.cmpf uno, %p, %p : f32
      %1 = arith.select %0, %zero, %p : f32
      tenon.yield %1 : f32
    }
  return %o : tensor<2x3x5x4xf32>
}

// A mild value does not absorb the score.
// CHECK-LABEL: func.func @mild
// CHECK: normalise softmax empty zero
// CHECK: score (
// CHECK-NOT: keep (
func.func @mild(%q: tensor<2x3x5x4xf32>) -> tensor<2x3x5x4xf32> {
  %o = tenon.attention %q, (%q), (%q) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
      : (tensor<2x3x5x4xf32>, tensor<2x3x5x4xf32>, tensor<2x3x5x4xf32>) -> tensor<2x3x5x4xf32>
    score (%x, %b, %h, %i, %j) {
      %live = arith.constant 0.0 : f32
      %dead = arith.constant -1.0e4 : f32
      %0 = arith.cmpi sle, %j, %i : index
      %1 = arith.select %0, %live, %dead : f32
      %2 = arith.addf %x, %1 : f32
      tenon.yield %2 : f32
    }
  return %o : tensor<2x3x5x4xf32>
}

// Two finite masks add up to -inf where both are dead.
// CHECK-LABEL: func.func @two_finite
// CHECK: score (
// CHECK-NOT: keep (
func.func @two_finite(%q: tensor<2x3x5x4xf32>, %mask: tensor<2x5xi64>) -> tensor<2x3x5x4xf32> {
  %o = tenon.attention %q, (%q), (%q) captures (%mask) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
      : (tensor<2x3x5x4xf32>, tensor<2x3x5x4xf32>, tensor<2x3x5x4xf32>, tensor<2x5xi64>) -> tensor<2x3x5x4xf32>
    score (%x, %b, %h, %i, %j, %m) {
      %zero = arith.constant 0 : i64
      %live = arith.constant 0.0 : f32
      %dead = arith.constant -3.40282347E+38 : f32
      %causal = arith.cmpi sle, %j, %i : index
      %0 = arith.select %causal, %live, %dead : f32
      %1 = tenon.load %m[%b, %j] : tensor<2x5xi64>
      %2 = arith.cmpi ne, %1, %zero : i64
      %3 = arith.select %2, %live, %dead : f32
      %4 = arith.addf %x, %0 : f32
      %5 = arith.addf %4, %3 : f32
      tenon.yield %5 : f32
    }
  return %o : tensor<2x3x5x4xf32>
}

// A condition on the score itself is no mask.
// CHECK-LABEL: func.func @threshold
// CHECK: score (
// CHECK-NOT: keep (
func.func @threshold(%q: tensor<2x3x5x4xf32>) -> tensor<2x3x5x4xf32> {
  %o = tenon.attention %q, (%q), (%q) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
      : (tensor<2x3x5x4xf32>, tensor<2x3x5x4xf32>, tensor<2x3x5x4xf32>) -> tensor<2x3x5x4xf32>
    score (%x, %b, %h, %i, %j) {
      %zero = arith.constant 0.0 : f32
      %dead = arith.constant 0xFF800000 : f32
      %0 = arith.cmpf ogt, %x, %zero : f32
      %1 = arith.select %0, %x, %dead : f32
      tenon.yield %1 : f32
    }
  return %o : tensor<2x3x5x4xf32>
}

// Near miss: what follows the softmax makes something of a row of dead keys, or of a dead key's weight.
// CHECK-LABEL: func.func @zeroed_rows
// CHECK: score (
// CHECK-NOT: keep (
func.func @zeroed_rows(%q: tensor<2x3x5x4xf32>, %mask: tensor<2x5x5xi1>, %empty: tensor<2x5xi1>) -> tensor<2x3x5x4xf32> {
  %o = tenon.attention %q, (%q), (%q) captures (%mask, %empty) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
      : (tensor<2x3x5x4xf32>, tensor<2x3x5x4xf32>, tensor<2x3x5x4xf32>, tensor<2x5x5xi1>, tensor<2x5xi1>) -> tensor<2x3x5x4xf32>
    score (%x, %b, %h, %i, %j, %m, %e) {
      %live = arith.constant 0.0 : f32
      %dead = arith.constant 0xFF800000 : f32
      %0 = tenon.load %m[%b, %i, %j] : tensor<2x5x5xi1>
      %1 = arith.select %0, %live, %dead : f32
      %2 = arith.addf %x, %1 : f32
      tenon.yield %2 : f32
    } weight (%p, %b, %h, %i, %j, %m, %e) {
      %zero = arith.constant 0.0 : f32
      %0 = tenon.load %e[%b, %i] : tensor<2x5xi1>
      %1 = arith.select %0, %zero, %p : f32
      tenon.yield %1 : f32
    }
  return %o : tensor<2x3x5x4xf32>
}

// Keys in a window, and a learned sink behind them: the mask is on the side of the keys.
// CHECK-LABEL: func.func @beside_a_sink
// CHECK: normalise softmax empty uniform
// CHECK: score (%{{.*}}) {
// CHECK-NOT: E+38
// CHECK: keep (%{{[a-z0-9]+}}, %{{[a-z0-9]+}}, %[[I:[a-z0-9]+]], %[[J:[a-z0-9]+]], %{{.*}}) {
// CHECK: %[[KEYS:.*]] = arith.cmpi slt, %[[J]]
// CHECK: %[[NEAR:.*]] = arith.cmpi sgt
// CHECK: %[[SINK:.*]] = arith.xori %[[KEYS]]
// CHECK: %[[LIVE:.*]] = arith.ori %[[SINK]], %[[NEAR]]
// CHECK: tenon.yield %[[LIVE]]
func.func @beside_a_sink(%q: tensor<2x3x6x4xf32>, %sink: tensor<3xf32>) -> tensor<2x3x6x4xf32> {
  %o = tenon.attention %q, (%q), (%q) captures (%sink) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
      : (tensor<2x3x6x4xf32>, tensor<2x3x6x4xf32>, tensor<2x3x6x4xf32>, tensor<3xf32>) -> tensor<2x3x6x4xf32>
    score (%x, %b, %h, %i, %j, %s) {
      %n = arith.constant 5 : index
      %two = arith.constant 2 : index
      %live = arith.constant 0.0 : f32
      %dead = arith.constant -3.40282347E+38 : f32
      %isKey = arith.cmpi slt, %j, %n : index
      %before = arith.subi %i, %two : index
      %near = arith.cmpi sgt, %j, %before : index
      %mask = arith.select %near, %live, %dead : f32
      %0 = arith.addf %x, %mask : f32
      %1 = tenon.load %s[%h] : tensor<3xf32>
      %2 = arith.select %isKey, %0, %1 : f32
      tenon.yield %2 : f32
    }
  return %o : tensor<2x3x6x4xf32>
}

// Masks on both sides and beside them: which sum is dead twice depends on the position.
// CHECK-LABEL: func.func @beside_and_inside
// CHECK: normalise softmax empty zero
// CHECK-NOT: keep
// CHECK: return
func.func @beside_and_inside(%q: tensor<2x3x6x4xf32>) -> tensor<2x3x6x4xf32> {
  %o = tenon.attention %q, (%q), (%q) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
      : (tensor<2x3x6x4xf32>, tensor<2x3x6x4xf32>, tensor<2x3x6x4xf32>) -> tensor<2x3x6x4xf32>
    score (%x, %b, %h, %i, %j) {
      %n = arith.constant 5 : index
      %live = arith.constant 0.0 : f32
      %dead = arith.constant -3.40282347E+38 : f32
      %isKey = arith.cmpi slt, %j, %n : index
      %past = arith.cmpi sle, %j, %i : index
      %mask = arith.select %past, %live, %dead : f32
      %0 = arith.addf %x, %mask : f32
      %1 = arith.select %isKey, %0, %x : f32
      %odd = arith.cmpi ne, %j, %i : index
      %more = arith.select %odd, %live, %dead : f32
      %2 = arith.addf %1, %more : f32
      tenon.yield %2 : f32
    }
  return %o : tensor<2x3x6x4xf32>
}

// A choice by the score is no choice of keys.
// CHECK-LABEL: func.func @chosen_by_score
// CHECK-NOT: keep
// CHECK: return
func.func @chosen_by_score(%q: tensor<2x3x6x4xf32>) -> tensor<2x3x6x4xf32> {
  %o = tenon.attention %q, (%q), (%q) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
      : (tensor<2x3x6x4xf32>, tensor<2x3x6x4xf32>, tensor<2x3x6x4xf32>) -> tensor<2x3x6x4xf32>
    score (%x, %b, %h, %i, %j) {
      %live = arith.constant 0.0 : f32
      %dead = arith.constant -3.40282347E+38 : f32
      %isLarge = arith.cmpf ogt, %x, %live : f32
      %past = arith.cmpi sle, %j, %i : index
      %mask = arith.select %past, %live, %dead : f32
      %0 = arith.addf %x, %mask : f32
      %1 = arith.select %isLarge, %0, %x : f32
      tenon.yield %1 : f32
    }
  return %o : tensor<2x3x6x4xf32>
}

// -1e9 in place of a score excludes the key: `masked_fill(mask, -1e9)`; two of them, one inside the other, are one mask.
// CHECK-LABEL: func.func @replaced_mildly
// CHECK: normalise softmax empty uniform
// CHECK-NOT: score (
// CHECK: keep (
// CHECK: %[[KEY:.*]] = arith.cmpi ne
// CHECK: %[[PAST:.*]] = arith.cmpi sle
// CHECK: arith.andi %[[PAST]], %[[KEY]]
func.func @replaced_mildly(%q: tensor<2x3x5x4xf32>, %mask: tensor<2x5xi64>) -> tensor<2x3x5x4xf32> {
  %o = tenon.attention %q, (%q), (%q) captures (%mask) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
      : (tensor<2x3x5x4xf32>, tensor<2x3x5x4xf32>, tensor<2x3x5x4xf32>, tensor<2x5xi64>) -> tensor<2x3x5x4xf32>
    score (%x, %b, %h, %i, %j, %m) {
      %zero = arith.constant 0 : i64
      %dead = arith.constant -1.0E+9 : f32
      %1 = tenon.load %m[%b, %j] : tensor<2x5xi64>
      %2 = arith.cmpi ne, %1, %zero : i64
      %3 = arith.select %2, %x, %dead : f32
      %past = arith.cmpi sle, %j, %i : index
      %4 = arith.select %past, %3, %dead : f32
      tenon.yield %4 : f32
    }
  return %o : tensor<2x3x5x4xf32>
}

// Added, it does not absorb the score; with something added to it, dead keys differ; two that differ do as well;
// -1e4 may be nearer to a score than an exponential resolves.
// CHECK-LABEL: func.func @added_mildly
// CHECK-NOT: keep
// CHECK-LABEL: func.func @replaced_and_added
// CHECK-NOT: keep
// CHECK-LABEL: func.func @replaced_by_two
// CHECK: keep (
// CHECK-NOT: arith.andi
// CHECK-LABEL: func.func @replaced_too_mildly
// CHECK-NOT: keep
func.func @added_mildly(%q: tensor<2x3x5x4xf32>) -> tensor<2x3x5x4xf32> {
  %o = tenon.attention %q, (%q), (%q) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
      : (tensor<2x3x5x4xf32>, tensor<2x3x5x4xf32>, tensor<2x3x5x4xf32>) -> tensor<2x3x5x4xf32>
    score (%x, %b, %h, %i, %j) {
      %live = arith.constant 0.0 : f32
      %dead = arith.constant -1.0E+9 : f32
      %past = arith.cmpi slt, %j, %i : index
      %0 = arith.select %past, %live, %dead : f32
      %1 = arith.addf %x, %0 : f32
      tenon.yield %1 : f32
    }
  return %o : tensor<2x3x5x4xf32>
}
func.func @replaced_and_added(%q: tensor<2x3x5x4xf32>, %bias: tensor<5x5xf32>) -> tensor<2x3x5x4xf32> {
  %o = tenon.attention %q, (%q), (%q) captures (%bias) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
      : (tensor<2x3x5x4xf32>, tensor<2x3x5x4xf32>, tensor<2x3x5x4xf32>, tensor<5x5xf32>) -> tensor<2x3x5x4xf32>
    score (%x, %b, %h, %i, %j, %t) {
      %dead = arith.constant -1.0E+9 : f32
      %past = arith.cmpi slt, %j, %i : index
      %0 = arith.select %past, %x, %dead : f32
      %1 = tenon.load %t[%i, %j] : tensor<5x5xf32>
      %2 = arith.addf %0, %1 : f32
      tenon.yield %2 : f32
    }
  return %o : tensor<2x3x5x4xf32>
}
func.func @replaced_by_two(%q: tensor<2x3x5x4xf32>) -> tensor<2x3x5x4xf32> {
  %o = tenon.attention %q, (%q), (%q) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
      : (tensor<2x3x5x4xf32>, tensor<2x3x5x4xf32>, tensor<2x3x5x4xf32>) -> tensor<2x3x5x4xf32>
    score (%x, %b, %h, %i, %j) {
      %two = arith.constant 2 : index
      %dead = arith.constant -1.0E+9 : f32
      %deader = arith.constant -2.0E+9 : f32
      %past = arith.cmpi slt, %j, %i : index
      %0 = arith.select %past, %x, %dead : f32
      %late = arith.cmpi sge, %j, %two : index
      %1 = arith.select %late, %0, %deader : f32
      tenon.yield %1 : f32
    }
  return %o : tensor<2x3x5x4xf32>
}
func.func @replaced_too_mildly(%q: tensor<2x3x5x4xf32>) -> tensor<2x3x5x4xf32> {
  %o = tenon.attention %q, (%q), (%q) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
      : (tensor<2x3x5x4xf32>, tensor<2x3x5x4xf32>, tensor<2x3x5x4xf32>) -> tensor<2x3x5x4xf32>
    score (%x, %b, %h, %i, %j) {
      %dead = arith.constant -1.0E+4 : f32
      %past = arith.cmpi slt, %j, %i : index
      %0 = arith.select %past, %x, %dead : f32
      tenon.yield %0 : f32
    }
  return %o : tensor<2x3x5x4xf32>
}

// A mask that is subtracted.
// CHECK-LABEL: func.func @subtracted(
// CHECK: normalise softmax empty uniform
// CHECK-NOT: score (
// CHECK: keep (%{{.*}}, %{{.*}}, %[[I:[a-z0-9]+]], %[[J:[a-z0-9]+]]) {
// CHECK: arith.cmpi sgt, %[[J]], %[[I]]
// CHECK: return
func.func @subtracted(%q: tensor<2x3x5x4xf32>) -> tensor<2x3x5x4xf32> {
  %o = tenon.attention %q, (%q), (%q) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
      : (tensor<2x3x5x4xf32>, tensor<2x3x5x4xf32>, tensor<2x3x5x4xf32>) -> tensor<2x3x5x4xf32>
    score (%x, %b, %h, %i, %j) {
      %zero = arith.constant 0.0 : f32
      %much = arith.constant 1.0e+30 : f32
      %dead = arith.cmpi sgt, %j, %i : index
      %0 = arith.select %dead, %much, %zero : f32
      %1 = arith.subf %x, %0 : f32
      tenon.yield %1 : f32
    }
  return %o : tensor<2x3x5x4xf32>
}

// Near miss: too little of it to absorb a score.
// CHECK-LABEL: func.func @subtracted_mildly(
// CHECK-NOT: keep (
// CHECK: return
func.func @subtracted_mildly(%q: tensor<2x3x5x4xf32>) -> tensor<2x3x5x4xf32> {
  %o = tenon.attention %q, (%q), (%q) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
      : (tensor<2x3x5x4xf32>, tensor<2x3x5x4xf32>, tensor<2x3x5x4xf32>) -> tensor<2x3x5x4xf32>
    score (%x, %b, %h, %i, %j) {
      %zero = arith.constant 0.0 : f32
      %some = arith.constant 1.0e+04 : f32
      %dead = arith.cmpi sgt, %j, %i : index
      %0 = arith.select %dead, %some, %zero : f32
      %1 = arith.subf %x, %0 : f32
      tenon.yield %1 : f32
    }
  return %o : tensor<2x3x5x4xf32>
}

// Without a normaliser a dead key has weight zero: chosen, or by a factor.
// CHECK-LABEL: func.func @zeros
// CHECK: normalise none empty zero
// CHECK: score
// CHECK-NOT: arith.select
// CHECK: keep (
// CHECK-DAG: tenon.load
// CHECK-DAG: arith.cmpi sle
// CHECK: tenon.yield
func.func @zeros(%q: tensor<2x3x5x4xf32>, %mask: tensor<2x5xi1>) -> tensor<2x3x5x4xf32> {
  %o = tenon.attention %q, (%q), (%q) captures (%mask) normalise none empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
      : (tensor<2x3x5x4xf32>, tensor<2x3x5x4xf32>, tensor<2x3x5x4xf32>, tensor<2x5xi1>) -> tensor<2x3x5x4xf32>
    score (%x, %b, %h, %i, %j, %m) {
      %zero = arith.constant 0.0 : f32
      %0 = math.absf %x : f32
      %1 = arith.cmpi sle, %j, %i : index
      %2 = arith.select %1, %0, %zero : f32
      %3 = tenon.load %m[%b, %j] : tensor<2x5xi1>
      %4 = arith.uitofp %3 : i1 to f32
      %5 = arith.mulf %2, %4 : f32
      tenon.yield %5 : f32
    }
  return %o : tensor<2x3x5x4xf32>
}

// Near misses: a choice by the score, and the score of a dead key under softmax, where zero is no mask.
// CHECK-LABEL: func.func @zeros_of_scores
// CHECK-NOT: keep
func.func @zeros_of_scores(%q: tensor<2x3x5x4xf32>) -> (tensor<2x3x5x4xf32>, tensor<2x3x5x4xf32>) {
  %o = tenon.attention %q, (%q), (%q) normalise none empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
      : (tensor<2x3x5x4xf32>, tensor<2x3x5x4xf32>, tensor<2x3x5x4xf32>) -> tensor<2x3x5x4xf32>
    score (%x, %b, %h, %i, %j) = select(%x > 0.5, %x, 0.0)
  %p = tenon.attention %q, (%q), (%q) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
      : (tensor<2x3x5x4xf32>, tensor<2x3x5x4xf32>, tensor<2x3x5x4xf32>) -> tensor<2x3x5x4xf32>
    score (%x, %b, %h, %i, %j) = select(%j <= %i, %x, 0.0)
  return %o, %p : tensor<2x3x5x4xf32>, tensor<2x3x5x4xf32>
}

// Near miss: a factor of keys in a linear score goes into the keys.
// CHECK-LABEL: func.func @zeros_of_keys
// CHECK: arith.mulf
// CHECK-NOT: keep
func.func @zeros_of_keys(%q: tensor<2x3x5x4xf32>, %mask: tensor<2x5xi1>) -> tensor<2x3x5x4xf32> {
  %o = tenon.attention %q, (%q), (%q) captures (%mask) normalise none empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
      : (tensor<2x3x5x4xf32>, tensor<2x3x5x4xf32>, tensor<2x3x5x4xf32>, tensor<2x5xi1>) -> tensor<2x3x5x4xf32>
    score (%x, %b, %h, %i, %j, %m) {
      %0 = tenon.load %m[%b, %j] : tensor<2x5xi1>
      %1 = arith.uitofp %0 : i1 to f32
      %2 = arith.mulf %x, %1 : f32
      tenon.yield %2 : f32
    }
  return %o : tensor<2x3x5x4xf32>
}
