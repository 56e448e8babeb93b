//===- ProductForms.h - contractions as blocks on tensor cores ----------------------===//
#ifndef TENON_COMPILER_CODEGEN_NVPTX_PRODUCTFORMS_H
#define TENON_COMPILER_CODEGEN_NVPTX_PRODUCTFORMS_H

#include "compiler/codegen/nvptx/NativeLowerings.h"
#include "passes/lowering/ActivationProduct.h"
#include "passes/lowering/WindowProduct.h"

namespace tenon {

/// Whether the kernel is for a GPU with wgmma and what goes with it (Warpgroup.h).
bool hasWarpgroups(mlir::Operation *op);

/// "m k, k n -> m n" against panels of f32 or of pairs of bf16.
DeviceForm panelProductForm(ContractOp op);
/// Both operands are arguments of the kernel.
DeviceForm activationProductForm(const ActivationProduct &product);
/// Filters and the tensor that windows are read from are arguments of the kernel.
DeviceForm windowProductForm(const WindowProduct &product);

} // namespace tenon
#endif
