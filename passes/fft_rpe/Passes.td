//===- Passes.td - Fourier transforms --------------------------------------*- tablegen -*-===//
#ifndef TENON_PASSES_FFT_RPE_PASSES_TD
#define TENON_PASSES_FFT_RPE_PASSES_TD
include "mlir/Pass/PassBase.td"

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

#endif
