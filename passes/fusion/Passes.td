//===- Passes.td - one operation of several ----------------------------*- tablegen -*-===//
#ifndef TENON_PASSES_FUSION_PASSES_TD
#define TENON_PASSES_FUSION_PASSES_TD
include "mlir/Pass/PassBase.td"

def FuseContractionOperands : Pass<"tenon-fuse-contraction-operands", "::mlir::ModuleOp"> {
  let summary = "Let contractions read and write through transposes, broadcasts and scalings";
  let description = [{
    A contraction names its indices, so a permuted operand is the same operand with its words in another
    order, and a reshape that splits a dimension gives the parts words of their own:

    ```mlir
    %r = tenon.reshape %x : [B, S, 384] -> [B, S, 12, 32]
    %t = tenon.map ... at %b, %h, %s, %d { %e = load %r[%b, %s, %h, %d]; mulf %e, 0.5 }
    %y = tenon.contract "b h m k, b h k n -> b h m n" %t, %k
    ```
    becomes
    ```mlir
    %y' = tenon.contract "b m h k, b h k n -> b h m n" %r, %k
    %y  = tenon.map ... { mulf load %y'[...], 0.5 }
    ```

    Exact but for the scale, which is exact in real arithmetic: it is applied to the sum instead of each summand.
    A transpose of the result reorders the result's words. Slices stay: a contraction has no offsets.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
}

def PickRowsBehindProducts : Pass<"tenon-pick-rows-behind-products", "::mlir::ModuleOp"> {
  let summary = "A product with rows that positions choose, as one with the whole table";
  let description = [{
    ```mlir
    %g = tenon.map %t = %table at %l, %r, %d : … { load %t[max(min(%r - %l, 8), -64) + 64, %d] }   // [N, N, D]
    %s = tenon.contract "b l h d, l r d -> b h l r" %q, %g
    ```
    becomes
    ```mlir
    %p = tenon.contract "b l h d, row d -> b h l row" %q, %table                                  // 73 columns
    %s = tenon.map … at %b, %h, %l, %r { load %p[%b, %h, %l, max(min(%r - %l, 8), -64) + 64] }
    ```
    Exact: the same products are summed. No tensor of positions x positions x D exists, and an attention that adds %s
    reads the rows by distance.

    Does not fire where data chooses the rows, where a dim that chooses is summed, where the other operand has all of
    them or none, or where the table has more than twice the rows of what it replaces.
  }];
}

def RaiseNorms : Pass<"tenon-raise-norms", "::mlir::ModuleOp"> {
  let summary = "Norms from the arithmetic exporters write for them";
  let description = [{
    ```mlir
    %q = tenon.map … { x[i, c] * x[i, c] }
    %s = tenon.reduce sum %q over [1] : tensor<?x512xf32, …> -> tensor<?xf32, …>
    %r = tenon.map … { 1 / sqrt(s[i] * 0.001953125 + 1.0e-6) }
    %y = tenon.map … { w[c] * (x[i, c] * r[i]) }
    ```
    becomes
    ```mlir
    %n = tenon.norm rms %x over 1 epsilon 1.0e-6 : …
    %y = tenon.map … { w[c] * n[i, c] }
    ```
    With x - mean(x) in place of x it is a layer norm. Matched is the arithmetic, whatever maps it is spread
    over: mean by a product or a quotient, rsqrt, 1 / sqrt, a quotient by sqrt, or a power of -1/2. The row
    is the last dim, of constant size. Exact but for rounding: the norm's own order of summation.

    Does not fire where the sum is over another tensor or dim than the element's, or divided by another count.
  }];
}

def NarrowToDemandedRows : Pass<"tenon-narrow-to-demanded-rows", "::mlir::ModuleOp"> {
  let summary = "Compute only the rows somebody reads";
  let description = [{
    ```mlir
    %n = tenon.norm layer %x … : [B, S, 384]
    %c = tenon.map %t = %n at %b, %k : (…) -> [B, 384] { load %t[%b, 0, %k] }        // the only reader
    ```
    becomes
    ```mlir
    %r = tenon.map %t = %x at %b, %s, %k : (…) -> [B, 1, 384] { load %t[%b, 0, %k] }
    %n = tenon.norm layer %r … : [B, 1, 384]
    %c = tenon.map %t = %n at %b, %k : (…) -> [B, 384] { load %t[%b, 0, %k] }
    ```
    From the outputs upward: what is read of a tensor is nothing, one constant position of one dimension, or
    everything; two readers that want different positions want everything. Maps hand the position on through their index
    expressions, norms and softmaxes if the dimension is not theirs, contractions to the operands that have the index,
    reshapes if the dimension and those before it stay. Then each such op is made on the row alone, exactly
    as before. In a classifier that reads the first token, of the last layer the projections of keys and values
    stay whole, all else shrinks to one row.

    Runs before MergeProjections, which would tie the queries' projection to that of the keys.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
}

def MergeProjections : Pass<"tenon-merge-projections", "::mlir::ModuleOp"> {
  let summary = "Make products of one operand with several weights one product";
  let description = [{
    ```mlir
    %q = tenon.contract "b s k, k n -> b s n" %x, %wq      // and a map that adds %bq
    %k = tenon.contract "b s k, k n -> b s n" %x, %wk      // and a map that adds %bk
    ```
    becomes
    ```mlir
    tenon.weight @wqk = #tenon.recipe<concat [@wq, @wk] {axis = 1}>
    %all = tenon.contract "b s k, k n -> b s n" %x, %wqk   // and one map that adds the concatenated bias
    %q = tenon.map ... load %all[%b, %s, %n]
    %k = tenon.map ... load %all[%b, %s, %n + 384]
    ```
    Every element of the results is the same sum as before. Attention reads the slices in place ("b n 1 h d").

    Done for equal shapes, where each product's one reader adds a bias per column, or where all readers only
    move elements; products with arithmetic of their own after them keep it as their epilogue. Runs before
    RaiseAttention, and no ComposeMaps between: that would put the bias back behind the slices.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
}

def SinkInterpolations : Pass<"tenon-sink-interpolations", "::mlir::ModuleOp"> {
  let summary = "Mix channels before a map makes rows more: resizes, concatenations and broadcasts behind products";
  let description = [{
    ```mlir
    %p = tenon.contract "m k, k n -> m n" %x, %project : [16, 32] x [32, 256]
    %u = tenon.map %t = %p at %i, %c : … { 0.5 * load %t[%i floordiv 4, %c] + 0.5 * load %t[(%i + 2) floordiv 4, %c] }
    %j = tenon.map %a = %u, %b = %v at %i, %c : … { %c < 256 ? load %a[%i, %c] : load %b[%i, %c - 256] }  // [64, 512]
    %y = tenon.contract "m k, k n -> m n" %j, %mix : [64, 512] x [512, 256]
    ```
    becomes
    ```mlir
    tenon.weight @mix.0 = #tenon.recipe<product [@project, slice @mix 0 to 256]>                       // [32, 256]
    %q = tenon.contract "m k, k n -> m n" %x, %mix.0 : [16, 32] x [32, 256]
    %r = tenon.contract "m k, k n -> m n" %v, %mix.1 : [64, 256] x [256, 256]
    %y = tenon.map … { 0.5 * load %q[%i floordiv 4, %n] + 0.5 * load %q[(%i + 2) floordiv 4, %n] + load %r[%i, %n] }
    ```
    Equal in real arithmetic: what no channel changes commutes with what mixes channels, a product of parts side by side is
    the sum of the parts' products, and products with two weights in turn are one with their product.

    Runs where weights are no longer moved (FoldWeightMoves), before merging. Does not fire where more than three quarters of the
    work would stay, where a map has other readers, adds a constant, or has factors that channels change, where a part of a
    tensor's channels is read, or a large table would be kept twice.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
}

#endif
