//===- Passes.td - every pass, in pipeline order ------------------------*- tablegen -*-===//
//
// One pass, one .cpp named after it. Folders are the phases of the pipeline; the
// order they run in is compiler/pipeline/Pipeline.cpp.
//
#ifndef TENON_PASSES_TD
#define TENON_PASSES_TD
include "mlir/Pass/PassBase.td"

//===----------------------------------------------------------------------------===//
// simplify/
//===----------------------------------------------------------------------------===//

def ComposeMaps : Pass<"tenon-compose-maps", "::mlir::ModuleOp"> {
  let summary = "Evaluate a map inside the map that loads it";
  let description = [{
    `load %m[f(i)]` of a map `m` is `m`'s region at the indices `f(i)`: substitution
    is exact, because a map's region is pure and defined at every index.

    ```mlir
    %m = tenon.map %x = %a at %i, %j : (tensor<4x8xf32>) -> tensor<8x4xf32> {
      %0 = tenon.load %x[%j, %i] : tensor<4x8xf32>
      tenon.yield %0 : f32
    }
    %r = tenon.map %t = %m at %i, %j : (tensor<8x4xf32>) -> tensor<8x4xf32> {
      %0 = tenon.load %t[%i, %j] : tensor<8x4xf32>
      %1 = math.exp %0 : f32
      tenon.yield %1 : f32
    }
    ```
    becomes
    ```mlir
    %r = tenon.map %x = %a at %i, %j : (tensor<4x8xf32>) -> tensor<8x4xf32> {
      %0 = tenon.load %x[%j, %i] : tensor<4x8xf32>
      %1 = math.exp %0 : f32
      tenon.yield %1 : f32
    }
    ```

    A producer is composed when evaluating it again costs nothing to speak of (index
    arithmetic, loads, selects, one rounding of arithmetic), or when this is
    its only use and it is evaluated at most once per element it has. So masks and index tables
    vanish into their users while an expensive table is computed once.
  }];
}

//===----------------------------------------------------------------------------===//
// program/
//===----------------------------------------------------------------------------===//

def FormKernels : Pass<"tenon-form-kernels", "::mlir::ModuleOp"> {
  let summary = "Outline fused groups as kernels, merging equal ones";
  let description = [{
    A group is a root (`contract`, `reduce`, `softmax`, `norm`, `attention`), the maps
    only it reads, where it reads each element once, and the one map behind it that reads
    its result in place; or a map alone. Exact: a map is evaluated at the same points,
    before or after it would have been stored.

    ```mlir
    %y = tenon.contract "m k, k n -> m n" %x, %w panels 16 : …
    %z = tenon.map %a = %y, %t = %bias at %i, %j : … { load %a[%i, %j] + load %t[%j] }
    ```
    becomes
    ```mlir
    %z = tenon.dispatch @contract_0(%x, %w, %bias) : … dims #tenon.dims<[B * S]>
    ```
    The kernel calls the group's dim expressions d0, d1, … in order of first use, so
    kernels of twelve layers print alike, and what prints alike is one kernel.

    After this pass a function holds `get`, `reshape`, `dispatch` and `return` only.
  }];
}

//===----------------------------------------------------------------------------===//
// lowering/
//===----------------------------------------------------------------------------===//

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
    brings. Both are expressions over the kernel's dims.
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
