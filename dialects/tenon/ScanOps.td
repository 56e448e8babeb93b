//===- ScanOps.td - linear recurrences along time ------------------------*- tablegen -*-===//
#ifndef TENON_SCAN_OPS_TD
#define TENON_SCAN_OPS_TD
include "dialects/tenon/Attributes.td"
include "dialects/tenon/Interfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Tenon_ScanOp : Tenon_Op<"scan", [Pure, AttrSizedOperandSegments,
                                      DeclareOpInterfaceMethods<Tenon_KernelRootOpInterface>]> {
  let summary = "A matrix that follows the time axis: written by keys and values, decayed, read by queries";
  let description = [{
    Worked example. One head, depth 1, a state that halves before each step:

        k = 1, 1, 1      v = 8, 4, 2      a = 1/2, 1/2, 1/2      q = 1, 1, 10
        S = 8, 8, 6      o = 8, 8, 60

    ```mlir
    %o, %s = tenon.scan %q, %k, %v decay (%a : tensor<3xf32>) layout ["n d", "n d", "n d", "n", "n d"]
      : tensor<3x1xf32>, tensor<3x1xf32>, tensor<3x1xf32> -> tensor<3x1xf32>, tensor<1x1x1x1xf32>     // s = 6
    ```

    Rule. Each batch b and head h has a matrix S of depth x value depth, which starts as `from` says, else at zero. At
    step t, with k, v, q the rows of that step:

        S ← A S              A = a                     `decay` without d in its layout: one factor
                             A = diag(a[0], a[1], …)   with d: a factor for each row of S
                             A                         `transition`: a matrix, the same at every step
        w = v                                          without `rate`
        w = β (v - kᵀ S)                               with `rate` β: the delta rule
        S ← S + k wᵀ
        o = qᵀ S

    The second result, where it is asked for, is S after the last step, `[batch, heads, depth, value depth]`, as is the
    operand of `from`: so that one run goes on where another ended.

    | transition | written as | systems |
    |---|---|---|
    | S | nothing | causal linear attention, Performer |
    | γ_h S | `decay` of layout "h" | RetNet, TransNormer |
    | a_t S | `decay` "b n h" | Mamba-2 (a = exp(Δ A), k = B, q = C, v = Δ x) |
    | diag(a_t) S | `decay` "b n h d" | GLA, HGRN2 (k = 1 - a); Mamba and HGRN, whose heads are channels of value depth 1 |
    | (1 - β k kᵀ) S | `rate` "b n h" | DeltaNet: v was stored under k before, and is replaced |
    | a_t (1 - β k kᵀ) S | `decay` and `rate` | Gated DeltaNet |
    | A S | `transition` | LMU's memory, state spaces of a dense A (k = B, q = C, v = u) |

    Why the delta rule is a transition: S + β k (v - kᵀ S)ᵀ = (1 - β k kᵀ) S + β k vᵀ, identity minus a matrix of rank one.
    With |k| = 1 and 0 ≤ β ≤ 1 nothing grows.

    A `transition` is `[depth, depth]`, or `[states, depth, depth]` with one for each state; it stands alone, for a decay
    could be in it, and the delta rule's matrix changes. Where neither keys nor queries change in time either, the
    whole is a convolution: o_i = Σ_{j ≤ i} g[i - j] v_j with the impulse response g[n] = qᵀ Aⁿ k, a Toeplitz product. The state
    itself is the result of `depth` heads whose queries are the rows of the identity.

    Why this is attention: unrolled, without `rate`, o_i = Σ_{j ≤ i} (q_iᵀ Π_{j < t ≤ i} A_t k_j) v_j, a score for each pair
    that is linear in q and k. What grows as N² there takes N steps of 4 · depth · value depth operations here.

    `layout` names the dims of query, key, value, then of `decay` and `rate` where they are there, then of the result, as for
    `tenon.attention`; d is the value depth for the value and the result. What an operand has no letter for it is the same
    along, or 1: a key without n is one key for all steps. The heads are those of the result: an operand with fewer, of which
    they are a multiple, shares each among neighbours; of state there is one for each head of the key, value, decay and rate
    with the most of them, so query heads may share a state (`from` and the second result count states).

    Factors are factors, not logarithms: 0 forgets everything and 1 nothing, exactly, and no lowering divides by one.
    No steps give the initial state. NaN stays in the columns of the state it came to. Computed in f32 (f64 where the value
    is f64), whatever narrow types operands and results have.
  }];
  let arguments = (ins AnyRankedTensor:$query, AnyRankedTensor:$key, AnyRankedTensor:$value,
                       Optional<AnyRankedTensor>:$decay, Optional<AnyRankedTensor>:$rate,
                       Optional<AnyRankedTensor>:$transition, Optional<AnyRankedTensor>:$initial, StrArrayAttr:$layouts);
  let results = (outs AnyRankedTensor:$result, Optional<AnyRankedTensor>:$final);
  let assemblyFormat = [{
    $query `,` $key `,` $value (`decay` `(` $decay^ `:` type($decay) `)`)? (`rate` `(` $rate^ `:` type($rate) `)`)?
    (`transition` `(` $transition^ `:` type($transition) `)`)? (`from` `(` $initial^ `:` type($initial) `)`)? `layout` $layouts attr-dict
    `:` type($query) `,` type($key) `,` type($value) `->` type($result) (`,` type($final)^)?
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// Sizes as dim expressions, read through the layouts. `states` of `heads` have a matrix of their own.
    struct Sizes { ::tenon::Dim batch, heads, states, steps, depth, valueDepth; };
    Sizes getSizes();
    /// The layout of an operand other than `initial` by its number, or of the result.
    ::llvm::StringRef getLayoutOfResult() { return ::mlir::cast<::mlir::StringAttr>(getLayouts().getValue().back()).getValue(); }
    ::llvm::StringRef getLayout(unsigned operand) { return ::mlir::cast<::mlir::StringAttr>(getLayouts()[operand]).getValue(); }
    /// Query, key, value, decay, rate: those that are there, in the order of their layouts.
    ::mlir::ValueRange getInputs() { return getOperands().drop_back((getInitial() ? 1 : 0) + (getTransition() ? 1 : 0)); }
    /// Whether the rows of a state have factors of their own.
    bool hasDiagonalDecay() { return getDecay() && getLayout(3).contains('d'); }
    /// What is computed in.
    ::mlir::Type getStateType();
  }];
}
#endif
