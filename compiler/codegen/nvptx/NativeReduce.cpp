//===- NativeReduce.cpp - sums, products, maxima, minima on a GPU -------------------===//
//
// Where the innermost dimension is kept, or only few elements meet in one, a thread computes one element of the
// result. Else a warp does, its threads along what is reduced; the whole block where elements of the result are few.
//
#include "compiler/codegen/nvptx/ThreadGroup.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace tenon {
namespace {

class ReduceEmitter {
public:
  ReduceEmitter(DeviceLowering &native, ReduceOp op)
      : native(native), lowering(native.kernel), op(op), emitter(lowering.scope, 1, lowering.loc) {
    for (auto [dim, size] : llvm::enumerate(input))
      if (isReduced(dim))
        reduced.push_back(size);
  }

  void byThreads() {
    emitElements(native, countOf(result), [&](Value element) {
      SmallVector<LaneValue> kept = lowering.delinearise(element, result);
      Value identity = identityOf(lowering.builder, loc, op.getKind(), accumulator);
      auto sizes = llvm::map_to_vector(reduced, [&](const Dim &size) { return scope.dim(size, loc); });
      Value total = emitLoopNest(scope, loc, sizes, identity, [&](ArrayRef<Value> point, Value carried) {
        auto at = llvm::map_to_vector(point, [](Value index) { return LaneValue::uniform(index); });
        return combine(lowering.builder, loc, op.getKind(), carried, load(kept, at));
      });
      finish(kept, element, total);
    });
  }

  void byGroups(ThreadGroup::Kind kind) {
    ThreadGroup group(native, kind);
    int64_t groups = native.function.blockThreads / group.size;
    Value element = scope.add(scope.mul(native.function.block, scope.index(groups, loc), loc), group.number, loc);
    Value exists = compare(arith::CmpIPredicate::ult, element, scope.dim(countOf(result), loc));
    emitIf(scope, loc, exists, [&] {
      SmallVector<LaneValue> kept = lowering.delinearise(element, result);
      Value total = group.reduce(scope.dim(countOf(reduced), loc), op.getKind(), accumulator,
                                 [&](Value j) { return load(kept, lowering.delinearise(j, reduced)); });
      Value isFirst = compare(arith::CmpIPredicate::eq, group.rank, scope.index(0, loc));
      emitIf(scope, loc, isFirst, [&] { finish(kept, element, total); });
    });
  }

private:
  bool isReduced(int64_t dim) { return llvm::is_contained(op.getOver(), dim); }

  Value compare(arith::CmpIPredicate predicate, Value a, Value b) {
    return arith::CmpIOp::create(lowering.builder, loc, predicate, a, b);
  }

  Value load(ArrayRef<LaneValue> kept, ArrayRef<LaneValue> at) {
    SmallVector<LaneValue> indices;
    for (int64_t dim = 0; dim < int64_t(input.size()); ++dim) {
      ArrayRef<LaneValue> &from = isReduced(dim) ? at : kept;
      indices.push_back(from.front());
      from = from.drop_front();
    }
    Value value = emitter.materialise(lowering.reader(op.getInput(), emitter)(indices));
    return convertFloat(lowering.builder, loc, value, accumulator);
  }

  void finish(ArrayRef<LaneValue> kept, Value element, Value total) {
    Value value = convertFloat(lowering.builder, loc, total, elementOf(op.getInput()));
    lowering.finish(emitter, kept, element, LaneValue::uniform(value, true));
  }

  DeviceLowering &native;
  KernelLowering &lowering;
  ReduceOp op;
  KernelScope &scope = lowering.scope;
  Location loc = lowering.loc;
  RegionEmitter emitter;
  Shape input = shapeOf(op.getInput()), result = shapeOf(op.getResult()), reduced;
  Type accumulator = accumulatorOf(elementOf(op.getInput()));
};

constexpr unsigned groupThreads = 128;
/// Fewer elements than this meet in one: not worth a warp.
constexpr int64_t fewestOfWarp = 16;
/// With as many elements of the result, or more, warps fill the machine.
constexpr int64_t fewestWarps = 512;

} // namespace

std::optional<DeviceForm> nativeReduce(ReduceOp op, std::string &reason) {
  if (isRunning(op)) {
    reason = "a running " + stringifyReduceKind(op.getKind()).str() + " has no form of its own";
    return std::nullopt;
  }
  Shape input = shapeOf(op.getInput());
  Dim results = countOf(shapeOf(op.getResult()));
  Dim reduced(1);
  for (int64_t dim : op.getOver())
    reduced *= input[dim];
  bool isInnermost = llvm::is_contained(op.getOver(), int64_t(input.size()) - 1);
  if (!isInnermost || reduced.constant().value_or(fewestOfWarp) < fewestOfWarp) {
    DeviceForm form = elementForm("reduce, a thread an element", results);
    form.emit = [op](DeviceLowering &native) {
      ReduceEmitter(native, op).byThreads();
      return success();
    };
    return form;
  }
  auto kind = results.constant().value_or(fewestWarps) < fewestWarps ? ThreadGroup::Block : ThreadGroup::Warp;
  DeviceForm form;
  form.name = kind == ThreadGroup::Warp ? "reduce, a warp an element" : "reduce, a block an element";
  form.blockThreads = groupThreads;
  form.tiles = results.ceilDiv(Dim(int64_t(kind == ThreadGroup::Warp ? groupThreads / warpThreads : 1)));
  form.emit = [op, kind](DeviceLowering &native) {
    ReduceEmitter(native, op).byGroups(kind);
    return success();
  };
  return form;
}

} // namespace tenon
