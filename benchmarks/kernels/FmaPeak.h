// The machine's peak as a kernel of our own: independent fma chains in
// registers. Run alternately with what is measured, it gives figures that do
// not depend on the clock of the moment.

#pragma once

#include "compiler/levels/Level.h"
#include "mlir/IR/BuiltinOps.h"

namespace tenon {

/// Appends the kernel `name` to `module`: each tile of it executes
/// fmasPerTile(level) fused multiply-adds of a whole vector of the level.
/// Operand 0 is an array of at least two vectors, read and written.
void addFmaPeakKernel(mlir::ModuleOp module, const Level &level, llvm::StringRef name);
unsigned fmasPerTile(const Level &level);

} // namespace tenon
