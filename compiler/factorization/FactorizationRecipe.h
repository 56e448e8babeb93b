//===- FactorizationRecipe.h - what `--factorize` asks for -------------------------------===//
//
//   {"steps": [
//     {"do": "fold"},
//     {"do": "low_rank", "weights": ["*.mlp.*", "node_MatMul_17"], "rank": 64},
//     {"do": "low_rank", "weights": ["*"], "error": 0.05}
//   ]}
//
// Steps are done in order. Of low-rank steps side by side, a weight has the first that names it.
//
// | field | of | is |
// |---|---|---|
// | `do` | every step | one of `StepKind`, as `nameOf` writes it |
// | `weights` | all but `rms_norms`; without it `fold` takes all products | patterns (`*` any text, `?` one letter, `[ab]` one of them) of names of weights, or of the model's nodes that multiply with them |
// | `rank` | `low_rank` | the rank of every matrix, or |
// | `error` | `low_rank` | the largest relative error of a matrix, in 0..1: each gets the smallest rank that keeps it, in whole panels of 16 |
// | `size` | `prefix` | how many columns stay |
//
#ifndef TENON_COMPILER_FACTORIZATION_FACTORIZATIONRECIPE_H
#define TENON_COMPILER_FACTORIZATION_FACTORIZATIONRECIPE_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tenon {

enum class StepKind {
  LowRank, ///< A product with a weight becomes two with its factors (LowRank.h).
  Fold,    ///< What is linear between two tensors becomes one product (FoldWeights.h).
  RmsNorms, ///< LayerNorms become RMSNorms, the stream they read centred (CentreStream.h).
  Prefix,  ///< Of a product's columns the first stay, as a sub-model (SlicePrefix.h).
};
llvm::StringRef nameOf(StepKind kind);

struct FactorizationStep {
  StepKind kind = StepKind::LowRank;
  std::vector<std::string> weights;
  std::optional<int64_t> rank; ///< Or:
  std::optional<double> error;
  int64_t size = 0;
};

struct FactorizationRecipe {
  std::vector<FactorizationStep> steps;

  /// Errors name the step and the field: what was wanted and what was found.
  static llvm::Expected<FactorizationRecipe> parse(llvm::StringRef json);
  static llvm::Expected<FactorizationRecipe> read(const std::string &path);
};

} // namespace tenon
#endif
