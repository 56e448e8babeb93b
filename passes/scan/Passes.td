//===- Passes.td - recurrences -----------------------------------------*- tablegen -*-===//
#ifndef TENON_PASSES_SCAN_PASSES_TD
#define TENON_PASSES_SCAN_PASSES_TD
include "mlir/Pass/PassBase.td"

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

def RaiseChunkedScan : Pass<"tenon-raise-chunked-scan", "::mlir::ModuleOp"> {
  let summary = "A recurrence that was written in chunks, as one";
  let description = [{
    Mamba-2 in plain PyTorch: what steps of one chunk do to each other, what a chunk leaves behind, what chunks leave to those
    behind them, and what their steps make of it (`passes/scan/ChunkedScan.h`):
    ```mlir
    %g = tenon.contract "b c l h n, b c s h n -> b c l s h" %C, %B
    %m = tenon.map … = %g[…] * exp(s <= l ? %segment[…] : -inf)
    %d = tenon.contract "b c l s h, b c s h p -> b c l h p" %m, %X                   // within a chunk
    %s = tenon.contract "b c l h n, b c l h p -> b c h p n" %Bdecayed, %X            // what it leaves behind
    %n = tenon.contract "b z c h, b z h p n -> b c h p n" %chunkdecays, %padded      // and what it finds
    %o = tenon.contract "b c l h n, b c h p n -> b c l h p" %C, %found
    %y = tenon.map … = %d[…] + %o[…] * exp(%cumulated[…])
    ```
    becomes, of `%B` as `[b, chunks * steps, h, n]` and so on,
    ```mlir
    %r = tenon.scan %C', %B', %X' decay (exp %A) layout ["b n h d", "b n h d", "b n h d", "b n h", "b n h d"]
    %y = tenon.reshape %r
    ```

    Found by meaning: y, traced down to tensors that several operations read, is one tree of sums and products over the indices of y,
    and this tree must be the recurrence's. Masks may be comparisons of indices or matrices of bits, sums contractions or reductions, dims
    in any order. Exact in real arithmetic; factors are multiplied where their logarithms were added, so nothing that was masked
    is computed, and a chunk has no more to do with rounding.

    A state given to the first chunk is the operand `from`; the last one, where the model gives it out, is computed as before. It must
    not fire where a mask leaves out other steps than those behind, where one of the four parts reads other keys, values or
    decays than the rest, and for a single chunk.

    Before maps are composed, while operands stand by themselves.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::math::MathDialect"];
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

#endif
