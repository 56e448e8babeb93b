//===- Attention.cpp - attention as its definition says, row by row -----------------------===//
//
// For one query: all scores over all sources, then their weights, then the weighted
// sum of the values. Nothing streams and nothing is skipped; the regions are evaluated
// for every key, live or not, since a load must be in range for each.
//
//===-----------------------------------------------------------------------------===//
#include "dialects/tenon/AttentionLayout.h"
#include "interpreter/Placement.h"
#include "interpreter/RegionProgram.h"

#include <cmath>
#include <limits>

using namespace mlir;

namespace tenon {

llvm::Expected<Placement> placementOf(Operation *op, StringRef text, const Array &tensor) {
  std::string message;
  std::optional<AttentionLayout> layout = AttentionLayout::parse(text, message);
  if (!layout)
    return errorAt(op, message);
  Placement placement;
  std::vector<int64_t> strides = stridesOf(tensor.shape);
  for (size_t d = 0; d < tensor.shape.size(); ++d) {
    size_t role = StringRef("bhnd").find(layout->roles[d]);
    if (role != StringRef::npos) {
      placement.stride[role] = strides[d];
      placement.size[role] = tensor.shape[d];
    } else if (layout->fixed[d] >= tensor.shape[d]) {
      return errorAt(op, "layout \"" + text + "\" selects slice " + llvm::Twine(layout->fixed[d]) +
                             " of a dimension of " + llvm::Twine(tensor.shape[d]));
    } else {
      placement.offset += layout->fixed[d] * strides[d];
    }
  }
  return placement;
}

namespace {

struct Source {
  const Array &keys, &values;
  Placement key, value;
  int64_t groupSize; ///< query heads to a key head
};

struct Key {
  double score = 0, weight = 0;
  bool live = true;
};

/// The keys of one query, source after source.
using Row = std::vector<std::vector<Key>>;

template <typename Visit> void forLive(Row &row, Visit visit) {
  for (std::vector<Key> &source : row)
    for (Key &key : source)
      if (key.live)
        visit(key);
}

class Attention {
public:
  Attention(AttentionOp op, Operands operands, const Evaluation &evaluation, Array &result)
      : op(op), operands(operands), evaluation(evaluation), queries(*operands[0]), result(result),
        type(op.getScoreType().isF64() ? DType::F64 : DType::F32) {}

  llvm::Error run() {
    if (llvm::Error error = placeOperands())
      return error;
    if (llvm::Error error = compileRegions())
      return error;
    for (int64_t b = 0; b < query.size[0]; ++b)
      for (int64_t h = 0; h < query.size[1]; ++h)
        for (int64_t i = 0; i < query.size[2]; ++i)
          if (llvm::Error error = runQuery(b, h, i))
            return error;
    return llvm::Error::success();
  }

private:
  double round(double value) const { return evaluation.round(type, value); }

  llvm::Error placeOperands() {
    unsigned count = op.getKeys().size();
    llvm::Error error = place(op.getLayout(0), queries, query);
    if (!error)
      error = place(op.getLayout(1 + 2 * count), result, output);
    for (unsigned s = 0; s < count && !error; ++s) {
      Source source{*operands[1 + s], *operands[1 + count + s], {}, {}, 1};
      error = place(op.getLayout(1 + s), source.keys, source.key);
      if (!error)
        error = place(op.getLayout(1 + count + s), source.values, source.value);
      if (!error)
        error = checkSource(source);
      sources.push_back(source);
    }
    return error;
  }

  llvm::Error place(StringRef layout, const Array &tensor, Placement &placement) {
    llvm::Expected<Placement> found = placementOf(op, layout, tensor);
    if (!found)
      return found.takeError();
    placement = *found;
    return llvm::Error::success();
  }

  llvm::Error checkSource(Source &source) {
    const int64_t *key = source.key.size, *value = source.value.size;
    if (key[0] != query.size[0] || value[0] != query.size[0] || key[2] != value[2] || key[3] != query.size[3] ||
        value[3] != output.size[3] || value[1] != key[1])
      return errorAt(op, "wanted equal batch, keys and depth, found query " + toString(queries.shape) + ", keys " +
                             toString(source.keys.shape) + ", values " + toString(source.values.shape));
    if (key[1] == 0 ? query.size[1] != 0 : query.size[1] % key[1] != 0)
      return errorAt(op, "wants the query heads to be a multiple of the key heads, found " +
                             llvm::Twine(query.size[1]) + " on " + llvm::Twine(key[1]));
    source.groupSize = key[1] == 0 ? 1 : query.size[1] / key[1];
    return llvm::Error::success();
  }

  /// Scalars first (`extra` before b, h, i, j), then the captured tensors.
  llvm::Error compile(Region &region, unsigned extra, std::optional<RegionProgram> &program) {
    if (region.empty())
      return llvm::Error::success();
    SmallVector<const Array *> arguments(4 + extra, nullptr);
    llvm::append_range(arguments, operands.drop_front(1 + 2 * sources.size()));
    llvm::Expected<RegionProgram> compiled = RegionProgram::compile(region, arguments, evaluation);
    if (!compiled)
      return compiled.takeError();
    program = std::move(*compiled);
    return llvm::Error::success();
  }

  llvm::Error compileRegions() {
    if (llvm::Error error = compile(op.getScore(), 1, score))
      return error;
    if (llvm::Error error = compile(op.getKeep(), 0, keep))
      return error;
    return compile(op.getWeight(), 1, weight);
  }

