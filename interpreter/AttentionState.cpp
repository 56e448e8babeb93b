//===- AttentionState.cpp - states of attention, as their definitions say --------------===//
//
// A state's row is a, m, l: see tenon.attention_update. For one query of one part: all scores, their
// maximum, then the sums.
//
//===-----------------------------------------------------------------------------===//
#include "interpreter/Placement.h"
#include "interpreter/RegionProgram.h"

#include <cmath>
#include <limits>

using namespace mlir;

namespace tenon {
namespace {

constexpr double minusInfinity = -std::numeric_limits<double>::infinity();
/// The m of a row whose live scores are all -inf.
constexpr double leastMaximum = -std::numeric_limits<float>::max();

double greater(double a, double b) { return std::isnan(a) || std::isnan(b) ? std::nan("") : std::max(a, b); }

class Update {
public:
  Update(AttentionUpdateOp op, Operands operands, const Evaluation &evaluation, Array &state)
      : op(op), operands(operands), evaluation(evaluation), state(state),
        type(op.getScoreType().isF64() ? DType::F64 : DType::F32) {}

  llvm::Error run() {
    Placement *places[] = {&query, &key, &value};
    for (unsigned operand = 0; operand < 3; ++operand) {
      llvm::Expected<Placement> place = placementOf(op, op.getLayout(operand), *operands[operand]);
      if (!place)
        return place.takeError();
      *places[operand] = *place;
    }
    if (key.size[0] != query.size[0] || value.size[0] != query.size[0] || key.size[2] != value.size[2] ||
        key.size[3] != query.size[3] || value.size[1] != key.size[1] || key.size[1] == 0 ||
        query.size[1] % key.size[1] != 0)
      return errorAt(op,
                     "wanted equal batch, keys and depth, and query heads a multiple of the key heads, found query " +
                         toString(operands[0]->shape) + ", keys " + toString(operands[1]->shape) + ", values " +
                         toString(operands[2]->shape));
    if (llvm::Error error = compile(op.getScore(), 1, score))
      return error;
    if (llvm::Error error = compile(op.getKeep(), 0, keep))
      return error;
    int64_t row = 0;
    for (int64_t part = 0; part < state.shape[0]; ++part)
      for (int64_t b = 0; b < query.size[0]; ++b)
        for (int64_t h = 0; h < query.size[1]; ++h)
          for (int64_t i = 0; i < query.size[2]; ++i, ++row)
            if (llvm::Error error = runRow(part, b, h, i, row * (value.size[3] + 2)))
              return error;
    return llvm::Error::success();
  }

private:
  double round(double x) const { return evaluation.round(type, x); }

  llvm::Error compile(Region &region, unsigned extra, std::optional<RegionProgram> &program) {
    if (region.empty())
      return llvm::Error::success();
    SmallVector<const Array *> arguments(4 + extra, nullptr);
    llvm::append_range(arguments, operands.drop_front(3));
    llvm::Expected<RegionProgram> compiled = RegionProgram::compile(region, arguments, evaluation);
    if (!compiled)
      return compiled.takeError();
    program = std::move(*compiled);
    return llvm::Error::success();
  }

  /// Runs a region at (b, h, i, j), after `x` where it takes one.
  llvm::Error evaluate(RegionProgram &program, std::optional<double> x, ArrayRef<int64_t> at) {
    unsigned first = x ? 1 : 0;
    if (x)
      program.scalar(0).f = *x;
    for (unsigned n = 0; n < 4; ++n)
      program.scalar(first + n).i = at[n];
    return program.run() ? llvm::Error::success() : program.fault();
  }

