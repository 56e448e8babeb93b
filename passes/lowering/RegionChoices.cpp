//===- RegionChoices.cpp - what only one side of a choice needs -----------------------------===//
#include "passes/lowering/RegionChoices.h"
#include "dialects/tenon/Tenon.h"

using namespace mlir;

namespace tenon {

static bool isChoice(Operation *op) { return isa<arith::SelectOp>(op) && isa<FloatType>(op->getResult(0).getType()); }

static bool isSame(RegionChoices::Side a, RegionChoices::Side b) {
  return a.select == b.select && a.isTrue == b.isTrue;
}

RegionChoices::RegionChoices(Block &block, bool isNested) {
  // Backwards: the owners of an operation's users are known.
  for (Operation &op : llvm::reverse(block.without_terminator())) {
    Side owner = isNested ? ownerOf(&op) : Side();
    owners[&op] = owner;
    operations[keyOf(owner)].push_back(&op);
  }
  for (auto &[side, owned] : operations)
    std::reverse(owned.begin(), owned.end());
}

RegionChoices::Side RegionChoices::ownerOf(Operation *op) const {
  std::optional<Side> owner;
  for (OpOperand &use : op->getUses()) {
    Operation *user = use.getOwner();
    bool isSide = isChoice(user) && use.getOperandNumber() > 0;
    Side side = isSide ? Side{user, use.getOperandNumber() == 1} : owners.lookup(user);
    owner = owner ? common(*owner, side) : side;
  }
  return owner.value_or(Side());
}

unsigned RegionChoices::depthOf(Side side) const {
  unsigned depth = 0;
  for (; side.select; side = owners.lookup(side.select))
    ++depth;
  return depth;
}

RegionChoices::Side RegionChoices::common(Side a, Side b) const {
  while (!isSame(a, b))
    (depthOf(a) >= depthOf(b) ? a : b) = owners.lookup((depthOf(a) >= depthOf(b) ? a : b).select);
  return a;
}

llvm::ArrayRef<Operation *> RegionChoices::operationsOf(Side side) const {
  auto found = operations.find(keyOf(side));
  return found == operations.end() ? llvm::ArrayRef<Operation *>() : llvm::ArrayRef<Operation *>(found->second);
}

bool RegionChoices::areLoadsSaved(Operation *select) const {
  auto loads = [&](bool isTrue) {
    return llvm::any_of(operationsOf({select, isTrue}), [](Operation *op) { return isa<LoadOp>(op); });
  };
  return isChoice(select) && (loads(true) || loads(false));
}

} // namespace tenon
