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
