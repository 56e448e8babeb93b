//===- AttentionOps.td - attention as algebra ----------------------------*- tablegen -*-===//
#ifndef TENON_ATTENTION_OPS_TD
#define TENON_ATTENTION_OPS_TD
include "dialects/tenon/Attributes.td"
include "dialects/tenon/Interfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Tenon_AttentionOp : Tenon_Op<"attention", [Pure, IsolatedFromAbove, AttrSizedOperandSegments,
                                                DeclareOpInterfaceMethods<Tenon_KernelRootOpInterface>,
                                                DeclareOpInterfaceMethods<Tenon_ElementRegionsOpInterface>]> {
  let summary = "Every attention variant: score, keep and weight are regions of arithmetic";
  let description = [{
    Worked example, causal attention with a soft cap, 8 query heads on 4 key heads:

    ```mlir
    %o = tenon.attention %q, (%k), (%v) normalise softmax empty zero
           layout ["b h n d", "b h n d", "b h n d", "b h n d"]
       : (tensor<?x8x?x64xf32, …>, tensor<?x4x?x64xf32, …>, tensor<?x4x?x64xf32, …>) -> tensor<?x8x?x64xf32, …>
      score (%x, %b, %h, %i, %j) = tanh(%x * 0.02) * 50
      keep (%b, %h, %i, %j) = %j <= %i
    ```

    A region is an expression, as here, or a block of operations that yields (`InfixParser.h`); what is
    printed is the block.

    Rule, for batch b, query head h (its key head is g = h · H_kv / H_q), query i, key j:

        x      = Σ_d Q[b,h,i,d] · K[b,g,j,d]        accumulated in f32 or wider
        y      = score(x, b, h, i, j)               no region: y = x
        live   = keep(b, h, i, j)                   no region: all live
        p      = normalise({y : live}) over j
        w      = weight(p, b, h, i, j)              no region: w = p
        O[b,h,i,:] = Σ_j w · V[b,g,j,:]

    | normaliser | p | state while streaming over keys |
    |---|---|---|
    | `softmax` | exp(y) / Σ exp(y) | (m, l, acc): running maximum, Σ exp(y - m), Σ exp(y - m) v |
    | `sum` | y / Σ y | (l, acc) |
    | `none` | y | (acc) |
    | `hard` | 1 for the first key of the greatest score, else 0; 0 for all where a score is NaN | (m, j): it and its key |
    | `topk_softmax k` | softmax over the keys whose score is at least the k-th greatest; equal ones all stay | the k greatest scores; a second pass weighs |
    | `sinkhorn n` | softmax, then columns and rows in turn divided by their sums, n half-steps in all | none here |

    `sinkhorn 1` is softmax. Of N queries and M keys, a column is divided by its sum times M / N, so that rows sum to one
    exactly after an odd n and nearly after an even one; a column of zeros stays. `topk_softmax` of k keys or fewer is softmax.

    `over queries` normalises y over i instead of j, each key by itself: slot attention with `softmax`, kMaX-DeepLab
    with `hard`. A key without live queries then gives nothing.

    Why softmax can stream: for two key ranges with states (m1, l1, a1) and (m2, l2, a2), with
    m = max(m1, m2), l = l1 e^(m1-m) + l2 e^(m2-m) and a likewise, the pair (l, a) is what one
    pass over both ranges gives. The combination is associative, so any split of the
    keys is exact in real arithmetic; that is online softmax, and split-KV is the same with parallel ranges.

    `empty` says what a row with no live key gives: `zero`; `nan`; `uniform`, the mean of all
    values; `ignore_keep`, the scores as if every key were live. Without any key at all the sum
    over the keys is zero, whatever the rule.

    `layout` names the order of each operand's dimensions (query, key, value, result): the
    letters b, h, n, d, or a number, which selects one slice of a larger tensor (`"b n 1 h d"`: the
    keys of a merged `[B, N, 3, H, D]` product). So no transpose or slice is ever needed.

    Several sources of keys stand under one normaliser: `(%local, %summary), (%vl, %vs)`. Their keys are numbered through,
    source after source, so that a region tells them apart by j: a learned sink is a second source of one key, whose score is
    `… if j == size(N)` and whose value is zero; several keys for each position (MGK) are several sources with the
    same values.

    `also log_sum_exp` gives log Σ exp(y) of each row, `[batch, heads, queries]`, from softmax alone, -inf without live keys:
    what merges attentions computed apart. `also scores` gives y, `[batch, heads, queries, keys]`, -inf where
    dead; it makes the whole N x N tensor.

    Regions are isolated: the tensors they load are `captures`, block arguments after
    the scalars of each region, written `captures (%t, %u)` after the values. In `score` the first
    argument is x, in `weight` it is p, of the accumulation type (f64 for f64, else f32).

    `algorithm` is written by ChooseAttentionAlgorithm and read by the lowering; absent it means undecided.
  }];
  let arguments = (ins AnyRankedTensor:$query, Variadic<AnyRankedTensor>:$keys, Variadic<AnyRankedTensor>:$values,
                       Variadic<AnyRankedTensor>:$captures,
                       Tenon_NormaliserAttr:$normaliser, OptionalAttr<I64Attr>:$count, UnitAttr:$over_queries,
                       Tenon_EmptyRowAttr:$empty, StrArrayAttr:$layouts,
                       OptionalAttr<Tenon_AttentionAlgorithmAttr>:$algorithm, OptionalAttr<StrArrayAttr>:$also);
  let results = (outs AnyRankedTensor:$result, Variadic<AnyRankedTensor>:$more);
  let regions = (region AnyRegion:$score, AnyRegion:$keep, AnyRegion:$weight);
  let builders = [OpBuilder<(ins "::mlir::Type":$type, "::mlir::Value":$query, "::mlir::ValueRange":$keys,
                                 "::mlir::ValueRange":$values, "::mlir::ValueRange":$captures,
                                 "Normaliser":$normaliser, "EmptyRow":$empty, "::mlir::ArrayAttr":$layouts)>];
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// Sizes as dim expressions, read through the layouts; `keys` of the first source.
    struct Sizes { ::tenon::Dim batch, heads, keyHeads, queries, keys, depth, valueDepth; };
    Sizes getSizes();
    /// The number of keys of one source, and of all.
    ::tenon::Dim getKeysOf(unsigned source);
    ::tenon::Dim getAllKeys();
    /// The result asked for by `also`, or null.
    ::mlir::Value getAlso(::llvm::StringRef name);
    /// The type of x, y, p and w in the regions.
    ::mlir::Type getScoreType();
    /// The region that is not there means identity (score, weight) or all live (keep).
    bool hasScore() { return !getScore().empty(); }
    bool hasKeep() { return !getKeep().empty(); }
    bool hasWeight() { return !getWeight().empty(); }
    ::llvm::StringRef getLayout(unsigned operand) { return ::mlir::cast<::mlir::StringAttr>(getLayouts()[operand]).getValue(); }
  }];
}

