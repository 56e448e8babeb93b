// RUN: tenon-opt %s --tenon-pick-rows-behind-products | FileCheck %s
// RUN: tenon-interpret %s --check-passes=tenon-pick-rows-behind-products

module {
tenon.symbol @N in [1, 512]

// CHECK-LABEL: func.func @distances
// CHECK: %[[P:.*]] = tenon.contract "b l h d, row d -> b h l row" %arg0, %arg1 : (tensor<2x?x3x4xf32, {{.*}}>, tensor<7x4xf32>) -> tensor<2x3x?x7xf32, #tenon.dims<[2, 3, N, 7]>>
// CHECK: tenon.map %[[T:.*]] = %[[P]] at %[[B:.*]], %[[H:.*]], %[[L:.*]], %[[R:.*]] :
// CHECK: %[[D:.*]] = arith.subi %[[R]], %[[L]]
// CHECK: %[[ROW:.*]] = arith.addi
// CHECK: tenon.load %[[T]][%[[B]], %[[H]], %[[L]], %[[ROW]]]
func.func @distances(%q: tensor<2x?x3x4xf32, #tenon.dims<[2, N, 3, 4]>>, %t: tensor<7x4xf32>) -> tensor<2x3x?x?xf32, #tenon.dims<[2, 3, N, N]>> {
  %g = tenon.map %a = %t at %l, %r, %d : (tensor<7x4xf32>) -> tensor<?x?x4xf32, #tenon.dims<[N, N, 4]>> {
    %low = arith.constant -3 : index
    %high = arith.constant 3 : index
    %away = arith.subi %r, %l : index
    %least = arith.maxsi %away, %low : index
    %most = arith.minsi %least, %high : index
    %row = arith.addi %most, %high : index
    %v = tenon.load %a[%row, %d] : tensor<7x4xf32>
    tenon.yield %v : f32
  }
  %s = tenon.contract "b l h d, l r d -> b h l r" %q, %g : (tensor<2x?x3x4xf32, #tenon.dims<[2, N, 3, 4]>>, tensor<?x?x4xf32, #tenon.dims<[N, N, 4]>>) -> tensor<2x3x?x?xf32, #tenon.dims<[2, 3, N, N]>>
  return %s : tensor<2x3x?x?xf32, #tenon.dims<[2, 3, N, N]>>
}

// What chooses a row is summed over: values with positions of their own.
// CHECK-LABEL: func.func @values
// CHECK: tenon.contract "b h l r, l r d -> b l h d"
func.func @values(%p: tensor<2x3x?x?xf32, #tenon.dims<[2, 3, N, N]>>, %t: tensor<7x4xf32>) -> tensor<2x?x3x4xf32, #tenon.dims<[2, N, 3, 4]>> {
  %g = tenon.map %a = %t at %l, %r, %d : (tensor<7x4xf32>) -> tensor<?x?x4xf32, #tenon.dims<[N, N, 4]>> {
    %low = arith.constant 0 : index
    %high = arith.constant 6 : index
    %away = arith.subi %r, %l : index
    %least = arith.maxsi %away, %low : index
    %row = arith.minsi %least, %high : index
    %v = tenon.load %a[%row, %d] : tensor<7x4xf32>
    tenon.yield %v : f32
  }
  %s = tenon.contract "b h l r, l r d -> b l h d" %p, %g : (tensor<2x3x?x?xf32, #tenon.dims<[2, 3, N, N]>>, tensor<?x?x4xf32, #tenon.dims<[N, N, 4]>>) -> tensor<2x?x3x4xf32, #tenon.dims<[2, N, 3, 4]>>
  return %s : tensor<2x?x3x4xf32, #tenon.dims<[2, N, 3, 4]>>
}

// Rows that data chooses.
// CHECK-LABEL: func.func @data
// CHECK: tenon.contract "l d, l r d -> l r"
func.func @data(%q: tensor<?x4xf32, #tenon.dims<[N, 4]>>, %t: tensor<7x4xf32>, %n: tensor<?x?xi64, #tenon.dims<[N, N]>>) -> tensor<?x?xf32, #tenon.dims<[N, N]>> {
  %g = tenon.map %a = %t, %b = %n at %l, %r, %d : (tensor<7x4xf32>, tensor<?x?xi64, #tenon.dims<[N, N]>>) -> tensor<?x?x4xf32, #tenon.dims<[N, N, 4]>> {
    %id = tenon.load %b[%l, %r] : tensor<?x?xi64, #tenon.dims<[N, N]>>
    %low = arith.constant 0 : index
    %high = arith.constant 6 : index
    %chosen = arith.index_cast %id : i64 to index
    %least = arith.maxsi %chosen, %low : index
    %row = arith.minsi %least, %high : index
    %v = tenon.load %a[%row, %d] : tensor<7x4xf32>
    tenon.yield %v : f32
  }
  %s = tenon.contract "l d, l r d -> l r" %q, %g : (tensor<?x4xf32, #tenon.dims<[N, 4]>>, tensor<?x?x4xf32, #tenon.dims<[N, N, 4]>>) -> tensor<?x?xf32, #tenon.dims<[N, N]>>
  return %s : tensor<?x?xf32, #tenon.dims<[N, N]>>
}

// A table of nine rows for two positions.
// CHECK-LABEL: func.func @large_table
// CHECK: tenon.contract "l d, l r d -> l r"
func.func @large_table(%q: tensor<?x4xf32, #tenon.dims<[N, 4]>>, %t: tensor<9x4xf32>) -> tensor<?x2xf32, #tenon.dims<[N, 2]>> {
  %g = tenon.map %a = %t at %l, %r, %d : (tensor<9x4xf32>) -> tensor<?x2x4xf32, #tenon.dims<[N, 2, 4]>> {
    %high = arith.constant 8 : index
    %sum = arith.addi %l, %r : index
    %row = arith.minsi %sum, %high : index
    %v = tenon.load %a[%row, %d] : tensor<9x4xf32>
    tenon.yield %v : f32
  }
  %s = tenon.contract "l d, l r d -> l r" %q, %g : (tensor<?x4xf32, #tenon.dims<[N, 4]>>, tensor<?x2x4xf32, #tenon.dims<[N, 2, 4]>>) -> tensor<?x2xf32, #tenon.dims<[N, 2]>>
  return %s : tensor<?x2xf32, #tenon.dims<[N, 2]>>
}

// The word for the table's rows is one that the product does not have.
// CHECK-LABEL: func.func @own_row
// CHECK: tenon.contract "row l d, rows d -> row l rows"
func.func @own_row(%q: tensor<3x?x4xf32, #tenon.dims<[3, N, 4]>>, %t: tensor<7x4xf32>) -> tensor<3x?x?xf32, #tenon.dims<[3, N, N]>> {
  %g = tenon.map %a = %t at %l, %r, %d : (tensor<7x4xf32>) -> tensor<?x?x4xf32, #tenon.dims<[N, N, 4]>> {
    %most = arith.constant 6 : index
    %sum = arith.addi %l, %r : index
    %number = arith.minsi %sum, %most : index
    %v = tenon.load %a[%number, %d] : tensor<7x4xf32>
    tenon.yield %v : f32
  }
  %y = tenon.contract "row l d, l r d -> row l r" %q, %g : (tensor<3x?x4xf32, #tenon.dims<[3, N, 4]>>, tensor<?x?x4xf32, #tenon.dims<[N, N, 4]>>) -> tensor<3x?x?xf32, #tenon.dims<[3, N, N]>>
  return %y : tensor<3x?x?xf32, #tenon.dims<[3, N, N]>>
}

}
