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
//   function          ulp   measured  cost
//   Exp                2      0.89     13     cost: fused multiply-adds of 16 lanes
//   Exp2               2      0.88     11     that 16 elements in the first-level
//   ExpNonPositive     2      1.90     11     cache take as long as, loads and stores
//   Exp2NonPositive    2      1.78      7     included (AVX-512, one fma a cycle, so
//   Tanh               2      1.96     21     cycles there;
//   Sigmoid            2      1.48     25     tenon-vector-math-benchmark)
//   Erf                2      1.30     25
//   Silu               2      1.52     12     measured: largest error over all 2^32
//   Gelu               2      1.96     21     arguments (VectorMathTest, TENON_TEST_ALL)
//   GeluTanh           2      1.68     17
//
// Measured over 4 million arguments spread over all exponents, 3 million pairs:
//
//   2 ulp  Expm1 1.44, Log 0.93, Log2 0.95, Log1p 1.33, Sin 1.47, Cos 1.48 (every
//          finite angle), Acos 1.10, Atan 1.55, Cosh 1.24, Cbrt 0.97, Rsqrt 1.48
//   3 ulp  Log10 1.89, Asin 2.25, Sinh 1.48, Atan2 2.03
//   4 ulp  Erfc 2.06, Tan 2.99, Asinh 1.72, Acosh 1.59, Atanh 1.90
//   1 ulp  Pow 0.501
//
// In f64, over 1.2 million arguments of every exponent and of moderate size (DoubleMathTest):
//
//   2 ulp  Exp 0.88, Exp2 0.87, Expm1 1.83, Log 1.06, Log2 1.36, Log10 1.54, Log1p 1.62, Erf 0.92, Sin 0.80, Cos 0.88 (every
//          finite angle), Acos 1.15, Atan 1.64, Atan2 1.52, Cosh 1.36, Cbrt 0.73, Rsqrt 1.48, Pow 1.00
//   3 ulp  Tanh 2.51, Sinh 2.29, Asin 2.17
//   4 ulp  Erfc 3.59, Tan 2.05, Asinh 1.97, Acosh 1.85, Atanh 2.00
//
// Sigmoid, Silu, Gelu and GeluTanh are made in f32 only: in f64 they stay the formulas they are written as.
//
// ExpNonPositive and Exp2NonPositive are Exp and Exp2 for arguments of at most 88
// and 127, in practice scores less their maximum: the bound holds where the
// result is at least 2^-126; below it is denormal or zero.
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

/// An f64 scalar or vector rounded once to f16 or bf16, by way of f32.
mlir::Value emitTruncationFromDouble(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value value,
                                     mlir::Type element);

/// The other direction, exact. Written as a shift so that LLVM does not see a
/// conversion, move operations to bf16 before it, and call to get back.
mlir::Value emitExtensionFromBFloat16(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value value);

/// Raises spelled-out activations (RaiseActivations.h), then replaces every math
/// operation under `root` that would become a call, on scalars and vectors, and
/// conversions between f32 and bf16; those that are one instruction stay. An operation on a
/// type without an expansion is an error at its location.
mlir::LogicalResult expandMath(mlir::Operation *root);

} // namespace tenon
