// The MLIR half of code generation: kernels to the llvm dialect.

#pragma once

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Support/LLVM.h"

namespace tenon {

/// Lowers every function of `module` to the llvm dialect, in place.
mlir::LogicalResult lowerToLLVMDialect(mlir::ModuleOp module);

} // namespace tenon
