//===- TransposeTile.h - a square of lanes turned on its diagonal ------------------===//
#ifndef TENON_PASSES_LOWERING_TRANSPOSETILE_H
#define TENON_PASSES_LOWERING_TRANSPOSETILE_H

#include "mlir/IR/Builders.h"

namespace tenon {

/// Transposes L vectors of L lanes, L a power of two, in log2(L) rounds of L shuffles of two
/// vectors. A round interleaves vector i with vector i + L/2: it rotates the bits of (vector,
/// lane) by one place, and after log2(L) rounds the two numbers have changed places.
llvm::SmallVector<mlir::Value> transposeTile(mlir::OpBuilder &builder, mlir::Location loc,
                                             llvm::ArrayRef<mlir::Value> rows);

/// The sums of the lanes of V vectors of L lanes, V a power of two and at most L: a vector of V. A round adds the halves of
/// vector i and of vector i + V/2 into the halves of one: V - 1 additions and twice as many shuffles, half of what
/// turning the vectors and adding them takes.
mlir::Value sumsOfLanes(mlir::OpBuilder &builder, mlir::Location loc, llvm::ArrayRef<mlir::Value> vectors);

} // namespace tenon
#endif
