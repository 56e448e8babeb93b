//===- MapCost.cpp - what evaluating a map's region again would cost -----------------===//
#include "passes/simplify/MapCost.h"

using namespace mlir;

namespace tenon {

/// Arithmetic operations a region may hold and still be cheaper to evaluate again than to load.
static constexpr unsigned cheapOperations = 12;

static bool isCheap(Operation &op) {
  if (isa<math::MathDialect>(op.getDialect()) && !isa<math::AbsFOp, math::FmaOp, math::FloorOp, math::IsNaNOp>(op))
    return false;
  return !isa<arith::DivFOp, arith::RemFOp>(op);
}

bool isCheap(MapOp map) {
  Block &body = map.getBody().front();
  return llvm::all_of(body, [](Operation &op) { return isCheap(op); }) &&
         llvm::count_if(body, [](Operation &op) { return !isa<LoadOp, YieldOp, SizeOp, arith::ConstantOp>(op); }) <=
             cheapOperations;
}

/// Marks the indices of the map that a value depends on.
static void collectIndices(Value value, MapOp map, llvm::SmallBitVector &found) {
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    if (argument.getArgNumber() >= map.getInputs().size())
      found.set(argument.getArgNumber() - map.getInputs().size());
    return;
  }
  for (Value operand : value.getDefiningOp()->getOperands())
    collectIndices(operand, map, found);
}

/// The same element is read for all positions along some dimension of the result.
static bool isShared(LoadOp load, MapOp map) {
  Shape shape = shapeOf(map.getResult());
  llvm::SmallBitVector found(shape.size());
  for (Value index : load.getIndices())
    collectIndices(index, map, found);
  for (unsigned i = 0; i < shape.size(); ++i)
    if (shape[i] != Dim(1) && !found.test(i))
      return true;
  return false;
}

bool isFreeToRepeat(MapOp map) {
  if (!isCheap(map))
    return false;
  auto loads = llvm::to_vector(map.getBody().front().getOps<LoadOp>());
  return loads.size() <= 1 || llvm::all_of(loads, [&](LoadOp load) { return isShared(load, map); });
}

} // namespace tenon
