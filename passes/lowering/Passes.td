//===- Passes.td - kernels to loops and vectors ------------------------*- tablegen -*-===//
#ifndef TENON_PASSES_LOWERING_PASSES_TD
#define TENON_PASSES_LOWERING_PASSES_TD
include "mlir/Pass/PassBase.td"

def LowerKernels : Pass<"tenon-lower-kernels", "::mlir::ModuleOp"> {
  let summary = "Every kernel to a function of loops and vectors for the module's target";
  let description = [{
    Precondition: each `tenon.kernel` holds producers (maps), at most one root
    (`contract`, `reduce`, `norm`, `softmax`, `attention`) and at most one map behind it, as
    FormKernels makes them; the module has a `tenon.target`.

    ```mlir
    tenon.kernel @twice(%x: tensor<?x4xf32, #tenon.dims<[d0, 4]>>) -> tensor<?x4xf32, #tenon.dims<[d0, 4]>> { … }
    ```
    becomes
    ```mlir
    func.func @twice(%args: !llvm.ptr, %first: i32, %last: i32)
        attributes {tenon.tiles = #tenon.dim<(d0 + 2047) floordiv 2048>, tenon.scratch = #tenon.dim<0>} { scf.for … }
    ```

    The function computes tiles first…last-1 of `tenon.tiles`, any split of which
    gives the same bits. `tenon.scratch` is the memory in bytes that each caller
    brings. Both are expressions over the kernel's dims. `tenon.grain`, where it is
    there, is how many neighbouring tiles share work that a call which begins among
    them does again: a product's copy of a block of rows.
  }];
  let dependentDialects = ["::mlir::scf::SCFDialect", "::mlir::memref::MemRefDialect",
                           "::mlir::vector::VectorDialect", "::mlir::LLVM::LLVMDialect"];
}

def ExpandMath : Pass<"tenon-expand-math", "::mlir::func::FuncOp"> {
  let summary = "Elementary functions to polynomials: a kernel calls nothing";
  let description = [{
    A code section imports nothing, and a call a lane would cost ten times the
    arithmetic, so every `math` operation that is not one instruction becomes
    straight-line code on the same scalar or vector.

    ```mlir
    %y = math.exp2 %x : vector<16xf32>
    ```
    becomes, shortened,
    ```mlir
    %s = arith.addf %x, %shift : vector<16xf32>     // the integer part in its low bits
    %n = arith.subf %s, %shift : vector<16xf32>
    %r = arith.subf %x, %n : vector<16xf32>
    %p = math.fma …                                 // six of them: 2^r
    %y = arith.mulf %p, %scale : vector<16xf32>     // 2^n, in two factors built by shifts
    ```

    Each function's error bound is stated in VectorMath.h and tested over all
    floats. `math.fma`, `sqrt`, `absf`, `copysign`, `floor`, `ceil`, `trunc` and
    `roundeven` stay. f16 and bf16 are computed in f32; conversions between f32
    and bf16 become integer arithmetic. GELU (both forms), SiLU and
    the logistic function are recognised in spelled-out form and emitted as one
    function each, which halves their cost.

    Runs when kernels are functions over vectors of register size: earlier, the
    expansion would only be more to rewrite.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::math::MathDialect"];
}

#endif
