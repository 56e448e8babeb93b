// Operands of a product as it steps through k: the rows of A and the panels of B.
//
// Step k of a stream is at offset + k * kStride + apart of its base, which LLVM turns into as few pointers as it can: one, where
// rows are a constant distance apart. Some machines' loads do not reach from there. A stream may therefore have a
// pointer of its own, carried from turn to turn of the loop over k, of which LLVM does not know how far it is from the others:
//
//   add x9, x11, #2112                     ld1rw { z14.s }, p1/z, [x9]
//   ld1rw { z14.s }, p1/z, [x9]            ld1rw { z14.s }, p1/z, [x9, #4]      the next step
//
// the latter with one addition for each pointer and turn.

#pragma once

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Builders.h"

namespace tenon {

struct OperandStream {
  mlir::Value base;   // memref<?xf32>
  mlir::Value offset; // index: where the first of the streams begins
  mlir::Value apart;  // index: from there to this one; null: none
  mlir::OpFoldResult kStride;
  bool hasPointer = false;
  mlir::Value pointer = {}; // in a turn of the loop, where it has one: to element 0
};

struct StreamElement {
  mlir::Value base, offset; // memref<?xf32>, index
};

using OperandStreams = llvm::SmallVector<OperandStream, 8>;

/// The address of element `offset` (index) of `base`, as a pointer of LLVM.
mlir::Value elementPointer(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value base, mlir::Value offset);

/// Step `u` of a stream.
StreamElement elementAt(mlir::OpBuilder &builder, mlir::Location loc, const OperandStream &stream, unsigned u);

/// The pointers, at step `k` (index), of the streams that have one: what a loop carries.
llvm::SmallVector<mlir::Value> streamPointers(mlir::OpBuilder &builder, mlir::Location loc,
                                              const OperandStreams &streams, mlir::Value k);

/// In a turn of the loop: the streams as seen from step `k`, whose element 0 that is. Takes their pointers, those carried, off the
/// front of `pointers`.
OperandStreams streamsAt(mlir::OpBuilder &builder, mlir::Location loc, const OperandStreams &streams, mlir::Value k,
                         llvm::ArrayRef<mlir::Value> &pointers);

/// What is carried to the turn `steps` later of streams that streamsAt returned. To be emitted behind the last use of their
/// elements, where a pointer can be moved in its register.
llvm::SmallVector<mlir::Value> movedPointers(mlir::OpBuilder &builder, mlir::Location loc, const OperandStreams &streams,
                                             unsigned steps);

} // namespace tenon
