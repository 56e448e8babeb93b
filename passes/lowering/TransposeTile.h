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

// The sums of the lanes of L vectors of L lanes, L a power of two and at least 4: four at a time become one, and L / 4 of
// those the sums. A round makes one vector of two, by two shuffles and an addition; the first two rounds, three quarters of all
// shuffles, stay within four lanes, where they are cheapest.

constexpr int64_t quad = 4;

/// Of four vectors: lane 4 q + n is what lanes 4 q to 4 q + 3 of vector n add up to.
mlir::Value sumWithinQuads(mlir::OpBuilder &builder, mlir::Location loc, llvm::ArrayRef<mlir::Value> vectors);

/// Of L / 4 vectors: lane 4 v + n is what all lanes 4 q + n of vector v add up to.
mlir::Value sumQuads(mlir::OpBuilder &builder, mlir::Location loc, llvm::ArrayRef<mlir::Value> vectors);

} // namespace tenon
#endif
