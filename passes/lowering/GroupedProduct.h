//===- GroupedProduct.h - rows that each pick a matrix ----------------------------------===//
//
//     y[m, n] = Σ_k x[m, k] W[g(m), k, n]            "m k, m k n -> m n", g(m) from data
//
// as mixtures of experts have it. Its second operand is a map, of which no element is written:
//
//     %w = tenon.map %t = %panels, %g = … at %m, %k, %n { load %t[g(%m) * N/16 + %n floordiv 16, %k, %n mod 16] }
//
// A tile of the kernel is a stretch of columns of one matrix: it collects the numbers of the rows that picked that
// matrix and multiplies them as any rows (PackedProduct.h), in whatever order they stand. So each matrix that was picked
// is read once, and what nobody picked is not.
//
// Costs, beside the product's own: a walk over all rows for each matrix, and the copy of a row for each stretch of it.
//
#ifndef TENON_PASSES_LOWERING_GROUPEDPRODUCT_H
#define TENON_PASSES_LOWERING_GROUPEDPRODUCT_H

#include "passes/lowering/KernelLowering.h"

namespace tenon {

struct GroupedProduct {
  ContractOp op;
  MapOp map;
  LoadOp load;          ///< Of an element of the matrices, in panels: [matrices * panelsEach, k, 16], or pairs of bf16 along k.
  int64_t panelsEach;   ///< Panels of a matrix.
  int64_t matrices;

  static std::optional<GroupedProduct> match(ContractOp op);

  /// The argument of the map that holds the matrices, and what it stands for.
  unsigned argument() { return mlir::cast<mlir::BlockArgument>(load.getTensor()).getArgNumber(); }
  mlir::Value panels() { return map.getInputs()[argument()]; }
};

KernelGrid lowerGroupedProduct(KernelLowering &lowering, const GroupedProduct &grouped);

} // namespace tenon
#endif
