//===- Passes.td - maps and moves made fewer ---------------------------*- tablegen -*-===//
#ifndef TENON_PASSES_SIMPLIFY_PASSES_TD
#define TENON_PASSES_SIMPLIFY_PASSES_TD
include "mlir/Pass/PassBase.td"

def ComposeMaps : Pass<"tenon-compose-maps", "::mlir::ModuleOp"> {
  let summary = "Evaluate a map inside the map that loads it";
  let description = [{
    `load %m[f(i)]` of a map `m` is `m`'s region at the indices `f(i)`: substitution
    is exact, because a map's region is pure and defined at every index.

    ```mlir
    %m = tenon.map %x = %a at %i, %j : (tensor<4x8xf32>) -> tensor<8x4xf32> {
      %0 = tenon.load %x[%j, %i] : tensor<4x8xf32>
      tenon.yield %0 : f32
    }
    %r = tenon.map %t = %m at %i, %j : (tensor<8x4xf32>) -> tensor<8x4xf32> {
      %0 = tenon.load %t[%i, %j] : tensor<8x4xf32>
      %1 = math.exp %0 : f32
      tenon.yield %1 : f32
    }
    ```
    becomes
    ```mlir
    %r = tenon.map %x = %a at %i, %j : (tensor<4x8xf32>) -> tensor<8x4xf32> {
      %0 = tenon.load %x[%j, %i] : tensor<4x8xf32>
      %1 = math.exp %0 : f32
      tenon.yield %1 : f32
    }
    ```

    A producer is composed when evaluating it again costs nothing to speak of (index
    arithmetic, a transpose, a broadcast, a mask: `isFreeToRepeat`), or when this is
    its only reader and it is evaluated at most once per element it has. So masks and index tables
    vanish into their users, a residual sum read twice is computed once, and
    bias, activation and residual of one contraction become one map.

    Arithmetic is not composed into a map that only moves elements: that one is to vanish into
    the contraction or attention that reads it.

    A map that reads overlapping windows for a contraction takes in nothing: what it reads from stays a tensor, which a convolution
    reads where windows are (`lowering/WindowProduct.h`).
  }];
}

def FoldMaps : Pass<"tenon-fold-maps", "::mlir::ModuleOp"> {
  let summary = "Decide index arithmetic by the ranges of indices; remove maps that compute nothing";
  let description = [{
    Index `%i` of a map whose result has extent S in that dimension satisfies 0 <= %i < S. With the
    module's bounds of S that decides most of what exporters compute with indices:

    ```mlir
    %m = tenon.map %x = %a at %b, %i : (tensor<?x8xf32, #tenon.dims<[B, 8]>>) -> tensor<?x8xf32, #tenon.dims<[B, 8]>> {
      %c0 = arith.constant 0 : index
      %c8 = arith.constant 8 : index
      %negative = arith.cmpi slt, %i, %c0 : index
      %wrapped = arith.addi %i, %c8 : index
      %index = arith.select %negative, %wrapped, %i : index
      %0 = tenon.load %x[%b, %index] : tensor<?x8xf32, #tenon.dims<[B, 8]>>
      tenon.yield %0 : f32
    }
    ```
    is `%a`. Comparisons, minima, maxima, quotients and remainders of indices are decided this way, `arith`'s own
    folds follow, loads of constants with equal elements become the constant, division by a power of two a
    product. Arithmetic of a choice between two constants (a mask made a number, then compared, or subtracted from one)
    is a choice between two constants: `(c ? 1 : 0) == 0` is `not c`. A map that loads every element where it stands in
    row-major order is a `tenon.reshape`.

    Comparisons that involve loaded integers are left alone: data may sit at the ends of i64, where
    sums wrap.
  }];
}

def FoldScatters : Pass<"tenon-fold-scatters", "::mlir::ModuleOp"> {
  let summary = "A tensor written slice by slice at known places, as maps";
  let description = [{
    Code that writes into a tensor, `out[:, t] = y`, is exported as a scatter at a list of index tuples:

    ```mlir
    %p = tenon.map at %r, %k = select(%k < 1, %r, 2)                                           // [r, 2]
    %o = tenon.scatter %y into %x at %p : tensor<4x8xf32> into tensor<4x9x8xf32> at tensor<4x2xi64>
    ```
    becomes
    ```mlir
    %q = tenon.reshape %y : tensor<4x8xf32> -> tensor<4x1x8xf32>
    %o = tenon.map %u = %q, %z = %x at %b, %n, %d = select(%n == 2, %u[%b, 0, %d], %z[%b, %n, %d])
    ```
    where each member of the tuples, traced through maps and reshapes that see nothing but positions, is either the same for all
    tuples or runs over the whole of its dim, the tuples being all combinations in row-major order: then no place is named twice.
    Writes one into another that fill a dim between them are its parts side by side, as a concatenation is:
    `select(%n < 1, %u0[%b, 0, %d], select(%n < 2, %u1[%b, 0, %d], …))`. Of those that write the same position the last counts.

    Exact: no arithmetic is done. It must not fire where a place depends on data, is out of range (reported where it runs), or where
    updates are combined with what stands there.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
}

def NarrowReductions : Pass<"tenon-narrow-reductions", "::mlir::ModuleOp"> {
  let summary = "Reduce what is equal along a dimension once";
  let description = [{
    Mean pooling is exported as the sum of a mask that was expanded to every channel:

    ```mlir
    %e = tenon.map %m = %mask at %b, %s, %c : (…) -> [B, S, 384] { load %m[%b, %s] }
    %n = tenon.reduce sum %e over [1] : [B, S, 384] -> [B, 384]
    ```
    becomes
    ```mlir
    %e = tenon.map %m = %mask at %b, %s : (…) -> [B, S] { load %m[%b, %s] }
    %r = tenon.reduce sum %e over [1] : [B, S] -> [B]
    %n = tenon.map %x = %r at %b, %c : (…) -> [B, 384] { load %x[%b] }
    ```
    Exact: the same elements are reduced, once instead of once per channel. A dimension that is reduced
    stays, whether the map depends on it or not.
  }];
}

def ReshapeThroughMaps : Pass<"tenon-reshape-through-maps", "::mlir::ModuleOp"> {
  let summary = "Let a map load from the tensor behind a reshape";
  let description = [{
    Maps compose with maps only; a reshape between two of them stops that. Element
    (i, j, …) of a reshape is element number i·… + j·… + … of its operand, whose indices are
    quotients and remainders of that number: exact for any pair of shapes.

    ```mlir
    %u = tenon.reshape %mask : tensor<?x?xi1, #tenon.dims<[B, S]>> -> tensor<?x1x1x?xi1, #tenon.dims<[B, 1, 1, S]>>
    ... tenon.load %u[%b, %c0, %c0, %j]
    ```
    becomes
    ```mlir
    ... tenon.load %mask[%b, %j]
    ```

    Done where only dimensions of size 1 come or go, and where the reshape's operand is a map that is
    free to evaluate again, which then composes. Elsewhere the reshape stays: it costs nothing, and the
    quotients would.
  }];
}

#endif
