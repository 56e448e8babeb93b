//===- dim.h - Evaluating and printing dim expressions ----------*- C++ -*-===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// The postfix steps of format.h, on checked tables: `N 4 mul` with N = 3 is 12
// and prints as "N * 4". Values are exact or there is none.
//
//===----------------------------------------------------------------------===//

#ifndef TENON_RUNTIME_DIM_H
#define TENON_RUNTIME_DIM_H

#include "runtime/src/artifact.h"

namespace tenon {

/// Evaluates `dimension` with a value per symbol of the artifact and per kernel
/// dim. False on overflow or division by zero.
bool evaluate(const Tables &tables, uint32_t dimension, const int64_t *symbols, const int64_t *kernelDims,
              int64_t &value);

/// "S + P", "(d0 + 15) floordiv 16".
std::string print(const Tables &tables, uint32_t dimension);

/// The symbol if the expression is nothing but one, else none.
uint32_t asSymbol(const Tables &tables, uint32_t dimension);

} // namespace tenon

#endif // TENON_RUNTIME_DIM_H
