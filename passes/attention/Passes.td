//===- Passes.td - from decomposed attention to the algorithm ----------*- tablegen -*-===//
#ifndef TENON_PASSES_ATTENTION_PASSES_TD
#define TENON_PASSES_ATTENTION_PASSES_TD
include "mlir/Pass/PassBase.td"

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

    Which dimensions of the softmax are batch, heads and queries is not for their order to say: namings are tried, the usual
    one first, `[batch, heads…, queries, keys]`. Several dimensions may be one role (blocks of a window, `[b, w, h, i, j]`, are
    batch items; heads on one shared key head, `[b, i, h, j]`, are queries), and of namings with the same queries the one
    is taken under which the fewest operands are moved in memory first.

    Scores that are no product, but a function of numbers of the query and numbers of the key, and of what is given for both (GAT:
    LeakyReLU of their sum, and edges), become the score region of an attention over queries and keys of one zero each: its
    product costs one multiply-add, and no tensor of queries and keys is left.

    Must not fire, and does not: a softmax whose result or whose scores are read by anything else (returned
    probabilities), without a product or such a function before it (a router's gate) or a product behind it, whose product sums over something other
    than the softmax's dimension, or between whose contractions elements are mixed (a sum, a norm).
    Exact in real arithmetic; a constant factor is applied to the product instead of its operands.

    Which roundings stay: those the graph asks for, f32 to a narrower type and back between f32 values, are arithmetic of
    the region. Those that are there only since a product of narrow tensors gives and takes narrow elements are not: scores
    in f16 that are next converted to f32 for the softmax, weights converted to the f16 of the values. Attention accumulates
    and weighs in f32. Arithmetic that the graph does in a narrow type (a scale between product and conversion) is done in it.
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
    | finite, at most -1e8, in place of the score: `live ? x : M` | exp(M - m) = 0 | every key has M: `empty uniform` |

    The bound for finite M that is added: scores are finite and below 2^45 in magnitude. Then x + M rounds to M in f32 (half an
    ulp of 1e30 is 2^75) and in f64 (2^46), and the distance to a live maximum is beyond what an exponential resolves. Milder
    values that are added (-1e4, -1e9) stay in the score: they do not absorb it. One in place of the score
    (`masked_fill(mask, -1e9)`) has nothing to absorb, if nothing is added behind it: the bound is that a live maximum is above
    M + 1000, for -1e9 a score above -999,999,000. A NaN or infinite score of a dead key no longer
    reaches its row; that is the only difference, and it needs such a score.

    A mask on one side of a choice by position, `select(j < n, x + mask, sink)`, is a condition of that side: `j >= n or …`.

    A mask that is subtracted, `x - 1e30 * mask`, is one that is added. An added constant 0, what is left of a mask that masks nothing, goes as well: an exponential does not see the
    sign of zero.

    Without a normaliser a dead key is one of weight zero: `select(c, y, 0)`, or y times c as a number, for a finite y, is the
    keep region c. Such a factor of the query or the key alone in a linear score stays one, for ReassociateAttention.

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
    a long cache should keep every thread busy. Where there are several sources of keys, for any number
    of queries. And in a program for GPUs alone, for any number, where the greatest sizes make fewer blocks of 64 rows than half of its
    multiprocessors (KeyParts.h). It wants no weight region, and `empty zero` or `nan`: a state has forgotten the dead keys.

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

def MoveRowFactors : Pass<"tenon-move-row-factors", "::mlir::ModuleOp"> {
  let summary = "Weights divided by their row's sum: divide behind the product with the values, which gives the sum as well";
  let description = [{
    ```mlir
    %a = tenon.map %x = %s … { relu(%x[…])² }                              // of queries and keys, [B, H, N, M]
    %l = tenon.reduce sum %a over [3]                                      // [B, H, N]
    %w = tenon.map %y = %a, %z = %l at %b, %h, %i, %j { %y[%b, %h, %i, %j] / (%z[%b, %h, %i] + 1.0e-6) }
    %o = tenon.contract "b h i j, b h j d -> b h i d" %w, %v
    ```
    becomes
    ```mlir
    %u = tenon.map %t = %v at %b, %h, %j, %d { %d < 64 ? %t[%b, %h, %j, %d] : 1 }                  // [B, H, M, 65]
    %r = tenon.contract "b h i j, b h j d -> b h i d" %a, %u
    %l = tenon.map %y = %r at %b, %h, %i { %y[%b, %h, %i, 64] }
    %o = tenon.map %y = %r, %z = %l at %b, %h, %i, %d { %y[%b, %h, %i, %d] / (%z[%b, %h, %i] + 1.0e-6) }
    ```
    Whatever function of the sum the rows are divided by or multiplied with (its absolute value, at least 1, in RetNet). Exact
    in real arithmetic: Σ_j (a_ij r_i) v_j = r_i Σ_j a_ij v_j. The weights are then read by one product, which the passes behind
    it make an attention without a normaliser.

    Must not fire, and does not: where the factor differs from key to key, where the sum is one of something else, over something
    else, or wanted elsewhere; for values that are a weight; and for weights that are of no product of queries and keys, or of one
    that others read.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
}

def RaiseUnnormalisedAttention : Pass<"tenon-raise-unnormalised-attention", "::mlir::ModuleOp"> {
  let summary = "Two contractions with a function between them as attention without a normaliser";
  let description = [{
    ```mlir
    %s = tenon.contract "b h i d, b h j d -> b h i j" %q, %k
    %p = tenon.map %x = %s … = %keep[%b, %j] ? 1 / (1 + exp(-%x[…] * 0.125)) : 0
    %o = tenon.contract "b h i j, b h j d -> b h i d" %p, %v
    ```
    becomes
    ```mlir
    %o = tenon.attention %q, (%k), (%v) captures (%keep) normalise none empty zero layout [...]
           score (%x, %b, %h, %i, %j, %keep) = %keep[%b, %j] ? 1 / (1 + exp(-%x * 0.125)) : 0
    ```
    of which RaiseKeep takes the mask. Sigmoid, ReLU and squared ReLU attention, gated attention units. What is between the
    contractions is read as in RaiseAttention. Exact in real arithmetic.

    Precondition: queries, keys and values are computed from inputs. A layer of weights, φ(X W) U, is the same by its form and stays
    two products, as weights have panels to be read from. Must not fire, and does not, on that; where the scores are read by
    anything else; for less than 16 keys, a constant, of which two small products are quicker; and for three matrices in a row, whose middle sizes are constants: where the number of keys is a symbol,
    they are raised for ReassociateAttention.

    After it: RaiseKeep. Before it: RaiseLinearAttention, which makes recurrences of what it can, and MoveRowFactors.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
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
    results do not depend on threads. Merge and finish become one kernel. How many keys are a part: KeyParts.h.
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

#endif
