// RUN: tenon-opt %s --tenon-raise-chunked-scan --canonicalize | FileCheck %s
// RUN: tenon-interpret %s --check-passes=tenon-raise-chunked-scan

// Mamba-2: three chunks of four steps.
// CHECK-LABEL: func.func @chunked(
// CHECK-NOT: tenon.contract
// CHECK: math.exp
// CHECK: tenon.scan {{.*}} decay({{.*}} : tensor<2x12x2xf32>) layout ["b n h d", "b n h d", "b n h d", "b n h", "b n h d"]
// CHECK-NOT: tenon.contract
func.func @chunked(%a: tensor<2x2x3x4xf32>, %other: tensor<2x2x3x4xf32>, %b: tensor<2x3x4x2x8xf32>, %c: tensor<2x3x4x2x8xf32>,
    %x: tensor<2x3x4x2x16xf32>) -> tensor<2x3x4x2x16xf32> {
  // Sums of logarithms: up to each step, and between two of them.
  %upto = tenon.map %v = %a at %i, %h, %z, %l, %k : (tensor<2x2x3x4xf32>) -> tensor<2x2x3x4x4xf32> = select(%k <= %l, %v[%i, %h, %z, %k], 0.0)
  %sum = tenon.reduce sum %upto over [4] : tensor<2x2x3x4x4xf32> -> tensor<2x2x3x4xf32>
  %between = tenon.map %v = %a at %i, %h, %z, %l, %s, %k : (tensor<2x2x3x4xf32>) -> tensor<2x2x3x4x4x4xf32>
    = select(%k <= %l, select(%s <= %k - 1, %v[%i, %h, %z, %k], 0.0), 0.0)
  %segment = tenon.reduce sum %between over [5] : tensor<2x2x3x4x4x4xf32> -> tensor<2x2x3x4x4xf32>
  // Within a chunk.
  %g = tenon.contract "b c l h n, b c s h n -> b c l s h" %c, %b : (tensor<2x3x4x2x8xf32>, tensor<2x3x4x2x8xf32>) -> tensor<2x3x4x4x2xf32>
  %m = tenon.map %v = %g, %w = %segment at %i, %z, %l, %s, %h : (tensor<2x3x4x4x2xf32>, tensor<2x2x3x4x4xf32>) -> tensor<2x3x4x4x2xf32>
    = %v[%i, %z, %l, %s, %h] * exp(select(%s <= %l, %w[%i, %h, %z, %l, %s], -10000.0))
  %diagonal = tenon.contract "b c l s h, b c s h p -> b c l h p" %m, %x : (tensor<2x3x4x4x2xf32>, tensor<2x3x4x2x16xf32>) -> tensor<2x3x4x2x16xf32>
  // What chunks leave behind.
  %kept = tenon.map %v = %b, %w = %sum at %i, %z, %l, %h, %n : (tensor<2x3x4x2x8xf32>, tensor<2x2x3x4xf32>) -> tensor<2x3x4x2x8xf32>
    = %v[%i, %z, %l, %h, %n] * exp(%w[%i, %h, %z, 3] - %w[%i, %h, %z, %l])
  %state = tenon.contract "b c l h n, b c l h p -> b c h p n" %kept, %x : (tensor<2x3x4x2x8xf32>, tensor<2x3x4x2x16xf32>) -> tensor<2x3x2x16x8xf32>
  %states = tenon.map %v = %state at %i, %z, %h, %p, %n : (tensor<2x3x2x16x8xf32>) -> tensor<2x4x2x16x8xf32>
    = select(%z < 1, 0.0, %v[%i, select(%z >= 1, %z - 1, 0), %h, %p, %n])
  // What they find.
  %chunks = tenon.map %v = %sum at %i, %h, %z, %f, %k : (tensor<2x2x3x4xf32>) -> tensor<2x2x4x4x4xf32>
    = select(%k <= %z, select(%f <= %k - 1, select(%k - 1 >= 0, %v[%i, %h, max(%k - 1, 0), 3], 0.0), 0.0), 0.0)
  %passed = tenon.reduce sum %chunks over [4] : tensor<2x2x4x4x4xf32> -> tensor<2x2x4x4xf32>
  %matrix = tenon.map %v = %passed at %i, %f, %z, %h : (tensor<2x2x4x4xf32>) -> tensor<2x4x4x2xf32> = exp(select(%f <= %z, %v[%i, %h, %z, %f], -10000.0))
  %found = tenon.contract "b z c h, b z h p n -> b c h p n" %matrix, %states : (tensor<2x4x4x2xf32>, tensor<2x4x2x16x8xf32>) -> tensor<2x4x2x16x8xf32>
  %starts = tenon.map %v = %found at %i, %z, %h, %p, %n : (tensor<2x4x2x16x8xf32>) -> tensor<2x3x2x16x8xf32> = %v[%i, %z, %h, %p, %n]
  %off = tenon.contract "b c l h n, b c h p n -> b c l h p" %c, %starts : (tensor<2x3x4x2x8xf32>, tensor<2x3x2x16x8xf32>) -> tensor<2x3x4x2x16xf32>
  %decayed = tenon.map %v = %off, %w = %sum at %i, %z, %l, %h, %p : (tensor<2x3x4x2x16xf32>, tensor<2x2x3x4xf32>) -> tensor<2x3x4x2x16xf32>
    = %v[%i, %z, %l, %h, %p] * exp(%w[%i, %h, %z, %l])
  %y = tenon.map %v = %diagonal, %w = %decayed at %i, %z, %l, %h, %p : (tensor<2x3x4x2x16xf32>, tensor<2x3x4x2x16xf32>) -> tensor<2x3x4x2x16xf32>
    = %v[%i, %z, %l, %h, %p] + %w[%i, %z, %l, %h, %p]
  return %y : tensor<2x3x4x2x16xf32>
}

