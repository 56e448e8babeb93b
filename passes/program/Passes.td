//===- Passes.td - kernels ---------------------------------------------*- tablegen -*-===//
#ifndef TENON_PASSES_PROGRAM_PASSES_TD
#define TENON_PASSES_PROGRAM_PASSES_TD
include "mlir/Pass/PassBase.td"

def FormKernels : Pass<"tenon-form-kernels", "::mlir::ModuleOp"> {
  let summary = "Outline fused groups as kernels, merging equal ones";
  let description = [{
    A group is a root (`contract`, `reduce`, `softmax`, `norm`, `attention`), the maps
    only it reads, where it reads each element once, and the one map behind it that reads
    its result in place; or a map alone. A product with panels takes in the norm that only it reads, and applies it
    to each row it copies. Exact: a map is evaluated at the same points,
    before or after it would have been stored. An attention by flash takes in the contractions of its score
    that are products with rows chosen by distance (`attention/PositionProducts.h`).

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

#endif
