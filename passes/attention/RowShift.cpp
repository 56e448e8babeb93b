//===- RowShift.cpp - what a softmax does not depend on -----------------------------------===//
#include "passes/attention/RowShift.h"
#include "passes/simplify/IndexExpression.h"

using namespace mlir;

namespace tenon {

void eraseDeadOps(Operation *last) {
  SmallVector<Operation *> candidates{last};
  while (!candidates.empty()) {
    Operation *op = candidates.pop_back_val();
    if (!op->use_empty() || !isMemoryEffectFree(op))
      continue;
    llvm::SmallSetVector<Operation *, 4> producers;
    for (Value operand : op->getOperands())
      if (Operation *producer = operand.getDefiningOp())
        producers.insert(producer);
    op->erase();
    for (Operation *producer : producers)
      if (!llvm::is_contained(candidates, producer))
        candidates.push_back(producer);
  }
}

void eraseUnreadInputs(MapOp map) {
  for (unsigned input = map.getInputs().size(); input-- > 0;) {
    if (!map.getOperandArgs()[input].use_empty())
      continue;
    map.getBody().front().eraseArgument(input);
    map.getInputsMutable().erase(input);
  }
}

bool dropRowShift(SoftmaxOp softmax) {
  auto map = softmax.getInput().getDefiningOp<MapOp>();
  auto difference = map ? map.getYielded().getDefiningOp<arith::SubFOp>() : arith::SubFOp();
  if (!difference || dependsOnIndex(difference.getRhs(), map.getIndices()[softmax.getOver()]))
    return false;
  OpBuilder builder(softmax);
  auto unshifted = cast<MapOp>(builder.clone(*map));
  Operation *yield = unshifted.getBody().front().getTerminator();
  auto copy = yield->getOperand(0).getDefiningOp<arith::SubFOp>();
  yield->setOperand(0, copy.getLhs());
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(unshifted.getBody().front())))
    if (op.use_empty() && !op.hasTrait<OpTrait::IsTerminator>())
      op.erase();
  eraseUnreadInputs(unshifted);
  softmax.getInputMutable().assign(unshifted.getResult());
  if (map->use_empty())
    eraseDeadOps(map);
  return true;
}

} // namespace tenon
