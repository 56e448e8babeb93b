//===- FourierOps.td - Fourier transforms and Toeplitz products -------*- tablegen -*-===//
#ifndef TENON_FOURIER_OPS_TD
#define TENON_FOURIER_OPS_TD
include "dialects/tenon/Attributes.td"
include "dialects/tenon/Interfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Tenon_FFTOp : Tenon_Op<"fft", [Pure, DeclareOpInterfaceMethods<Tenon_KernelRootOpInterface>]> {
  let summary = "The discrete Fourier transform along one dimension";
  let description = [{
    Worked example. Four real numbers, as points of angles 0, 1/4, 1/2, 3/4 of a turn:

        x = (1, 2, 3, 4)
        Y[0] = 1 + 2 + 3 + 4            = 10
        Y[1] = 1 - 2i - 3 + 4i          = -2 + 2i
        Y[2] = 1 - 2 + 3 - 4            = -2
        Y[3] = 1 + 2i - 3 - 4i          = -2 - 2i         the conjugate of Y[1], for x is real

    ```mlir
    %y = tenon.fft %x length #tenon.dim<4> axis 0 parts 1 : tensor<4x1xf32> -> tensor<4x2xf32>
    // [[10, 0], [-2, 2], [-2, 0], [-2, -2]]
    ```

    Rule. With N the length, L the extent of `axis` in the operand and K that in the result,

        Y[k] = Σ_{n < min(L, N)} x[n] e^(-2πi n k / N)          k = 0 … K - 1
        Y[k] = 1/N Σ_{n < min(L, N)} x[n] e^(+2πi n k / N)      with `inverse`

    for each index of the other dimensions. So an operand that is shorter than N is padded with zeros, one
    that is longer is cut, and the result may be the first K of the N frequencies: N floordiv 2 + 1 of them are
    all there is to know of a real operand.

    Complex numbers stand as pairs along dimension `parts`: real part, then imaginary part. It may be any
    dimension but `axis`: the last one is what most formats have, an outer one lets a kernel load neighbours as
    vectors. Of size 1 in the operand, imaginary parts are zero; of size 1 in the result, only the real parts
    are wanted.

    Why it is fast: N = r·m points are r transforms of every r-th point, m each, then m transforms of r points
    with factors e^(-2πi j k / N) between. Done again and again that is 5 N log2 N operations, not 8 N².
    How lengths are taken apart is said in passes/fft_rpe/FourierPlan.h. A length that is a symbol is
    computed as a product with the matrix of all powers, in N K operations for each transform.

    f16 and bf16 are computed in f32. Error: at most 3e-7 in relative L2 norm for f32 to N = 16384; of a length that is a
    symbol that of the product, 1e-6.
    An operand of length 0 is all zeros.
  }];
  let arguments = (ins UnitAttr:$inverse, AnyRankedTensor:$input, I64Attr:$axis, I64Attr:$parts, Tenon_DimAttr:$length);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = [{
    (`inverse` $inverse^)? $input `length` custom<DimExpr>($length) `axis` $axis `parts` $parts attr-dict `:` type($input) `->` type($result)
  }];
  let hasVerifier = 1;
  let hasFolder = 1;
  let builders = [
    OpBuilder<(ins "bool":$inverse, "::mlir::Value":$input, "int64_t":$axis, "int64_t":$parts, "const ::tenon::Dim &":$length,
                   "const ::tenon::Dim &":$frequencies, "int64_t":$resultParts)>
  ];
}

def Tenon_ToeplitzOp : Tenon_Op<"toeplitz", [Pure]> {
  let summary = "A product with matrices that are constant along diagonals";
  let description = [{
    Worked example. Three values, and weights that depend on the distance alone: 1 for oneself, 10 for the one before, 100
    for the one after, 0 beyond:

        | 1   100   0 |   | 1 |   | 201 |
        | 10    1 100 | · | 2 | = | 312 |
        | 0    10   1 |   | 3 |   |  23 |

    ```mlir
    // diagonals j - i = -2, -1, 0, 1, 2: [0, 10, 1, 100, 0]
    %y = tenon.toeplitz %x diagonals %t : (tensor<1x1x3x1xf32>, tensor<1x5xf32>) -> tensor<1x1x3x1xf32>
    ```

    Rule. x is `[B, H, N, C]`, the result `[B, H, M, C]`, the diagonals t are `[H, M + N - 1]`, that of j - i at
    j - i + M - 1:

        y[b,h,i,c] = Σ_j t[h, j - i + M - 1] x[b,h,j,c]

    With `features` q `[B, H, M, R]` and k `[B, H, N, R]` the matrix is multiplied, element by element, with q kᵀ, which is
    attention with weights (q_i · k_j) c(j - i):

        y[b,h,i,c] = Σ_j (Σ_r q[b,h,i,r] k[b,h,j,r]) t[h, j - i + M - 1] x[b,h,j,c]
                   = Σ_r q[b,h,i,r] Σ_j t[h, j - i + M - 1] (k[b,h,j,r] x[b,h,j,c])

    `causal` leaves out j > i, whatever t holds there. Diagonals `[H, M + N - 1, C]` are of one channel c each, as the long
    convolutions of TNN and Hyena have them.

    The second line is why the op exists: the inner sum is a convolution, which the Fourier transform makes a
    product, so it costs R C (M + N) log(M + N) and no M x N matrix, where the first costs M N (R + C).
    `form` says which: `direct`, `fft`, or `fft_blocks`, which transforms blocks of rows by themselves; without it,
    ChooseToeplitzForm decides.
  }];
  let arguments = (ins AnyRankedTensor:$input, AnyRankedTensor:$diagonals, Variadic<AnyRankedTensor>:$features,
                       UnitAttr:$causal, OptionalAttr<Tenon_ToeplitzFormAttr>:$form);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = [{
    $input `diagonals` $diagonals (`features` $features^)? (`causal` $causal^)? (`form` $form^)? attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    ::mlir::Value getQuery() { return getFeatures().empty() ? ::mlir::Value() : getFeatures()[0]; }
    ::mlir::Value getKey() { return getFeatures().empty() ? ::mlir::Value() : getFeatures()[1]; }
  }];
}

