// The inverses of sine and cosine, the same in f32 and f64 but for their constants.

#pragma once

#include "passes/lowering/math/MathBuilder.h"

namespace tenon {

struct ArcSine {
  double halfPi, halfPiLow;           // pi / 2 in two numbers of the type
  llvm::ArrayRef<double> polynomial;  // asin(x) = x + x^3 P(x^2), |x| <= 1/2
};

mlir::Value emitArcSine(const MathBuilder &m, mlir::Value x, const ArcSine &constants);
mlir::Value emitArcCosine(const MathBuilder &m, mlir::Value x, const ArcSine &constants);

} // namespace tenon
