//===- AttentionRule.h - what ONNX's and Microsoft's attention operators share ---------===//
//
// Both say by attributes and further operands what stands between the product of query and key and the softmax.
// `AttentionRule` is that, and `asContractions` the attention it makes of query, key and value, all
// [batch, heads, sequence, depth].
//
#ifndef TENON_FRONTENDS_ONNX_IMPORTER_ATTENTIONRULE_H
#define TENON_FRONTENDS_ONNX_IMPORTER_ATTENTIONRULE_H

#include "frontends/onnx/importer/NodeContext.h"

namespace tenon::onnx_importer {

/// What attributes and further operands say of a score.
struct AttentionRule {
  using Value = mlir::Value;
  using ValueRange = mlir::ValueRange;

  NodeContext &n;
  double scale = 1, softcap = 0;
  bool causal = false;
  int64_t left = -1, right = -1; ///< Window; -1 is open.
  Value mask;                    ///< Broadcast to [batch, heads, queries, keys]: added, or bool. May be null.
  Value lengths;                 ///< Keys of each row of the batch, the last of them the newest query's. May be null.
  Value sinks;                   ///< [heads]: a score of no key, in each row's sum. May be null.
  bool startsAtZero = false;     ///< No query stands before the first key, though its row has fewer keys than queries.
  Dim past, queries, keys;

  llvm::SmallVector<Value> captures() const;
  bool hasBias() const;
  bool hasKeep() const { return mask || lengths || causal || left >= 0 || right >= 0; }
  Value score(ScalarBuilder &s, Value x) const;
  Value withBias(ScalarBuilder &s, Value x, ValueRange at, ValueRange captured) const;
  Value keep(ScalarBuilder &s, ValueRange at, ValueRange captured) const;

private:
  Value maskAt(ScalarBuilder &s, ValueRange at, Value tensor, Value &isPadded) const;
};

/// [batch, sequence, heads x depth] as [batch, heads, sequence, depth]; of rank 4 as it is.
mlir::Value byHeads(NodeContext &n, mlir::Value x, int64_t heads, llvm::StringRef attribute);
/// And back.
mlir::Value mergeHeads(NodeContext &n, mlir::Value x);
/// Each key head for all the query heads it serves.
mlir::Value repeatHeads(NodeContext &n, mlir::Value x, const Dim &heads);
/// Attention as two contractions and a softmax, for RaiseAttention to find as it finds an exporter's own: masks,
/// transposes and repeated heads before it then become regions and layouts.
mlir::Value asContractions(NodeContext &n, AttentionRule rule, mlir::Value q, mlir::Value k, mlir::Value v);

/// How pairs of elements are turned.
struct Rotation {
  bool interleaved = false;
  int64_t size = 0;   ///< Elements of each head that are turned; 0 is all.
  int64_t along = 2;  ///< The dimension of the sequence: 1 in [batch, sequence, heads, depth].
  mlir::Value cosines, sines; ///< [batch, sequence, pairs], or [positions, pairs] with `positions`.
  mlir::Value positions;      ///< [batch, sequence], or [1]: that of the first. May be null.
};
/// x, of rank 4, with its pairs turned by their angles.
mlir::Value rotated(NodeContext &n, mlir::Value x, const Rotation &rotation);

} // namespace tenon::onnx_importer
#endif
