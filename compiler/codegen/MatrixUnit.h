//===- MatrixUnit.h - instructions that products are made of -----------------------===//
#ifndef TENON_COMPILER_CODEGEN_MATRIXUNIT_H
#define TENON_COMPILER_CODEGEN_MATRIXUNIT_H

#include "compiler/levels/Level.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinOps.h"

namespace tenon {

/// The value of a module's attribute bf16TileAttributeName (passes/lowering/MatrixTiles.h): LLVM's names for what the
/// level's unit does with tiles of bf16 pairs, and the type of a tile. Null for a level without such a unit.
mlir::DictionaryAttr bf16TilesOf(const Level &level, mlir::MLIRContext *context);

/// Says on a module of kernels what products of the level are made of, as attributes: `tenon.bf16_dot` and
/// `tenon.bf16_tile` (bf16 pairs, passes/lowering/MicroKernel.h and MatrixTiles.h), `tenon.multiply_add_units` (of 512 bits, where there
/// are two or more; passes/lowering/PackedProduct.cpp), `tenon.lane_products` (vectors longer than 128 bits
/// times a lane) or `tenon.short_offsets` (how far loads that broadcast reach; passes/lowering/MicroKernel.cpp).
void setProductInstructions(mlir::ModuleOp module, const Level &level);

} // namespace tenon
#endif