// Chunks decay by another tensor than their steps.
// CHECK-LABEL: func.func @other_decay(
// CHECK-NOT: tenon.scan
func.func @other_decay(%a: tensor<2x2x3x4xf32>, %other: tensor<2x2x3x4xf32>, %b: tensor<2x3x4x2x8xf32>, %c: tensor<2x3x4x2x8xf32>,
    %x: tensor<2x3x4x2x16xf32>) -> tensor<2x3x4x2x16xf32> {
  // Sums of logarithms: up to each step, and between two of them.
  %upto = tenon.map %v = %a at %i, %h, %z, %l, %k : (tensor<2x2x3x4xf32>) -> tensor<2x2x3x4x4xf32> = select(%k <= %l, %v[%i, %h, %z, %k], 0.0)
  %sum = tenon.reduce sum %upto over [4] : tensor<2x2x3x4x4xf32> -> tensor<2x2x3x4xf32>
  %between = tenon.map %v = %a at %i, %h, %z, %l, %s, %k : (tensor<2x2x3x4xf32>) -> tensor<2x2x3x4x4x4xf32>
    = select(%k <= %l, select(%s <= %k - 1, %v[%i, %h, %z, %k], 0.0), 0.0)
  %segment = tenon.reduce sum %between over [5] : tensor<2x2x3x4x4x4xf32> -> tensor<2x2x3x4x4xf32>
  // Within a chunk.
  %g = tenon.contract "b c l h n, b c s h n -> b c l s h" %c, %b : (tensor<2x3x4x2x8xf32>, tensor<2x3x4x2x8xf32>) -> tensor<2x3x4x4x2xf32>
  %m = tenon.map %v = %g, %w = %segment at %i, %z, %l, %s, %h : (tensor<2x3x4x4x2xf32>, tensor<2x2x3x4x4xf32>) -> tensor<2x3x4x4x2xf32>
    = %v[%i, %z, %l, %s, %h] * exp(select(%s <= %l, %w[%i, %h, %z, %l, %s], -10000.0))
  %diagonal = tenon.contract "b c l s h, b c s h p -> b c l h p" %m, %x : (tensor<2x3x4x4x2xf32>, tensor<2x3x4x2x16xf32>) -> tensor<2x3x4x2x16xf32>
  // What chunks leave behind.
  %kept = tenon.map %v = %b, %w = %sum at %i, %z, %l, %h, %n : (tensor<2x3x4x2x8xf32>, tensor<2x2x3x4xf32>) -> tensor<2x3x4x2x8xf32>
    = %v[%i, %z, %l, %h, %n] * exp(%w[%i, %h, %z, 3] - %w[%i, %h, %z, %l])
  %state = tenon.contract "b c l h n, b c l h p -> b c h p n" %kept, %x : (tensor<2x3x4x2x8xf32>, tensor<2x3x4x2x16xf32>) -> tensor<2x3x2x16x8xf32>
  %states = tenon.map %v = %state at %i, %z, %h, %p, %n : (tensor<2x3x2x16x8xf32>) -> tensor<2x4x2x16x8xf32>
    = select(%z < 1, 0.0, %v[%i, select(%z >= 1, %z - 1, 0), %h, %p, %n])
  // What they find.
  %chunks = tenon.map %v = %other at %i, %h, %z, %f, %k : (tensor<2x2x3x4xf32>) -> tensor<2x2x4x4x4xf32>
    = select(%k <= %z, select(%f <= %k - 1, select(%k - 1 >= 0, %v[%i, %h, max(%k - 1, 0), 3], 0.0), 0.0), 0.0)
  %passed = tenon.reduce sum %chunks over [4] : tensor<2x2x4x4x4xf32> -> tensor<2x2x4x4xf32>
  %matrix = tenon.map %v = %passed at %i, %f, %z, %h : (tensor<2x2x4x4xf32>) -> tensor<2x4x4x2xf32> = exp(select(%f <= %z, %v[%i, %h, %z, %f], -10000.0))
  %found = tenon.contract "b z c h, b z h p n -> b c h p n" %matrix, %states : (tensor<2x4x4x2xf32>, tensor<2x4x2x16x8xf32>) -> tensor<2x4x2x16x8xf32>
  %starts = tenon.map %v = %found at %i, %z, %h, %p, %n : (tensor<2x4x2x16x8xf32>) -> tensor<2x3x2x16x8xf32> = %v[%i, %z, %h, %p, %n]
  %off = tenon.contract "b c l h n, b c h p n -> b c l h p" %c, %starts : (tensor<2x3x4x2x8xf32>, tensor<2x3x2x16x8xf32>) -> tensor<2x3x4x2x16xf32>
  %decayed = tenon.map %v = %off, %w = %sum at %i, %z, %l, %h, %p : (tensor<2x3x4x2x16xf32>, tensor<2x2x3x4xf32>) -> tensor<2x3x4x2x16xf32>
    = %v[%i, %z, %l, %h, %p] * exp(%w[%i, %h, %z, %l])
  %y = tenon.map %v = %diagonal, %w = %decayed at %i, %z, %l, %h, %p : (tensor<2x3x4x2x16xf32>, tensor<2x3x4x2x16xf32>) -> tensor<2x3x4x2x16xf32>
    = %v[%i, %z, %l, %h, %p] + %w[%i, %z, %l, %h, %p]
  return %y : tensor<2x3x4x2x16xf32>
}

