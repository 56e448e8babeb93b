//===- MatrixUnit.h - the instructions of a level's matrix unit ---------------------===//
#ifndef TENON_COMPILER_CODEGEN_MATRIXUNIT_H
#define TENON_COMPILER_CODEGEN_MATRIXUNIT_H

#include "compiler/levels/Level.h"
#include "mlir/IR/BuiltinAttributes.h"

namespace tenon {

/// The value of a module's attribute bf16TileAttributeName (passes/lowering/MatrixTiles.h): LLVM's names for what the
/// level's unit does with tiles of bf16 pairs, and the type of a tile. Null for a level without such a unit.
mlir::DictionaryAttr bf16TilesOf(const Level &level, mlir::MLIRContext *context);

} // namespace tenon
#endif
