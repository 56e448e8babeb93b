//===- AttentionRegions.h - what attention and its states share -------------------===//
//
// tenon.attention and tenon.attention_update have the same regions (score, keep,
// weight), the same layouts and the same rules of sizes. Their text and their
// checks are written here once.
//
#ifndef TENON_DIALECTS_TENON_ATTENTIONREGIONS_H
#define TENON_DIALECTS_TENON_ATTENTIONREGIONS_H

#include "dialects/tenon/AttentionLayout.h"
#include "dialects/tenon/Tenon.h"
#include "mlir/IR/OpImplementation.h"

namespace tenon {

/// What a score is computed in: float64 for float64 queries, else float32.
mlir::Type scoreTypeOf(mlir::Type queryType);

/// The arguments of a region: (score,)? batch, head, query, key, then the captured tensors.
llvm::SmallVector<mlir::Type> regionArguments(mlir::MLIRContext *context, mlir::Type score, mlir::TypeRange captures);

/// The block of a new region with these arguments, to whose end the builder goes.
mlir::Block *addRegionBlock(mlir::OpBuilder &builder, mlir::Region &region, mlir::Type score, mlir::ValueRange captures,
                            mlir::Location loc);

/// `score (%x, %b, %h, %i, %j, %t) { … }` or `= …`, or nothing.
mlir::ParseResult parseOptionalRegion(mlir::OpAsmParser &parser, llvm::StringRef keyword,
                                      llvm::ArrayRef<mlir::Type> arguments, mlir::Type yielded, mlir::Region &region);
void printOptionalRegion(mlir::OpAsmPrinter &printer, llvm::StringRef keyword, mlir::Region &region);

/// The layout `text` of a tensor; errors are `op`'s, about its operand or result `what`.
mlir::LogicalResult verifyLayout(mlir::Operation *op, llvm::StringRef text, llvm::StringRef what, mlir::Value tensor,
                                 llvm::StringRef required = "nd");

/// "wants <what> <wanted>, found <found>" unless the two are equal.
mlir::LogicalResult wantEqual(mlir::Operation *op, llvm::StringRef what, const Dim &wanted, const Dim &found);

/// Query heads are shared out evenly among key heads.
mlir::LogicalResult verifyHeads(mlir::Operation *op, const AttentionOp::Sizes &sizes);

/// Keys and values of one source agree with each other and with the queries' depth and batch.
mlir::LogicalResult verifySource(mlir::Operation *op, const AttentionOp::Sizes &sizes, const AttentionLayout &k,
                                 mlir::Value key, const AttentionLayout &v, mlir::Value value);

/// A region that is there has these arguments, no side effects, and yields one `yielded`.
mlir::LogicalResult verifyRegion(mlir::Operation *op, llvm::StringRef name, mlir::Region &region,
                                 llvm::ArrayRef<mlir::Type> arguments, mlir::Type yielded);

} // namespace tenon
#endif
