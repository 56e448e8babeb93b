// RUN: tenon-opt %s --tenon-fold-maps | FileCheck %s
// RUN: tenon-interpret %s --check-passes=tenon-fold-maps

tenon.symbol @B in [1, 8]
tenon.symbol @S in [1, 64]
tenon.weight @true : tensor<i1> = dense<true> : tensor<i1>

// An index below zero counts from the end; one that runs over a dimension never is below zero.
// CHECK-LABEL: func.func @wrapped_index
// CHECK-NEXT: return %arg0
func.func @wrapped_index(%a: tensor<?x8xf32, #tenon.dims<[B, 8]>>) -> tensor<?x8xf32, #tenon.dims<[B, 8]>> {
  %m = tenon.map %x = %a at %b, %i : (tensor<?x8xf32, #tenon.dims<[B, 8]>>) -> tensor<?x8xf32, #tenon.dims<[B, 8]>> {
    %c0 = arith.constant 0 : index
    %c8 = arith.constant 8 : index
    %negative = arith.cmpi slt, %i, %c0 : index
    %wrapped = arith.addi %i, %c8 : index
    %index = arith.select %negative, %wrapped, %i : index
    %0 = tenon.load %x[%b, %index] : tensor<?x8xf32, #tenon.dims<[B, 8]>>
    tenon.yield %0 : f32
  }
  return %m : tensor<?x8xf32, #tenon.dims<[B, 8]>>
}

// A mask that exporters build from ranges, comparisons and a true constant, and that masks nothing.
// CHECK-LABEL: func.func @always_true
// CHECK: %[[T:.*]] = arith.constant true
// CHECK-NEXT: tenon.yield %[[T]]
func.func @always_true() -> tensor<?x?xi1, #tenon.dims<[S, S]>> {
  %t = tenon.get @true : tensor<i1>
  %m = tenon.map %x = %t at %i, %j : (tensor<i1>) -> tensor<?x?xi1, #tenon.dims<[S, S]>> {
    %c0 = arith.constant 0 : i64
    %n = tenon.size #tenon.dim<S>
    %0 = arith.index_cast %i : index to i64
    %1 = arith.cmpi sge, %0, %c0 : i64
    %2 = tenon.load %x[] : tensor<i1>
    %3 = arith.cmpi slt, %j, %n : index
    %4 = arith.andi %1, %2 : i1
    %5 = arith.andi %4, %3 : i1
    tenon.yield %5 : i1
  }
  return %m : tensor<?x?xi1, #tenon.dims<[S, S]>>
}

// Causal: undecided, it depends on both indices.
// CHECK-LABEL: func.func @causal
// CHECK: arith.cmpi sle
func.func @causal() -> tensor<?x?xi1, #tenon.dims<[S, S]>> {
  %m = tenon.map at %i, %j : () -> tensor<?x?xi1, #tenon.dims<[S, S]>> {
    %0 = arith.cmpi sle, %j, %i : index
    tenon.yield %0 : i1
  }
  return %m : tensor<?x?xi1, #tenon.dims<[S, S]>>
}

// Loaded integers may be anything.
// CHECK-LABEL: func.func @data
// CHECK: arith.cmpi slt
// CHECK: arith.select
func.func @data(%ids: tensor<?xi64, #tenon.dims<[S]>>, %table: tensor<4xf32>) -> tensor<?xf32, #tenon.dims<[S]>> {
  %m = tenon.map %x = %ids, %t = %table at %i : (tensor<?xi64, #tenon.dims<[S]>>, tensor<4xf32>) -> tensor<?xf32, #tenon.dims<[S]>> {
    %c0 = arith.constant 0 : index
    %c4 = arith.constant 4 : index
    %0 = tenon.load %x[%i] : tensor<?xi64, #tenon.dims<[S]>>
    %1 = arith.index_cast %0 : i64 to index
    %2 = arith.cmpi slt, %1, %c0 : index
    %3 = arith.addi %1, %c4 : index
    %4 = arith.select %2, %3, %1 : index
    %5 = tenon.load %t[%4] : tensor<4xf32>
    tenon.yield %5 : f32
  }
  return %m : tensor<?xf32, #tenon.dims<[S]>>
}