// A mask that leaves out the step itself.
// CHECK-LABEL: func.func @strictly_behind(
// CHECK-NOT: tenon.scan
func.func @strictly_behind(%a: tensor<2x2x3x4xf32>, %other: tensor<2x2x3x4xf32>, %b: tensor<2x3x4x2x8xf32>, %c: tensor<2x3x4x2x8xf32>,
    %x: tensor<2x3x4x2x16xf32>) -> tensor<2x3x4x2x16xf32> {
  // Sums of logarithms: up to each step, and between two of them.
  %upto = tenon.map %v = %a at %i, %h, %z, %l, %k : (tensor<2x2x3x4xf32>) -> tensor<2x2x3x4x4xf32> = select(%k <= %l, %v[%i, %h, %z, %k], 0.0)
  %sum = tenon.reduce sum %upto over [4] : tensor<2x2x3x4x4xf32> -> tensor<2x2x3x4xf32>
  %between = tenon.map %v = %a at %i, %h, %z, %l, %s, %k : (tensor<2x2x3x4xf32>) -> tensor<2x2x3x4x4x4xf32>
    = select(%k <= %l, select(%s <= %k - 1, %v[%i, %h, %z, %k], 0.0), 0.0)
  %segment = tenon.reduce sum %between over [5] : tensor<2x2x3x4x4x4xf32> -> tensor<2x2x3x4x4xf32>
  // Within a chunk.
  %g = tenon.contract "b c l h n, b c s h n -> b c l s h" %c, %b : (tensor<2x3x4x2x8xf32>, tensor<2x3x4x2x8xf32>) -> tensor<2x3x4x4x2xf32>
  %m = tenon.map %v = %g, %w = %segment at %i, %z, %l, %s, %h : (tensor<2x3x4x4x2xf32>, tensor<2x2x3x4x4xf32>) -> tensor<2x3x4x4x2xf32>
    = %v[%i, %z, %l, %s, %h] * exp(select(%s < %l, %w[%i, %h, %z, %l, %s], -10000.0))
  %diagonal = tenon.contract "b c l s h, b c s h p -> b c l h p" %m, %x : (tensor<2x3x4x4x2xf32>, tensor<2x3x4x2x16xf32>) -> tensor<2x3x4x2x16xf32>
  // What chunks leave behind.
  %kept = tenon.map %v = %b, %w = %sum at %i, %z, %l, %h, %n : (tensor<2x3x4x2x8xf32>, tensor<2x2x3x4xf32>) -> tensor<2x3x4x2x8xf32>
    = %v[%i, %z, %l, %h, %n] * exp(%w[%i, %h, %z, 3] - %w[%i, %h, %z, %l])
  %state = tenon.contract "b c l h n, b c l h p -> b c h p n" %kept, %x : (tensor<2x3x4x2x8xf32>, tensor<2x3x4x2x16xf32>) -> tensor<2x3x2x16x8xf32>
  %states = tenon.map %v = %state at %i, %z, %h, %p, %n : (tensor<2x3x2x16x8xf32>) -> tensor<2x4x2x16x8xf32>
    = select(%z < 1, 0.0, %v[%i, select(%z >= 1, %z - 1, 0), %h, %p, %n])
  // What they find.
  %chunks = tenon.map %v = %sum at %i, %h, %z, %f, %k : (tensor<2x2x3x4xf32>) -> tensor<2x2x4x4x4xf32>
    = select(%k <= %z, select(%f <= %k - 1, select(%k - 1 >= 0, %v[%i, %h, max(%k - 1, 0), 3], 0.0), 0.0), 0.0)
  %passed = tenon.reduce sum %chunks over [4] : tensor<2x2x4x4x4xf32> -> tensor<2x2x4x4xf32>
  %matrix = tenon.map %v = %passed at %i, %f, %z, %h : (tensor<2x2x4x4xf32>) -> tensor<2x4x4x2xf32> = exp(select(%f <= %z, %v[%i, %h, %z, %f], -10000.0))
  %found = tenon.contract "b z c h, b z h p n -> b c h p n" %matrix, %states : (tensor<2x4x4x2xf32>, tensor<2x4x2x16x8xf32>) -> tensor<2x4x2x16x8xf32>
  %starts = tenon.map %v = %found at %i, %z, %h, %p, %n : (tensor<2x4x2x16x8xf32>) -> tensor<2x3x2x16x8xf32> = %v[%i, %z, %h, %p, %n]
  %off = tenon.contract "b c l h n, b c h p n -> b c l h p" %c, %starts : (tensor<2x3x4x2x8xf32>, tensor<2x3x2x16x8xf32>) -> tensor<2x3x4x2x16xf32>
  %decayed = tenon.map %v = %off, %w = %sum at %i, %z, %l, %h, %p : (tensor<2x3x4x2x16xf32>, tensor<2x2x3x4xf32>) -> tensor<2x3x4x2x16xf32>
    = %v[%i, %z, %l, %h, %p] * exp(%w[%i, %h, %z, %l])
  %y = tenon.map %v = %diagonal, %w = %decayed at %i, %z, %l, %h, %p : (tensor<2x3x4x2x16xf32>, tensor<2x3x4x2x16xf32>) -> tensor<2x3x4x2x16xf32>
    = %v[%i, %z, %l, %h, %p] + %w[%i, %z, %l, %h, %p]
  return %y : tensor<2x3x4x2x16xf32>
}

