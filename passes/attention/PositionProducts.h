//===- PositionProducts.h - score terms that are products with rows chosen by distance -===//
//
// Models with relative positions add to the score of query i and key j a product with row f(j - i) of a table:
//
//   Q'[i] · R[f(j - i)]     Transformer-XL, XLNet, content to position of DeBERTa
//   K'[j] · R[f(j - i)]     position to content of DeBERTa
//
// An export computes the product with every row, a tensor of queries x distances, and picks from it by a
// shift or a gather; in `tenon.attention` that is a contraction whose result is a capture, loaded once in the score:
//
//   %t = tenon.contract "b h i d, t h d -> b h i t" %q, %r
//   … score … load %t[%b, %h, %i, max(min(%i - %j + 8, 15), 0)]
//
// A map of arithmetic on the product's elements may stand between, a scale as a rule.
//
// This says which captures are such products, so that flash attention can compute for a tile of queries and keys the
// few distances it needs (FlashPositions.cpp) and no such tensor exists. Only the index arithmetic counts: any f that is
// unchanged when both positions move, whatever it is made of, but for one that reads data.
//
#ifndef TENON_PASSES_ATTENTION_POSITIONPRODUCTS_H
#define TENON_PASSES_ATTENTION_POSITIONPRODUCTS_H

#include "dialects/tenon/Tenon.h"
#include "dialects/tenon/ContractSpec.h"

namespace tenon {

struct PositionProduct {
  /// One operand of the product; `places[n]` is where dimension n of the product's result stands in it, -1 if it does not.
  struct Side {
    mlir::Value tensor;
    llvm::SmallVector<int, 4> places;
    int summed; ///< Where d stands.
  };

  ContractOp product;
  MapOp after; ///< What becomes of the product's elements; null: nothing.
  unsigned capture;
  LoadOp load; ///< In the score: the only one.
  bool ofQuery; ///< The rows multiplied with the table are the queries' and not the keys'.
  unsigned row, distance; ///< Dimensions of the product's result: i or j, and f(j - i).
  Side rows, table;
  int64_t depth;

  /// What capture number `capture` is, if it is such a product that nothing else reads.
  static std::optional<PositionProduct> match(AttentionOp op, unsigned capture);
  /// All of one attention that its kernel computes itself: those of as many distances as there are keys or more. Of a
  /// fixed number the product is no larger than the queries, and reading it costs less than distances once a tile.
  static llvm::SmallVector<PositionProduct, 2> streamed(AttentionOp op);
};

/// The products an operation's kernel computes with its tiles, each with what follows it; none of any other operation.
llvm::SmallVector<mlir::Operation *, 4> productsOfAttention(mlir::Operation *root);
/// The operation is such a product.
bool isPartOfAttention(mlir::Operation *op);

} // namespace tenon
#endif
