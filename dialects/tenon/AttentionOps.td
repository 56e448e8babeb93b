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

    Regions are isolated: the tensors they load are `captures`, block arguments after
    the scalars of each region, written `captures (%t, %u)` after the values. In `score` the first
    argument is x, in `weight` it is p, of the accumulation type (f64 for f64, else f32).

    `algorithm` is written by ChooseAttentionAlgorithm and read by the lowering; absent it means undecided.
  }];
  let arguments = (ins AnyRankedTensor:$query, Variadic<AnyRankedTensor>:$keys, Variadic<AnyRankedTensor>:$values,
                       Variadic<AnyRankedTensor>:$captures,
                       Tenon_NormaliserAttr:$normaliser, Tenon_EmptyRowAttr:$empty, StrArrayAttr:$layouts,
                       OptionalAttr<Tenon_AttentionAlgorithmAttr>:$algorithm);
  let results = (outs AnyRankedTensor:$result);
  let regions = (region AnyRegion:$score, AnyRegion:$keep, AnyRegion:$weight);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// Sizes as dim expressions, read through the layouts.
    struct Sizes { ::tenon::Dim batch, heads, keyHeads, queries, keys, depth, valueDepth; };
    Sizes getSizes();
    /// The type of x, y, p and w in the regions.
    ::mlir::Type getScoreType();
    /// The region that is not there means identity (score, weight) or all live (keep).
    bool hasScore() { return !getScore().empty(); }
    bool hasKeep() { return !getKeep().empty(); }
    bool hasWeight() { return !getWeight().empty(); }
    ::llvm::StringRef getLayout(unsigned operand) { return ::mlir::cast<::mlir::StringAttr>(getLayouts()[operand]).getValue(); }
  }];
}
#endif
