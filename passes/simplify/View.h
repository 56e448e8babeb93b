//===- View.h - a tensor seen as another tensor's elements in another place -----------===//
//
// Exporters write transposes, reshapes, slices, expansions of key heads and scalings as chains of
// operations. Followed back to the tensor whose elements they move, a chain is one list of
// index expressions:
//
//     %r = reshape %x : [B, S, 384] -> [B, S, 12, 32]
//     %t = map at %b, %h, %s, %d { load %r[%b, %s, %h, %d] }       // [B, 12, S, 32]
//
//     viewOf(%t, {b, h, s, d}) = 1.0 * %x[b, s, h * 32 + d]
//
// `splitDims` then says how the base would have to be reshaped so that every index has a
// dimension of its own: [B, S, 12, 32] named b, s, h, d. A slice leaves a dimension
// at a fixed position: n + 384 of 1152 is [3, 384] named 1, n.
//
#ifndef TENON_PASSES_SIMPLIFY_VIEW_H
#define TENON_PASSES_SIMPLIFY_VIEW_H

#include "passes/simplify/IndexExpression.h"

namespace tenon {

struct View {
  mlir::Value base;
  llvm::SmallVector<Dim, 4> indices; ///< One per dim of the base.
  double scale = 1.0;
};

/// Whether constant factors, or conversions to a wider float (which change no value), are followed as well.
enum class Through { Movement, MovementAndScale, MovementAndWidening };

/// Element `at` of a tensor, traced through reshapes and maps that only move elements.
View viewOf(mlir::Value tensor, llvm::ArrayRef<Dim> at, IndexDomain &domain, Through through);

/// Every stop on the way: the tensor itself first, what `viewOf` gives last.
llvm::SmallVector<View> viewsOf(mlir::Value tensor, llvm::ArrayRef<Dim> at, IndexDomain &domain, Through through);

/// A map whose region yields one load, perhaps times constants, at indices free of data.
std::optional<View> movementOf(MapOp map, llvm::ArrayRef<Dim> at, IndexDomain &domain, Through through);
/// The same, but not every element to its own place: a transpose, slice or broadcast, perhaps scaled.
bool movesElements(MapOp map);

/// One dimension of a reshaped base: the index symbol that runs over it, or a fixed position.
struct SplitDim {
  std::string symbol; ///< Empty where the position is fixed.
  int64_t position = 0;
  Dim size;
};

/// The base reshaped so that each of its dims is one index symbol or one fixed position; unit dims
/// are left out. None if some index is not of mixed-radix form, or an index occurs twice.
std::optional<llvm::SmallVector<SplitDim>> splitDims(llvm::ArrayRef<Dim> indices, llvm::ArrayRef<Dim> shape,
                                                     const IndexDomain &domain);

/// `tensor` under other dims; the tensor itself where they are equal.
mlir::Value reshapeTo(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value tensor, llvm::ArrayRef<Dim> shape);

/// The module's bounds for the region of `op`, with no index yet.
IndexDomain domainOf(mlir::Operation *op);

} // namespace tenon
#endif
