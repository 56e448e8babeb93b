// RUN: tenon-opt %s --tenon-form-kernels | FileCheck %s

// Products with rows chosen by distance are computed by the attention that reads them, tile by tile.

tenon.symbol @N in [1, 512]
!q = tensor<4x?x64xf32, #tenon.dims<[4, N, 64]>>
!r = tensor<?x4x64xf32, #tenon.dims<[2 * N, 4, 64]>>
!p = tensor<4x?x?xf32, #tenon.dims<[4, N, 2 * N]>>

// CHECK-LABEL: func.func @shifted
// CHECK-NOT: contract
// CHECK: tenon.dispatch @attention_
// CHECK-NEXT: return
func.func @shifted(%q: !q, %k: !q, %v: !q, %r: !r) -> !q {
  %p = tenon.contract "h n d, t h d -> h n t" %q, %r : (!q, !r) -> !p
  %y = tenon.attention %q, (%k), (%v) captures (%p) normalise softmax empty zero
         layout ["h n d", "h n d", "h n d", "h n d"] algorithm flash : (!q, !q, !q, !p) -> !q
    score (%x, %b, %h, %i, %j, %t) = %x + %t[%h, %i, %j - %i + size(N)]
  return %y : !q
}

// With what becomes of its elements.
// CHECK-LABEL: func.func @scaled_of_keys
// CHECK-NOT: contract
// CHECK: tenon.dispatch @attention_
// CHECK-NEXT: return
func.func @scaled_of_keys(%q: !q, %k: !q, %v: !q, %r: !r) -> !q {
  %p = tenon.contract "h n d, t h d -> h n t" %k, %r : (!q, !r) -> !p
  %s = tenon.map %a = %p at %h, %n, %t : (!p) -> !p {
    %half = arith.constant 0.5 : f32
    %0 = tenon.load %a[%h, %n, %t] : !p
    %1 = arith.mulf %0, %half : f32
    tenon.yield %1 : f32
  }
  %y = tenon.attention %q, (%k), (%v) captures (%s) normalise softmax empty zero
         layout ["h n d", "h n d", "h n d", "h n d"] algorithm flash : (!q, !q, !q, !p) -> !q
    score (%x, %b, %h, %i, %j, %t) = %x + %t[%h, %j, max(%i - %j + size(N), 0)]
  return %y : !q
}

// Read at i + j, which is no distance: a tile would need the rows of all keys.
// CHECK-LABEL: func.func @not_of_the_distance
// CHECK: tenon.dispatch @contract_
// CHECK: tenon.dispatch @attention_
func.func @not_of_the_distance(%q: !q, %k: !q, %v: !q, %r: !r) -> !q {
  %p = tenon.contract "h n d, t h d -> h n t" %q, %r : (!q, !r) -> !p
  %y = tenon.attention %q, (%k), (%v) captures (%p) normalise softmax empty zero
         layout ["h n d", "h n d", "h n d", "h n d"] algorithm flash : (!q, !q, !q, !p) -> !q
    score (%x, %b, %h, %i, %j, %t) = %x + %t[%h, %i, %j + %i]
  return %y : !q
}

// Read at two distances.
// CHECK-LABEL: func.func @read_twice
// CHECK: tenon.dispatch @contract_
// CHECK: tenon.dispatch @attention_
func.func @read_twice(%q: !q, %k: !q, %v: !q, %r: !r) -> !q {
  %p = tenon.contract "h n d, t h d -> h n t" %q, %r : (!q, !r) -> !p
  %y = tenon.attention %q, (%k), (%v) captures (%p) normalise softmax empty zero
         layout ["h n d", "h n d", "h n d", "h n d"] algorithm flash : (!q, !q, !q, !p) -> !q
    score (%x, %b, %h, %i, %j, %t) = %x + %t[%h, %i, %j - %i + size(N)] * %t[%h, %i, %i - %j + size(N)]
  return %y : !q
}

// Its other reader needs the tensor.
// CHECK-LABEL: func.func @read_elsewhere
// CHECK: tenon.dispatch @contract_
// CHECK: tenon.dispatch @attention_
func.func @read_elsewhere(%q: !q, %k: !q, %v: !q, %r: !r) -> (!q, !p) {
  %p = tenon.contract "h n d, t h d -> h n t" %q, %r : (!q, !r) -> !p
  %y = tenon.attention %q, (%k), (%v) captures (%p) normalise softmax empty zero
         layout ["h n d", "h n d", "h n d", "h n d"] algorithm flash : (!q, !q, !q, !p) -> !q
    score (%x, %b, %h, %i, %j, %t) = %x + %t[%h, %i, %j - %i + size(N)]
  return %y, %p : !q, !p
}

// Eight distances: the product is smaller than the queries.
// CHECK-LABEL: func.func @few_distances
// CHECK: tenon.dispatch @contract_
// CHECK: tenon.dispatch @attention_
func.func @few_distances(%q: !q, %k: !q, %v: !q, %r: tensor<8x4x64xf32>) -> !q {
  %p = tenon.contract "h n d, t h d -> h n t" %q, %r : (!q, tensor<8x4x64xf32>) -> tensor<4x?x8xf32, #tenon.dims<[4, N, 8]>>
  %y = tenon.attention %q, (%k), (%v) captures (%p) normalise softmax empty zero
         layout ["h n d", "h n d", "h n d", "h n d"] algorithm flash
         : (!q, !q, !q, tensor<4x?x8xf32, #tenon.dims<[4, N, 8]>>) -> !q
    score (%x, %b, %h, %i, %j, %t) = %x + %t[%h, %i, max(min(%j - %i + 4, 7), 0)]
  return %y : !q
}

// Which row is data: an index out of range has to be reported.
// CHECK-LABEL: func.func @chosen_by_data
// CHECK: tenon.dispatch @contract_
// CHECK: tenon.dispatch @attention_
func.func @chosen_by_data(%q: !q, %k: !q, %v: !q, %r: !r, %f: tensor<64xi64>) -> !q {
  %p = tenon.contract "h n d, t h d -> h n t" %q, %r : (!q, !r) -> !p
  %y = tenon.attention %q, (%k), (%v) captures (%p, %f) normalise softmax empty zero
         layout ["h n d", "h n d", "h n d", "h n d"] algorithm flash : (!q, !q, !q, !p, tensor<64xi64>) -> !q
    score (%x, %b, %h, %i, %j, %t, %u) {
      %c0 = arith.constant 0 : index
      %c63 = arith.constant 63 : index
      %d = arith.subi %j, %i : index
      %up = arith.maxsi %d, %c0 : index
      %at = arith.minsi %up, %c63 : index
      %row = tenon.load %u[%at] : tensor<64xi64>
      %n = arith.index_cast %row : i64 to index
      %term = tenon.load %t[%h, %i, %n] : !p
      %y = arith.addf %x, %term : f32
      tenon.yield %y : f32
    }
  return %y : !q
}
