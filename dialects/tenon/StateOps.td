//===- StateOps.td - what a session remembers from run to run ------------*- tablegen -*-===//
#ifndef TENON_STATE_OPS_TD
#define TENON_STATE_OPS_TD
include "dialects/tenon/Attributes.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Tenon_StateOp : Tenon_Op<"state", [Symbol, HasParent<"::mlir::ModuleOp">,
                                        DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "A tensor that a session keeps from run to run";
  let description = [{
    Worked example. A decoder that is given one token after another keeps the keys of those it has seen, up to 2048,
    and how many there are:

    ```mlir
    tenon.symbol @S in [1, 2048]            // tokens of this run, from the shape of its input
    tenon.symbol @P in [0, 2048] kept       // tokens before it, known to the session
    tenon.state @keys : tensor<2048x8x64xf32>

    func.func @step(%x: tensor<?x512xf32, #tenon.dims<[S, 512]>>, …) attributes {tenon.entry} {
      …                                                                     // %new: the keys of this run's tokens
      %old = tenon.state_get @keys : tensor<?x8x64xf32, #tenon.dims<[P, 8, 64]>>
      %all = tenon.append %new to %old : tensor<?x8x64xf32, #tenon.dims<[S, 8, 64]>>
           to tensor<?x8x64xf32, #tenon.dims<[P, 8, 64]>> -> tensor<?x8x64xf32, #tenon.dims<[P + S, 8, 64]>>
      …                                                                     // attention reads %all where it is
      tenon.state_set @keys, %all : tensor<?x8x64xf32, #tenon.dims<[P + S, 8, 64]>>
      tenon.advance @P to #tenon.dim<P + S>
    ```

    Rule. A state is a tensor of constant capacity in memory of the session. A run sees its first rows (dim 0) as they were
    when the run began, through `tenon.state_get`; `tenon.state_set` says what they are when it has ended, and rows behind
    those keep what they held. A `kept` symbol is a size that the session remembers instead of reading it from an input's
    shape: it starts at its least value, and `tenon.advance` gives the next. Several entry points
    (`prefill`, `step`) share the states, as they share the weights. Two sessions share nothing.

    A recurrence is the same with all rows replaced: `state_get` and `state_set` of the whole tensor.

    Why rows of dim 0 and nothing else: they lie side by side, so that rows are appended where they stand and no run
    moves what an earlier one wrote. The growing dimension therefore comes first, `[time, batch, heads, depth]`, which
    attention reads by its layout `"n b h d"`.

    Bounds are checked when symbols are bound, before anything runs: a run that would overflow its cache is an error and
    nothing is overwritten. Zeros at first, or the weight behind `=`.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttrOf<AnyStaticShapeTensor>:$type,
                       OptionalAttr<FlatSymbolRefAttr>:$initial);
  let assemblyFormat = "$sym_name `:` $type (`=` $initial^)? attr-dict";
  let hasVerifier = 1;
}

def Tenon_StateGetOp : Tenon_Op<"state_get", [Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "The first rows of a state as they were when the run began";
  let description = [{
    As many rows as dim 0 of the result says. Costs nothing: the result is the session's memory, or a copy of it
    where it is read after the state has been overwritten.
  }];
  let arguments = (ins FlatSymbolRefAttr:$state);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$state `:` type($result) attr-dict";
}

def Tenon_StateSetOp : Tenon_Op<"state_set", [DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "What the first rows of a state are when the run has ended";
  let description = [{
    At most once for a state in an entry point; where it stands among the other operations does not matter. Rows that were appended
    to the state itself are already there; anything else is copied at the end of the run.
  }];
  let arguments = (ins FlatSymbolRefAttr:$state, AnyRankedTensor:$value);
  let assemblyFormat = "$state `,` $value `:` type($value) attr-dict";
}

def Tenon_AppendOp : Tenon_Op<"append", [Pure]> {
  let summary = "Rows behind the rows of another tensor";
  let description = [{
    ```mlir
    %y = tenon.append %b to %a : tensor<1x4xf32> to tensor<2x4xf32> -> tensor<3x4xf32>    // a's two rows, then b's one
    ```
    Concatenation along dim 0. Behind the rows of a state, and stored in it, it costs what writing `rows` costs: they are
    computed in their place and what stands before them is not touched. Otherwise both are copied. (Concatenation along other
    dims, or of what is only read again by a map, is a `tenon.map` with a select.)
  }];
  let arguments = (ins AnyRankedTensor:$rows, AnyRankedTensor:$to);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$rows `to` $to attr-dict `:` type($rows) `to` type($to) `->` type($result)";
  let hasVerifier = 1;
}

def Tenon_AdvanceOp : Tenon_Op<"advance", [DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "The value a kept symbol has after the run";
  let description = [{
    `tenon.advance @P to #tenon.dim<P + S>`. All of a run's expressions, this one too, see the value from before.
    A run that would take the symbol out of its bounds fails before it has done anything.
  }];
  let arguments = (ins FlatSymbolRefAttr:$symbol, Tenon_DimAttr:$value);
  let assemblyFormat = "$symbol `to` custom<DimExpr>($value) attr-dict";
}
#endif
