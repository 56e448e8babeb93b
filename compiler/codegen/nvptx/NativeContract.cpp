//===- NativeContract.cpp - which contractions tensor cores compute -------------------===//
#include "compiler/codegen/nvptx/ProductForms.h"
#include "compiler/levels/Level.h"

using namespace mlir;

namespace tenon {

bool hasWarpgroups(Operation *op) {
  auto target = op->getParentOfType<ModuleOp>()->getAttrOfType<TargetAttr>("tenon.target");
  const Level *level = target ? findLevel(target.getLevel()) : nullptr;
  return level && llvm::is_contained(requiredFeatures(*level), "sm_90a");
}

std::optional<DeviceForm> nativeContract(KernelOp kernel, ContractOp op, std::string &reason) {
  auto isMemory = [&](Value tensor) { return isa<BlockArgument>(tensor); };
  if (std::optional<WindowProduct> windows = WindowProduct::match(op)) {
    if (isMemory(windows->filters()) && isMemory(windows->read.source))
      return windowProductForm(*windows);
    reason = "filters, or what windows are read from, are computed where they are read";
    return std::nullopt;
  }
  if (op.getPanels())
    return panelProductForm(op);
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