  llvm::Error runRow(int64_t part, int64_t b, int64_t h, int64_t i, int64_t to) {
    int64_t keys = key.size[2], partKeys = op.getPartsOf().value_or(std::max<int64_t>(keys, 1));
    int64_t keyHead = h / (query.size[1] / key.size[1]);
    std::vector<std::pair<int64_t, double>> live; // key and score
    for (int64_t j = part * partKeys; j < std::min(keys, (part + 1) * partKeys); ++j) {
      double y = 0;
      for (int64_t d = 0; d < query.size[3]; ++d)
        y = round(y + round(operands[0]->floats[query.at(b, h, i, d)] * operands[1]->floats[key.at(b, keyHead, j, d)]));
      if (score) {
        if (llvm::Error error = evaluate(*score, y, {b, h, i, j}))
          return error;
        y = score->result().f;
      }
      if (keep)
        if (llvm::Error error = evaluate(*keep, std::nullopt, {b, h, i, j}))
          return error;
      if (!keep || keep->result().i != 0)
        live.push_back({j, y});
    }
    bool softmax = op.getNormaliser() == Normaliser::Softmax;
    double m = live.empty() ? minusInfinity : softmax ? leastMaximum : 0, l = 0;
    for (auto [j, y] : live)
      if (softmax)
        m = greater(m, y);
    for (auto [j, y] : live) {
      double weight = softmax ? round(std::exp(round(y - m))) : y;
      l = op.getNormaliser() == Normaliser::None ? 0 : round(l + weight);
      for (int64_t d = 0; d < value.size[3]; ++d) {
        double &sum = state.floats[to + d];
        sum = round(sum + round(weight * operands[2]->floats[value.at(b, keyHead, j, d)]));
      }
    }
    state.floats[to + value.size[3]] = m;
    state.floats[to + value.size[3] + 1] = l;
    return llvm::Error::success();
  }

  AttentionUpdateOp op;
  Operands operands;
  const Evaluation &evaluation;
  Array &state;
  DType type;
  Placement query, key, value;
  std::optional<RegionProgram> score, keep;
};

} // namespace

llvm::Expected<Array> evaluateAttentionUpdate(AttentionUpdateOp op, Operands operands, const Evaluation &evaluation) {
  llvm::Expected<Array> state = makeResult(op.getState(), evaluation);
  if (!state)
    return state.takeError();
  if (!operands[0]->isFloat())
    return errorAt(op, "wanted floating-point elements, found " + toString(operands[0]->dtype));
  if (llvm::Error error = Update(op, operands, evaluation, *state).run())
    return error;
  return state;
}

llvm::Expected<Array> evaluateAttentionMerge(AttentionMergeOp op, Operands operands, const Evaluation &evaluation) {
  llvm::Expected<Array> merged = makeResult(op.getState(), evaluation);
  if (!merged)
    return merged.takeError();
  int64_t width = merged->shape[4], count = merged->count();
  bool softmax = op.getNormaliser() == Normaliser::Softmax;
  auto round = [&](double x) { return evaluation.round(merged->dtype, x); };
  for (int64_t row = 0; row < count; row += width) {
    double *to = &merged->floats[row], &m = to[width - 2] = minusInfinity;
    auto forEachState = [&](auto visit) {
      for (const Array *state : operands)
        for (int64_t part = 0; part < state->shape[0]; ++part)
          visit(&state->floats[part * count + row]);
    };
    auto isEmpty = [&](const double *state) { return state[width - 2] == minusInfinity; };
    forEachState([&](const double *state) {
      if (!isEmpty(state))
        m = greater(m, state[width - 2]);
    });
    forEachState([&](const double *state) {
      if (isEmpty(state))
        return;
      double factor = softmax ? round(std::exp(round(state[width - 2] - m))) : 1;
      for (int64_t d = 0; d < width; ++d)
        if (d != width - 2)
          to[d] = round(to[d] + round(state[d] * factor));
    });
  }
  return merged;
}

llvm::Expected<Array> evaluateAttentionFinish(AttentionFinishOp op, Operands operands, const Evaluation &evaluation) {
  llvm::Expected<Array> result = makeResult(op.getResult(), evaluation);
  if (!result)
    return result.takeError();
  llvm::Expected<Placement> place = placementOf(op, op.getLayout(), *result);
  if (!place)
    return place.takeError();
  const Array &state = *operands[0];
  int64_t width = state.shape[4], row = 0;
  for (int64_t b = 0; b < state.shape[1]; ++b)
    for (int64_t h = 0; h < state.shape[2]; ++h)
      for (int64_t i = 0; i < state.shape[3]; ++i, row += width) {
        double m = state.floats[row + width - 2], l = state.floats[row + width - 1];
        for (int64_t d = 0; d < width - 2; ++d) {
          double o = state.floats[row + d];
          if (m == minusInfinity)
            o = op.getEmpty() == EmptyRow::NaN ? std::nan("") : 0;
          else if (op.getNormaliser() != Normaliser::None)
            o = o / l;
          result->floats[place->at(b, h, i, d)] = evaluation.round(result->dtype, o);
        }
      }
  return result;
}

} // namespace tenon
