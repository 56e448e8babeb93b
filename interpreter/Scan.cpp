//===- Scan.cpp - a recurrence as its definition says -----------------------------------===//
//
// One matrix at a time, step after step: decay, write, read.
//
//===-----------------------------------------------------------------------------===//
#include "interpreter/Placement.h"

using namespace mlir;

namespace tenon {
namespace {

/// An operand seen through its layout, shared among `heads` heads.
struct Track {
  const Array *tensor = nullptr;
  Placement placement;
  int64_t heads = 1;

  double at(int64_t b, int64_t h, int64_t n, int64_t d) const {
    return tensor->floats[placement.at(b, h * placement.size[1] / heads, n, d)];
  }
};

class Scan {
public:
  Scan(ScanOp op, Operands operands, const Evaluation &evaluation, std::vector<Array> &results)
      : op(op), operands(operands), evaluation(evaluation), results(results),
        type(op.getStateType().isF64() ? DType::F64 : DType::F32) {}

  llvm::Error run() {
    if (llvm::Error error = placeOperands())
      return error;
    for (int64_t b = 0; b < output.size[0]; ++b)
      for (int64_t s = 0; s < states; ++s)
        runState(b, s);
    return llvm::Error::success();
  }

private:
  llvm::Error placeOperands() {
    std::optional<int64_t> count = op.getSizes().states.evaluate(evaluation.dims);
    if (!count)
      return errorAt(op, "the number of its states has no value");
    states = *count;
    Track *tracks[] = {&query, &key, &value, op.getDecay() ? &decay : &rate, &rate};
    for (unsigned number = 0; number < op.getInputs().size(); ++number) {
      llvm::Expected<Placement> placement = placementOf(op, op.getLayout(number), *operands[number]);
      if (!placement)
        return placement.takeError();
      *tracks[number] = {operands[number], *placement, states};
    }
    llvm::Expected<Placement> placement = placementOf(op, op.getLayoutOfResult(), results[0]);
    if (!placement)
      return placement.takeError();
    output = *placement;
    query.heads = output.size[1];
    depth = key.placement.size[3];
    width = output.size[3];
    return llvm::Error::success();
  }

  double round(double value) const { return evaluation.round(type, value); }

  void runState(int64_t b, int64_t s) {
    int64_t count = depth * width, first = (b * states + s) * count;
    std::vector<double> state(count, 0.0);
    if (op.getInitial())
      std::copy_n(operands.back()->floats.begin() + first, count, state.begin());
    for (int64_t n = 0; n < output.size[2]; ++n) {
      write(state, b, s, n);
      for (int64_t h = 0; h < output.size[1]; ++h)
        if (h * states / output.size[1] == s)
          read(state, b, h, n);
    }
    if (op.getFinal())
      for (int64_t i = 0; i < count; ++i)
        results[1].floats[first + i] = evaluation.round(results[1].dtype, state[i]);
  }

  /// S ← A S of a matrix A.
  void move(std::vector<double> &state, int64_t s) {
    const Array &matrices = *operands[op.getInputs().size()];
    const double *matrix = matrices.floats.data() + (matrices.shape.size() == 3 ? s * depth * depth : 0);
    std::vector<double> moved(state.size(), 0.0);
    for (int64_t i = 0; i < depth; ++i)
      for (int64_t j = 0; j < depth; ++j)
        for (int64_t e = 0; e < width; ++e)
          moved[i * width + e] = round(moved[i * width + e] + matrix[i * depth + j] * state[j * width + e]);
    state = std::move(moved);
  }

  /// S ← A S + k wᵀ.
  void write(std::vector<double> &state, int64_t b, int64_t s, int64_t n) {
    if (op.getTransition())
      move(state, s);
    if (op.getDecay())
      for (int64_t d = 0; d < depth; ++d)
        for (int64_t e = 0; e < width; ++e)
          state[d * width + e] = round(state[d * width + e] * decay.at(b, s, n, d));
    for (int64_t e = 0; e < width; ++e) {
      double w = value.at(b, s, n, e);
      if (op.getRate()) {
        double found = 0;
        for (int64_t d = 0; d < depth; ++d)
          found = round(found + key.at(b, s, n, d) * state[d * width + e]);
        w = round((w - found) * rate.at(b, s, n, 0));
      }
      for (int64_t d = 0; d < depth; ++d)
        state[d * width + e] = round(state[d * width + e] + key.at(b, s, n, d) * w);
    }
  }

  /// o = qᵀ S.
  void read(const std::vector<double> &state, int64_t b, int64_t h, int64_t n) {
    for (int64_t e = 0; e < width; ++e) {
      double sum = 0;
      for (int64_t d = 0; d < depth; ++d)
        sum = round(sum + query.at(b, h, n, d) * state[d * width + e]);
      results[0].floats[output.at(b, h, n, e)] = evaluation.round(results[0].dtype, sum);
    }
  }

  ScanOp op;
  Operands operands;
  const Evaluation &evaluation;
  std::vector<Array> &results;
  DType type;
  Track query, key, value, decay, rate;
  Placement output;
  int64_t states = 1, depth = 1, width = 1;
};

} // namespace

llvm::Expected<std::vector<Array>> evaluateScan(ScanOp op, Operands operands, const Evaluation &evaluation) {
  llvm::Expected<std::vector<Array>> results = makeResults(op, evaluation);
  if (!results)
    return results.takeError();
  if (llvm::Error error = Scan(op, operands, evaluation, *results).run())
    return std::move(error);
  return results;
}

} // namespace tenon
