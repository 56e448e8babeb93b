//===- NativeLowerings.cpp - kernels with a form of their own on a GPU --------------===//
#include "compiler/codegen/nvptx/NativeLowerings.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace tenon {

std::optional<DeviceForm> nativeForm(KernelOp kernel, std::string &reason) {
  using Form = std::optional<DeviceForm>;
  return llvm::TypeSwitch<Operation *, Form>(rootOf(kernel))
      .Case([&](MapOp op) { return nativeMap(op); })
      .Case([&](NormOp op) { return nativeNorm(op); })
      .Case([&](SoftmaxOp op) { return nativeSoftmax(op); })
      .Case([&](ReduceOp op) { return nativeReduce(op, reason); })
      .Case([&](ScanOp op) { return nativeScan(op, reason); })
      .Case([&](AttentionUpdateOp op) { return nativeUpdate(op, reason); })
      .Case([&](AttentionMergeOp op) { return nativeMerge(op, reason); })
      .Case([&](AttentionFinishOp op) { return nativeFinish(op, reason); })
      .Case([&](FFTOp op) { return nativeFFT(op, reason); })
      .Case([&](CirculantOp op) { return nativeCirculant(op, reason); })
      .Case([&](ContractOp op) { return nativeContract(kernel, op, reason); })
      .Default([&](Operation *root) { return nativeAttention(root, reason); });
}

} // namespace tenon
