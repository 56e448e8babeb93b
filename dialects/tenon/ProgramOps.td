//===- ProgramOps.td - what a module declares, kernels and their use ----*- tablegen -*-===//
#ifndef TENON_PROGRAM_OPS_TD
#define TENON_PROGRAM_OPS_TD
include "dialects/tenon/Attributes.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "mlir/Interfaces/FunctionInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/IR/RegionKindInterface.td"

def Tenon_SymbolOp : Tenon_Op<"symbol", [Symbol, HasParent<"::mlir::ModuleOp">]> {
  let summary = "A dimension known only at run time";
  let description = [{
    ```mlir
    tenon.symbol @S in [0, 8192]
    tenon.symbol @C in [16, 4096] divisible by 16
    tenon.symbol @P in [0, 2048] kept
    ```

    Every name in a dim expression is declared once. The bounds are inclusive and
    are checked when a program runs; passes may rely on them. Its value comes from the
    shapes of the inputs; that of a `kept` one is the session's (see `tenon.state`).
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, I64Attr:$min, I64Attr:$max,
                       DefaultValuedAttr<I64Attr, "1">:$divisor, UnitAttr:$kept);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
}

def Tenon_WeightOp : Tenon_Op<"weight", [Symbol, HasParent<"::mlir::ModuleOp">,
                                          DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "A constant tensor of the model, named, never held in the IR";
  let description = [{
    ```mlir
    tenon.weight @w : tensor<384x1536xf32> = #tenon.source<"model.safetensors", 4096>
    tenon.weight @small : tensor<2xf32> = dense<[1.0, 2.0]> : tensor<2xf32>
    tenon.weight @qkv : tensor<384x1152xf32> = #tenon.recipe<concat [@q, @k, @v] {axis = 1}>
    ```

    The value is a `#tenon.source` (bytes of a mapped file), a `#tenon.recipe` (made
    from other weights when the artifact is written), a `#tenon.random`, or, up to
    1 KiB, `dense` elements. A recipe is checked against the types of its inputs.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttrOf<AnyStaticShapeTensor>:$type, AnyAttr:$value);
  let assemblyFormat = "$sym_name `:` $type `=` $value attr-dict";
  let hasVerifier = 1;
}

def Tenon_GetOp : Tenon_Op<"get", [Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "The value of a weight";
  let arguments = (ins FlatSymbolRefAttr:$weight);
  let results = (outs AnyStaticShapeTensor:$result);
  let assemblyFormat = "$weight `:` type($result) attr-dict";
}

def Tenon_KernelOp : Tenon_Op<"kernel", [Symbol, IsolatedFromAbove, HasParent<"::mlir::ModuleOp">,
                                          FunctionOpInterface, SingleBlock]> {
  let summary = "One fused group of operations, outlined";
  let description = [{
    The unit that becomes one machine-code function. Its dims are its own: the
    symbols `d0`, `d1`, … stand for the values the dispatch passes, so that two
    kernels which differ only in where they are used print alike and are merged.

    ```mlir
    tenon.kernel @linear(%x: tensor<?x384xf32, #tenon.dims<[d0, 384]>>, %w: tensor<24x384x16xf32>)
        -> tensor<?x384xf32, #tenon.dims<[d0, 384]>> {
      %y = tenon.contract "m k, k n -> m n" %x, %w panels 16 : …
      tenon.return %y : …
    }
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttrOf<FunctionType>:$function_type,
                       OptionalAttr<DictArrayAttr>:$arg_attrs, OptionalAttr<DictArrayAttr>:$res_attrs);
  let regions = (region SizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let extraClassDeclaration = [{
    ::llvm::ArrayRef<::mlir::Type> getArgumentTypes() { return getFunctionType().getInputs(); }
    ::llvm::ArrayRef<::mlir::Type> getResultTypes() { return getFunctionType().getResults(); }
    ::mlir::Region *getCallableRegion() { return &getBody(); }
    /// The number of dims a dispatch passes: one more than the largest k of `dk` in the body.
    unsigned getNumDims();
  }];
  let builders = [OpBuilder<(ins "::llvm::StringRef":$name, "::mlir::FunctionType":$type)>];
}

def Tenon_ReturnOp : Tenon_Op<"return", [Pure, Terminator, HasParent<"KernelOp">]> {
  let summary = "The results of a kernel";
  let arguments = (ins Variadic<AnyRankedTensor>:$values);
  let assemblyFormat = "attr-dict ($values^ `:` type($values))?";
}

def Tenon_DispatchOp : Tenon_Op<"dispatch", [Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "Run a kernel over the whole of its grid";
  let description = [{
    ```mlir
    %y = tenon.dispatch @linear(%x, %w) : (…) -> … dims #tenon.dims<[B * S]>
    ```
    The dims are the values of the kernel's `d0`, `d1`, … as expressions of the module's symbols.
  }];
  let arguments = (ins FlatSymbolRefAttr:$kernel, Variadic<AnyRankedTensor>:$inputs, Tenon_DimsAttr:$dims);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = "$kernel `(` $inputs `)` attr-dict `:` functional-type($inputs, $results) `dims` custom<DimList>($dims)";
}
#endif
