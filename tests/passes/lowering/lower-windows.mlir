// RUN: tenon-opt %s --tenon-lower-kernels | FileCheck %s

// A convolution reads rows of x by a table where filters are in panels, or rows are long, and else packs windows into panels.

module attributes {tenon.target = #tenon.target<"x86-64-v4", vector_bits = 512, vector_registers = 32, row_tile = 14, l1 = 32768, l2 = 1048576>} {

// CHECK-LABEL: func.func @long_rows
// CHECK-NOT: @tile_9_a528_b16_c96(
// CHECK: call @tile_9_an_b16_c96_table(
tenon.kernel @long_rows(%x: tensor<1x4x20x60xf32>, %w: tensor<7x36xf32>) -> tensor<7x1200xf32> {
  %v = tenon.map %a = %x at %i, %j, %c, %p, %q : (tensor<1x4x20x60xf32>) -> tensor<20x60x4x3x3xf32> {
    %zero = arith.constant 0 : index
    %one = arith.constant 1 : index
    %none = arith.constant 0.0 : f32
    %h = arith.constant 20 : index
    %w0 = arith.constant 60 : index
    %ip = arith.addi %i, %p : index
    %y = arith.subi %ip, %one : index
    %y0 = arith.cmpi sge, %y, %zero : index
    %y1 = arith.cmpi slt, %y, %h : index
    %yin = arith.andi %y0, %y1 : i1
    %ys = arith.select %yin, %y, %zero : index
    %jq = arith.addi %j, %q : index
    %z = arith.subi %jq, %one : index
    %z0 = arith.cmpi sge, %z, %zero : index
    %z1 = arith.cmpi slt, %z, %w0 : index
    %zin = arith.andi %z0, %z1 : i1
    %zs = arith.select %zin, %z, %zero : index
    %in = arith.andi %yin, %zin : i1
    %u = tenon.load %a[%zero, %c, %ys, %zs] : tensor<1x4x20x60xf32>
    %e = arith.select %in, %u, %none : f32
    tenon.yield %e : f32
  }
  %r = tenon.reshape %v : tensor<20x60x4x3x3xf32> -> tensor<1200x36xf32>
  %s = tenon.contract "n k, m k -> n m" %w, %r : (tensor<7x36xf32>, tensor<1200x36xf32>) -> tensor<7x1200xf32>
  tenon.return %s : tensor<7x1200xf32>
}

// Filters in place; 13 panels of positions are two tiles, of 7 and 6.
// CHECK-LABEL: func.func @short_rows
// CHECK-SAME: tenon.tiles = #tenon.dim<2>
// CHECK-NOT: _table(
// CHECK: call @tile_9_an_b16_c112(
tenon.kernel @short_rows(%x: tensor<1x4x14x14xf32>, %w: tensor<200x36xf32>) -> tensor<200x196xf32> {
  %v = tenon.map %a = %x at %i, %j, %c, %p, %q : (tensor<1x4x14x14xf32>) -> tensor<14x14x4x3x3xf32> {
    %zero = arith.constant 0 : index
    %one = arith.constant 1 : index
    %none = arith.constant 0.0 : f32
    %h = arith.constant 14 : index
    %w0 = arith.constant 14 : index
    %ip = arith.addi %i, %p : index
    %y = arith.subi %ip, %one : index
    %y0 = arith.cmpi sge, %y, %zero : index
    %y1 = arith.cmpi slt, %y, %h : index
    %yin = arith.andi %y0, %y1 : i1
    %ys = arith.select %yin, %y, %zero : index
    %jq = arith.addi %j, %q : index
    %z = arith.subi %jq, %one : index
    %z0 = arith.cmpi sge, %z, %zero : index
    %z1 = arith.cmpi slt, %z, %w0 : index
    %zin = arith.andi %z0, %z1 : i1
    %zs = arith.select %zin, %z, %zero : index
    %in = arith.andi %yin, %zin : i1
    %u = tenon.load %a[%zero, %c, %ys, %zs] : tensor<1x4x14x14xf32>
    %e = arith.select %in, %u, %none : f32
    tenon.yield %e : f32
  }
  %r = tenon.reshape %v : tensor<14x14x4x3x3xf32> -> tensor<196x36xf32>
  %s = tenon.contract "n k, m k -> n m" %w, %r : (tensor<200x36xf32>, tensor<196x36xf32>) -> tensor<200x196xf32>
  tenon.return %s : tensor<200x196xf32>
}

// Filters in panels: 14 positions are two tiles of 7, three panels wide, and 13 panels five groups of one chunk.
// CHECK-LABEL: func.func @filters_in_panels
// CHECK-SAME: tenon.tiles = #tenon.dim<5>
// CHECK: vector.maskedload
// CHECK: call @tile_13_a1_b16_c48_k0_rowtable(
tenon.kernel @filters_in_panels(%x: tensor<1x4x14x14xf32>, %w: tensor<13x36x16xf32>) -> tensor<200x196xf32> {
  %v = tenon.map %a = %x at %i, %j, %c, %p, %q : (tensor<1x4x14x14xf32>) -> tensor<14x14x4x3x3xf32> {
    %zero = arith.constant 0 : index
    %one = arith.constant 1 : index
    %none = arith.constant 0.0 : f32
    %h = arith.constant 14 : index
    %w0 = arith.constant 14 : index
    %ip = arith.addi %i, %p : index
    %y = arith.subi %ip, %one : index
    %y0 = arith.cmpi sge, %y, %zero : index
    %y1 = arith.cmpi slt, %y, %h : index
    %yin = arith.andi %y0, %y1 : i1
    %ys = arith.select %yin, %y, %zero : index
    %jq = arith.addi %j, %q : index
    %z = arith.subi %jq, %one : index
    %z0 = arith.cmpi sge, %z, %zero : index
    %z1 = arith.cmpi slt, %z, %w0 : index
    %zin = arith.andi %z0, %z1 : i1
    %zs = arith.select %zin, %z, %zero : index
    %in = arith.andi %yin, %zin : i1
    %u = tenon.load %a[%zero, %c, %ys, %zs] : tensor<1x4x14x14xf32>
    %e = arith.select %in, %u, %none : f32
    tenon.yield %e : f32
  }
  %r = tenon.reshape %v : tensor<14x14x4x3x3xf32> -> tensor<196x36xf32>
  %s = tenon.contract "m k, k n -> n m" %r, %w panels 16 : (tensor<196x36xf32>, tensor<13x36x16xf32>) -> tensor<200x196xf32>
  tenon.return %s : tensor<200x196xf32>
}

// Windows that lie within x are read where they are, every second one: nothing is copied.
// CHECK-LABEL: func.func @patches
// CHECK-NOT: vector.maskedload
// CHECK: call @tile_13_a2_b16_c32_k0_rowtable(
tenon.kernel @patches(%x: tensor<1x4x14x50xf32>, %w: tensor<2x16x16xf32>) -> tensor<32x175xf32> {
  %v = tenon.map %a = %x at %i, %j, %c, %p, %q : (tensor<1x4x14x50xf32>) -> tensor<7x25x4x2x2xf32> {
    %zero = arith.constant 0 : index
    %two = arith.constant 2 : index
    %i2 = arith.muli %i, %two : index
    %y = arith.addi %i2, %p : index
    %j2 = arith.muli %j, %two : index
    %z = arith.addi %j2, %q : index
    %u = tenon.load %a[%zero, %c, %y, %z] : tensor<1x4x14x50xf32>
    tenon.yield %u : f32
  }
  %r = tenon.reshape %v : tensor<7x25x4x2x2xf32> -> tensor<175x16xf32>
  %s = tenon.contract "m k, k n -> n m" %r, %w panels 16 : (tensor<175x16xf32>, tensor<2x16x16xf32>) -> tensor<32x175xf32>
  tenon.return %s : tensor<32x175xf32>
}
// Pixels of 16 channels inside x are read where they are, and rows of filters finished as they stand: nothing is turned.
// CHECK-LABEL: func.func @pixels
// CHECK-NOT: vector.shuffle
// CHECK: call @tile_13_a16_b16_c32_k0_rowtable(
// CHECK: return
tenon.kernel @pixels(%x: tensor<1x9x50x16xf32>, %w: tensor<2x144x16xf32>) -> tensor<336x32xf32> {
  %v = tenon.map %a = %x at %i, %j, %c, %p, %q : (tensor<1x9x50x16xf32>) -> tensor<7x48x16x3x3xf32> {
    %zero = arith.constant 0 : index
    %y = arith.addi %i, %p : index
    %z = arith.addi %j, %q : index
    %u = tenon.load %a[%zero, %y, %z, %c] : tensor<1x9x50x16xf32>
    tenon.yield %u : f32
  }
  %r = tenon.reshape %v : tensor<7x48x16x3x3xf32> -> tensor<336x144xf32>
  %s = tenon.contract "m k, k n -> m n" %r, %w panels 16 : (tensor<336x144xf32>, tensor<2x144x16xf32>) -> tensor<336x32xf32>
  tenon.return %s : tensor<336x32xf32>
}

// One filter a channel, lanes along channels: two blocks of 16, seven positions in registers for each tap row.
// CHECK-LABEL: func.func @channels
// CHECK-SAME: tenon.tiles = #tenon.dim<2>
// CHECK-NOT: vector.shuffle
// CHECK-COUNT-21: vector.fma
// CHECK-NOT: vector.fma
// CHECK: return
tenon.kernel @channels(%x: tensor<1x9x9x32xf32>, %w: tensor<9x32xf32>) -> tensor<49x32xf32> {
  %v = tenon.map %a = %x at %g, %i, %j, %p, %q : (tensor<1x9x9x32xf32>) -> tensor<32x7x7x3x3xf32> {
    %zero = arith.constant 0 : index
    %y = arith.addi %i, %p : index
    %z = arith.addi %j, %q : index
    %u = tenon.load %a[%zero, %y, %z, %g] : tensor<1x9x9x32xf32>
    tenon.yield %u : f32
  }
  %r = tenon.reshape %v : tensor<32x7x7x3x3xf32> -> tensor<32x49x9xf32>
  %s = tenon.contract "k g, g m k -> m g" %w, %r : (tensor<9x32xf32>, tensor<32x49x9xf32>) -> tensor<49x32xf32>
  tenon.return %s : tensor<49x32xf32>
}
}
