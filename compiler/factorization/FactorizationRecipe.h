//===- FactorizationRecipe.h - what `--factorize` asks for -------------------------------===//
//
//   {"steps": [
//     {"do": "fold"},
//     {"do": "low_rank", "weights": ["*.mlp.*", "node_MatMul_17"], "rank": 64},
//     {"do": "low_rank", "weights": ["*"], "error": 0.05}
//    ],
//    "calibration": {"input_ids": "ids.npy"}}
//
// Steps are done in order. Of low-rank steps side by side, a weight has the first that names it.
//
// | field | of | is |
// |---|---|---|
// | `do` | every step | one of `StepKind`, as `nameOf` writes it |
// | `weights` | all but `rms_norms` and `constant_norms`; without it `fold` and `merge_heads` take all products | patterns (`*` any text, `?` one letter, `[ab]` one of them) of names of weights, or of the model's nodes that multiply with them |
// | `rank` | `low_rank` | the rank of every matrix, or |
// | `error` | `low_rank` | the largest relative error of a matrix, in 0..1: each gets the smallest rank that keeps it, in whole panels of 16 |
// | `whiten` | `low_rank` | true: errors are those of the products' results on the calibration inputs |
// | `joint` | `low_rank` | true: matrices that multiply the same tensor share their first factor |
// | `compress` | `rms_norms` | true: the last channel of a centred stream, minus the sum of the others, is left out |
// | `basis` | `dense_sparse` | the columns of each block's basis |
// | `nonzeros` | `dense_sparse` | how many of them each column of the matrix is made from, at most 64 |
// | `blocks` | `dense_sparse` | how many blocks the matrix's columns stand in; without it, 1 |
// | `size` | `prefix` | how many columns stay |
//
// `calibration` has a file for each input of the model, `.npy`, relative to the recipe's folder: with it, each change is reported with
// the error it makes there.
//
#ifndef TENON_COMPILER_FACTORIZATION_FACTORIZATIONRECIPE_H
#define TENON_COMPILER_FACTORIZATION_FACTORIZATIONRECIPE_H

#include "compiler/factorization/DenseSparse.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace tenon {

enum class StepKind {
  LowRank, ///< A product with a weight becomes two with its factors (LowRank.h).
  Fold,    ///< What is linear between two tensors becomes one product (FoldWeights.h).
  ConstantNorms, ///< LayerNorms that divide by a constant go into products (ConstantNorms.h).
  RmsNorms, ///< LayerNorms become RMSNorms, the stream they read centred (CentreStream.h).
  DenseSparse, ///< A matrix becomes dense bases times sparse codes (DenseSparse.h).
  MergeHeads, ///< Query and key, value and output of an attention become one product each (MergeHeads.h).
  Prefix,  ///< Of a product's columns the first stay, as a sub-model (SlicePrefix.h).
  DropLayers, ///< The layers of the weights named are left out (DropLayers.h).
};
llvm::StringRef nameOf(StepKind kind);

struct FactorizationStep {
  StepKind kind = StepKind::LowRank;
  std::vector<std::string> weights;
  std::optional<int64_t> rank; ///< Or:
  std::optional<double> error;
  bool whiten = false, joint = false, compress = false;
  int64_t size = 0;
  DenseSparse::Form form; ///< Of `dense_sparse`.
};

struct FactorizationRecipe {
  using Files = std::map<std::string, std::string>;

  std::vector<FactorizationStep> steps;
  Files calibration; ///< By input; empty: none.

  /// Errors name the step and the field: what was wanted and what was found.
  static llvm::Expected<FactorizationRecipe> parse(llvm::StringRef json);
  /// The same of a file; paths in it are relative to its folder.
  static llvm::Expected<FactorizationRecipe> read(const std::string &path);
};

} // namespace tenon
#endif
