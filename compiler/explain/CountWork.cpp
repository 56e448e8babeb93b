//===- CountWork.cpp - what one run of a kernel costs ----------------------------------===//
#include "compiler/explain/CountWork.h"
#include "dialects/tenon/ContractSpec.h"
#include "dialects/tenon/Shape.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SmallPtrSet.h"
#include "llvm/ADT/TypeSwitch.h"

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
  return isa<arith::AddFOp, arith::SubFOp, arith::MulFOp, arith::DivFOp, arith::RemFOp, arith::NegFOp, arith::MaximumFOp,
             arith::MinimumFOp, arith::MaxNumFOp, arith::MinNumFOp>(op);
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

Dim indicesOf(ContractOp contract) {
  std::string error;
  std::optional<ContractSpec> spec = ContractSpec::parse(contract.getSpec(), error);
  Shape lhs = shapeOf(contract.getLhs()), rhs = shapeOf(contract.getRhs()), result = shapeOf(contract.getResult());
  Dim product = countOf(lhs);
  for (StringRef index : spec->columns())
    product *= result[positionOf(index, spec->result)];
  for (StringRef index : spec->lone())
    if (int at = positionOf(index, spec->rhs); at >= 0 && !contract.getPanels())
      product *= rhs[at];
  return product;
}

Dim operationsOf(NormOp norm) {
  int64_t perElement = norm.getKind() == NormKind::RMS ? 4 : 6;
  perElement += (norm.getScale() ? 1 : 0) + (norm.getShift() ? 1 : 0);
  return countOf(shapeOf(norm.getInput())) * Dim(perElement);
}

Dim operationsOf(AttentionOp attention) {
  AttentionOp::Sizes sizes = attention.getSizes();
  int64_t normaliser = attention.getNormaliser() == Normaliser::Softmax ? 4
                       : attention.getNormaliser() == Normaliser::Sum   ? 1
                                                                        : 0;
  Dim perPair = Dim(2) * (sizes.depth + sizes.valueDepth) +
                Dim(operationsOf(attention.getScore()) + operationsOf(attention.getWeight()) + normaliser);
  return sizes.batch * sizes.heads * sizes.queries * sizes.keys * perPair;
}

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
  void read(Value tensor) {
    if (tensor)
      read(tensor, countOf(shapeOf(tensor)));
  }

  /// The loads in `region`, whose block arguments `captures` stand for `tensors`.
  void readLoads(Region &region, ValueRange captures, ValueRange tensors, ArrayRef<std::pair<Value, Dim>> extents) {
    for (auto [capture, tensor] : llvm::zip(captures, tensors))
      for (Operation *user : capture.getUsers())
        if (auto load = dyn_cast<LoadOp>(user))
          read(tensor, elementsTouched(load, extents));
  }

  void add(Operation &op) {
    llvm::TypeSwitch<Operation *>(&op)
        .Case([&](MapOp map) { addMap(map); })
        .Case([&](ContractOp contract) {
          operations += Dim(2) * indicesOf(contract);
          read(contract.getLhs());
          read(contract.getRhs());
        })
        .Case([&](ReduceOp reduce) {
          operations += countOf(shapeOf(reduce.getInput()));
          read(reduce.getInput());
        })
        .Case([&](ScatterOp scatter) {
          operations += Dim(scatter.getBy() ? 1 : 0) * countOf(shapeOf(scatter.getUpdates()));
          read(scatter.getUpdates());
          read(scatter.getInto());
          read(scatter.getPlaces());
        })
        .Case([&](SoftmaxOp softmax) {
          operations += Dim(5) * countOf(shapeOf(softmax.getInput()));
          read(softmax.getInput());
        })
        .Case([&](NormOp norm) {
          operations += operationsOf(norm);
          read(norm.getInput());
          read(norm.getScale());
          read(norm.getShift());
        })
        .Case([&](AttentionOp attention) { addAttention(attention); });
  }

  void addMap(MapOp map) {
    Shape shape = shapeOf(map.getResult());
    operations += Dim(operationsOf(map.getBody())) * countOf(shape);
    SmallVector<std::pair<Value, Dim>> extents;
    for (auto [index, size] : llvm::zip(map.getIndices(), shape))
      extents.push_back({index, size});
    readLoads(map.getBody(), ValueRange(map.getOperandArgs()), map.getInputs(), extents);
  }

  void addAttention(AttentionOp attention) {
    AttentionOp::Sizes sizes = attention.getSizes();
    operations += operationsOf(attention);
    read(attention.getQuery(), sizes.batch * sizes.heads * sizes.queries * sizes.depth);
    for (Value keys : attention.getKeys())
      read(keys, sizes.batch * sizes.keyHeads * sizes.keys * sizes.depth);
    for (Value values : attention.getValues())
      read(values, sizes.batch * sizes.keyHeads * sizes.keys * sizes.valueDepth);
    Dim runs[] = {sizes.batch, sizes.heads, sizes.queries, sizes.keys};
    for (Region *region : {&attention.getScore(), &attention.getKeep(), &attention.getWeight()}) {
      if (region->empty())
        continue;
      // x, where there is one, then b, h, i, j, then the captures.
      auto arguments = region->getArguments();
      auto captures = arguments.take_back(attention.getCaptures().size());
      auto indices = arguments.drop_back(captures.size()).take_back(4);
      SmallVector<std::pair<Value, Dim>> extents;
      for (auto [index, size] : llvm::zip(indices, runs))
        extents.push_back({index, size});
      readLoads(*region, ValueRange(captures), attention.getCaptures(), extents);
    }
  }

  Dim operations;
  llvm::MapVector<Value, Dim> elementsRead;
};

} // namespace

Work countWork(KernelOp kernel) { return WorkCounter().count(kernel); }

} // namespace tenon