  llvm::Error runQuery(int64_t b, int64_t h, int64_t i) {
    Row row(sources.size());
    for (auto [source, keys] : llvm::zip(sources, row)) {
      keys.resize(source.key.size[2]);
      for (auto [j, key] : llvm::enumerate(keys))
        if (llvm::Error error = scoreKey(source, b, h, i, j, key))
          return error;
    }
    if (!normalise(row)) {
      for (int64_t d = 0; d < output.size[3]; ++d)
        result.floats[output.at(b, h, i, d)] = op.getEmpty() == EmptyRow::NaN && hasKeys(row) ? std::nan("") : 0;
      return llvm::Error::success();
    }
    for (std::vector<Key> &keys : row)
      for (auto [j, key] : llvm::enumerate(keys))
        if (llvm::Error error = weighKey(b, h, i, j, key))
          return error;
    for (int64_t d = 0; d < output.size[3]; ++d)
      result.floats[output.at(b, h, i, d)] = evaluation.round(result.dtype, sumValues(row, b, h, d));
    return llvm::Error::success();
  }

  llvm::Error scoreKey(const Source &source, int64_t b, int64_t h, int64_t i, int64_t j, Key &key) {
    for (int64_t d = 0; d < query.size[3]; ++d)
      key.score = round(key.score + round(queries.floats[query.at(b, h, i, d)] *
                                          source.keys.floats[source.key.at(b, h / source.groupSize, j, d)]));
    if (score) {
      if (llvm::Error error = evaluate(*score, key.score, b, h, i, j))
        return error;
      key.score = score->result().f;
    }
    if (!keep)
      return llvm::Error::success();
    setIndices(*keep, 0, b, h, i, j);
    if (!keep->run())
      return keep->fault();
    key.live = keep->result().i != 0;
    return llvm::Error::success();
  }

  llvm::Error weighKey(int64_t b, int64_t h, int64_t i, int64_t j, Key &key) {
    if (!weight)
      return llvm::Error::success();
    if (llvm::Error error = evaluate(*weight, key.weight, b, h, i, j))
      return error;
    key.weight = weight->result().f;
    return llvm::Error::success();
  }

  void setIndices(RegionProgram &program, unsigned first, int64_t b, int64_t h, int64_t i, int64_t j) {
    program.scalar(first).i = b;
    program.scalar(first + 1).i = h;
    program.scalar(first + 2).i = i;
    program.scalar(first + 3).i = j;
  }

  llvm::Error evaluate(RegionProgram &program, double x, int64_t b, int64_t h, int64_t i, int64_t j) {
    program.scalar(0).f = x;
    setIndices(program, 1, b, h, i, j);
    return program.run() ? llvm::Error::success() : program.fault();
  }

  static bool hasKeys(const Row &row) {
    return llvm::any_of(row, [](const std::vector<Key> &keys) { return !keys.empty(); });
  }

  /// Weights from scores. False for a row without a live key that has no weights at all.
  bool normalise(Row &row) {
    size_t live = 0, all = 0;
    forLive(row, [&](Key &) { ++live; });
    for (std::vector<Key> &keys : row)
      all += keys.size();
    if (live == 0) {
      if (op.getEmpty() != EmptyRow::Uniform && op.getEmpty() != EmptyRow::IgnoreKeep)
        return false;
      for (std::vector<Key> &keys : row)
        for (Key &key : keys)
          key = {key.score, round(1.0 / double(all)), true};
      if (op.getEmpty() == EmptyRow::Uniform)
        return true;
    }
    normaliseLive(row);
    return true;
  }

  void normaliseLive(Row &row) {
    double greatest = -std::numeric_limits<double>::infinity(), sum = 0;
    bool softmax = op.getNormaliser() == Normaliser::Softmax;
    forLive(row, [&](Key &key) {
      greatest = std::isnan(greatest) || std::isnan(key.score) ? std::nan("") : std::max(greatest, key.score);
    });
    forLive(row, [&](Key &key) {
      key.weight = softmax ? round(std::exp(round(key.score - greatest))) : key.score;
      sum = round(sum + key.weight);
    });
    if (op.getNormaliser() != Normaliser::None)
      forLive(row, [&](Key &key) { key.weight = round(key.weight / sum); });
  }

  double sumValues(const Row &row, int64_t b, int64_t h, int64_t d) {
    double sum = 0;
    for (auto [source, keys] : llvm::zip(sources, row))
      for (auto [j, key] : llvm::enumerate(keys))
        if (key.live)
          sum = round(sum + round(key.weight * source.values.floats[source.value.at(b, h / source.groupSize, j, d)]));
    return sum;
  }

  AttentionOp op;
  Operands operands;
  const Evaluation &evaluation;
  const Array &queries;
  Array &result;
  Placement query, output;
  std::vector<Source> sources;
  DType type;
  std::optional<RegionProgram> score, keep, weight;
};

} // namespace

llvm::Expected<Array> evaluateAttention(AttentionOp op, Operands operands, const Evaluation &evaluation) {
  llvm::Expected<Array> result = makeResult(op.getResult(), evaluation);
  if (!result)
    return result.takeError();
  if (!result->isFloat() || !operands[0]->isFloat())
    return errorAt(op, "wanted floating-point elements, found " + toString(operands[0]->dtype));
  if (llvm::Error error = Attention(op, operands, evaluation, *result).run())
    return error;
  return result;
}

} // namespace tenon
