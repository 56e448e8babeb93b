// A kernel that is one matrix product and nothing else, C = A * B with dynamic
// M, N and K and a plain store as epilogue: what tests and benchmarks of the
// register tile run.
//
//   operands  A [M][K] row-major, B panels [ceil(N/16)][K][16], C [M][N]
//   dims      M, N, K

#pragma once

#include <string>
#include <vector>

#include "compiler/codegen/Codegen.h"
#include "compiler/levels/Level.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include "passes/lowering/PackedProduct.h"

namespace tenon {

RegisterTile registerTile(const Level &level, TileStep step = TileStep::F32);

/// The module with kernel "product". K is static where `k` is not 0. Of another step than F32 an element of A and B
/// is a word (MicroKernel.h).
mlir::OwningOpRef<mlir::ModuleOp> plainProductModule(mlir::MLIRContext &context, const Level &level,
                                                     const ProductBlocking &blocking, int64_t k = 0,
                                                     TileStep step = TileStep::F32);

/// Compiles and prints diagnostics to stderr on failure.
mlir::FailureOr<CodeImage> compilePlainProduct(const Level &level, const ProductBlocking &blocking, int64_t k = 0);

/// ceil(N/16) panels of a row-major [K][N] matrix, padded with zeros.
std::vector<float> packPanels(const std::vector<float> &b, int64_t k, int64_t n);

/// Tiles of the product kernel for M rows and N columns.
uint32_t plainProductGrid(const ProductBlocking &blocking, int64_t m, int64_t n);

} // namespace tenon
