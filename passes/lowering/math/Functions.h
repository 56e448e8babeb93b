// The expansions by family; VectorMath.h states their contracts. Each takes the
// builder of its shape, f32 unless said otherwise, and returns the value.

#pragma once

#include "passes/lowering/math/MathBuilder.h"

namespace tenon {

// Exponential.cpp
mlir::Value emitExp(const MathBuilder &m, mlir::Value x);
mlir::Value emitExp2(const MathBuilder &m, mlir::Value x);
mlir::Value emitExpNonPositive(const MathBuilder &m, mlir::Value x);
mlir::Value emitExp2NonPositive(const MathBuilder &m, mlir::Value x);
mlir::Value emitExpm1(const MathBuilder &m, mlir::Value x);
mlir::Value emitSinh(const MathBuilder &m, mlir::Value x);
mlir::Value emitCosh(const MathBuilder &m, mlir::Value x);
/// scale * exp(x) for scale near 1 and -104 <= x <= 89, rounded once where the product is denormal.
mlir::Value emitScaledExp(const MathBuilder &m, mlir::Value x, mlir::Value scale);

// Activation.cpp
mlir::Value emitTanh(const MathBuilder &m, mlir::Value x);
mlir::Value emitSigmoid(const MathBuilder &m, mlir::Value x);
mlir::Value emitSilu(const MathBuilder &m, mlir::Value x);
mlir::Value emitGelu(const MathBuilder &m, mlir::Value x);
mlir::Value emitGeluTanh(const MathBuilder &m, mlir::Value x);

// ErrorFunction.cpp
mlir::Value emitErf(const MathBuilder &m, mlir::Value x);
mlir::Value emitErfc(const MathBuilder &m, mlir::Value x);

// Logarithm.cpp
mlir::Value emitLog(const MathBuilder &m, mlir::Value x);
mlir::Value emitLog2(const MathBuilder &m, mlir::Value x);
mlir::Value emitLog10(const MathBuilder &m, mlir::Value x);
mlir::Value emitLog1p(const MathBuilder &m, mlir::Value x);
mlir::Value emitAsinh(const MathBuilder &m, mlir::Value x);
mlir::Value emitAcosh(const MathBuilder &m, mlir::Value x);
mlir::Value emitAtanh(const MathBuilder &m, mlir::Value x);

// Power.cpp
mlir::Value emitPow(const MathBuilder &m, mlir::Value base, mlir::Value exponent);
/// pow(base, exponent) by the rules of IEEE 754, given that of |base|; f32 and f64.
mlir::Value finishPow(const MathBuilder &m, mlir::Value base, mlir::Value exponent, mlir::Value result);
mlir::Value emitCbrt(const MathBuilder &m, mlir::Value x);

// Remainder.cpp
/// a - b trunc(a / b), exact (C's fmod); f64, or f32 computed in f64.
mlir::Value emitRemainder(const MathBuilder &m, mlir::Value a, mlir::Value b);
/// base^exponent of integers, modulo 2^width; of a negative exponent what C's division gives.
mlir::Value emitIntegerPower(const MathBuilder &m, mlir::Value base, mlir::Value exponent);

// Double.cpp, all in f64; bounds in VectorMath.h
mlir::Value emitDoubleExp(const MathBuilder &m, mlir::Value x);
mlir::Value emitDoubleExp2(const MathBuilder &m, mlir::Value x);
/// factor * exp(x) for a factor near 1 and -746 <= x <= 710, rounded once where the product is denormal.
mlir::Value emitDoubleScaledExp(const MathBuilder &m, mlir::Value x, mlir::Value factor);
mlir::Value emitDoubleExpm1(const MathBuilder &m, mlir::Value x);
mlir::Value emitDoubleLog(const MathBuilder &m, mlir::Value x);
mlir::Value emitDoubleLog1p(const MathBuilder &m, mlir::Value x);
mlir::Value emitDoubleLog2(const MathBuilder &m, mlir::Value x);
mlir::Value emitDoubleLog10(const MathBuilder &m, mlir::Value x);
mlir::Value emitDoubleTanh(const MathBuilder &m, mlir::Value x);
mlir::Value emitDoubleSinh(const MathBuilder &m, mlir::Value x);
mlir::Value emitDoubleCosh(const MathBuilder &m, mlir::Value x);
mlir::Value emitDoubleAsinh(const MathBuilder &m, mlir::Value x);
mlir::Value emitDoubleAcosh(const MathBuilder &m, mlir::Value x);
mlir::Value emitDoubleAtanh(const MathBuilder &m, mlir::Value x);
mlir::Value emitDoublePow(const MathBuilder &m, mlir::Value base, mlir::Value exponent);
mlir::Value emitDoubleCbrt(const MathBuilder &m, mlir::Value x);

// DoubleErrorFunction.cpp
mlir::Value emitDoubleErf(const MathBuilder &m, mlir::Value x);
mlir::Value emitDoubleErfc(const MathBuilder &m, mlir::Value x);

// DoubleTrigonometric.cpp
mlir::Value emitDoubleSin(const MathBuilder &m, mlir::Value x);
mlir::Value emitDoubleCos(const MathBuilder &m, mlir::Value x);
mlir::Value emitDoubleTan(const MathBuilder &m, mlir::Value x);
mlir::Value emitDoubleAsin(const MathBuilder &m, mlir::Value x);
mlir::Value emitDoubleAcos(const MathBuilder &m, mlir::Value x);
mlir::Value emitDoubleAtan(const MathBuilder &m, mlir::Value x);
mlir::Value emitDoubleAtan2(const MathBuilder &m, mlir::Value y, mlir::Value x);

// Trigonometric.cpp
mlir::Value emitSin(const MathBuilder &m, mlir::Value x);
mlir::Value emitCos(const MathBuilder &m, mlir::Value x);
mlir::Value emitTan(const MathBuilder &m, mlir::Value x);
mlir::Value emitAsin(const MathBuilder &m, mlir::Value x);
mlir::Value emitAcos(const MathBuilder &m, mlir::Value x);
mlir::Value emitAtan(const MathBuilder &m, mlir::Value x);
mlir::Value emitAtan2(const MathBuilder &m, mlir::Value y, mlir::Value x);

} // namespace tenon
