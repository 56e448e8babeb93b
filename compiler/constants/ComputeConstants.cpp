//===- ComputeConstants.cpp - spectra and responses of weights, computed once ----------------===//
#include "compiler/constants/ComputeConstants.h"
#include "compiler/constants/WeightArithmetic.h"
#include "passes/fft_rpe/KernelRange.h"
#include "passes/scan/TransitionForm.h"

using namespace mlir;

namespace tenon {
namespace {

//===----------------------------------------------------------------------------===//
// Kernels of circular convolutions
//===----------------------------------------------------------------------------===//

/// Whether transforms of every g of a kernel [H, 1, L], [H, 1, L, C] or, of blocks, [H, 1, L, D] keep its small values.
static bool isInRange(CirculantOp op, const Array &kernel) {
  int64_t length = kernel.shape[2], last = kernel.shape.size() == 4 ? kernel.shape[3] : 1;
  int64_t channels = op.isPerChannel() ? last : 1, distances = op.isPerChannel() ? 1 : last;
  int64_t values = length * distances, first = op.isPerChannel() ? std::min(firstOfChannelKernel, length) : 1;
  // Of blocks the least distance comes first, so g[0] is behind those that lie ahead.
  int64_t start = op.getBlock() ? distances - op.blocksOf(*shapeOf(op.getResult())[2].constant()) : 0;
  for (int64_t g = 0; g < kernel.shape[0] * channels; ++g) {
    const double *begin = &kernel.floats[g / channels * values * channels + g % channels];
    double most = 0;
    for (int64_t n = 0; n < first; ++n)
      most = std::max(most, std::abs(begin[(start + n) * channels]));
    for (int64_t n = 0; n < values; ++n)
      if (!(std::abs(float(begin[n * channels])) <= kernelRange * most))
        return false;
  }
  return true;
}

//===----------------------------------------------------------------------------===//
// What follows from weights
//===----------------------------------------------------------------------------===//

class ConstantComputer {
public:
  ConstantComputer(ModuleOp module, WeightStore &store) : module(module), arithmetic(module, store) {}

  llvm::Error run() {
    SmallVector<Operation *> found;
    module.walk([&](Operation *op) {
      if (isa<FFTOp, ScanOp, CirculantOp>(op))
        found.push_back(op);
    });
    // In order: what one of them gave is a weight to those behind it.
    for (Operation *op : found) {
      auto circulant = dyn_cast<CirculantOp>(op);
      Value value = circulant ? Value(circulant.getKernel()) : Value(op->getResult(0));
      llvm::Expected<bool> isDropped = circulant && value && isOfWeights(value) ? dropKernel(circulant) : false;
      if (!isDropped)
        return isDropped.takeError();
      if (value && !*isDropped && isComputable(circulant ? value.getDefiningOp() : op))
        if (llvm::Error error = compute(value))
          return error;
    }
    return llvm::Error::success();
  }

private:
  /// A kernel in range need not be there to be looked at when it runs.
  llvm::Expected<bool> dropKernel(CirculantOp op) {
    llvm::Expected<Array> kernel = arithmetic.evaluate(op.getKernel().getDefiningOp());
    if (!kernel)
      return kernel.takeError();
    if (!isInRange(op, *kernel))
      return false;
    op.getKernelMutable().clear();
    return true;
  }

  /// One result of float32 and known sizes, from weights that exist.
  static bool isComputable(Operation *op) {
    if (!op || isa<GetOp>(op) || op->getNumResults() != 1 || op->use_empty() || !elementOf(op->getResult(0)).isF32())
      return false;
    auto isKnown = [](const Dim &dim) { return dim.isConstant(); };
    bool hasKnownLength = !isa<FFTOp>(op) || cast<FFTOp>(op).getLength().getValue().isConstant();
    return hasKnownLength && llvm::all_of(shapeOf(op->getResult(0)), isKnown) &&
           llvm::all_of(op->getOperands(), isOfWeights) && WeightArithmetic::nearestWeight(op);
  }

  llvm::Error compute(Value value) {
    Operation *op = value.getDefiningOp();
    llvm::Expected<Array> array = arithmetic.evaluate(op);
    if (!array)
      return array.takeError();
    StringRef suffix = isa<FFTOp>(op) ? "spectrum" : isa<ScanOp>(op) ? "responses" : "kernel";
    StringRef what = isa<FFTOp>(op) ? "a transform" : isa<ScanOp>(op) ? "a recurrence" : "a kernel";
    arithmetic.replace(value, *array, suffix, what);
    return llvm::Error::success();
  }

  ModuleOp module;
  WeightArithmetic arithmetic;
};

} // namespace

llvm::Error computeConstants(ModuleOp module, WeightStore &store) { return ConstantComputer(module, store).run(); }

} // namespace tenon
