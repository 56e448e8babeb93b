// A kernel that applies one elementary function to arrays, for tests and
// benchmarks.

#pragma once

#include "mlir/IR/BuiltinOps.h"
#include "passes/lowering/VectorMath.h"

namespace tenon {

/// Appends the kernel out[i] = f(in0[i], ...) to `module`; operands are the
/// inputs, then the output. A tile is kernelLanes (UlpSweep.h) elements, computed
/// on vectors of `shape`, whose size divides kernelLanes; scalars if it is empty.
void addElementwiseKernel(mlir::ModuleOp module, const MathFunctionInfo &info, mlir::Type element,
                          llvm::ArrayRef<int64_t> shape, llvm::StringRef name);

} // namespace tenon
