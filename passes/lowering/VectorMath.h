// Elementary functions as straight-line IR: arith, and those math operations
// which are one instruction on every CPU level (fma, sqrt, absf, copysign,
// roundeven, trunc). No call is ever emitted, so a kernel imports nothing.
//
// Shapes: f32, f64, f16, bf16 and vectors of them, any rank and width. f16 and
// bf16 are computed in f32 and rounded once more. f64 arguments are accepted
// where the table says so; emitMath returns null otherwise.
//
// Contracts in f32. `ulp` is the distance of neighbouring floats at the exact
// result (2^-149 for denormals); overflow counts as 2^128. The first number is
// promised, the second was measured over all 2^32 arguments. Each holds for the
// whole range, infinities, NaN, both zeros and denormals included, unless the
// remark says otherwise. `ops` counts instructions on 16 lanes of AVX-512.
//
//   function         promised  measured  remark
//   Exp                 2
//
#pragma once

#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringRef.h"

namespace tenon {

enum class MathFunction {
#define TENON_MATH_FUNCTION(name, arity) name,
#include "passes/lowering/VectorMath.def"
};

/// How often a function is looked up by tests and tools: its name and arity.
struct MathFunctionInfo {
  MathFunction function;
  llvm::StringRef name;
  unsigned arity;
};
llvm::ArrayRef<MathFunctionInfo> allMathFunctions();

/// The value of `function` of `args`, which are all of one type, the type of
/// the result. Null if the element type is not one this function is made for.
mlir::Value emitMath(mlir::OpBuilder &builder, mlir::Location loc, MathFunction function, mlir::ValueRange args);

/// Replaces every math operation under `root` that would become a call, on
/// scalars and vectors; those that are one instruction stay. An operation on a
/// type without an expansion is an error at its location.
mlir::LogicalResult expandMath(mlir::Operation *root);

} // namespace tenon