def Tenon_AttentionUpdateOp : Tenon_Op<"attention_update", [Pure, IsolatedFromAbove,
                                                              DeclareOpInterfaceMethods<Tenon_KernelRootOpInterface>,
                                                              DeclareOpInterfaceMethods<Tenon_ElementRegionsOpInterface>]> {
  let summary = "What one source of keys adds to the rows of an attention, before they are divided";
  let description = [{
    Worked example. One query, scores 0 and ln 3 for keys whose values are 1 and 5:

        m = ln 3                                     the greatest score
        l = e^(0 - ln 3) + e^(ln 3 - ln 3) = 4/3     what weights are divided by
        a = 1/3 · 1 + 1 · 5 = 16/3                   and a / l = 4, the weighted mean

    ```mlir
    %s = tenon.attention_update %q, %k, %v normalise softmax layout ["n d", "n d", "n d"]
       : (tensor<1x1xf32>, tensor<2x1xf32>, tensor<2x1xf32>) -> tensor<1x1x1x1x3xf32>      // a, m, l = 16/3, ln 3, 4/3
    ```

    Rule. The state is a tensor `[parts, batch, heads, queries, value depth + 2]`; its last dimension holds
    a, m, l. With x, y and live as in `tenon.attention`, over the live keys j of a part:

    | normaliser | m | l | a |
    |---|---|---|---|
    | `softmax` | max y, at least the least finite f32 | Σ exp(y - m) | Σ exp(y - m) V[j] |
    | `sum` | 0 | Σ y | Σ y V[j] |
    | `none` | 0 | 0 | Σ y V[j] |

    A row without live keys is m = -inf, l = 0, a = 0, whatever the normaliser; one whose live scores are all -inf has
    a finite m, and 0 / 0 stays NaN. `parts_of c` splits the keys: part p holds
    keys c p … c p + c - 1; without it there is one part.

    Why this and no more: states form a commutative monoid under `tenon.attention_merge`, so key ranges can be taken in by
    different workers (split-KV: few queries over a long cache keep all threads busy) and different
    sources stand under one normaliser. Anything that can say its (a, m, l) is a source: a learned sink of logit s is a = 0,
    m = s, l = 1, a `tenon.map`.

    Limits: m and l are of the accumulation type, as is the state; weight regions need normalised
    weights and stay on `tenon.attention`. An attention over many queries of one source needs no state in memory:
    it is lowered as a whole.
  }];
  let arguments = (ins AnyRankedTensor:$query, AnyRankedTensor:$key, AnyRankedTensor:$value,
                       Variadic<AnyRankedTensor>:$captures, Tenon_NormaliserAttr:$normaliser, StrArrayAttr:$layouts,
                       OptionalAttr<I64Attr>:$parts_of);
  let results = (outs AnyRankedTensor:$state);
  let regions = (region AnyRegion:$score, AnyRegion:$keep);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    AttentionOp::Sizes getSizes();
    ::mlir::Type getScoreType();
    bool hasScore() { return !getScore().empty(); }
    bool hasKeep() { return !getKeep().empty(); }
    /// The number of parts the keys are split into.
    ::tenon::Dim getParts();
    ::llvm::StringRef getLayout(unsigned operand) { return ::mlir::cast<::mlir::StringAttr>(getLayouts()[operand]).getValue(); }
  }];
}

