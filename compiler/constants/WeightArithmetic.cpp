//===- WeightArithmetic.cpp - operations on weights alone, evaluated -------------------------===//
#include "compiler/constants/WeightArithmetic.h"
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

} // namespace

//===----------------------------------------------------------------------------===//
// Any operation
//===----------------------------------------------------------------------------===//

/// What `op` is computed from comes first, each operation once: operands may be shared.
llvm::Error WeightArithmetic::evaluate(Operation *op, Known &known) {
  if (known.count(op))
    return llvm::Error::success();
  SmallVector<const Array *> operands;
  for (Value operand : op->getOperands()) {
    if (llvm::Error error = evaluate(operand.getDefiningOp(), known))
      return error;
    operands.push_back(known[operand.getDefiningOp()].get());
  }
  if (auto transform = dyn_cast<FFTOp>(op)) {
    llvm::Expected<Array> result = makeResult(op->getResult(0), evaluation);
    if (!result)
      return result.takeError();
    Transform(transform, *operands[0], *result).run();
    known[op] = std::make_unique<Array>(std::move(*result));
    return llvm::Error::success();
  }
  llvm::Expected<std::vector<Array>> results = evaluateOperation(op, operands, evaluation);
  if (!results)
    return results.takeError();
  known[op] = std::make_unique<Array>(std::move(results->front()));
  return llvm::Error::success();
}

llvm::Expected<Array> WeightArithmetic::evaluate(Operation *op) {
  Known known;
  if (llvm::Error error = evaluate(op, known))
    return error;
  return std::move(*known[op]);
}

GetOp WeightArithmetic::nearestWeight(Operation *op) {
  llvm::SetVector<Operation *> seen; // each once, the nearest first
  seen.insert(op);
  for (size_t next = 0; next < seen.size(); ++next) {
    if (auto get = dyn_cast<GetOp>(seen[next]))
      return get;
    for (Value operand : seen[next]->getOperands())
      seen.insert(operand.getDefiningOp());
  }
  return {};
}

void WeightArithmetic::replace(Value result, const Array &value, StringRef suffix, StringRef what) {
  Operation *op = result.getDefiningOp();
  std::vector<float> elements(value.floats.begin(), value.floats.end());
  WeightOp weight =
      weights.add(weights.recipes.lookup(nearestWeight(op)), ("." + suffix).str(), value.shape, std::move(elements));
  auto options = remark::RemarkOpts::name("constant").category("compute-constants");
  remark::passed(op->getLoc(), options) << remark::add("{0} of weights alone is a weight: {1}, {2} bytes", what,
                                                       weight.getSymName(), value.count() * int64_t(sizeof(float)));
  OpBuilder builder(op);
  result.replaceAllUsesWith(WeightRecipes::get(builder, op->getLoc(), weight));
  op->erase();
}

} // namespace tenon