// The first chunk starts from a state that is given.
// CHECK-LABEL: func.func @given(
// CHECK: tenon.scan {{.*}} from({{.*}} : tensor<2x2x8x16xf32>)
func.func @given(%a: tensor<2x2x3x4xf32>, %other: tensor<2x2x3x4xf32>, %b: tensor<2x3x4x2x8xf32>, %c: tensor<2x3x4x2x8xf32>,
    %x: tensor<2x3x4x2x16xf32>, %first: tensor<2x1x2x16x8xf32>) -> tensor<2x3x4x2x16xf32> {
  // Sums of logarithms: up to each step, and between two of them.
  %upto = tenon.map %v = %a at %i, %h, %z, %l, %k : (tensor<2x2x3x4xf32>) -> tensor<2x2x3x4x4xf32> = select(%k <= %l, %v[%i, %h, %z, %k], 0.0)
  %sum = tenon.reduce sum %upto over [4] : tensor<2x2x3x4x4xf32> -> tensor<2x2x3x4xf32>
  %between = tenon.map %v = %a at %i, %h, %z, %l, %s, %k : (tensor<2x2x3x4xf32>) -> tensor<2x2x3x4x4x4xf32>
    = select(%k <= %l, select(%s <= %k - 1, %v[%i, %h, %z, %k], 0.0), 0.0)
  %segment = tenon.reduce sum %between over [5] : tensor<2x2x3x4x4x4xf32> -> tensor<2x2x3x4x4xf32>
  // Within a chunk.
  %g = tenon.contract "b c l h n, b c s h n -> b c l s h" %c, %b : (tensor<2x3x4x2x8xf32>, tensor<2x3x4x2x8xf32>) -> tensor<2x3x4x4x2xf32>
  %m = tenon.map %v = %g, %w = %segment at %i, %z, %l, %s, %h : (tensor<2x3x4x4x2xf32>, tensor<2x2x3x4x4xf32>) -> tensor<2x3x4x4x2xf32>
    = %v[%i, %z, %l, %s, %h] * exp(select(%s <= %l, %w[%i, %h, %z, %l, %s], -10000.0))
  %diagonal = tenon.contract "b c l s h, b c s h p -> b c l h p" %m, %x : (tensor<2x3x4x4x2xf32>, tensor<2x3x4x2x16xf32>) -> tensor<2x3x4x2x16xf32>
  // What chunks leave behind.
  %kept = tenon.map %v = %b, %w = %sum at %i, %z, %l, %h, %n : (tensor<2x3x4x2x8xf32>, tensor<2x2x3x4xf32>) -> tensor<2x3x4x2x8xf32>
    = %v[%i, %z, %l, %h, %n] * exp(%w[%i, %h, %z, 3] - %w[%i, %h, %z, %l])
  %state = tenon.contract "b c l h n, b c l h p -> b c h p n" %kept, %x : (tensor<2x3x4x2x8xf32>, tensor<2x3x4x2x16xf32>) -> tensor<2x3x2x16x8xf32>
  %states = tenon.map %v = %state, %w = %first at %i, %z, %h, %p, %n : (tensor<2x3x2x16x8xf32>, tensor<2x1x2x16x8xf32>) -> tensor<2x4x2x16x8xf32>
    = select(%z < 1, %w[%i, select(%z < 1, %z, 0), %h, %p, %n], %v[%i, select(%z >= 1, %z - 1, 0), %h, %p, %n])
  // What they find.
  %chunks = tenon.map %v = %sum at %i, %h, %z, %f, %k : (tensor<2x2x3x4xf32>) -> tensor<2x2x4x4x4xf32>
    = select(%k <= %z, select(%f <= %k - 1, select(%k - 1 >= 0, %v[%i, %h, max(%k - 1, 0), 3], 0.0), 0.0), 0.0)
  %passed = tenon.reduce sum %chunks over [4] : tensor<2x2x4x4x4xf32> -> tensor<2x2x4x4xf32>
  %matrix = tenon.map %v = %passed at %i, %f, %z, %h : (tensor<2x2x4x4xf32>) -> tensor<2x4x4x2xf32> = exp(select(%f <= %z, %v[%i, %h, %z, %f], -10000.0))
  %found = tenon.contract "b z c h, b z h p n -> b c h p n" %matrix, %states : (tensor<2x4x4x2xf32>, tensor<2x4x2x16x8xf32>) -> tensor<2x4x2x16x8xf32>
  %starts = tenon.map %v = %found at %i, %z, %h, %p, %n : (tensor<2x4x2x16x8xf32>) -> tensor<2x3x2x16x8xf32> = %v[%i, %z, %h, %p, %n]
  %off = tenon.contract "b c l h n, b c h p n -> b c l h p" %c, %starts : (tensor<2x3x4x2x8xf32>, tensor<2x3x2x16x8xf32>) -> tensor<2x3x4x2x16xf32>
  %decayed = tenon.map %v = %off, %w = %sum at %i, %z, %l, %h, %p : (tensor<2x3x4x2x16xf32>, tensor<2x2x3x4xf32>) -> tensor<2x3x4x2x16xf32>
    = %v[%i, %z, %l, %h, %p] * exp(%w[%i, %h, %z, %l])
  %y = tenon.map %v = %diagonal, %w = %decayed at %i, %z, %l, %h, %p : (tensor<2x3x4x2x16xf32>, tensor<2x3x4x2x16xf32>) -> tensor<2x3x4x2x16xf32>
    = %v[%i, %z, %l, %h, %p] + %w[%i, %z, %l, %h, %p]
  return %y : tensor<2x3x4x2x16xf32>
}