def Tenon_AttentionMergeOp : Tenon_Op<"attention_merge", [Pure, DeclareOpInterfaceMethods<Tenon_KernelRootOpInterface>]> {
  let summary = "The state of all keys of several states";
  let description = [{
    Every part of every operand, as one part. Worked example: keys of scores 0 and ln 3, each a state of its own:

        (a, m, l) = (1, 0, 1) and (5, ln 3, 1):   m = ln 3,  l = 1 · e^(0 - ln 3) + 1 · e^0 = 4/3,  a = 1 · 1/3 + 5 = 16/3

    which is the state of both. Rule, for softmax: m = max m_s, l = Σ l_s e^(m_s - m), a = Σ a_s e^(m_s - m); for `sum` and
    `none` m is 0 and both are plain sums. States without live keys (m = -inf) add nothing.

    ```mlir
    %s = tenon.attention_merge %window, %sink normalise softmax
       : (tensor<4x1x8x16x66xf32>, tensor<1x1x8x16x66xf32>) -> tensor<1x1x8x16x66xf32>
    ```

    Exact in real arithmetic, commutative and associative. In floating point the order of operands and parts is the
    order of summation, so the result depends on how keys were split, which the shape alone decides.
  }];
  let arguments = (ins Variadic<AnyRankedTensor>:$states, Tenon_NormaliserAttr:$normaliser);
  let results = (outs AnyRankedTensor:$state);
  let assemblyFormat = "$states `normalise` $normaliser attr-dict `:` functional-type($states, $state)";
  let hasVerifier = 1;
}

def Tenon_AttentionFinishOp : Tenon_Op<"attention_finish", [Pure, DeclareOpInterfaceMethods<Tenon_KernelRootOpInterface>]> {
  let summary = "The rows of an attention from their state";
  let description = [{
    O = a / l for `softmax` and `sum`, O = a for `none`; in a row without live keys (m = -inf) what `empty`
    says: `zero` or `nan`. The other rules need the scores or values of dead keys, which a state has forgotten.
    `layout` orders the result's dimensions b, h, n, d.

    ```mlir
    %o = tenon.attention_finish %s normalise softmax empty zero layout "b n h d"
       : tensor<1x2x8x16x66xf32> -> tensor<2x16x8x64xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$state, Tenon_NormaliserAttr:$normaliser, Tenon_EmptyRowAttr:$empty,
                       StrAttr:$layout);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$state `normalise` $normaliser `empty` $empty `layout` $layout attr-dict `:` type($state) `->` type($result)";
  let hasVerifier = 1;
}
#endif
