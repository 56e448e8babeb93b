//===- MatrixUnit.h - instructions that products are made of -----------------------===//
#ifndef TENON_COMPILER_CODEGEN_MATRIXUNIT_H
#define TENON_COMPILER_CODEGEN_MATRIXUNIT_H

#include "compiler/levels/Level.h"
#include "mlir/IR/BuiltinAttributes.h"

namespace tenon {

/// The value of a module's attribute bf16TileAttributeName (passes/lowering/MatrixTiles.h): LLVM's names for what the
/// level's unit does with tiles of bf16 pairs, and the type of a tile. Null for a level without such a unit.
mlir::DictionaryAttr bf16TilesOf(const Level &level, mlir::MLIRContext *context);

/// The value of a module's attribute tenon.lane_products (passes/lowering/MicroKernel.cpp). Null for a level whose vectors are of 128 bits,
/// or that has nothing to gain from lanes.
mlir::DictionaryAttr laneProductsOf(const Level &level, mlir::MLIRContext *context);

} // namespace tenon
#endif
