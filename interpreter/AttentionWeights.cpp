//===- AttentionWeights.cpp - weights from the scores of one head -----------------------===//
#include "interpreter/AttentionWeights.h"

#include <cmath>
#include <limits>

using namespace mlir;

namespace tenon {
namespace {

constexpr double minusInfinity = -std::numeric_limits<double>::infinity();

/// The keys that are normalised together: a row, or a column.
using Line = std::vector<WeightedKey *>;

Line liveOf(Line line) {
  llvm::erase_if(line, [](WeightedKey *key) { return !key->live; });
  return line;
}

Line rowOf(std::vector<WeightedKey> &row) {
  Line line;
  for (WeightedKey &key : row)
    line.push_back(&key);
  return line;
}

Line columnOf(WeightMatrix &matrix, size_t j) {
  Line line;
  for (std::vector<WeightedKey> &row : matrix)
    line.push_back(&row[j]);
  return line;
}

/// NaN if any is.
double greatestOf(const Line &live) {
  double greatest = minusInfinity;
  for (WeightedKey *key : live)
    greatest = std::isnan(greatest) || std::isnan(key->score) ? std::nan("") : std::max(greatest, key->score);
  return greatest;
}

void divideBySum(const Line &live, Rounding round) {
  double sum = 0;
  for (WeightedKey *key : live)
    sum = round(sum + key->weight);
  for (WeightedKey *key : live)
    key->weight = round(key->weight / sum);
}

void softmax(const Line &live, Rounding round) {
  double greatest = greatestOf(live);
  for (WeightedKey *key : live)
    key->weight = round(std::exp(round(key->score - greatest)));
  divideBySum(live, round);
}

void hard(const Line &live) {
  double greatest = greatestOf(live);
  bool found = false;
  for (WeightedKey *key : live) {
    key->weight = !found && key->score == greatest;
    found |= key->score == greatest;
  }
}

/// Softmax over those that at most k - 1 others exceed; weight 0 for the rest.
void topSoftmax(const Line &live, int64_t k, Rounding round) {
  Line kept;
  for (WeightedKey *key : live) {
    int64_t above = llvm::count_if(live, [&](WeightedKey *other) { return other->score > key->score; });
    if (above < k)
      kept.push_back(key);
  }
  for (WeightedKey *key : live)
    key->weight = 0;
  softmax(kept, round);
}

void normalise(const Normalisation &how, const Line &live, Rounding round) {
  switch (how.normaliser) {
  case Normaliser::None:
  case Normaliser::Sum:
    for (WeightedKey *key : live)
      key->weight = key->score;
    if (how.normaliser == Normaliser::Sum)
      divideBySum(live, round);
    return;
  case Normaliser::Softmax:
  case Normaliser::Sinkhorn: // its first half-step
    return softmax(live, round);
  case Normaliser::Hard:
    return hard(live);
  case Normaliser::TopKSoftmax:
    return topSoftmax(live, how.count, round);
  }
}

/// The half-steps after the first: columns to sums of N / M, rows to sums of one, in turn.
void balance(WeightMatrix &matrix, int64_t halfSteps, Rounding round) {
  size_t keys = matrix.empty() ? 0 : matrix.front().size();
  for (int64_t step = 1; step < halfSteps; ++step) {
    bool isColumns = step % 2 == 1;
    for (size_t n = 0; n < (isColumns ? keys : matrix.size()); ++n) {
      Line live = liveOf(isColumns ? columnOf(matrix, n) : rowOf(matrix[n]));
      double sum = 0, share = isColumns ? double(matrix.size()) / double(keys) : 1;
      for (WeightedKey *key : live)
        sum = round(sum + key->weight);
      for (WeightedKey *key : live)
        if (sum != 0)
          key->weight = round(round(key->weight * share) / sum);
    }
  }
}

/// What the rule gives a row without live keys. False if that is no weights.
bool fillEmpty(const Normalisation &how, std::vector<WeightedKey> &row, Rounding round) {
  if (how.empty != EmptyRow::Uniform && how.empty != EmptyRow::IgnoreKeep)
    return false;
  for (WeightedKey &key : row)
    key = {key.score, round(1.0 / double(row.size())), true};
  if (how.empty == EmptyRow::IgnoreKeep)
    normalise(how, rowOf(row), round);
  return true;
}

} // namespace

std::vector<bool> weigh(const Normalisation &how, WeightMatrix &matrix, Rounding round) {
  std::vector<bool> hasWeights(matrix.size(), true);
  if (how.overQueries) {
    for (size_t j = 0; j < (matrix.empty() ? 0 : matrix.front().size()); ++j)
      normalise(how, liveOf(columnOf(matrix, j)), round);
    return hasWeights;
  }
  for (size_t i = 0; i < matrix.size(); ++i) {
    Line live = liveOf(rowOf(matrix[i]));
    if (live.empty())
      hasWeights[i] = fillEmpty(how, matrix[i], round);
    else
      normalise(how, live, round);
  }
  if (how.normaliser == Normaliser::Sinkhorn)
    balance(matrix, how.count, round);
  return hasWeights;
}

double logSumExp(const std::vector<WeightedKey> &row, Rounding round) {
  double greatest = minusInfinity, sum = 0;
  for (const WeightedKey &key : row)
    if (key.live)
      greatest = std::isnan(greatest) || std::isnan(key.score) ? std::nan("") : std::max(greatest, key.score);
  if (greatest == minusInfinity)
    return greatest;
  for (const WeightedKey &key : row)
    if (key.live)
      sum = round(sum + round(std::exp(round(key.score - greatest))));
  return round(greatest + round(std::log(sum)));
}

} // namespace tenon
