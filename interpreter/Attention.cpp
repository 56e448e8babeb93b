//===- Attention.cpp - attention as its definition says ------------------------------------===//
//
// For one head: all scores of all queries over all sources, then their weights (AttentionWeights.cpp),
// then the weighted sums of the values. Nothing streams and nothing is skipped; the regions are
// evaluated for every key, live or not, since a load must be in range for each.
//
//===-----------------------------------------------------------------------------===//
#include "dialects/tenon/AttentionLayout.h"
#include "interpreter/AttentionWeights.h"
#include "interpreter/Placement.h"
#include "interpreter/RegionProgram.h"

#include <cmath>
#include <limits>

using namespace mlir;

namespace tenon {

llvm::Expected<Placement> placementOf(Operation *op, StringRef text, const Array &tensor) {
  std::string message;
  std::optional<AttentionLayout> layout = AttentionLayout::parse(text, message, "");
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
  int64_t first = 0; ///< the number of its first key
};

class Attention {
public:
  Attention(AttentionOp op, Operands operands, const Evaluation &evaluation, std::vector<Array> &results)
      : op(op), operands(operands), evaluation(evaluation), queries(*operands[0]), results(results), result(results[0]),
        type(op.getScoreType().isF64() ? DType::F64 : DType::F32) {}

  llvm::Error run() {
    if (llvm::Error error = placeOperands())
      return error;
    if (llvm::Error error = compileRegions())
      return error;
    for (int64_t b = 0; b < query.size[0]; ++b)
      for (int64_t h = 0; h < query.size[1]; ++h)
        if (llvm::Error error = runHead(b, h))
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
      source.first = allKeys;
      allKeys += source.key.size[2];
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

  llvm::Error runHead(int64_t b, int64_t h) {
    WeightMatrix matrix(query.size[2], std::vector<WeightedKey>(allKeys));
    for (auto [i, row] : llvm::enumerate(matrix))
      for (const Source &source : sources)
        for (int64_t j = 0; j < source.key.size[2]; ++j)
          if (llvm::Error error = scoreKey(source, b, h, i, j, row[source.first + j]))
            return error;
    storeMore(matrix, b, h);
    auto round = [&](double value) { return this->round(value); };
    Normalisation how{op.getNormaliser(), int64_t(op.getCount().value_or(0)), op.getOverQueries(), op.getEmpty()};
    std::vector<bool> hasWeights = weigh(how, matrix, round);
    for (auto [i, row] : llvm::enumerate(matrix)) {
      if (hasWeights[i])
        for (auto [j, key] : llvm::enumerate(row))
          if (llvm::Error error = weighKey(b, h, i, j, key))
            return error;
      for (int64_t d = 0; d < output.size[3]; ++d) {
        double without = op.getEmpty() == EmptyRow::NaN && allKeys ? std::nan("") : 0;
        result.floats[output.at(b, h, i, d)] =
            hasWeights[i] ? evaluation.round(result.dtype, sumValues(row, b, h, d)) : without;
      }
    }
    return llvm::Error::success();
  }

  /// What `also` asks for: the scores, and the logarithm of the sum of their exponentials.
  void storeMore(const WeightMatrix &matrix, int64_t b, int64_t h) {
    constexpr double dead = -std::numeric_limits<double>::infinity();
    for (auto [number, name] : llvm::enumerate(op.getAlsoAttr() ? op.getAlsoAttr().getValue() : ArrayRef<Attribute>()))
      for (auto [i, row] : llvm::enumerate(matrix)) {
        Array &more = results[1 + number];
        int64_t at = (b * query.size[1] + h) * query.size[2] + int64_t(i);
        if (cast<StringAttr>(name).getValue() == "scores")
          for (auto [j, key] : llvm::enumerate(row))
            more.floats[at * allKeys + int64_t(j)] = key.live ? key.score : dead;
        else
          more.floats[at] = logSumExp(row, [&](double value) { return round(value); });
      }
  }

  llvm::Error scoreKey(const Source &source, int64_t b, int64_t h, int64_t i, int64_t j, WeightedKey &key) {
    for (int64_t d = 0; d < query.size[3]; ++d)
      key.score = round(key.score + round(queries.floats[query.at(b, h, i, d)] *
                                          source.keys.floats[source.key.at(b, h / source.groupSize, j, d)]));
    int64_t number = source.first + j;
    if (score) {
      if (llvm::Error error = evaluate(*score, key.score, b, h, i, number))
        return error;
      key.score = score->result().f;
    }
    if (!keep)
      return llvm::Error::success();
    setIndices(*keep, 0, b, h, i, number);
    if (!keep->run())
      return keep->fault();
    key.live = keep->result().i != 0;
    return llvm::Error::success();
  }

  llvm::Error weighKey(int64_t b, int64_t h, int64_t i, int64_t j, WeightedKey &key) {
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

  double sumValues(const std::vector<WeightedKey> &row, int64_t b, int64_t h, int64_t d) {
    double sum = 0;
    for (const Source &source : sources)
      for (int64_t j = 0; j < source.key.size[2]; ++j)
        if (const WeightedKey &key = row[source.first + j]; key.live)
          sum = round(sum + round(key.weight * source.values.floats[source.value.at(b, h / source.groupSize, j, d)]));
    return sum;
  }

  AttentionOp op;
  Operands operands;
  const Evaluation &evaluation;
  const Array &queries;
  std::vector<Array> &results;
  Array &result;
  Placement query, output;
  std::vector<Source> sources;
  int64_t allKeys = 0;
  DType type;
  std::optional<RegionProgram> score, keep, weight;
};

} // namespace

llvm::Expected<std::vector<Array>> evaluateAttention(AttentionOp op, Operands operands, const Evaluation &evaluation) {
  llvm::Expected<std::vector<Array>> made = makeResults(op, evaluation);
  if (!made)
    return made.takeError();
  std::vector<Array> results = std::move(*made);
  if (!results[0].isFloat() || !operands[0]->isFloat())
    return errorAt(op, "wanted floating-point elements, found " + toString(operands[0]->dtype));
  if (llvm::Error error = Attention(op, operands, evaluation, results).run())
    return error;
  return results;
}

} // namespace tenon
