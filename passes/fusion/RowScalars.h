//===- RowScalars.h - scalars of rows, followed from map to map --------------------------------------===//
//
// Exporters write a norm as maps over elements and maps over rows, in any grouping. A scalar of a region is here what the maps
// behind its loads say it is.
//
#ifndef TENON_PASSES_FUSION_ROWSCALARS_H
#define TENON_PASSES_FUSION_ROWSCALARS_H

#include "dialects/tenon/Tenon.h"

namespace tenon {

/// `load x[every index of the map]`, and x; null for any other scalar.
mlir::Value elementTensor(mlir::Value scalar);
/// A scalar of a row, past loads of maps over rows (the first `rows` indices): the value their regions yield.
mlir::Value throughRows(mlir::Value scalar, size_t rows);
/// The tensor whose mean over the last of its `rows` + 1 dims, of constant size, a scalar is; null otherwise.
mlir::Value meanOf(mlir::Value scalar, size_t rows);

/// What a scalar is, if it is a constant.
std::optional<double> constantOf(mlir::Value scalar);

/// The other operand of a commutative operation, where one is a constant, and that constant.
template <typename Op> std::optional<std::pair<mlir::Value, double>> withConstant(mlir::Value scalar) {
  auto op = scalar.getDefiningOp<Op>();
  if (!op)
    return std::nullopt;
  if (auto right = constantOf(op.getRhs()))
    return std::pair(mlir::Value(op.getLhs()), *right);
  if (auto left = constantOf(op.getLhs()))
    return std::pair(mlir::Value(op.getRhs()), *left);
  return std::nullopt;
}

} // namespace tenon
#endif
