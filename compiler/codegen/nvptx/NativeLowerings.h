//===- NativeLowerings.h - kernels with a form of their own on a GPU ----------------===//
//
// Every kernel runs on a GPU as workers, each thread doing some of the CPU's tiles. A root with a form of its own says
// so here, before anything is emitted: how many blocks of how many threads, and what emits the body. In the body
// `lowering.kernel` is what a CPU's lowering works with; regions are evaluated by RegionEmitter with one lane, one
// element for each thread.
//
#ifndef TENON_COMPILER_CODEGEN_NVPTX_NATIVELOWERINGS_H
#define TENON_COMPILER_CODEGEN_NVPTX_NATIVELOWERINGS_H

#include "compiler/codegen/nvptx/DeviceFunction.h"
#include "passes/lowering/KernelLowering.h"

namespace tenon {

struct DeviceLowering {
  KernelLowering &kernel;
  DeviceFunction &function;
};

/// A kernel as blocks of threads.
struct DeviceForm {
  std::string name;        ///< "map", for reports
  Dim tiles;               ///< blocks, over kernel dims
  unsigned blockThreads;   ///< a multiple of warpThreads, 128 or more
  Dim scratchBytes = 0;    ///< for each block
  unsigned sharedBytes = 0; ///< to launch with, beside DeviceFunction::shared
  std::function<mlir::LogicalResult(DeviceLowering &)> emit;
};

/// The form `kernel` has, or nothing and why it has none in `reason`.
std::optional<DeviceForm> nativeForm(KernelOp kernel, std::string &reason);

std::optional<DeviceForm> nativeMap(MapOp map);
std::optional<DeviceForm> nativeNorm(NormOp norm);
std::optional<DeviceForm> nativeSoftmax(SoftmaxOp softmax);
std::optional<DeviceForm> nativeReduce(ReduceOp reduce, std::string &reason);
std::optional<DeviceForm> nativeScan(ScanOp scan, std::string &reason);
std::optional<DeviceForm> nativeUpdate(AttentionUpdateOp update, std::string &reason);
std::optional<DeviceForm> nativeMerge(AttentionMergeOp merge, std::string &reason);
std::optional<DeviceForm> nativeFinish(AttentionFinishOp finish, std::string &reason);
std::optional<DeviceForm> nativeFFT(FFTOp op, std::string &reason);
std::optional<DeviceForm> nativeCirculant(CirculantOp op, std::string &reason);
/// On tensor cores: against panels, or two activations in memory.
std::optional<DeviceForm> nativeContract(KernelOp kernel, ContractOp contract, std::string &reason);
/// Attention (FlashBlock.h); any other operation has none.
std::optional<DeviceForm> nativeAttention(mlir::Operation *op, std::string &reason);
/// Nothing beyond the limits of FlashShape.h; then nativeUpdate does it.
std::optional<DeviceForm> nativeUpdateOnTensorCores(AttentionUpdateOp update);

/// A thread for each of `count` elements; the emitter is the caller's, with emitElements.
DeviceForm elementForm(const std::string &name, const Dim &count);
inline constexpr unsigned elementBlockThreads = 256;
/// Emits body(element) for this thread's element, where there is one.
void emitElements(DeviceLowering &native, const Dim &count, llvm::function_ref<void(mlir::Value element)> body);

} // namespace tenon
#endif
