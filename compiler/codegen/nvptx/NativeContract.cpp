//===- NativeContract.cpp - which contractions tensor cores compute -------------------===//
#include "compiler/codegen/nvptx/ProductForms.h"
#include "passes/lowering/WindowProduct.h"

using namespace mlir;

namespace tenon {

std::optional<DeviceForm> nativeContract(KernelOp kernel, ContractOp op, std::string &reason) {
  if (op.getPanels())
    return panelProductForm(op);
  if (WindowProduct::match(op)) {
    reason = "filters times windows have no form of their own";
    return std::nullopt;
  }
  auto isMemory = [&](Value tensor) { return isa<BlockArgument>(tensor); };
  if (!isMemory(op.getLhs()) || !isMemory(op.getRhs())) {
    reason = "an operand of the product is computed where it is read";
    return std::nullopt;
  }
  bool isLast = kernel.getBody().front().getTerminator()->getOperand(0) == op.getResult();
  std::optional<ActivationProduct> product = ActivationProduct::match(op, /*mayJoinColumns=*/isLast);
  if (!product) {
    reason = "tensor cores take products summed in f32 that have rows, columns and steps of their own";
    return std::nullopt;
  }
  return activationProductForm(*product);
}

} // namespace tenon