def Tenon_CirculantOp : Tenon_Op<"circulant", [Pure, AttrSizedOperandSegments, DeclareOpInterfaceMethods<Tenon_KernelRootOpInterface>]> {
  let summary = "A circular convolution, given by its spectrum";
  let description = [{
    Worked example. Of period 4, the kernel g = (0, 1, 0, 0) delays by one; its spectrum is (1, -i, -1, i):

        x = (5, 6, 7) is, with a zero, (5, 6, 7, 0), and delayed (0, 5, 6, 7)

    Rule. x is `[B, H, N, C]`, the result `[B, H, M, C]`, the spectrum `[H, 2, L]` (real parts, then imaginary
    parts) of a real g of period L; N and M are at most L:

        y[b,h,i,c] = Σ_{j < N} g[h, (i - j) mod L] x[b,h,j,c]

    With `features` q `[B, H, M, R]` and k `[B, H, N, R]`:

        y[b,h,i,c] = Σ_r q[b,h,i,r] Σ_{j < N} g[h, (i - j) mod L] k[b,h,j,r] x[b,h,j,c]

    A spectrum `[H, 2, L, C]` is of a g for each channel c; x may then be `[B, H, N, 1]`, one for all channels, and is transformed once for
    several of them.

    The lowering transforms, multiplies and transforms back a block of neighbouring channels c at a time, two real
    channels of one g as one complex one: that is exact because g is real. Nothing of size N R C is ever held. Toeplitz products
    become this (LowerToeplitz). Elements are f32; M, N, L, R and C are constants.

    With `block` b the convolution is taken apart into blocks of b rows and b columns, each of which is a circular convolution of
    its own, of period L >= 2 b - 1. The kernel of a block depends on how many blocks lie between its rows and its columns:
    of I = ceil(M / b) blocks of rows, J of columns, and a spectrum `[H, 2, L, D]`, I <= D < I + J,

        y[b,h,i,c] = Σ_j g[h, (i mod b - j mod b) mod L, i floordiv b - j floordiv b + D - I] x[b,h,j,c]

    over the j whose last index is not below zero: D = I leaves out the blocks of columns that lie behind the rows' (causal).

        x0 ─ fft ─ X0 ─┬─ g0 X0 ──────────── fft⁻¹ ─ y0          b = N / 2, causal:
        x1 ─ fft ─ X1 ─┴─ g1 X0 + g0 X1 ──── fft⁻¹ ─ y1          four transforms of N points, not two of 2 N

    Each block is transformed once, forwards and back, so transforms are log(2 N) / log(2 b) times as few and, what counts
    more, stay in the cache; the products of the spectra, 8 L operations a pair of blocks, grow as N² / b. Blocks are
    all held as spectra while they are multiplied: as much as a transform of them all.

    What a transform loses is measured by the largest |g|: about 4e-7 of it times the norm of what it multiplies, in every row. With
    `kernel`, which is g itself, `[H, 1, L]` (with blocks `[H, 1, L, D]`), a head with |g[n]| > 100 |g[0]| for some n, or one that is
    not finite, is summed directly, in M N steps: g[0], that of i = j, is in every row, so a row's relative error stays below 4e-5.
    Of a g for each channel, `[H, 1, L, C]`, which may well begin with a zero, the largest of the first 16 stands for g[0], and a
    vector of channels is summed where one of them asks for it. That is decided when it runs.
  }];
  let arguments = (ins AnyRankedTensor:$input, AnyRankedTensor:$spectrum, Optional<AnyRankedTensor>:$kernel,
                       Variadic<AnyRankedTensor>:$features, OptionalAttr<I64Attr>:$block);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = [{
    $input `spectrum` $spectrum (`block` $block^)? (`kernel` $kernel^)? (`features` $features^)? attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// Whether each channel has a g of its own.
    bool isPerChannel();
    /// Blocks that `rows` rows or columns take; of an op with blocks.
    int64_t blocksOf(int64_t rows) { return (rows + int64_t(*getBlock()) - 1) / int64_t(*getBlock()); }
  }];
}
#endif
