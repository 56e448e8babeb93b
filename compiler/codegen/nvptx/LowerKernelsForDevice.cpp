//===- LowerKernelsForDevice.cpp - every kernel to a function for a GPU -------------===//
#include "compiler/codegen/nvptx/LowerKernelsForDevice.h"
#include "compiler/codegen/nvptx/NativeLowerings.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Remarks.h"

using namespace mlir;

namespace tenon {
namespace {

/// The form every kernel has: a thread is a worker and does the CPU's tiles. `emit` says how many there are.
DeviceForm workerForm(const std::string &reason) {
  DeviceForm form;
  form.name = "worker: " + reason;
  form.blockThreads = 1;
  return form;
}

LogicalResult emitBody(KernelLowering &lowering, DeviceFunction &function, DeviceForm &form) {
  if (form.emit) {
    DeviceLowering native{lowering, function};
    return form.emit(native);
  }
  FailureOr<KernelGrid> grid = lowerRoot(lowering);
  if (failed(grid))
    return failure();
  form.tiles = grid->tiles;
  form.scratchBytes = grid->scratchBytes;
  return success();
}

void describe(func::FuncOp function, const DeviceForm &form) {
  Builder builder(function.getContext());
  function->setAttr("tenon.tiles", DimAttr::get(function.getContext(), form.tiles));
  function->setAttr("tenon.scratch", DimAttr::get(function.getContext(), form.scratchBytes));
  function->setAttr("tenon.block_threads", builder.getI32IntegerAttr(int32_t(form.blockThreads)));
  function->setAttr("tenon.shared_bytes", builder.getI32IntegerAttr(int32_t(form.sharedBytes)));
  function->setAttr("tenon.form", builder.getStringAttr(form.name));
}

/// Tells how the kernel will run, and why not otherwise.
void report(KernelOp kernel, TargetAttr target, const DeviceForm &form) {
  auto options = remark::RemarkOpts::name("device").category("tenon-lower-kernels-for-device");
  std::string text = (target.getLevel() + ": " + form.name).str();
  if (form.emit)
    remark::passed(kernel.getLoc(), options) << remark::add("{0}", text);
  else
    remark::missed(kernel.getLoc(), options) << remark::reason("{0}", text);
}

LogicalResult lowerKernel(KernelOp kernel, TargetAttr target) {
  OpBuilder builder(kernel);
  std::string reason, name = kernel.getSymName().str();
  std::optional<DeviceForm> form = nativeForm(kernel, reason);
  if (!form)
    form = workerForm(reason);
  report(kernel, target, *form);
  kernel.setSymName(name + ".meaning");
  FailureOr<DeviceFunction> function =
      DeviceFunction::create(builder, kernel.getLoc(), kernel->getParentOfType<ModuleOp>(), name,
                             operandElements(kernel), kernel.getNumDims(), form->blockThreads);
  if (failed(function))
    return failure();
  KernelScope scope(function->kernel, builder);
  KernelLowering lowering(kernel, scope, target);
  if (failed(emitBody(lowering, *function, *form)))
    return failure();
  describe(function->kernel.function(), *form);
  kernel.erase();
  return success();
}

struct LowerKernelsForDevice : PassWrapper<LowerKernelsForDevice, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(LowerKernelsForDevice)
  StringRef getArgument() const override { return "tenon-lower-kernels-for-device"; }
  StringRef getDescription() const override { return "Lower every kernel to a function for a GPU"; }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<LLVM::LLVMDialect, NVVM::NVVMDialect, func::FuncDialect, memref::MemRefDialect, scf::SCFDialect,
                    vector::VectorDialect>();
  }

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

std::unique_ptr<Pass> createLowerKernelsForDevice() { return std::make_unique<LowerKernelsForDevice>(); }

} // namespace tenon
