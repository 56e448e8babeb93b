// Elementary functions as straight-line IR: arith, and those math operations
// which are one instruction on every CPU level (fma, sqrt, absf, copysign,
// roundeven, trunc). No call is ever emitted, so a kernel imports nothing.
//
// Shapes: f32, f16, bf16 and vectors of them, any rank and width. f16 and bf16
// are computed in f32 and rounded once more.
//
// Contracts in f32. One ulp is the distance of neighbouring floats at the exact
// result (2^-149 for denormals), for Silu, Gelu and GeluTanh at the argument;
// overflow counts as 2^128. Each bound holds for the whole range: infinities,
// NaN, denormal arguments and results included. Odd functions keep -0.
//
//   2 ulp  Exp Exp2 Expm1 Tanh Sigmoid Erf, Silu Gelu GeluTanh (of the argument),
//          Log Log2 Log1p, Sin Cos (every finite angle), Acos Atan, Cosh Cbrt, Rsqrt
//   3 ulp  Log10 Asin Sinh Atan2
//   4 ulp  Erfc Tan Asinh Acosh Atanh
//   1 ulp  Pow
//
// ExpNonPositive and Exp2NonPositive are Exp and Exp2 for arguments of at most 88
// and 127, in practice scores less their maximum: 2 ulp where the result is at
// least 2^-126; below it is denormal or zero. They save a third of the work.
//
// Gelu, GeluTanh and Silu of -infinity are NaN, as in the plain formulas.

#pragma once

#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringRef.h"

namespace tenon {

enum class MathFunction {
#define TENON_MATH_FUNCTION(name, arity) name,
#include "passes/lowering/VectorMath.def"
};

struct MathFunctionInfo {
  MathFunction function;
  llvm::StringRef name;
  unsigned arity;
};

/// Every function, in the order of the enumeration.
llvm::ArrayRef<MathFunctionInfo> allMathFunctions();

/// The value of `function` of `args`, which are all of one type, the type of
/// the result. Null if the element type is not one this function is made for.
mlir::Value emitMath(mlir::OpBuilder &builder, mlir::Location loc, MathFunction function, mlir::ValueRange args);

/// An f32 scalar or vector rounded to bf16, to nearest even, denormals kept, by
/// integer arithmetic: most CPU levels have no instruction and would call.
mlir::Value emitTruncationToBFloat16(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value value);

/// The other direction, exact. Written as a shift so that LLVM does not see a
/// conversion, move operations to bf16 before it, and call to get back.
mlir::Value emitExtensionFromBFloat16(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value value);

/// Raises spelled-out activations (RaiseActivations.h), then replaces every math
/// operation under `root` that would become a call, on scalars and vectors, and
/// conversions between f32 and bf16; those that are one instruction stay. An operation on a
/// type without an expansion is an error at its location.
mlir::LogicalResult expandMath(mlir::Operation *root);

} // namespace tenon
