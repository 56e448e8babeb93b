//===- AttentionRaiser.h - two contractions and what is between them, as attention -------===//
//
// By what the operations mean and never by their names or order: from the weights back to the product of query and key,
// and forward to the product with the values. Whoever finds such a pair says what normalises the weights.
//
#ifndef TENON_PASSES_ATTENTION_ATTENTIONRAISER_H
#define TENON_PASSES_ATTENTION_ATTENTIONRAISER_H

#include "dialects/tenon/Tenon.h"
#include "llvm/ADT/SetVector.h"

namespace tenon {

struct AttentionGraph {
  /// Of queries and keys; read by nothing but what is between it and `product`. Null where scores are no product but a
  /// function of what is of the query and what is of the key: GAT's sum of two numbers.
  ContractOp scores;
  mlir::Value input, normalised; ///< What the normaliser reads and gives; one tensor where there is none.
  unsigned over;                 ///< Its dimension of the keys.
  ContractOp product;            ///< With the values.
  Normaliser normaliser;
};

/// The contractions a tensor is computed from by maps and reshapes alone, nearest first.
void collectContractions(mlir::Value tensor, llvm::SetVector<ContractOp> &found);
/// The ops other than maps and reshapes that a tensor reaches through maps and reshapes.
void collectReaders(mlir::Value tensor, llvm::SetVector<mlir::Operation *> &readers);
/// All that a tensor is used for is to compute `reader`.
bool isOnlyFor(mlir::Value tensor, mlir::Operation *reader);
/// Whether a tensor is computed from the function's arguments, and not from weights alone.
bool isData(mlir::Value tensor);

struct RaisedAttention {
  AttentionOp op;
  mlir::Value result; ///< In the order of the product's, which it does not replace yet.
};

/// None and no change to the module if this is no attention; `reason` then says why, under the usual names.
std::optional<RaisedAttention> raiseAttention(const AttentionGraph &graph, std::string &reason);

} // namespace tenon
#endif
