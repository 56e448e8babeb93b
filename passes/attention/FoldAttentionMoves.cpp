//===- FoldAttentionMoves.cpp - attention reads through slices, transposes, reshapes and casts===//
#include "mlir/IR/Remarks.h"
#include "passes/Passes.h"
#include "passes/attention/OperandMoves.h"

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_FOLDATTENTIONMOVES
#include "passes/Passes.h.inc"

namespace {

struct FoldAttentionMoves : impl::FoldAttentionMovesBase<FoldAttentionMoves> {
  void runOnOperation() override {
    getOperation().walk([](AttentionOp op) { fold(op); });
  }

  static void fold(AttentionOp op) {
    SmallVector<Attribute> layouts(op.getLayouts().begin(), op.getLayouts().end());
    OpBuilder builder(op);
    unsigned moved = 0;
    for (unsigned number = 0; number < 1 + 2 * op.getKeys().size(); ++number) {
      // A cache of bf16 is read as such; the query says in what the products are computed.
      Through through = number > 0 ? Through::MovementAndWidening : Through::Movement;
      std::optional<PlacedOperand> placed =
          operandBehindMoves(op, op->getOperand(number), op.getLayout(number), through);
      if (!placed)
        continue;
      op->setOperand(number, reshapeTo(builder, op.getLoc(), placed->tensor, placed->shape));
      layouts[number] = builder.getStringAttr(placed->layout);
      op.setLayoutsAttr(builder.getArrayAttr(layouts));
      ++moved;
    }
    auto options = remark::RemarkOpts::name("moves").category("tenon-fold-attention-moves");
    if (moved)
      remark::passed(op.getLoc(), options)
          << remark::add("{0} operands are read where they were before being moved", moved);
  }
};

} // namespace
} // namespace tenon
