//===- ComputeConstants.cpp - spectra and responses of weights, computed once ----------------===//
#include "compiler/constants/ComputeConstants.h"
#include "compiler/factorization/ModelWeights.h"
#include "interpreter/Evaluation.h"
#include "passes/fft_rpe/KernelRange.h"
#include "passes/scan/TransitionForm.h"
#include "mlir/IR/Remarks.h"

#include <unsupported/Eigen/FFT>

using namespace mlir;

namespace tenon {
namespace {

//===----------------------------------------------------------------------------===//
// Transforms
//===----------------------------------------------------------------------------===//

/// What the interpreter does by its definition, in N log N steps.
class Transform {
public:
  Transform(FFTOp op, const Array &input, Array &result)
      : input(input), result(result), axis(int64_t(op.getAxis())), parts(int64_t(op.getParts())),
        isInverse(op.getInverse()), length(*op.getLength().getValue().constant()), from(stridesOf(input.shape)),
        to(stridesOf(result.shape)) {}

  void run() { transformFrom(0, 0, 0); }

private:
  /// All lines of dimensions `dim` and more, at `read` and `write` of the others.
  void transformFrom(int64_t dim, int64_t read, int64_t write) {
    if (dim == int64_t(input.shape.size()))
      return transformLine(read, write);
    if (dim == axis || dim == parts)
      return transformFrom(dim + 1, read, write);
    for (int64_t at = 0; at < input.shape[dim]; ++at)
      transformFrom(dim + 1, read + at * from[dim], write + at * to[dim]);
  }

  void transformLine(int64_t read, int64_t write) {
    std::vector<std::complex<double>> points(length), frequencies;
    for (int64_t n = 0; n < std::min(length, input.shape[axis]); ++n) {
      const double *point = &input.floats[read + n * from[axis]];
      points[n] = {point[0], input.shape[parts] == 2 ? point[from[parts]] : 0.0};
    }
    if (length == 1) // of which Eigen makes no plan
      frequencies = points;
    else
      isInverse ? plan.inv(frequencies, points) : plan.fwd(frequencies, points);
    for (int64_t k = 0; k < result.shape[axis]; ++k) {
      double *point = &result.floats[write + k * to[axis]];
      point[0] = frequencies[k].real();
      if (result.shape[parts] == 2)
        point[to[parts]] = frequencies[k].imag();
    }
  }

  const Array &input;
  Array &result;
  int64_t axis, parts;
  bool isInverse;
  int64_t length;
  std::vector<int64_t> from, to;
  Eigen::FFT<double> plan;
};

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
  ConstantComputer(ModuleOp module, WeightStore &store)
      : module(module), weights(module, store), evaluation{module, store, Arithmetic::Float64, dims} {}

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
    llvm::Expected<Array> kernel = evaluate(op.getKernel().getDefiningOp());
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
           llvm::all_of(op->getOperands(), isOfWeights) && nearestWeight(op);
  }

  static GetOp nearestWeight(Operation *op) {
    if (auto get = dyn_cast<GetOp>(op))
      return get;
    for (Value operand : op->getOperands())
      if (GetOp get = nearestWeight(operand.getDefiningOp()))
        return get;
    return {};
  }

  llvm::Error compute(Value value) {
    Operation *op = value.getDefiningOp();
    llvm::Expected<Array> array = evaluate(op);
    if (!array)
      return array.takeError();
    std::vector<float> elements(array->floats.begin(), array->floats.end());
    WeightOp weight =
        weights.add(weights.recipes.lookup(nearestWeight(op)), suffixOf(op), array->shape, std::move(elements));
    auto options = remark::RemarkOpts::name("constant").category("compute-constants");
    remark::passed(op->getLoc(), options)
        << remark::add("{0} of weights alone is a weight: {1}, {2} bytes", isa<FFTOp>(op)  ? "a transform"
                                                                          : isa<ScanOp>(op) ? "a recurrence"
                                                                                            : "a kernel",
                       weight.getSymName(), array->count() * int64_t(sizeof(float)));
    OpBuilder builder(op);
    value.replaceAllUsesWith(WeightRecipes::get(builder, op->getLoc(), weight));
    op->erase();
    return llvm::Error::success();
  }

  static StringRef suffixOf(Operation *op) {
    return isa<FFTOp>(op) ? ".spectrum" : isa<ScanOp>(op) ? ".responses" : ".kernel";
  }

  llvm::Expected<Array> evaluate(Operation *op) {
    if (auto get = dyn_cast<GetOp>(op))
      return evaluateWeight(weights.recipes.lookup(get), evaluation);
    std::vector<Array> inputs;
    for (Value operand : op->getOperands()) {
      llvm::Expected<Array> input = evaluate(operand.getDefiningOp());
      if (!input)
        return input.takeError();
      inputs.push_back(std::move(*input));
    }
    SmallVector<const Array *> operands = llvm::map_to_vector(inputs, [](const Array &input) { return &input; });
    if (auto map = dyn_cast<MapOp>(op))
      return evaluateMap(map, operands, evaluation);
    if (auto scan = dyn_cast<ScanOp>(op)) {
      llvm::Expected<std::vector<Array>> results = evaluateScan(scan, operands, evaluation);
      if (!results)
        return results.takeError();
      return std::move(results->front());
    }
    llvm::Expected<Array> result = makeResult(op->getResult(0), evaluation);
    if (!result)
      return result.takeError();
    if (auto transform = dyn_cast<FFTOp>(op))
      Transform(transform, inputs[0], *result).run();
    else { // a reshape
      result->floats = std::move(inputs[0].floats);
      result->integers = std::move(inputs[0].integers);
    }
    return result;
  }

  ModuleOp module;
  ModelWeights weights;
  DimValues dims;
  Evaluation evaluation;
};

} // namespace

llvm::Error computeConstants(ModuleOp module, WeightStore &store) { return ConstantComputer(module, store).run(); }

} // namespace tenon
