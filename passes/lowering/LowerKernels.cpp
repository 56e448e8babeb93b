//===- LowerKernels.cpp - every kernel to a function of loops and vectors -----------===//
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "passes/Passes.h"
#include "passes/fft_rpe/LowerFourier.h"
#include "passes/lowering/KernelLowering.h"
#include "passes/lowering/LowerOrder.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_LOWERKERNELS
#include "passes/Passes.h.inc"

Operation *rootOf(KernelOp kernel) {
  Operation *last = kernel.getBody().front().getTerminator()->getOperand(0).getDefiningOp();
  Operation *root = nullptr; // of a merge and the finish behind it the latter
  for (Operation &op : kernel.getBody().front().without_terminator())
    if (!isa<MapOp>(op))
      root = &op;
  if (root)
    return root;
  return last;
}

SmallVector<Type> operandElements(KernelOp kernel) {
  SmallVector<Type> elements;
  for (Type type : llvm::concat<const Type>(kernel.getArgumentTypes(), kernel.getResultTypes()))
    elements.push_back(KernelScope::memoryType(cast<RankedTensorType>(type).getElementType()));
  return elements;
}

FailureOr<KernelGrid> lowerRoot(KernelLowering &lowering) {
  return llvm::TypeSwitch<Operation *, FailureOr<KernelGrid>>(rootOf(lowering.kernel))
      .Case([&](MapOp op) { return lowerMap(lowering, op); })
      .Case([&](ReduceOp op) { return lowerReduce(lowering, op); })
      .Case([&](OrderOp op) { return lowerOrder(lowering, op); })
      .Case([&](ScatterOp op) { return lowerScatter(lowering, op); })
      .Case([&](SoftmaxOp op) { return lowerSoftmax(lowering, op); })
      .Case([&](NormOp op) { return lowerNorm(lowering, op); })
      .Case([&](ContractOp op) { return lowerContract(lowering, op); })
      .Case([&](ScanOp op) { return lowerScan(lowering, op); })
      .Case([&](FFTOp op) { return lowerFFT(lowering, op); })
      .Case([&](CirculantOp op) { return lowerCirculant(lowering, op); })
      .Default([&](Operation *op) { return lowerAttention(lowering, op); });
}

namespace {

LogicalResult lowerKernel(KernelOp kernel, TargetAttr target) {
  OpBuilder builder(kernel);
  std::string name = kernel.getSymName().str();
  kernel.setSymName(name + ".meaning");
  KernelFunction function = KernelFunction::create(builder, kernel.getLoc(), kernel->getParentOfType<ModuleOp>(), name,
                                                   operandElements(kernel), kernel.getNumDims());
  KernelScope scope(function, builder);
  KernelLowering lowering(kernel, scope, target);
  FailureOr<KernelGrid> grid = lowerRoot(lowering);
  if (failed(grid))
    return failure();
  function.function()->setAttr("tenon.tiles", DimAttr::get(kernel.getContext(), grid->tiles));
  function.function()->setAttr("tenon.scratch", DimAttr::get(kernel.getContext(), grid->scratchBytes));
  if (grid->grain > 1)
    function.function()->setAttr("tenon.grain", builder.getI32IntegerAttr(grid->grain));
  kernel.erase();
  return success();
}

struct LowerKernels : impl::LowerKernelsBase<LowerKernels> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto target = module->getAttrOfType<TargetAttr>("tenon.target");
    if (!target) {
      module.emitError("wants a module with a #tenon.target as tenon.target");
      return signalPassFailure();
    }
    for (KernelOp kernel : llvm::make_early_inc_range(module.getOps<KernelOp>()))
      if (failed(lowerKernel(kernel, target)))
        return signalPassFailure();
  }
};

} // namespace
} // namespace tenon