// Head h of batch b is row b * 12 + h of the merged rows, and row r is head r mod 12 of batch r floordiv 12.
// CHECK-LABEL: func.func @split_of_merge
// CHECK: at %[[B:.*]], %[[H:.*]] :
// CHECK-NEXT: tenon.load %{{.*}}[%[[B]], %[[H]]] : tensor<?x12xf32
func.func @split_of_merge(%a: tensor<?x12xf32, #tenon.dims<[B, 12]>>) -> tensor<?x12xf32, #tenon.dims<[B, 12]>> {
  %m = tenon.map %x = %a at %b, %h : (tensor<?x12xf32, #tenon.dims<[B, 12]>>) -> tensor<?x12xf32, #tenon.dims<[B, 12]>> {
    %c12 = arith.constant 12 : index
    %0 = arith.muli %b, %c12 : index
    %1 = arith.addi %0, %h : index
    %2 = arith.floordivsi %1, %c12 : index
    %3 = arith.remsi %1, %c12 : index
    %4 = tenon.load %x[%2, %3] : tensor<?x12xf32, #tenon.dims<[B, 12]>>
    %5 = math.exp %4 : f32
    tenon.yield %5 : f32
  }
  return %m : tensor<?x12xf32, #tenon.dims<[B, 12]>>
}

// A map that only flattens is a reshape.
// CHECK-LABEL: func.func @flatten
// CHECK-NEXT: tenon.reshape %arg0
func.func @flatten(%a: tensor<?x12x4xf32, #tenon.dims<[B, 12, 4]>>) -> tensor<?x48xf32, #tenon.dims<[B, 48]>> {
  %m = tenon.map %x = %a at %b, %n : (tensor<?x12x4xf32, #tenon.dims<[B, 12, 4]>>) -> tensor<?x48xf32, #tenon.dims<[B, 48]>> {
    %c4 = arith.constant 4 : index
    %0 = arith.divui %n, %c4 : index
    %1 = arith.remui %n, %c4 : index
    %2 = tenon.load %x[%b, %0, %1] : tensor<?x12x4xf32, #tenon.dims<[B, 12, 4]>>
    tenon.yield %2 : f32
  }
  return %m : tensor<?x48xf32, #tenon.dims<[B, 48]>>
}

// A transpose is not a reshape, though the counts agree.
// CHECK-LABEL: func.func @transpose
// CHECK-NEXT: tenon.map
func.func @transpose(%a: tensor<4x8xf32>) -> tensor<8x4xf32> {
  %m = tenon.map %x = %a at %i, %j : (tensor<4x8xf32>) -> tensor<8x4xf32> {
    %0 = tenon.load %x[%j, %i] : tensor<4x8xf32>
    tenon.yield %0 : f32
  }
  return %m : tensor<8x4xf32>
}

// 1/8 is a number, 1/3 is not.
// CHECK-LABEL: func.func @divide
// CHECK: arith.constant 1.250000e-01
// CHECK: arith.mulf
// CHECK: arith.divf
func.func @divide(%a: tensor<4xf32>) -> tensor<4xf32> {
  %m = tenon.map %x = %a at %i : (tensor<4xf32>) -> tensor<4xf32> {
    %c8 = arith.constant 8.0 : f32
    %c3 = arith.constant 3.0 : f32
    %0 = tenon.load %x[%i] : tensor<4xf32>
    %1 = arith.divf %0, %c8 : f32
    %2 = arith.divf %1, %c3 : f32
    tenon.yield %2 : f32
  }
  return %m : tensor<4xf32>
}

// A roll as exporters write it: two slices, joined the other way round.
// CHECK-LABEL: func.func @roll
// CHECK-NEXT: tenon.map %[[X:.*]] = %arg0 at %[[I:.*]], %[[J:.*]] :
// CHECK-COUNT-1: tenon.load
// CHECK-NOT: arith.select
// CHECK: tenon.yield
func.func @roll(%a: tensor<7x4xf32>) -> tensor<7x4xf32> {
  %m = tenon.map %x = %a at %i, %j : (tensor<7x4xf32>) -> tensor<7x4xf32> {
    %c0 = arith.constant 0 : index
    %c3 = arith.constant 3 : index
    %c4 = arith.constant 4 : index
    %after = arith.cmpi sge, %i, %c4 : index
    %back = arith.subi %i, %c4 : index
    %second = arith.select %after, %back, %c0 : index
    %0 = tenon.load %x[%second, %j] : tensor<7x4xf32>
    %before = arith.cmpi slt, %i, %c4 : index
    %here = arith.select %before, %i, %c0 : index
    %first = arith.addi %here, %c3 : index
    %1 = tenon.load %x[%first, %j] : tensor<7x4xf32>
    %2 = arith.select %before, %1, %0 : f32
    tenon.yield %2 : f32
  }
  return %m : tensor<7x4xf32>
}

