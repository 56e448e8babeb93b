//===- IndexRows.cpp - which rows an integer input may name ---------------------------===//
//
// From each load of an argument inside a kernel, forward through what keeps a value an
// index of the same table: casts, and the choice that counts negative numbers from the
// end. Any other arithmetic ends the trace, and the argument has no known table there.
//
#include "compiler/program/IndexRows.h"
#include "llvm/ADT/SmallPtrSet.h"

using namespace mlir;

namespace tenon {
namespace {

bool keepsIndex(Operation *op) {
  return isa<arith::IndexCastOp, arith::IndexCastUIOp, arith::ExtSIOp, arith::ExtUIOp, arith::TruncIOp, arith::SelectOp,
             arith::AddIOp, arith::MaxSIOp, arith::MinSIOp>(op);
}

/// The least constant size of a dimension that `value`, or what keeps it, indexes.
void followIndex(Value value, llvm::SmallPtrSetImpl<Operation *> &seen, std::optional<int64_t> &rows) {
  for (OpOperand &use : value.getUses()) {
    Operation *user = use.getOwner();
    if (auto load = dyn_cast<LoadOp>(user)) {
      if (use.getOperandNumber() == 0)
        continue;
      Shape shape = shapeOf(load.getTensor());
      if (std::optional<int64_t> size = shape[use.getOperandNumber() - 1].constant())
        rows = rows ? std::min(*rows, *size) : *size;
    } else if (keepsIndex(user) && seen.insert(user).second) {
      followIndex(user->getResult(0), seen, rows);
    }
  }
}

std::optional<int64_t> rowsInKernel(KernelOp kernel, Value argument) {
  std::optional<int64_t> rows;
  kernel.getBody().walk([&](ElementRegionsOpInterface op) {
    for (const ElementRegion &region : op.getElementRegions())
      for (const auto &[inside, tensor] : region.tensors) {
        if (tensor != argument)
          continue;
        llvm::SmallPtrSet<Operation *, 8> seen;
        for (Operation *user : inside.getUsers())
          if (auto load = dyn_cast<LoadOp>(user))
            followIndex(load.getResult(), seen, rows);
      }
  });
  return rows;
}

} // namespace

llvm::SmallVector<std::optional<int64_t>> indexRows(func::FuncOp function) {
  SymbolTable symbols(function->getParentOfType<ModuleOp>());
  llvm::SmallVector<std::optional<int64_t>> all;
  for (Value argument : function.getArguments()) {
    std::optional<int64_t> rows;
    SmallVector<Value> work{argument};
    while (!work.empty())
      for (OpOperand &use : work.pop_back_val().getUses()) {
        if (auto reshape = dyn_cast<ReshapeOp>(use.getOwner()))
          work.push_back(reshape.getResult());
        auto dispatch = dyn_cast<DispatchOp>(use.getOwner());
        auto kernel = dispatch ? symbols.lookup<KernelOp>(dispatch.getKernel()) : KernelOp();
        if (!kernel)
          continue;
        std::optional<int64_t> found = rowsInKernel(kernel, kernel.getBody().getArgument(use.getOperandNumber()));
        if (found)
          rows = rows ? std::min(*rows, *found) : *found;
      }
    all.push_back(rows);
  }
  return all;
}

} // namespace tenon
