//===- FoldScanMoves.cpp - recurrences read through slices, transposes and reshapes -------===//
#include "mlir/IR/Remarks.h"
#include "passes/Passes.h"
#include "passes/attention/OperandMoves.h"

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_FOLDSCANMOVES
#include "passes/Passes.h.inc"

namespace {

struct FoldScanMoves : impl::FoldScanMovesBase<FoldScanMoves> {
  void runOnOperation() override {
    getOperation().walk([](ScanOp op) { fold(op); });
  }

  static void fold(ScanOp op) {
    SmallVector<Attribute> layouts(op.getLayouts().begin(), op.getLayouts().end());
    OpBuilder builder(op);
    for (auto [number, input] : llvm::enumerate(SmallVector<Value>(op.getInputs()))) {
      std::optional<PlacedOperand> placed = operandBehindMoves(op, input, op.getLayout(number));
      if (!placed)
        continue;
      op->setOperand(number, reshapeTo(builder, op.getLoc(), placed->tensor, placed->shape));
      layouts[number] = builder.getStringAttr(placed->layout);
      op.setLayoutsAttr(builder.getArrayAttr(layouts));
    }
  }
};

} // namespace
} // namespace tenon
