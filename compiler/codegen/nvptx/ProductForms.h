//===- ProductForms.h - contractions as blocks on tensor cores ----------------------===//
#ifndef TENON_COMPILER_CODEGEN_NVPTX_PRODUCTFORMS_H
#define TENON_COMPILER_CODEGEN_NVPTX_PRODUCTFORMS_H

#include "compiler/codegen/nvptx/NativeLowerings.h"
#include "passes/lowering/ActivationProduct.h"

namespace tenon {

/// "m k, k n -> m n" against panels of f32 or of pairs of bf16.
DeviceForm panelProductForm(ContractOp op);
/// Both operands are arguments of the kernel.
DeviceForm activationProductForm(const ActivationProduct &product);

} // namespace tenon
#endif