// The parts are not one roll: they overlap.
// CHECK-LABEL: func.func @not_a_roll
// CHECK: arith.select
func.func @not_a_roll(%a: tensor<7x4xf32>) -> tensor<7x4xf32> {
  %m = tenon.map %x = %a at %i, %j : (tensor<7x4xf32>) -> tensor<7x4xf32> {
    %c0 = arith.constant 0 : index
    %c2 = arith.constant 2 : index
    %c4 = arith.constant 4 : index
    %after = arith.cmpi sge, %i, %c4 : index
    %back = arith.subi %i, %c4 : index
    %second = arith.select %after, %back, %c0 : index
    %0 = tenon.load %x[%second, %j] : tensor<7x4xf32>
    %before = arith.cmpi slt, %i, %c4 : index
    %here = arith.select %before, %i, %c0 : index
    %first = arith.addi %here, %c2 : index
    %1 = tenon.load %x[%first, %j] : tensor<7x4xf32>
    %2 = arith.select %before, %1, %0 : f32
    tenon.yield %2 : f32
  }
  return %m : tensor<7x4xf32>
}

// A mask made a number, subtracted from one, scaled and compared on the way is one choice: PyTorch's
// `masked_fill((1 - mask) * -1e4 == 0, 7)`.
// CHECK-LABEL: func.func @choice_of_constants
// CHECK: %[[C:.*]] = arith.cmpi sle
// CHECK-NEXT: %[[R:.*]] = arith.select %[[C]], %{{.*}}, %{{.*}} : f32
// CHECK-NEXT: tenon.yield %[[R]]
func.func @choice_of_constants() -> tensor<?x?xf32, #tenon.dims<[S, S]>> {
  %m = tenon.map at %i, %j : () -> tensor<?x?xf32, #tenon.dims<[S, S]>> {
    %zero = arith.constant 0.0 : f32
    %one = arith.constant 1.0 : f32
    %mild = arith.constant -10000.0 : f32
    %seven = arith.constant 7.0 : f32
    %live = arith.cmpi sle, %j, %i : index
    %number = arith.uitofp %live : i1 to f32
    %dead = arith.subf %one, %number : f32
    %scaled = arith.mulf %dead, %mild : f32
    %is_zero = arith.cmpf oeq, %scaled, %zero : f32
    %r = arith.select %is_zero, %seven, %scaled : f32
    tenon.yield %r : f32
  }
  return %m : tensor<?x?xf32, #tenon.dims<[S, S]>>
}

// Two choices of different conditions are not one, nor is one of numbers that are loaded.
// CHECK-LABEL: func.func @two_choices
// CHECK: arith.addf
// CHECK: arith.mulf
func.func @two_choices(%a: tensor<?xf32, #tenon.dims<[S]>>) -> tensor<?x?xf32, #tenon.dims<[S, S]>> {
  %m = tenon.map %x = %a at %i, %j : (tensor<?xf32, #tenon.dims<[S]>>) -> tensor<?x?xf32, #tenon.dims<[S, S]>> {
    %one = arith.constant 1.0 : f32
    %two = arith.constant 2.0 : f32
    %below = arith.cmpi sle, %j, %i : index
    %above = arith.cmpi slt, %i, %j : index
    %first = arith.select %below, %one, %two : f32
    %second = arith.uitofp %above : i1 to f32
    %sum = arith.addf %first, %second : f32
    %0 = tenon.load %x[%j] : tensor<?xf32, #tenon.dims<[S]>>
    %third = arith.select %below, %0, %sum : f32
    %r = arith.mulf %third, %two : f32
    tenon.yield %r : f32
  }
  return %m : tensor<?x?xf32, #tenon.dims<[S, S]>>
}
