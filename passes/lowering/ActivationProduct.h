//===- ActivationProduct.h - contractions as products of matrices ----------------------===//
//
// Any contraction is, for each point of some outer indices, a product of two matrices whose rows, columns and
// steps of k are runs of indices:
//
//     "b q h d, b k h d -> b h q k"       outer b h, rows q, columns k, sums over d
//     "n c, b c h w -> b n h w"           outer b, rows n, columns h w, sums over c
//
// Indices that stand next to each other wherever they occur are one. Columns are the result's last indices, so that
// its rows are written whole; the operand they belong to is the right one.
//
#ifndef TENON_PASSES_LOWERING_ACTIVATIONPRODUCT_H
#define TENON_PASSES_LOWERING_ACTIVATIONPRODUCT_H

#include "dialects/tenon/Tenon.h"
#include "passes/lowering/IndexMath.h"
#include "passes/lowering/KernelLowering.h"
#include "passes/lowering/PackedProduct.h"

namespace tenon {

/// An index, or several as one: its size, and the elements between neighbours in each tensor; 0 where it is not.
struct ProductIndex {
  Dim size;
  Dim left, right, result;
  llvm::SmallVector<unsigned, 2> dims; ///< Of the result, from the outermost on; none of a sum.
};

struct ActivationProduct {
  using Indices = llvm::SmallVector<ProductIndex, 4>;

  ContractOp op;
  mlir::Value left, right;
  Indices outer, rows, columns, summed; ///< One of the columns at most.

  /// Null where a contraction has no sums, no columns, indices of one operand alone that are summed, or is not
  /// accumulated in f32. Columns become one only where `mayJoinColumns`.
  static std::optional<ActivationProduct> match(ContractOp op, bool mayJoinColumns);
};

/// Where a product's elements are, as code.
class ProductPlaces {
public:
  using Indices = ActivationProduct::Indices;
  using Stride = Dim ProductIndex::*;

  ProductPlaces(KernelScope &scope, mlir::Location loc) : scope(scope), loc(loc) {}

  /// The value of each index at the point of number `number`.
  llvm::SmallVector<mlir::Value> pointOf(mlir::Value number, llvm::ArrayRef<Dim> sizes) const;
  llvm::SmallVector<mlir::Value> pointOf(mlir::Value number, llvm::ArrayRef<ProductIndex> indices) const;
  /// Elements from the first one of a tensor, `stride` says which, to those at the point.
  mlir::Value offsetOf(llvm::ArrayRef<mlir::Value> point, llvm::ArrayRef<ProductIndex> indices, Stride stride) const;
  /// What the dims of a result of this shape are at a point of some indices, into `at`.
  void place(llvm::ArrayRef<mlir::Value> point, llvm::ArrayRef<ProductIndex> indices, llvm::ArrayRef<Dim> shape,
             llvm::MutableArrayRef<LaneValue> at) const;

private:
  KernelScope &scope;
  mlir::Location loc;
};

/// The number of points of some indices.
Dim countOf(llvm::ArrayRef<ProductIndex> indices);

/// What the lowerings share: one matrix after another, and its finished sums.
class ActivationEmitter {
public:
  ActivationEmitter(KernelLowering &lowering, const ActivationProduct &product)
      : lowering(lowering), product(product) {}

protected:
  const ProductIndex &columns() const { return product.columns.front(); }
  const ProductIndex &steps() const { return product.summed.back(); }
  mlir::Value dim(const Dim &dim) { return scope.dim(dim, loc); }
  llvm::SmallVector<mlir::Value> pointOf(mlir::Value number, llvm::ArrayRef<ProductIndex> indices) {
    return places.pointOf(number, indices);
  }
  mlir::Value offsetOf(llvm::ArrayRef<mlir::Value> point, llvm::ArrayRef<ProductIndex> indices,
                       ProductPlaces::Stride stride) {
    return places.offsetOf(point, indices, stride);
  }

  /// Goes to the matrix of this number.
  void enter(mlir::Value matrix);
  /// Its sums of some rows and columns pass through the map behind the contraction.
  void finishPiece(const PackedProduct::Piece &piece);

  KernelLowering &lowering;
  ActivationProduct product;
  mlir::Location loc = lowering.loc;
  KernelScope &scope = lowering.scope;
  mlir::OpBuilder &builder = lowering.builder;
  IndexMath index{builder, loc};
  ProductPlaces places{scope, loc};
  mlir::Type f32 = mlir::Float32Type::get(builder.getContext());
  // Of the matrix being emitted.
  llvm::SmallVector<mlir::Value> outerPoint;
  mlir::Value leftBase, rightBase, resultBase;
};

/// Few rows, as many for every size, whose right operand is read from the first element to the last: it is too little work to pack
/// it (LowerRowProduct.cpp).
bool isRowProduct(const ActivationProduct &product);
KernelGrid lowerRowProduct(KernelLowering &lowering, const ActivationProduct &product);

/// Both operands are memory.
KernelGrid lowerActivationProduct(KernelLowering &lowering, const ActivationProduct &product);

} // namespace tenon
#endif
