// What VectorMath.h promises, function by function, with double references.
// double's own functions are right to 2^-29 f32 ulp.

#pragma once

#include <cmath>
#include <iterator>

#include "UlpSweep.h"

namespace tenon {

struct UnaryContract {
  const char *name;
  double (*reference)(double);
  double ulp; // promised
  UlpOf unit = UlpOf::Result;
  bool odd = false; // keeps the sign of zero
  float highest = HUGE_VAL;
};

namespace reference {
inline double sigmoid(double x) { return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x)); }
inline double silu(double x) { return x / (1 + std::exp(-x)); }
inline double gelu(double x) { return x * 0.5 * std::erfc(-x * M_SQRT1_2); }
inline double geluTanh(double x) { return x / (1 + std::exp(-2 * std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))); }
inline double rsqrt(double x) { return 1 / std::sqrt(x); }
// Results that are not normal are zero.
inline double flushed(double x) { return x < 0x1p-126 ? 0 : x; }
inline double expNonPositive(double x) { return flushed(std::exp(x)); }
inline double exp2NonPositive(double x) { return flushed(std::exp2(x)); }
} // namespace reference

inline constexpr UnaryContract unaryContracts[] = {
    {"Exp", std::exp, 2},
    {"Exp2", std::exp2, 2},
    {"Expm1", std::expm1, 2, UlpOf::Result, true},
    {"Tanh", std::tanh, 2, UlpOf::Result, true},
    {"Sigmoid", reference::sigmoid, 2},
    {"Silu", reference::silu, 2, UlpOf::Argument},
    {"Gelu", reference::gelu, 2, UlpOf::Argument},
    {"GeluTanh", reference::geluTanh, 2, UlpOf::Argument},
    {"Erf", std::erf, 2, UlpOf::Result, true},
    {"Erfc", std::erfc, 4},
    {"Log", std::log, 2},
    {"Log2", std::log2, 2},
    {"Log10", std::log10, 3},
    {"Log1p", std::log1p, 2, UlpOf::Result, true},
    {"Sin", std::sin, 2, UlpOf::Result, true},
    {"Cos", std::cos, 2},
    {"Tan", std::tan, 4, UlpOf::Result, true},
    {"Asin", std::asin, 3, UlpOf::Result, true},
    {"Acos", std::acos, 2},
    {"Atan", std::atan, 2, UlpOf::Result, true},
    {"Sinh", std::sinh, 3, UlpOf::Result, true},
    {"Cosh", std::cosh, 2},
    {"Asinh", std::asinh, 4, UlpOf::Result, true},
    {"Acosh", std::acosh, 4},
    {"Atanh", std::atanh, 4, UlpOf::Result, true},
    {"Cbrt", std::cbrt, 2, UlpOf::Result, true},
    {"Rsqrt", reference::rsqrt, 2},
};

} // namespace tenon
