//===- KernelLowering.cpp - one kernel on its way to loops and vectors -------------===//
#include "passes/lowering/KernelLowering.h"
#include "passes/simplify/IndexExpression.h"

using namespace mlir;

namespace tenon {

unsigned KernelLowering::lanesOf(Type element) const {
  Type stored = KernelScope::memoryType(element);
  // Narrow types ride in the lanes of the arithmetic beside them.
  unsigned bits = std::max(32u, stored.getIntOrFloatBitWidth());
  return target.getVectorBits() / bits;
}

Value KernelLowering::memoryOf(Value tensor) {
  auto argument = dyn_cast<BlockArgument>(tensor);
  return argument && argument.getOwner()->getParentOp() == kernel ? scope.function.operand(argument.getArgNumber())
                                                                   : Value();
}

Value KernelLowering::resultMemory(unsigned number) {
  return scope.function.operand(kernel.getArgumentTypes().size() + number);
}

TensorReader KernelLowering::reader(Value tensor, RegionEmitter &emitter) {
  if (Value memory = memoryOf(tensor))
    return emitter.memoryReader(memory, cast<RankedTensorType>(tensor.getType()));
  auto map = tensor.getDefiningOp<MapOp>();
  assert(map && "FormKernels puts only maps before a root");
  return [this, map, &emitter](ArrayRef<LaneValue> indices) mutable {
    auto readers = llvm::map_to_vector(map.getInputs(), [&](Value input) { return reader(input, emitter); });
    return emitter.evaluate(map.getBody(), indices, readers);
  };
}

void KernelLowering::finish(RegionEmitter &emitter, ArrayRef<LaneValue> indices, Value offset,
                            const LaneValue &element) {
  auto map = returned().getDefiningOp<MapOp>();
  if (!map)
    return emitter.store(element, resultMemory(), offset);
  SmallVector<TensorReader> readers;
  for (Value input : map.getInputs()) {
    bool isRoot = input.getDefiningOp() && !input.getDefiningOp<MapOp>();
    readers.push_back(isRoot ? TensorReader([&](ArrayRef<LaneValue>) { return element; }) : reader(input, emitter));
  }
  emitter.store(emitter.evaluate(map.getBody(), indices, readers), resultMemory(), offset);
}

/// A lane that is left out reads zeros: nothing may divide by it, or find it out of range as an index. Levels without
/// masks for vectors of 16-bit floats would take them apart.
static bool mayLeaveLanesOut(KernelOp kernel, MapOp map) {
  auto isHalf = [](Type type) { return isa<Float16Type, BFloat16Type>(getElementTypeOrSelf(type)); };
  FunctionType type = kernel.getFunctionType();
  if (llvm::any_of(type.getInputs(), isHalf) || llvm::any_of(type.getResults(), isHalf))
    return false;
  auto mustExist = [](Operation *op) {
    if (auto load = dyn_cast<LoadOp>(op))
      return llvm::any_of(load.getIndices(), readsData);
    return isa<arith::DivSIOp, arith::DivUIOp, arith::RemSIOp, arith::RemUIOp, arith::FloorDivSIOp, arith::CeilDivSIOp,
               arith::CeilDivUIOp>(op);
  };
  return !map || llvm::none_of(map.getBody().front(), [&](Operation &op) { return mustExist(&op); });
}

void KernelLowering::forEachElement(Value count, function_ref<void(RegionEmitter &, const LaneValue &)> body) {
  unsigned lanes = target.getVectorBits() / 32;
  if (!mayLeaveLanesOut(kernel, returned().getDefiningOp<MapOp>()))
    return emitLaneLoop(scope, loc, count, lanes, body);
  emitMaskedLaneLoop(scope, loc, count, lanes, body);
}

void KernelLowering::forEachRow(const Dim &rows, int64_t rowsPerTile, function_ref<void(Value)> body) {
  Value size = scope.index(rowsPerTile, loc);
  Value begin = scope.mul(scope.function.firstTile(), size, loc);
  Value end = scope.minimum(scope.mul(scope.function.lastTile(), size, loc), scope.dim(rows, loc), loc);
  emitLoop(scope, loc, begin, end, body);
}

SmallVector<LaneValue> KernelLowering::delinearise(Value row, ArrayRef<Dim> shape) {
  SmallVector<LaneValue> indices(shape.size());
  for (int64_t i = int64_t(shape.size()) - 1; i >= 0; --i) {
    if (shape[i] == Dim(1)) {
      indices[i] = LaneValue::uniform(scope.index(0, loc));
      continue;
    }
    bool isOutermost = llvm::all_of(shape.take_front(i), [](const Dim &dim) { return dim == Dim(1); });
    if (isOutermost) {
      indices[i] = LaneValue::uniform(row);
      row = scope.index(0, loc);
      continue;
    }
    Value size = scope.dim(shape[i], loc);
    indices[i] = LaneValue::uniform(builder.createOrFold<arith::RemUIOp>(loc, row, size));
    row = builder.createOrFold<arith::DivUIOp>(loc, row, size);
  }
  return indices;
}

int64_t rowsPerTile(const Dim &rowLength) {
  int64_t length = rowLength.constant().value_or(512);
  return std::max<int64_t>(1, elementsPerTile / std::max<int64_t>(1, length));
}

} // namespace tenon
