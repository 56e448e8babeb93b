//===- CountWork.cpp - what one run of a kernel costs ----------------------------------===//
#include "compiler/explain/CountWork.h"
#include "dialects/tenon/Shape.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SmallPtrSet.h"

using namespace mlir;

namespace tenon {
namespace {

//===----------------------------------------------------------------------------===//
// Regions
//===----------------------------------------------------------------------------===//

int64_t operationsOf(Operation &op) {
  if (op.getNumResults() != 1 || !isa<FloatType>(op.getResult(0).getType()))
    return 0;
  if (isa<math::FmaOp>(op))
    return 2;
  if (isa<math::MathDialect>(op.getDialect()))
    return 1;
  return isa<arith::AddFOp, arith::SubFOp, arith::MulFOp, arith::DivFOp, arith::RemFOp, arith::NegFOp,
             arith::MaximumFOp, arith::MinimumFOp, arith::MaxNumFOp, arith::MinNumFOp>(op);
}

int64_t operationsOf(Region &region) {
  int64_t sum = 0;
  region.walk([&](Operation *op) { sum += operationsOf(*op); });
  return sum;
}

/// The block arguments that `value` is computed from.
void collectArguments(Value value, llvm::SmallPtrSetImpl<Value> &arguments) {
  if (isa<BlockArgument>(value)) {
    arguments.insert(value);
    return;
  }
  for (Value operand : value.getDefiningOp()->getOperands())
    collectArguments(operand, arguments);
}

/// How many different elements a load can touch while the region's indices run over
/// `extents`: only the indices it depends on count.
Dim elementsTouched(LoadOp load, ArrayRef<std::pair<Value, Dim>> extents) {
  llvm::SmallPtrSet<Value, 8> arguments;
  for (Value index : load.getIndices())
    collectArguments(index, arguments);
  Dim touched(1);
  for (const auto &[index, extent] : extents)
    if (arguments.contains(index))
      touched *= extent;
  return touched;
}

//===----------------------------------------------------------------------------===//
// Operations of a kernel
//===----------------------------------------------------------------------------===//

class WorkCounter {
public:
  Work count(KernelOp kernel) {
    for (Operation &op : kernel.getBody().front().without_terminator())
      add(op);
    Work work;
    work.operations = operations;
    for (const auto &[tensor, elements] : elementsRead)
      work.bytesRead += Dim::min(elements, countOf(shapeOf(tensor))) * bytesPerElement(tensor.getType());
    for (Type result : kernel.getResultTypes())
      work.bytesWritten += countOf(shapeOf(result)) * bytesPerElement(result);
    return work;
  }

private:
  static Dim bytesPerElement(Type tensor) {
    Type element = cast<RankedTensorType>(tensor).getElementType();
    return Dim(element.isIndex() ? 8 : llvm::divideCeil(element.getIntOrFloatBitWidth(), 8));
  }

  /// Counts only what comes from outside of the kernel.
  void read(Value tensor, const Dim &elements) {
    if (isa<BlockArgument>(tensor))
      elementsRead[tensor] += elements;
  }

  void add(Operation &op) {
    if (auto root = dyn_cast<KernelRootOpInterface>(op)) {
      operations += root.countOperations();
      for (const auto &[tensor, elements] : root.countReads())
        read(tensor, elements);
    }
    if (auto regions = dyn_cast<ElementRegionsOpInterface>(op))
      for (const ElementRegion &region : regions.getElementRegions())
        add(region);
  }

  void add(const ElementRegion &region) {
    Dim points(1);
    for (const auto &[index, extent] : region.indices)
      points *= extent;
    operations += Dim(operationsOf(*region.region)) * points;
    for (const auto &[argument, tensor] : region.tensors)
      for (Operation *user : argument.getUsers())
        if (auto load = dyn_cast<LoadOp>(user))
          read(tensor, elementsTouched(load, region.indices));
  }

  Dim operations;
  llvm::MapVector<Value, Dim> elementsRead;
};

} // namespace

Work countWork(KernelOp kernel) { return WorkCounter().count(kernel); }

} // namespace tenon
