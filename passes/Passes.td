//===- Passes.td - every pass, in pipeline order ------------------------*- tablegen -*-===//
//
// One pass, one .cpp named after it. Folders are the phases of the pipeline; the
// order they run in is compiler/pipeline/Pipeline.cpp.
//
#ifndef TENON_PASSES_TD
#define TENON_PASSES_TD
include "mlir/Pass/PassBase.td"

//===----------------------------------------------------------------------------===//
// simplify/
//===----------------------------------------------------------------------------===//

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
    product. A map that loads every element where it stands in row-major order is a `tenon.reshape`.

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
//===----------------------------------------------------------------------------===//
// fusion/
//===----------------------------------------------------------------------------===//

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

//===----------------------------------------------------------------------------===//
// attention/
//===----------------------------------------------------------------------------===//

def RaiseAttention : Pass<"tenon-raise-attention", "::mlir::ModuleOp"> {
  let summary = "Recognise attention by what a softmax and the contractions around it compute";
  let description = [{
    From a `tenon.softmax` outward: every contraction its operand is computed from by maps and reshapes is a
    candidate for the product of queries and keys; the one contraction its result goes into by maps
    and reshapes is the product with the values. With the index expressions of all maps and reshapes between:

    | found | becomes |
    |---|---|
    | element (b, h, i, j) of the softmax's operand as a function of one element of the product | the score region |
    | element of the second contraction's operand as a function of one of the softmax | the weight region |
    | tensors loaded on the way (masks, biases) | captures, loaded at their own indices, never at N x N |
    | transposes, reshapes, slices and expansions of key heads before Q, K, V | layouts, and the head count of the keys |
    | constant factors of Q and K | one factor of the score |

    ```mlir
    %s = tenon.contract "b h m k, b h k n -> b h m n" %qt, %kt
    %m = tenon.map ... { load %s[%b, %h, %i, %j] + (load %mask[%b, %j] != 0 ? 0.0 : -3.4e38) }
    %p = tenon.softmax %m over 3
    %o = tenon.contract "b h m k, b h k n -> b h m n" %p, %vt
    ```
    becomes
    ```mlir
    %a = tenon.attention %q, (%k), (%v) captures (%mask) normalise softmax empty zero
           layout ["b n h d", "b n h d", "b n h d", "b n h d"] : …
      score (%x, %b, %h, %i, %j, %mask) { … }
    ```
    and a map which gives the result the order the contraction had; a transpose that follows cancels it.

    Must not fire, and does not: a softmax whose result or whose scores are read by anything else (returned
    probabilities), without a product before it (a router's gate) or behind it, whose product sums over something other
    than the softmax's dimension, or between whose contractions elements are mixed (a sum, a norm).
    Exact in real arithmetic; a constant factor is applied to the product instead of its operands.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
}

def RaiseKeep : Pass<"tenon-raise-keep", "::mlir::ModuleOp"> {
  let summary = "Turn mask values in a score into a keep region";
  let description = [{
    Exporters mask by adding 0 or a very small number, or by selecting one:

    ```mlir
    score (%x, %b, %h, %i, %j, %mask) { %x + (load %mask[%b, %j] ? 0.0 : -3.4e38) }         empty zero
    ```
    becomes
    ```mlir
    keep (%b, %h, %i, %j, %mask) { load %mask[%b, %j] }                                      empty uniform
    ```

    Why it is the same under softmax, for a mask value M:

    | M | a row with a live key | a row without |
    |---|---|---|
    | -inf | dead keys have exp(-inf) = 0 | NaN: `empty nan`; 0 if a NaN guard follows: `empty zero` |
    | finite, at most -1e30 | exp(x + M - m) = 0 in f32 and f64 | x + M is M for every key, so all weights are equal: `empty uniform` |

    The bound for finite M: scores are finite and below 2^45 in magnitude. Then x + M rounds to M in f32 (half an ulp of
    1e30 is 2^75) and in f64 (2^46), and the distance to a live maximum is beyond what an exponential resolves. Milder
    values (-1e4, -1e9) stay in the score: they do not absorb it. A NaN or infinite score of a dead key no longer
    reaches its row; that is the only difference, and it needs such a score.

    A mask on one side of a choice by position, `select(j < n, x + mask, sink)`, is a condition of that side: `j >= n or …`.

    An added constant 0, what is left of a mask that masks nothing, goes as well: an exponential does not see the
    sign of zero.

    Does not fire on two finite masks, or a finite one beside -inf: where both are dead the sum is -inf, where one is, it is
    finite, and a row without live keys then prefers the latter; on conditions that depend on the score; on an op
    that has a keep region.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
}

def ChooseAttentionAlgorithm : Pass<"tenon-choose-attention-algorithm", "::mlir::ModuleOp"> {
  let summary = "Write on each attention how it is computed";
  let description = [{
    `flash` (online softmax over tiles of keys, no N x N tensor) where it is legal: f32, bf16 or f16 (computed in f32), one source
    of keys, constant depth and row distance. Otherwise `materialised`.

    | on the op | in flash |
    |---|---|
    | keep region | tiles it rules out are skipped, tiles it lets through are not masked: what decides them is in the remark (KeepAnalysis.h) |
    | weight region: the guard `select(isnan(p), 0, p)` | a property of the row: NaN weights fill a row or do not occur in it |
    | any other weight region | two passes over the keys, since normalised weights exist only after the last one; scores are computed twice |
    | `normalise topk_softmax k` | two passes: the k greatest scores of each row, then softmax over what is not below the least of them |
    | `normalise hard` | the best key of each row, whose value is read at the end; no products with values. Not with a weight region, which would weigh the other keys, or `empty uniform` |
    | `empty uniform`, `empty ignore_keep` | groups of queries that have a row without live keys take in all keys once more for it; not with two passes |

    `split` (attention_update over parts of the keys, merged and finished) where there are at most 4 queries and 32 of them
    on one key head, a constant number: flash has lanes along queries and would waste most of them, and one query over
    a long cache should keep every thread busy. And where there are several sources of keys, for any number
    of queries. It wants no weight region, and `empty zero` or `nan`: a state has forgotten the dead keys.

    An `algorithm` on the op is an order: it is kept, and an error where
    it cannot be. Each choice is reported as a remark, with its reason.
  }];
  let options = [Option<"force", "force", "std::string", "\"\"", "flash, split or materialised, for every attention">];
}

def ReassociateAttention : Pass<"tenon-reassociate-attention", "::mlir::ModuleOp"> {
  let summary = "Linear attention: keys times values first";
  let description = [{
    ```mlir
    %o = tenon.attention %q, (%k), (%v) normalise sum empty zero layout ["b h n d", …]
           score (%x, %b, %h, %i, %j) = %x * %f[%h, %i] * %g[%h, %j]
    ```
    becomes, with f taken into the queries and g into the keys,
    ```mlir
    %s = tenon.contract "b h j d, b h j e -> b h d e" %k', %v            // N d d_v multiply-adds
    %n = tenon.contract "b h i d, b h d e -> b h i e" %q', %s            // and as many again
    %z = tenon.reduce sum %k' over [2]
    %l = tenon.contract "b h i d, b h d -> b h i" %q', %z
    %o = tenon.map … { load %n / load %l }
    ```
    where `none` needs neither z nor l. Exact in real arithmetic, since (Q Kᵀ) V = Q (Kᵀ V): nothing that depends on query
    and key together may stand between the two products. It must not fire for softmax, a `keep` or `weight` region, a score
    that is not x times factors of one side each, several sources, an `algorithm` that is given; nor where all sizes are known
    and N N' (d + d_v) <= (N + N') d d_v.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
}

def RaiseLinearAttention : Pass<"tenon-raise-linear-attention", "::mlir::ModuleOp"> {
  let summary = "Two contractions with a causal mask between them as attention without a normaliser";
  let description = [{
    ```mlir
    %s = tenon.contract "b h m k, b h n k -> b h m n" %q, %k
    %d = tenon.map … = select(%i >= %j, pow(%g[%h], %i - %j), 0)
    %p = tenon.map … = %s[…] * %d[…]
    %o = tenon.contract "b h m k, b h k n -> b h m n" %p, %v
    ```
    becomes
    ```mlir
    %o = tenon.attention %q, (%k), (%v) captures (%g) normalise none empty zero layout [...]
           score (%x, %b, %h, %i, %j, %g) = %x * pow(%g[%h], %i - %j)
           keep (%b, %h, %i, %j, %g) = %j <= %i
    ```
    which `tenon-scan-attention` makes a recurrence. An element of the result, traced through maps, is a sum over j of a sum over d times
    factors; one of them has to be a choice between zero and something by j <= i, whatever comparison says so. Exact where
    scores are finite: a score that is not, times zero, is not a number, and is left out here. It must not fire without
    such a mask (two products in a row are no attention), for scores that go through a function, or values that know the query.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
}

def RaiseScan : Pass<"tenon-raise-scan", "::mlir::ModuleOp"> {
  let summary = "A loop over time that was unrolled, as one recurrence";
  let description = [{
    Exporters have no loop for a recurrence and write its steps one after another:

    ```mlir
    %s0 = tenon.map … = %a[%b, %h, 0, %d] * 0.0 + %k[%b, 0, %d] * %x[%b, %h, 0]
    %o0 = tenon.contract "b h d, b d -> b h" %s0, %q0
    %s1 = tenon.map … = %a[%b, %h, 1, %d] * %s0[%b, %h, %d] + %k[%b, 1, %d] * %x[%b, %h, 1]
    %o1 = tenon.contract "b h d, b d -> b h" %s1, %q1
    …
    %y = tenon.map … = select(%n < 1, %o0[…], select(%n < 2, %o1[…], …))
    ```
    becomes
    ```mlir
    %o = tenon.scan %q', %k', %x' decay (%a') layout ["b n d", "b n d", "b n h", "b n h d", "b n h"]
    %y = tenon.map … = %o[%b, %n, %h]
    ```

    Found by meaning. A step is what y_t needs beyond what y_{t-1} needed; the one tensor it takes over is the state. An element of
    a step, traced through maps, reshapes, contractions and sums, is a tree of scalar arithmetic, and the trees of all
    steps must be one whose indices are linear in t. The state must be linear in its predecessor, S' = a S + b; where the predecessor
    is also summed over a dim, S' = a S + k β (v - Σ k a S), the delta rule; where it is summed alone, S' = A S + b with a matrix A
    that no step changes, a transition, and of a state that is itself collected the rows are heads. b is a product: factors that know
    the dim which reads sum over are the key, the others the value. y_t reads the state by a contraction or sum over one of its
    dims, or is the state; what else y_t does goes into a map behind the scan. A state given before the first step and the
    last one, where it is read, are the operand and result of the scan.

    Loops over several states whose elements do not meet, as RWKV's largest exponent, numerator and denominator, and over one that y_t
    reads before step t writes it, are taken apart (`passes/scan/ElementLoop.h`): a state that depends on nothing but itself becomes a
    tensor of all its steps first, then those that depend on it. S' = a S + b is a scan, S' = max(S + a, b) log2(T) maps, each of which takes
    the greatest of twice as many steps. A matrix that is read before it is written is a scan whose first step writes nothing.

    Exact in real arithmetic; products, and sums of what is added to a maximum, are taken in another order. It must not fire for
    fewer than 4 steps (5 of several states), a state that goes through a function, two states that need each other, steps that read
    a state of two steps before, states that are read elsewhere, and indices that are not linear in the step.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
}

def FoldScanMoves : Pass<"tenon-fold-scan-moves", "::mlir::ModuleOp"> {
  let summary = "A recurrence reads its operands where they were before being moved";
  let description = [{
    ```mlir
    %r = tenon.reshape %x : tensor<?x1536xf32, …[N, 1536]> -> tensor<1x?x1536xf32, …[1, N, 1536]>
    %t = tenon.map at %b, %h, %n, %d { load %r[%b, %n, %h * 64 + %d] }
    %o = tenon.scan … %t … layout ["b h n d", …]
    ```
    becomes, of `%x` as `[N, 24, 64]`,
    ```mlir
    %o = tenon.scan … %x' … layout ["n h d", …]
    ```
    Exact: each element read is the same. So a map that computes an operand stands directly before it again, and is computed
    where it is read. It does not fire where elements are repeated, computed or chosen by data.
  }];
}

def ScanAttention : Pass<"tenon-scan-attention", "::mlir::ModuleOp"> {
  let summary = "Causal linear attention as a recurrence";
  let description = [{
    ```mlir
    %o = tenon.attention %q, (%k), (%v) captures (%gamma) normalise none empty zero layout [...]
           score (%x, %b, %h, %i, %j, %g) = %x * %c[%h, %i] * pow(%g[%h], %i - %j)
           keep (%b, %h, %i, %j, %g) = %j <= %i
    ```
    becomes, with c taken into the queries,
    ```mlir
    %a = tenon.map … { load %gamma[%h] }
    %o = tenon.scan %q', %k, %v decay (%a) layout [..., "h", ...]
    ```
    Under `sum` the values get a column of ones, whose sums the others are divided by. Exact in real arithmetic: a factor f of
    query and key must be Π_{j < t ≤ i} f(t, t - 1), which is proven of a constant to the power of i - j (or exp of a multiple
    of i - j) and of exp(u(i) - u(j)), whose factors exp(u(t) - u(t - 1)) are what the model decays by at each step. Nothing
    is divided by, so a decay of 0 stays exact.

    It must not fire for softmax, a keep other than j <= i, as many queries as keys not known, a weight region, a score that is not x
    times factors, another factor of query and key (a table of distances), an `algorithm` that is given; nor where the
    sizes are known and N (d + d_v) <= 5 d d_v: then flash attention does less.

    On every recurrence, whoever made it, `tenon.form` then says whether it goes by "steps" or in "chunks" of 16: what `ScanForm.h` counts to
    be cheaper, or what stood there, which is an order. Steps it is where rows of the state have factors of their own, where depths are not
    constant, and where there never are 16 steps. Both forms are exact in real arithmetic. One with a transition goes by steps or
    as a convolution, in the form "toeplitz" or "fft", which `TransitionForm.h` counts to be cheapest; ExpandScan makes it so.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
}

def ExpandScan : Pass<"tenon-expand-scan", "::mlir::ModuleOp"> {
  let summary = "Recurrences with a constant transition as convolutions";
  let description = [{
    ```mlir
    %o = tenon.scan %q, %k, %v transition (%A : tensor<64x64xf32>) layout ["h d", "d", "b n", "b n h"] {tenon.form = "fft"}
    ```
    becomes, with the impulse responses g[n, h] = q_hᵀ Aⁿ k,
    ```mlir
    %e = tenon.map at %n, %s { 1 where %n is 0, else 0 }
    %g = tenon.scan %q, %k, %e transition (%A) layout ["h d", "d", "n h", "n h"] {tenon.form = "steps"}
    %t = tenon.map %a = %g at … { %a[N - 1 - %p, %h] }
    %y = tenon.toeplitz %x diagonals %t causal form fft
    ```
    and with the form "toeplitz" of one number a step for all heads a product of the shifts of %v, `[N, N]`, with %g, else the same
    `tenon.toeplitz` in its direct form. Where A, q and k are weights, the compiler computes %g, and its spectrum, once.

    Exact in real arithmetic, because q, k and A are the same at every step. A transform's error is measured by the largest
    response. What is no number in %v reaches all steps of its column by transforms, later ones alone by steps.

    Precondition: ScanAttention has written the forms. Must not touch a recurrence in another form. Before ChooseToeplitzForm and
    LowerToeplitz, which lower what it makes.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
}

def MaterialiseAttention : Pass<"tenon-materialise-attention", "::mlir::ModuleOp"> {
  let summary = "Attention as two contractions, a softmax and maps";
  let description = [{
    ```mlir
    %o = tenon.attention %q, (%k), (%v) normalise softmax empty zero layout [...] algorithm materialised score { … } keep { … }
    ```
    becomes
    ```mlir
    %x = tenon.contract "b i h d, b j h d -> b h i j" %q, %k
    %y = tenon.map … { keep ? score(load %x[…]) : -inf }
    %p = tenon.softmax %y over 3
    %w = tenon.map … { keep ? load %p[…] : 0 }
    %r = tenon.contract "b h i j, b j h d -> b h i d" %w, %v
    ```
    and a map to the result's layout. Exact for finite operands and every empty-row rule:

    | rule | in a row without live keys |
    |---|---|
    | `zero` | weights are 0 |
    | `nan` | the result is NaN, by the maximum of keep over the row |
    | `uniform` | scores are all 1 |
    | `ignore_keep` | scores are not masked |

    (A dead key whose value is NaN or infinite still meets a weight of 0 and gives NaN.) Groups of query heads
    on one key head become a dimension of their own. Costs O(N²) memory; the reference for every other algorithm.
  }];
  let options = [Option<"all", "all", "bool", "false", "Every attention, whatever its algorithm">];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
}

def ChooseToeplitzForm : Pass<"tenon-choose-toeplitz-form", "::mlir::ModuleOp"> {
  let summary = "Write on each Toeplitz product whether it goes through the Fourier transform";
  let description = [{
    Three forms compute (q_i · k_j) c(j - i) times values: `direct`, M N (R + C) operations, no transform, at the speed of
    attention; `fft`, R C (M + N) log(M + N) of them (FourierPlan.h); and `fft_blocks`, which transforms blocks of rows by
    themselves and multiplies each block's spectrum with that of its distance (`tenon.circulant` with `block`): as many
    operations, but transforms that fit into the cache. Which is cheapest depends on the sizes alone, by the model in
    ToeplitzCost.h, whose rates were measured. Of 64 features and channels transforms win from some thousand tokens
    on, of 16 features from some hundred, of one at once; in blocks from a period of some thousand points on.

    An attention qualifies whose score is x times factors of the query, of the key, and at least one of the distance
    (ScoreFactors.h), under `sum` or `none`, one source, no weight region, no keep region but `j <= i`, as many key heads as
    query heads, f32, and constant sizes: it gets `algorithm fft` or `fft_blocks`, or nothing, and ChooseAttentionAlgorithm goes on.
    Every `tenon.toeplitz` gets a `form`. Blocks need one kernel for all channels. Their rows stand beside as `tenon.block`;
    one that is there already is an order, as is an `algorithm` or a `form`.

    ```mlir
    %o = tenon.attention %q, (%k), (%v) … normalise sum … score (%x, %b, %h, %i, %j, %c) = %x * %c[%h, %j - %i + 4095]
    ```
    of 4096 queries and keys, 16 features and 64 channels becomes
    ```mlir
    %o = tenon.attention %q, (%k), (%v) … normalise sum … algorithm fft score …
    ```

    Rates are a CPU's, or those of the level that the module's `tenon.target` names if it is a GPU: the driver sets it where a program is
    compiled for GPUs alone. There transforms are done by workers, and the first form wins far longer.

    All forms are exact in real arithmetic. In f32 the error of transforms is about 4e-7 of the largest |c| times the norm of what they
    multiply, in every row; heads with a |c| above 100 times that of distance 0 are therefore summed directly when it runs
    (`tenon.circulant`), at the quadratic cost.

    Before it: ReassociateAttention, which takes scores without a factor of the distance. After it: LowerToeplitz.
  }];
  let options = [Option<"force", "force", "std::string", "\"\"", "direct, fft or fft_blocks, for every product that can be that">];
}

def LowerToeplitz : Pass<"tenon-lower-toeplitz", "::mlir::ModuleOp"> {
  let summary = "Toeplitz products as circular convolutions, or directly";
  let description = [{
    Form `fft`: the M + N - 1 diagonals become a kernel g of a period L that holds them, its spectrum is computed once
    for all batch items, and the product is a `circulant`:
    ```mlir
    %y = tenon.toeplitz %x diagonals %t form fft : (tensor<2x8x512x64xf32>, tensor<8x1023xf32>) -> tensor<2x8x512x64xf32>
    ```
    becomes
    ```mlir
    %g = tenon.map %a = %t at %h, %one, %n { %t[%h, 511 - %n], or behind it %t[%h, 511 + (1024 - %n)], or 0 }
    %s = tenon.fft %g length 1024 axis 2 parts 1 : tensor<8x1x1024xf32> -> tensor<8x2x1024xf32>
    %y = tenon.circulant %x spectrum %s kernel %g
    ```
    Form `fft_blocks`, of 256 rows each, has a kernel of period 512 for each distance between blocks, here -1, 0 and 1, and one of
    two instead of three where `causal`:
    ```mlir
    %g = tenon.map %a = %t at %h, %one, %n, %d { … } : tensor<8x1x512x3xf32>
    %s = tenon.fft %g length 512 axis 2 parts 1 : tensor<8x1x512x3xf32> -> tensor<8x2x512x3xf32>
    %y = tenon.circulant %x spectrum %s block 256 kernel %g
    ```
    An attention with `algorithm fft` or `fft_blocks` is the same with features, and under `sum` once more for Σ_j c(j - i) k_j, whose
    product with q_i the rows are divided by. The first 64 rows of a longer causal attention are an attention of their own besides, without
    a normaliser and with a column of ones for the sums: they see few keys, and what a transform loses is measured by all
    of them. Form `direct` is an attention without a normaliser; without features, a product
    with the matrix written out, and where each channel has a kernel of its own a sum of products that are never stored.

    Precondition: ChooseToeplitzForm has run. Must not touch an attention with another algorithm.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
}

//===----------------------------------------------------------------------------===//
// fft_rpe/
//===----------------------------------------------------------------------------===//

def ExpandFFT : Pass<"tenon-expand-fft", "::mlir::ModuleOp"> {
  let summary = "Fourier transforms of a length that is not known, as matrix products";
  let description = [{
    ```mlir
    %y = tenon.fft %x length #tenon.dim<S> axis 1 parts 2 : tensor<?x?x2xf32, #tenon.dims<[B, S, 2]>> -> …
    ```
    becomes
    ```mlir
    %w = tenon.map at %n, %p, %k, %q { ± cos or sin (2π n k / S) } : [S, 2, S, 2]
    %y = tenon.contract "d0 n p, n p k q -> d0 k q" %x, %w
    ```
    How a transform is taken apart depends on the factors of its length, so code for all lengths would be planned while it
    runs. The product is right at every length, costs 8 N K operations a transform and the matrix once, and is at the speed
    of the matrix product: for short lengths and many transforms little is lost. n k is reduced modulo the length as
    an integer, so a factor is exact to 2^-24 however long the transform is. Elements of f16 and bf16 are computed in f32.

    Does not fire where length, extent and frequencies are constants: those have kernels of their own. Before it: nothing. After
    it: FlattenContractions, PackWeights and all that make contractions fast.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::math::MathDialect"];
}

//===----------------------------------------------------------------------------===//
// layout/
//===----------------------------------------------------------------------------===//

def StreamSinkhorn : Pass<"tenon-stream-sinkhorn", "::mlir::ModuleOp"> {
  let summary = "Sinkhorn's balancing by vectors of rows and columns, without the N x N weights";
  let description = [{
    ```mlir
    %o = tenon.attention %q, (%k), (%v) normalise sinkhorn 3 empty zero layout [...] score …
    ```
    becomes, with f of the queries and g of the keys, w_ij = exp(y_ij + f_i + g_j) / M,
    ```mlir
    %f = log M - log Σ_j exp(y_ij + g_j)               // tenon.attention … also log_sum_exp, of queries over keys
    %g = log N - log Σ_i exp(y_ij + f_i)               // the same of keys over queries
    %o = tenon.attention %q, (%k), (%v) captures (…, %g) normalise softmax … score … + %g[%b, %h, %j]
    ```
    each half-step one attention, of O(N) memory; after an even number of them its weights are w, without a normaliser. Exact in
    real arithmetic; a row or column without live pairs keeps its factor, as in memory.

    It must not fire for shared key heads (no query has a key's place), more sources of keys than one, a weight region, further
    results, an empty-row rule other than zero, f64, rows a run-time distance apart, an `algorithm` that is given; nor where a head has at most
    256 x 256 scores, which are balanced faster in the cache.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::math::MathDialect"];
}

def SplitAttention : Pass<"tenon-split-attention", "::mlir::ModuleOp"> {
  let summary = "Attention whose algorithm is split as updates, a merge and a finish";
  let description = [{
    ```mlir
    %o = tenon.attention %q, (%k), (%v) normalise softmax empty zero layout ["b n h d", …] algorithm split : …
    ```
    becomes, for S keys
    ```mlir
    %s = tenon.attention_update %q, %k, %v normalise softmax layout ["b n h d", …] parts_of 512      // [S ceildiv 512, B, H, N, D + 2]
    %m = tenon.attention_merge %s normalise softmax                                                  // [1, B, H, N, D + 2]
    %o = tenon.attention_finish %m normalise softmax empty zero layout "b n h d"
    ```
    with one update for each source of keys, all merged. A single part needs no merge. Exact in real arithmetic: states
    are a commutative monoid (tenon.attention_update). Where the keys are cut depends on their number alone, so
    results do not depend on threads. Merge and finish become one kernel.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
}

def FoldAttentionMoves : Pass<"tenon-fold-attention-moves", "::mlir::ModuleOp"> {
  let summary = "Let attention read through slices, transposes and reshapes of its operands";
  let description = [{
    ```mlir
    %k = tenon.map at %b, %n, %c { load %qkv[%b, %n, %c + 384] }           // [B, N, 384] of [B, N, 1152]
    %r = tenon.reshape %k                                                  // [B, N, 12, 32]
    %o = tenon.attention …, (%r), … layout […, "b n h d", …]
    ```
    becomes
    ```mlir
    %r = tenon.reshape %qkv                                                // [B, N, 3, 12, 32]
    %o = tenon.attention …, (%r), … layout […, "b n 1 h d", …]
    ```
    for whoever builds `tenon.attention` directly; RaiseAttention does the same for what it raises. An operand moves to the
    furthest tensor whose dims, split, are batch, heads, rows, depth and fixed positions; one that is computed on the way,
    or whose indices are not of that form, stays. Keys and values are also read through conversions to a wider float: a cache of
    bf16 under an attention in f32 is read as it is, in half the bytes, and no wide copy of it is made.
  }];
}

def TabulateDiagonals : Pass<"tenon-tabulate-diagonals", "::mlir::ModuleOp"> {
  let summary = "Compute what depends on the distance of query and key once for each distance";
  let description = [{
    ```mlir
    score (%x, %b, %h, %i, %j, %w) = %x + %w[%h, bucket of %j - %i]        // T5
    ```
    becomes, for N queries and M keys
    ```mlir
    %t = tenon.map at %h, %p { load %w[%h, bucket of %p - (N - 1)] }       // [H, N + M - 1]
    score (%x, %b, %h, %i, %j, …, %t) = %x + %t[%h, %j - %i + (N - 1)]
    ```
    A value of a score or weight region qualifies if it depends on i and j but not on x or the batch, and is unchanged by
    (i, j) -> (i + 1, j + 1) (RegionAnalysis.h); the largest such values are taken, if they load, call an elementary
    function, or are at least four operations. With lanes along queries a row of the table is one vector, turned
    around; evaluated in place each pair would gather, convert and compute. Memory: N + M - 1 elements a head.

    Does not fire on a bias over both positions, on one that depends on the batch, or where a table costs as much.
    Before it: RaiseAttention and RaiseKeep, which make the regions. After it: ChooseAttentionAlgorithm.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
}

def FoldWeightMoves : Pass<"tenon-fold-weight-moves", "::mlir::ModuleOp"> {
  let summary = "Reshapes, transposes and slices of weights become recipes";
  let description = [{
    ```mlir
    %w = tenon.get @w : tensor<64x3x8x8xf32>
    %r = tenon.reshape %w : tensor<64x3x8x8xf32> -> tensor<64x192xf32>
    %t = tenon.map %x = %r at %k, %n : (tensor<64x192xf32>) -> tensor<192x64xf32> { load %x[%n, %k] }
    ```
    becomes
    ```mlir
    tenon.weight @w.reshape : tensor<64x192xf32> = #tenon.recipe<reshape [@w]>
    tenon.weight @w.reshape.transpose : tensor<192x64xf32> = #tenon.recipe<transpose [@w.reshape] {permutation = array<i64: 1, 0>}>
    %t = tenon.get @w.reshape.transpose : tensor<192x64xf32>
    ```
    Broadcasts stay in the program: a recipe would store every copy. Runs before contractions are flattened.
  }];
}

def FlattenContractions : Pass<"tenon-flatten-contractions", "::mlir::ModuleOp"> {
  let summary = "A product with a weight is a matrix product of rows";
  let description = [{
    ```mlir
    %y = tenon.contract "b s k, n k -> b s n" %x, %w : … -> tensor<?x?x96xf32, #tenon.dims<[B, S, 96]>>
    ```
    becomes
    ```mlir
    tenon.weight @w.transpose : tensor<384x96xf32> = #tenon.recipe<transpose [@w] {permutation = array<i64: 1, 0>}>
    %r = tenon.reshape %x : … -> tensor<?x384xf32, #tenon.dims<[B * S, 384]>>
    %m = tenon.contract "m k, k n -> m n" %r, %w.transpose
    %y = tenon.reshape %m : … -> tensor<?x?x96xf32, #tenon.dims<[B, S, 96]>>
    ```
    All dims the result shares with the activations are rows, all it shares with the weight columns, however
    many there are; the weight is put in order by a recipe. A weight on the left changes sides.

    Does not fire where activations would have to move: rows and summed dims interleaved, or columns
    before rows in the result. FuseContractionOperands runs before, SinkReshapes after.
  }];
}

def OrientCaptures : Pass<"tenon-orient-captures", "::mlir::ModuleOp"> {
  let summary = "Constant tables that attention reads are put with the query's dim last";
  let description = [{
    ```mlir
    tenon.attention … captures (%bias) score (%x, %b, %h, %i, %j, %t) { %x + load %t[%h, %i, %j] }
    ```
    becomes, with `@bias.transpose` made by a recipe,
    ```mlir
    tenon.attention … captures (%turned) score (%x, %b, %h, %i, %j, %t) { %x + load %t[%h, %j, %i] }
    ```
    Flash attention has its lanes along the queries: neighbours of `%i` are then one vector instead of a gather. It
    fires where exactly one index of every load follows the query and the table is a weight.
  }];
}

def MoveRows : Pass<"tenon-move-rows", "::mlir::ModuleOp"> {
  let summary = "Rows are moved where a product with a weight reads them";
  let description = [{
    ```mlir
    %m = tenon.contract "m k, k n -> m n" %x, %w : … -> tensor<?x96xf32, #tenon.dims<[B * 4, 96]>>
    %y = tenon.reshape %m : … -> tensor<?x4x96xf32, #tenon.dims<[B, 4, 96]>>
    %z = tenon.map %a = %y, %r = %residual at %b, %s, %n { load %a[%b, (%s + 3) mod 4, %n] + load %r[%b, %s, %n] }
    ```
    becomes
    ```mlir
    %p = tenon.map %a = %x at %m, %k { load %a[%m floordiv 4 * 4 + (%m + 3) mod 4, %k] }
    %m = tenon.contract "m k, k n -> m n" %p, %w
    %y = tenon.reshape %m
    %z = tenon.map %a = %y, %r = %residual at %b, %s, %n { load %a[%b, %s, %n] + load %r[%b, %s, %n] }
    ```
    A row of the result is the same row of the operand times the weight, so the rows may be moved before; a bias that
    is added in between is added behind. Before a product, a chain of moves and reshapes that keeps rows whole becomes
    one map over the product's rows, from the furthest tensor on: FormKernels lets the product read through it while
    it copies its rows, and what reads the result in place finishes the product.

    Does not fire where others read the moved rows as well, where elements of a row part, or where rows would be
    computed more often than before.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
}

def NormaliseRows : Pass<"tenon-normalise-rows", "::mlir::ModuleOp"> {
  let summary = "Softmax and norms are over the last dim alone";
  let description = [{
    ```mlir
    %p = tenon.softmax %x over 1 : tensor<2x8x5xf32>
    ```
    becomes
    ```mlir
    %m = tenon.reduce max %x over [1] : tensor<2x8x5xf32> -> tensor<2x5xf32>
    %e = tenon.map … { exp(x[b, j, c] - m[b, c]) }
    %s = tenon.reduce sum %e over [1] : tensor<2x8x5xf32> -> tensor<2x5xf32>
    %p = tenon.map … { e[b, j, c] / s[b, c] }
    ```
    Over the last dim a softmax is one kernel, which reads each row once. Over another the elements of a row
    lie apart, and reductions over that dim take neighbouring rows in the lanes of a vector. f16 and bf16 are
    computed in f32, as tenon.softmax says.

    A layer or RMS norm over several dims is one over their flattened row; a group norm of [B, C, H, W] is a
    layer norm of [B, groups, C / groups · H · W], then a map with each channel's scale and shift.
  }];
}

def SinkReshapes : Pass<"tenon-sink-reshapes", "::mlir::ModuleOp"> {
  let summary = "Move reshapes behind the maps and norms that follow them";
  let description = [{
    ```mlir
    %y = tenon.reshape %m : [B * S, 96] -> [B, S, 96]
    %z = tenon.map %a = %y, %t = %bias, %r = %residual at %b, %s, %n { load %a[%b, %s, %n] + load %t[%n] + load %r[%b, %s, %n] }
    ```
    becomes
    ```mlir
    %q = tenon.reshape %residual : [B, S, 96] -> [B * S, 96]
    %w = tenon.map %a = %m, %t = %bias, %r = %q at %m, %n { load %a[%m, %n] + load %t[%n] + load %r[%m, %n] }
    %z = tenon.reshape %w : [B * S, 96] -> [B, S, 96]
    ```
    The map then reads the contraction's result where it stands and becomes its epilogue. It fires when every load
    has the merged indices one after another or not at all; a table read by position alone (`load %p[%s, %n]`) keeps the
    map as it is, and so does a reshape whose operand others read too, unless all readers of the map want the merged dims. Norms and reductions over the last dimensions follow; dims of size 1 leave a map's result.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
}

def NarrowProducts : Pass<"tenon-narrow-products", "::mlir::ModuleOp"> {
  let summary = "Matrix products with weights multiply bf16 and sum f32";
  let description = [{
    Runs where the module says `tenon.products = "bf16"`, which `--dtype=bf16` does.

    ```mlir
    %y = tenon.contract "m k, k n -> m n" %x, %w : (tensor<?x384xf32, …>, tensor<384x96xf32>) -> tensor<?x96xf32, …>
    ```
    becomes
    ```mlir
    tenon.weight @w.cast : tensor<384x96xbf16> = #tenon.recipe<cast [@w]>
    %r = tenon.map %a = %x at %i, %j : … { arith.truncf of %a[%i, %j] }
    %y = tenon.contract "m k, k n -> m n" %r, %w.cast : (tensor<?x384xbf16, …>, tensor<384x96xbf16>) -> tensor<?x96xf32, …>
    ```
    The rounding is done by whatever computes the activation, or on the way into the product, so activations between
    other operations stay f32: sums, softmax, norms and residuals keep their precision. Before maps are composed and
    weights are packed.
  }];
}

def PackWeights : Pass<"tenon-pack-weights", "::mlir::ModuleOp"> {
  let summary = "Weights of matrix products stand in column panels";
  let description = [{
    ```mlir
    %y = tenon.contract "m k, k n -> m n" %x, %w : (…, tensor<384x96xf32>) -> …
    ```
    becomes
    ```mlir
    tenon.weight @w.panels : tensor<6x384x16xf32> = #tenon.recipe<panels [@w] {width = 16}>
    %y = tenon.contract "m k, k n -> m n" %x, %w.panels panels 16 : (…, tensor<6x384x16xf32>) -> …
    ```
    A micro-kernel reads a panel from first to last byte. Columns are padded with zeros when the artifact is
    written, so the edge needs no mask. bf16 stands in pairs along `k`, `[ceil(N/16), ceil(K/2), 16 * 2]`, which is what
    dot-product instructions read. f32 and bf16 with f32 results; products of two activations stay.

    Filters times windows (`lowering/WindowProduct.h`) become windows times panels of filters, where no more than an eighth of the
    columns is padding: lanes along filters are always full, lanes along the positions of short rows are not. Windows of one element
    stay where they have fewer than 128 channels and their positions fill vectors: there turning the sums would cost more.
    ```mlir
    %y = tenon.contract "n k, b m k -> b n m" %filters, %windows
    %y = tenon.contract "b m k, k n -> b n m" %windows, %filters.panels panels 16
    ```
  }];
  let options = [Option<"width", "width", "int64_t", "16", "Columns of a panel">];
}

//===----------------------------------------------------------------------------===//
// program/
//===----------------------------------------------------------------------------===//

def FormKernels : Pass<"tenon-form-kernels", "::mlir::ModuleOp"> {
  let summary = "Outline fused groups as kernels, merging equal ones";
  let description = [{
    A group is a root (`contract`, `reduce`, `softmax`, `norm`, `attention`), the maps
    only it reads, where it reads each element once, and the one map behind it that reads
    its result in place; or a map alone. A product with panels takes in the norm that only it reads, and applies it
    to each row it copies. Exact: a map is evaluated at the same points,
    before or after it would have been stored. An attention by flash takes in the contractions of its score
    that are products with rows chosen by distance (`attention/PositionProducts.h`).

    ```mlir
    %y = tenon.contract "m k, k n -> m n" %x, %w panels 16 : …
    %z = tenon.map %a = %y, %t = %bias at %i, %j : … { load %a[%i, %j] + load %t[%j] }
    ```
    becomes
    ```mlir
    %z = tenon.dispatch @contract_0(%x, %w, %bias) : … dims #tenon.dims<[B * S]>
    ```
    The kernel calls the group's dim expressions d0, d1, … in order of first use, so
    kernels of twelve layers print alike, and what prints alike is one kernel.

    After this pass a function holds `get`, `reshape`, `dispatch` and `return` only.
  }];
}

//===----------------------------------------------------------------------------===//
// lowering/
//===----------------------------------------------------------------------------===//

def LowerKernels : Pass<"tenon-lower-kernels", "::mlir::ModuleOp"> {
  let summary = "Every kernel to a function of loops and vectors for the module's target";
  let description = [{
    Precondition: each `tenon.kernel` holds producers (maps), at most one root
    (`contract`, `reduce`, `norm`, `softmax`, `attention`) and at most one map behind it, as
    FormKernels makes them; the module has a `tenon.target`.

    ```mlir
    tenon.kernel @twice(%x: tensor<?x4xf32, #tenon.dims<[d0, 4]>>) -> tensor<?x4xf32, #tenon.dims<[d0, 4]>> { … }
    ```
    becomes
    ```mlir
    func.func @twice(%args: !llvm.ptr, %first: i32, %last: i32)
        attributes {tenon.tiles = #tenon.dim<(d0 + 2047) floordiv 2048>, tenon.scratch = #tenon.dim<0>} { scf.for … }
    ```

    The function computes tiles first…last-1 of `tenon.tiles`, any split of which
    gives the same bits. `tenon.scratch` is the memory in bytes that each caller
    brings. Both are expressions over the kernel's dims. `tenon.grain`, where it is
    there, is how many neighbouring tiles share work that a call which begins among
    them does again: a product's copy of a block of rows.
  }];
  let dependentDialects = ["::mlir::scf::SCFDialect", "::mlir::memref::MemRefDialect",
                           "::mlir::vector::VectorDialect", "::mlir::LLVM::LLVMDialect"];
}

def ExpandMath : Pass<"tenon-expand-math", "::mlir::func::FuncOp"> {
  let summary = "Elementary functions to polynomials: a kernel calls nothing";
  let description = [{
    A code section imports nothing, and a call a lane would cost ten times the
    arithmetic, so every `math` operation that is not one instruction becomes
    straight-line code on the same scalar or vector.

    ```mlir
    %y = math.exp2 %x : vector<16xf32>
    ```
    becomes, shortened,
    ```mlir
    %s = arith.addf %x, %shift : vector<16xf32>     // the integer part in its low bits
    %n = arith.subf %s, %shift : vector<16xf32>
    %r = arith.subf %x, %n : vector<16xf32>
    %p = math.fma …                                 // six of them: 2^r
    %y = arith.mulf %p, %scale : vector<16xf32>     // 2^n, in two factors built by shifts
    ```

    Each function's error bound is stated in VectorMath.h and tested over all
    floats. `math.fma`, `sqrt`, `absf`, `copysign`, `floor`, `ceil`, `trunc` and
    `roundeven` stay. f16 and bf16 are computed in f32; conversions between f32
    and bf16 become integer arithmetic. GELU (both forms), SiLU and
    the logistic function are recognised in spelled-out form and emitted as one
    function each, which halves their cost.

    Runs when kernels are functions over vectors of register size: earlier, the
    expansion would only be more to rewrite.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::math::MathDialect"];
}
#endif
