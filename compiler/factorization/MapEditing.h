//===- MapEditing.h - products and parts of maps' regions written -------------------------===//
#ifndef TENON_COMPILER_FACTORIZATION_MAPEDITING_H
#define TENON_COMPILER_FACTORIZATION_MAPEDITING_H

#include "compiler/factorization/Affine.h"
#include "llvm/ADT/DenseSet.h"

namespace tenon {

/// The block argument of an operand that is appended to the map.
mlir::Value appendInput(MapOp map, mlir::Value tensor);

/// Replaces a scalar of the region by Σ factor[c] · tensor[indices] + offset[c], c the index `dim`. Factors and offsets that
/// differ between channels become weights named after `near`.
void replaceBySum(MapOp map, mlir::Value scalar, llvm::ArrayRef<AffineTerm> terms, const Channels &offset, unsigned dim,
                  WeightOp near, ModelWeights &weights);

/// `base` times a matrix along `dim`.
mlir::Value multiplyAlong(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value base, WeightOp matrix,
                          unsigned dim);
/// `tensor` plus an offset for each position along `dim`, in a weight named after `near`.
mlir::Value addOffset(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value tensor, WeightOp near,
                      const Channels &offset, unsigned dim, ModelWeights &weights);

/// Gives a tensor another size along a dim, and the arguments of maps that read it.
void setSize(mlir::Value tensor, unsigned dim, int64_t size);

/// Erases what the region computes in vain and the operands it does not load; gives those.
llvm::SmallVector<mlir::Value> dropUnreadInputs(MapOp map);
/// Erases an operation that nothing reads, with what only it read; gives those.
llvm::DenseSet<mlir::Operation *> eraseUnread(mlir::Operation *op);

} // namespace tenon
#endif
