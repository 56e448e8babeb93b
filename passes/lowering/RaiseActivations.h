// Activations that front ends spell out, recognised and emitted as one function.

#pragma once

namespace mlir {
class Operation;
} // namespace mlir

namespace tenon {

/// Replaces, under `root`, on scalars and vectors of f32, f16 and bf16:
///
///   x * (1 + erf(x / sqrt(2))) / 2                             by Gelu
///   x * (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2          by GeluTanh
///   x / (1 + exp(-x)), x * (1 / (1 + exp(-x)))                 by Silu
///   1 / (1 + exp(-x))                                          by Sigmoid
///
/// whatever the order of factors and however the polynomial inside is written.
/// The result changes by at most the function's bound in VectorMath.h; the
/// spelled-out form costs up to twice as much.
void raiseActivations(mlir::Operation *root);

} // namespace tenon
