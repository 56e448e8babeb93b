//===- AttentionWeights.h - weights from the scores of one head ------------------------===//
//
// The normalisers of attention, over a whole matrix of queries and keys, from their definitions in
// dialects/tenon/AttentionOps.td.
//
//===-----------------------------------------------------------------------------===//
#ifndef TENON_INTERPRETER_ATTENTIONWEIGHTS_H
#define TENON_INTERPRETER_ATTENTIONWEIGHTS_H

#include "dialects/tenon/Tenon.h"

#include <vector>

namespace tenon {

struct WeightedKey {
  double score = 0, weight = 0;
  bool live = true;
};

/// A row for each query, of all keys.
using WeightMatrix = std::vector<std::vector<WeightedKey>>;
/// What is done to the scores of a head.
struct Normalisation {
  Normaliser normaliser;
  int64_t count; ///< Of `topk_softmax` and `sinkhorn`.
  bool overQueries;
  EmptyRow empty;
};

/// Of each intermediate value, to the type the arithmetic has.
using Rounding = llvm::function_ref<double(double)>;

/// Fills the weights; a rule for empty rows may make dead keys live. False for each row that has no weights at all.
std::vector<bool> weigh(const Normalisation &how, WeightMatrix &matrix, Rounding round);

/// log Σ exp(score) over the live keys.
double logSumExp(const std::vector<WeightedKey> &row, Rounding round);

} // namespace tenon
#endif
