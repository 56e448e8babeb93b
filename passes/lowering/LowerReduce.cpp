//===- LowerReduce.cpp - sums, products, maxima, minima -----------------------------===//
//
// Two forms. Where the innermost dimension is kept, lanes run along it and each
// accumulates its own column; where it is reduced, lanes are partial results of
// one element, combined at the end.
//
#include "passes/lowering/KernelLowering.h"

using namespace mlir;

namespace tenon {
namespace {

/// f16 and bf16 accumulate in f32.
Type accumulatorOf(Type element) {
  bool isNarrow = isa<FloatType>(element) && element.getIntOrFloatBitWidth() < 32;
  return isNarrow ? Float32Type::get(element.getContext()) : element;
}

struct ReduceLowering {
  KernelLowering &lowering;
  ReduceOp op;
  Shape input = shapeOf(op.getInput());
  Type element = elementOf(op.getInput()), accumulator = accumulatorOf(element);
  Location loc = lowering.loc;
  KernelScope &scope = lowering.scope;

  bool isReduced(int64_t dim) { return llvm::is_contained(op.getOver(), dim); }

  /// The input's indices from those of the result and of the reduced dimensions.
  SmallVector<LaneValue> join(ArrayRef<LaneValue> kept, ArrayRef<LaneValue> reduced) {
    SmallVector<LaneValue> indices;
    for (int64_t dim = 0; dim < int64_t(input.size()); ++dim) {
      ArrayRef<LaneValue> &from = isReduced(dim) ? reduced : kept;
      indices.push_back(from.front());
      from = from.drop_front();
    }
    return indices;
  }

  SmallVector<Value> reducedSizes(bool withInnermost) {
    SmallVector<Value> sizes;
    for (int64_t dim = 0; dim < int64_t(input.size()) - (withInnermost ? 0 : 1); ++dim)
      if (isReduced(dim))
        sizes.push_back(scope.dim(input[dim], loc));
    return sizes;
  }

  Value loadElement(RegionEmitter &emitter, ArrayRef<LaneValue> kept, ArrayRef<LaneValue> reduced) {
    LaneValue value = lowering.reader(op.getInput(), emitter)(join(kept, reduced));
    return convertFloat(lowering.builder, loc, emitter.materialise(value), accumulator);
  }

  static SmallVector<LaneValue> uniform(ArrayRef<Value> point) {
    return llvm::map_to_vector(point, [](Value index) { return LaneValue::uniform(index); });
  }

  LaneValue narrowed(RegionEmitter &emitter, Value total) {
    Value value = convertFloat(lowering.builder, loc, total, element);
    return emitter.getLanes() == 1 ? LaneValue::uniform(value, true) : LaneValue::varying(value);
  }

  KernelGrid alongColumns() {
    Shape result = shapeOf(op.getResult());
    ArrayRef<Dim> outer = ArrayRef<Dim>(result).drop_back();
    Value length = scope.dim(result.back(), loc);
    lowering.forEachRow(countOf(outer), 1, [&](Value row) {
      SmallVector<LaneValue> kept = lowering.delinearise(row, outer);
      Value start = scope.mul(row, length, loc);
      emitLaneLoop(scope, loc, length, lowering.lanesOf(accumulator), [&](RegionEmitter &emitter, const LaneValue &j) {
        SmallVector<LaneValue> indices(kept);
        indices.push_back(j);
        Value identity = identityOf(lowering.builder, loc, op.getKind(), accumulator);
        Value total = emitLoopNest(scope, loc, reducedSizes(true), emitter.materialise(LaneValue::uniform(identity)),
                                   [&](ArrayRef<Value> point, Value carried) {
                                     Value value = loadElement(emitter, indices, uniform(point));
                                     return combine(lowering.builder, loc, op.getKind(), carried, value);
                                   });
        lowering.finish(emitter, indices, scope.add(start, j.value, loc), narrowed(emitter, total));
      });
    });
    return {countOf(outer), Dim(0)};
  }

  KernelGrid alongRow() {
    Shape result = shapeOf(op.getResult());
    int64_t rows = rowsPerTile(countOf(input).exactDiv(countOf(result)).value_or(input.back()));
    RegionEmitter scalar(scope, 1, loc);
    lowering.forEachRow(countOf(result), rows, [&](Value row) {
      SmallVector<LaneValue> kept = lowering.delinearise(row, result);
      Value identity = identityOf(lowering.builder, loc, op.getKind(), accumulator);
      Value length = scope.dim(input.back(), loc);
      auto innermost = [&](ArrayRef<Value> point, Value carried) {
        return emitLaneReduction(scope, loc, length, lowering.lanesOf(accumulator), op.getKind(), carried,
                                 [&](RegionEmitter &emitter, const LaneValue &j) {
                                   SmallVector<LaneValue> reduced = uniform(point);
                                   reduced.push_back(j);
                                   return loadElement(emitter, kept, reduced);
                                 });
      };
      Value total = emitLoopNest(scope, loc, reducedSizes(false), identity, innermost);
      lowering.finish(scalar, kept, row, narrowed(scalar, total));
    });
    return {countOf(result).ceilDiv(Dim(rows)), Dim(0)};
  }
};
} // namespace

KernelGrid lowerReduce(KernelLowering &lowering, ReduceOp reduce) {
  ReduceLowering work{lowering, reduce};
  return work.isReduced(int64_t(work.input.size()) - 1) ? work.alongRow() : work.alongColumns();
}

} // namespace tenon
