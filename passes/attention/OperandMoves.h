//===- OperandMoves.h - operands read through slices, transposes and reshapes -----------===//
#ifndef TENON_PASSES_ATTENTION_OPERANDMOVES_H
#define TENON_PASSES_ATTENTION_OPERANDMOVES_H

#include "dialects/tenon/AttentionLayout.h"
#include "passes/simplify/View.h"

namespace tenon {

/// A tensor, the dims it is to be reshaped to, and the layout it is then read by.
struct PlacedOperand {
  mlir::Value tensor;
  Shape shape;
  std::string layout;

  bool hasConstantRows() const;
};

/// The furthest tensor behind an operand of `op` whose elements it reads in place. Rows a constant distance apart stay so:
/// attention streams them.
std::optional<PlacedOperand> operandBehindMoves(mlir::Operation *op, mlir::Value tensor, llvm::StringRef layout,
                                                Through through = Through::Movement);

} // namespace tenon
#endif
