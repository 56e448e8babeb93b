//===- SumsAlongDim.h - a map as sums of tensors along one of its dims -------------------------------===//
//
// Worked example, two tensors of 4 channels side by side, the first of them twice as long as it was:
//
//     J[i, c] = c < 4 ? 0.5 * A[i / 2, c] + 0.5 * A[(i + 1) / 2, c] : B[i, c - 4]
//
// Along c the map is two pieces, 0 to 4 and 4 to 8. In each an element is a sum of elements that stand at this place of
// a dim of A or B, times what c does not change. So what mixes channels may be done to A and B instead:
//
//     Σ_c J[i, c] W[c, n] = 0.5 * (A W0)[i / 2, n] + 0.5 * (A W0)[(i + 1) / 2, n] + (B W1)[i, n]
//
// Rule. A piece is between two places where a comparison of the dim with a constant changes.
// An element is zero, a term (a load at the place, of a dim that has as many places as the piece), a sum, difference or
// choice of such, or one of them times or divided by a factor, which the dim does not change.
//
#ifndef TENON_PASSES_FUSION_SUMSALONGDIM_H
#define TENON_PASSES_FUSION_SUMSALONGDIM_H

#include "passes/simplify/View.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/MapVector.h"
#include <vector>

namespace tenon {

/// A map where one of its dims, of known extent, is in [begin, end).
class SumAlongDim {
public:
  static std::optional<SumAlongDim> match(MapOp map, unsigned dim, int64_t begin, int64_t end);

  int64_t getBegin() const { return begin; }
  int64_t getEnd() const { return end; }
  unsigned countTerms() const {
    return llvm::count_if(needed, [&](mlir::Operation *op) { return terms.contains(op); });
  }
  /// The tensors of the terms, and the dim of each that has the places.
  const llvm::MapVector<mlir::Value, unsigned> &getTensors() const { return tensors; }

  /// The sum in another region, whose arguments are `operands` and `indices`, with the tensors of the terms replaced.
  mlir::Value emit(mlir::OpBuilder &builder, mlir::ValueRange operands, mlir::ValueRange indices,
                   const llvm::DenseMap<mlir::Value, mlir::Value> &replacements);

private:
  SumAlongDim(MapOp map, unsigned dim, int64_t begin, int64_t end);

  void read(mlir::Operation &op);
  std::optional<bool> outcomeOf(mlir::Operation &op);
  mlir::Value choiceOf(mlir::Operation &op);
  std::optional<unsigned> termOf(LoadOp load);
  bool isSum(mlir::Operation &op);
  bool varies(mlir::Value value) const { return varying.contains(value); }
  void collectNeeded();

  MapOp map;
  mlir::Value own;
  int64_t begin, end;
  IndexDomain domain;
  KnownIndices known;
  Dim place;                                         ///< From 0 to end - begin.
  llvm::DenseSet<mlir::Value> varying, sums;         ///< Not the same all along the piece; sums of terms.
  llvm::DenseMap<mlir::Value, bool> outcomes;        ///< Conditions that are the same all over the piece.
  llvm::DenseMap<mlir::Value, mlir::Value> choices;  ///< What by them is the same as another value.
  llvm::DenseMap<mlir::Operation *, unsigned> terms; ///< Loads, needed or not, and which of their indices is the place.
  llvm::SmallVector<mlir::Operation *> needed;       ///< In order.
  llvm::MapVector<mlir::Value, unsigned> tensors;
};

/// All pieces of a map along a dim of known extent. Empty where one is no sum, or there are more than 64.
std::vector<SumAlongDim> sumsAlongDim(MapOp map, unsigned dim);

} // namespace tenon
#endif
