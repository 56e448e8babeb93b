//===- TensorOps.td - maps, contractions, reductions, normalisations ----*- tablegen -*-===//
#ifndef TENON_TENSOR_OPS_TD
#define TENON_TENSOR_OPS_TD
include "dialects/tenon/Attributes.td"
include "dialects/tenon/Interfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"

def Tenon_MapOp : Tenon_Op<"map", [Pure, IsolatedFromAbove, SingleBlock,
                                    DeclareOpInterfaceMethods<Tenon_ElementRegionsOpInterface>]> {
  let summary = "A tensor given element by element: an index lambda";
  let description = [{
    Worked example. Adding a bias to the rows of a matrix:

    ```mlir
    %y = tenon.map %x = %a, %t = %bias at %i, %j : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32> {
      %0 = tenon.load %x[%i, %j] : tensor<4x8xf32>
      %1 = tenon.load %t[%j] : tensor<8xf32>
      %2 = arith.addf %0, %1 : f32
      tenon.yield %2 : f32
    }
    ```

    or, as an expression (`InfixParser.h`), `… -> tensor<…> = %a[%j, %i] * 2`.

    Rule: `result[i0, i1, …] = region(i0, i1, …)`. The region sees one index per
    result dimension, loads operands at any computed index, and yields the
    element. It has no side effects, so it may be evaluated at any index, in any
    order, any number of times.

    Therefore iota (`yield %i`), broadcast (an index left out), transpose (indices
    exchanged), slice (`%i + 3`), gather (an index loaded from an operand),
    comparison, selection and all element-wise arithmetic are maps; and a map of a
    map is a map: `load %m[f(i)]` is `m`'s region at `f(i)`. That one composition is how masks,
    position biases and rotary tables are recognised whatever chain of operators
    an exporter wrote.

    Limits: what mixes elements of a row (sums, maxima) is not a map. An index
    that depends on loaded data is checked when it runs: out of range it is
    clamped and reported, never read.
  }];
  let arguments = (ins Variadic<AnyRankedTensor>:$inputs);
  let results = (outs AnyRankedTensor:$result);
  let regions = (region SizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let hasCanonicalizer = 1;
  let builders = [
    OpBuilder<(ins "::mlir::RankedTensorType":$type, "::mlir::ValueRange":$inputs,
      "::llvm::function_ref<::mlir::Value(::mlir::OpBuilder &, ::mlir::Location, ::mlir::ValueRange, ::mlir::ValueRange)>":$body)>
  ];
  let extraClassDeclaration = [{
    /// The block arguments that stand for the operands, then those that are the indices.
    ::mlir::Block::BlockArgListType getOperandArgs() { return getBody().front().getArguments().take_front(getInputs().size()); }
    ::mlir::Block::BlockArgListType getIndices() { return getBody().front().getArguments().drop_front(getInputs().size()); }
    ::mlir::Value getYielded() { return getBody().front().getTerminator()->getOperand(0); }
  }];
}

def Tenon_LoadOp : Tenon_Op<"load", [Pure,
    TypesMatchWith<"the result is one element of the tensor", "tensor", "result",
                   "::llvm::cast<::mlir::RankedTensorType>($_self).getElementType()">]> {
  let summary = "One element of a tensor a region captures";
  let description = [{
    Legal only in the regions of tenon ops, on a block argument that stands for an
    operand. An index computed from loaded data is clamped into range when it runs, and
    the run then fails with an error naming the operation; any other index must be in range
    by construction, which the region's author proves with `select` where needed:
    both sides of a select are evaluated, so the index itself is selected.
  }];
  let arguments = (ins AnyRankedTensor:$tensor, Variadic<Index>:$indices);
  let results = (outs AnyType:$result);
  let assemblyFormat = "$tensor `[` $indices `]` attr-dict `:` type($tensor)";
  let hasVerifier = 1;
  let builders = [OpBuilder<(ins "::mlir::Value":$tensor, "::mlir::ValueRange":$indices)>];
}

def Tenon_SizeOp : Tenon_Op<"size", [Pure]> {
  let summary = "The value of a dim expression";
  let description = [{ `%n = tenon.size #tenon.dim<S - 1>` has type index. Legal in regions and outside. }];
  let arguments = (ins Tenon_DimAttr:$dim);
  let results = (outs Index:$result);
  let assemblyFormat = "custom<DimExpr>($dim) attr-dict";
  let hasFolder = 1;
}

def Tenon_YieldOp : Tenon_Op<"yield", [Pure, Terminator, ReturnLike]> {
  let summary = "The value of a region";
  let arguments = (ins Variadic<AnyType>:$values);
  let assemblyFormat = "attr-dict ($values^ `:` type($values))?";
}

def Tenon_ContractOp : Tenon_Op<"contract", [Pure, DeclareOpInterfaceMethods<Tenon_KernelRootOpInterface>]> {
  let summary = "A sum of products over named indices (einsum)";
  let description = [{
    Worked example. A linear layer, `y[b,s,n] = Σ_k x[b,s,k] · w[k,n]`:

    ```mlir
    %y = tenon.contract "b s k, k n -> b s n" %x, %w
       : (tensor<?x?x384xf32, #tenon.dims<[B, S, 384]>>, tensor<384x96xf32>) -> tensor<?x?x96xf32, #tenon.dims<[B, S, 96]>>
    ```

    Rule: the result at its indices is the sum, over every index that the result
    does not have, of the product of the two operands. An index is a word;
    each occurs at most once in an operand and in the result; an
    index of one operand only, absent from the result, is summed as well.
    Indices of equal name have equal size. The order of summation is free (`reassoc`
    holds here and nowhere else).

    Products are accumulated in `accumulate` (f32 for f32, f16 and bf16; the
    element type itself for f64 and integers).

    With `panels W` the second operand stands in column panels, `[ceil(N/W), K, W]` for
    `k n`: the weight layout of every CPU level. Elements of bf16 stand there in pairs along k,
    zeros making up whole tiles of 16 pairs: `[ceil(N/W), ceil(K/32) * 16, 2 W]`.
  }];
  let arguments = (ins StrAttr:$spec, AnyRankedTensor:$lhs, AnyRankedTensor:$rhs,
                       OptionalAttr<I64Attr>:$panels, OptionalAttr<TypeAttr>:$accumulate);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = [{
    $spec $lhs `,` $rhs (`panels` $panels^)? (`accumulate` $accumulate^)? attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
  let builders = [
    OpBuilder<(ins "::llvm::StringRef":$spec, "::mlir::Value":$lhs, "::mlir::Value":$rhs)>
  ];
  let extraClassDeclaration = [{
    ::mlir::Type getAccumulateType();
  }];
}

def Tenon_ReduceOp : Tenon_Op<"reduce", [Pure, DeclareOpInterfaceMethods<Tenon_KernelRootOpInterface>]> {
  let summary = "Sum, product, maximum or minimum over some dimensions";
  let description = [{
    ```mlir
    %s = tenon.reduce sum %x over [1] : tensor<4x8xf32> -> tensor<4xf32>
    ```
    The reduced dimensions disappear. An empty sum is 0, an empty product 1, an
    empty maximum -inf (or the type's least value), an empty minimum +inf.
    Maximum and minimum propagate NaN. f16 and bf16 accumulate in f32.
  }];
  let arguments = (ins Tenon_ReduceKindAttr:$kind, AnyRankedTensor:$input, DenseI64ArrayAttr:$over);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$kind $input `over` $over attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
  let builders = [OpBuilder<(ins "ReduceKind":$kind, "::mlir::Value":$input, "::llvm::ArrayRef<int64_t>":$over)>];
}

def Tenon_ScatterOp : Tenon_Op<"scatter", [Pure, AllTypesMatch<["into", "result"]>,
                                            DeclareOpInterfaceMethods<Tenon_KernelRootOpInterface>]> {
  let summary = "A tensor with some of its slices replaced, or combined with others, at computed places";
  let description = [{
    Worked example. Rows 2 and 0 of a matrix replaced:

    ```mlir
    %y = tenon.scatter %updates into %x at %places
       : tensor<2x8xf32> into tensor<4x8xf32> at tensor<2x1xi64>      // %places = [[2], [0]]
    ```

    Rule: `places` is `[N, K]` and holds N index tuples for the first K dimensions of `into`;
    `updates` is `[N, …]` with the remaining dimensions of `into`. The result is `into`, then for
    n = 0, 1, …, N - 1 in this order `result[places[n], …] = updates[n, …]`; with `by sum` (product,
    max, min) it is combined with what stands there, in the element type, so that a place named twice
    counts twice. (A gather needs no op: a `map` may load at an index that it loads.)

    Limits: an index is from 0 to its dimension; another one is reported when it runs and its slice
    left out. Tiles own ranges of the first dimension and each looks at all tuples, so few large slices are
    cheap and the cost of N single elements is N for each of up to 16 tiles.
  }];
  let arguments = (ins AnyRankedTensor:$updates, AnyRankedTensor:$into, AnyRankedTensor:$places,
                       OptionalAttr<Tenon_ReduceKindAttr>:$by);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = [{
    $updates `into` $into `at` $places (`by` $by^)? attr-dict `:` type($updates) `into` type($into) `at` type($places)
  }];
  let hasVerifier = 1;
  let builders = [OpBuilder<(ins "::mlir::Value":$updates, "::mlir::Value":$into, "::mlir::Value":$places,
                                 "std::optional<ReduceKind>":$by)>];
  let extraClassDeclaration = [{
    /// K: how many dimensions a place names.
    int64_t getTupleSize();
  }];
}

def Tenon_OrderOp : Tenon_Op<"order", [Pure, DeclareOpInterfaceMethods<Tenon_KernelRootOpInterface>]> {
  let summary = "Where the elements of a row stand in sorted order: the first k of a stable argsort";
  let description = [{
    Worked example. The three greatest of each row, and the whole of it from the least on:

    ```mlir
    %t = tenon.order %x over 1 descending : tensor<4x8xf32> -> tensor<4x3xi64>
    %a = tenon.order %x over 1 : tensor<4x8xf32> -> tensor<4x8xi64>   // [5, 2, 9, 2, …]: [1, 3, 0, 2, …]
    ```

    Rule: along dimension `over`, of N elements, the result holds their numbers 0 … N - 1 such that each stands
    before the next: it is less (`descending`: greater), or equal and its number is less. The result has k <= N
    of them. Zeros of both signs are equal; a NaN is greater than all numbers, and NaNs are equal. `unsigned` says how
    integers compare.

    With `records` the dimensions behind `over` are one item, compared from its first element on; the result has
    none of them:

    ```mlir
    %r = tenon.order %x over 0 records : tensor<8x3xi32> -> tensor<8xi64>   // rows in lexicographic order
    ```

    Values in order are a map that loads at the result; the order of a whole order is its inverse.

    Limits: N below 2^32; k greater than N is reported when it runs. Work grows as N, times the bytes in which the row's
    elements differ where k is not small; rows are computed on their own, a single one by one thread.
  }];
  let arguments = (ins AnyRankedTensor:$input, I64Attr:$over, UnitAttr:$descending, UnitAttr:$is_unsigned,
                       UnitAttr:$records);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = [{
    $input `over` $over (`descending` $descending^)? (`unsigned` $is_unsigned^)? (`records` $records^)? attr-dict
    `:` type($input) `->` type($result)
  }];
  let hasVerifier = 1;
  let builders = [OpBuilder<(ins "::mlir::Value":$input, "int64_t":$over, "const Dim &":$count, "bool":$descending,
                                 "bool":$isUnsigned, "bool":$records)>];
}

def Tenon_SoftmaxOp : Tenon_Op<"softmax", [Pure, SameOperandsAndResultType,
                                            DeclareOpInterfaceMethods<Tenon_KernelRootOpInterface>]> {
  let summary = "exp(x) / Σ exp(x) along one dimension";
  let description = [{
    ```mlir
    %p = tenon.softmax %x over 3 : tensor<2x4x8x8xf32>
    ```
    Computed as `exp(x - max) / Σ exp(x - max)`. As IEEE says: a row that holds a NaN or +inf, or
    is -inf throughout, is NaN. f16 and bf16 are computed in f32.
  }];
  let arguments = (ins AnyRankedTensor:$input, I64Attr:$over);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$input `over` $over attr-dict `:` type($input)";
  let hasVerifier = 1;
}

def Tenon_NormOp : Tenon_Op<"norm", [Pure, AttrSizedOperandSegments,
                                      DeclareOpInterfaceMethods<Tenon_KernelRootOpInterface>]> {
  let summary = "Layer, RMS and group normalisation";
  let description = [{
    ```mlir
    %y = tenon.norm layer %x scale %g : tensor<8xf32> shift %b : tensor<8xf32> over 1 epsilon 1.0e-12
         : tensor<4x8xf32> -> tensor<4x8xf32>
    ```

    | kind | the elements normalised together | y |
    |---|---|---|
    | `layer` | the last `over` dimensions | (x - mean) / sqrt(variance + epsilon) · scale + shift |
    | `rms` | the last `over` dimensions | x / sqrt(mean(x²) + epsilon) · scale + shift |
    | `group` | dims 2… and C / `over` neighbouring channels of dim 1 | as `layer`, scale and shift per channel |

    `scale` and `shift` have the shape of the normalised dimensions (of the channels for
    `group`); either may be missing. Mean and variance are two passes over the row (no
    E[x²] - E[x]², which cancels), in f32 for f32, f16 and bf16.
  }];
  let arguments = (ins Tenon_NormKindAttr:$kind, AnyRankedTensor:$input, Optional<AnyRankedTensor>:$scale,
                       Optional<AnyRankedTensor>:$shift, I64Attr:$over, F64Attr:$epsilon);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = [{
    $kind $input (`scale` $scale^ `:` type($scale))? (`shift` $shift^ `:` type($shift))? `over` $over `epsilon` $epsilon attr-dict `:` type($input) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Tenon_ReshapeOp : Tenon_Op<"reshape", [Pure]> {
  let summary = "The same elements in row-major order under other dimensions";
  let description = [{
    ```mlir
    %r = tenon.reshape %x : tensor<?x?x384xf32, #tenon.dims<[B, S, 384]>> -> tensor<?x12x32xf32, #tenon.dims<[B * S, 12, 32]>>
    ```
    Costs nothing: the result is the same memory. The products of the dimensions must be equal as expressions.
  }];
  let arguments = (ins AnyRankedTensor:$input);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}
#endif
