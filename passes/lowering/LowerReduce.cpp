//===- LowerReduce.cpp - sums, products, maxima, minima -----------------------------===//
//
// Two forms. Where the innermost dimension is kept, lanes run along it and each
// accumulates its own column; where it is reduced, lanes are partial results of
// one element, combined at the end.
//
// A sum over the elements up to each one (or from each one on) is a running sum: one
// pass over the axis instead of one for each of its elements.
//
#include "passes/lowering/KernelLowering.h"
#include "passes/simplify/IndexExpression.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace tenon {

Type accumulatorOf(Type element) {
  bool isNarrow = isa<FloatType>(element) && element.getIntOrFloatBitWidth() < 32;
  return isNarrow ? Float32Type::get(element.getContext()) : element;
}

namespace {

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

/// Element i of the result combines the elements t of the input with t < i, t <= i, t > i or t >= i along `axis`.
struct RunningReduction {
  int64_t axis;
  bool isReverse, isExclusive;

  static std::optional<RunningReduction> match(ReduceOp op);
};
} // namespace

/// The comparison of t with i that `compare` is, whichever stands first; none where it is another.
static std::optional<arith::CmpIPredicate> comparisonWith(arith::CmpIOp compare, Value t, Value &i) {
  using P = arith::CmpIPredicate;
  i = compare.getRhs();
  if (compare.getLhs() == t)
    return compare.getPredicate();
  i = compare.getLhs();
  if (compare.getRhs() != t)
    return std::nullopt;
  switch (compare.getPredicate()) {
  case P::slt: return P::sgt;
  case P::sle: return P::sge;
  case P::sgt: return P::slt;
  case P::sge: return P::sle;
  default: return std::nullopt;
  }
}

static bool isIdentity(Value value, ReduceKind kind) {
  if (kind != ReduceKind::Sum && kind != ReduceKind::Product)
    return false;
  bool isSum = kind == ReduceKind::Sum;
  return isa<FloatType>(value.getType()) ? matchPattern(value, isSum ? m_AnyZeroFloat() : m_OneFloat())
                                         : matchPattern(value, isSum ? m_Zero() : m_One());
}

// The input is a map: select(t <= i, term(t), identity), where i is an index of the result.
std::optional<RunningReduction> RunningReduction::match(ReduceOp op) {
  auto map = op.getInput().getDefiningOp<MapOp>();
  int64_t last = shapeOf(op.getInput()).size() - 1;
  if (!map || op.getOver().size() != 1 || op.getOver()[0] != last)
    return std::nullopt;
  auto select = map.getBody().front().getTerminator()->getOperand(0).getDefiningOp<arith::SelectOp>();
  auto compare = select ? select.getCondition().getDefiningOp<arith::CmpIOp>() : arith::CmpIOp();
  if (!compare || !isIdentity(select.getFalseValue(), op.getKind()))
    return std::nullopt;
  Value t = map.getIndices()[last], i;
  std::optional<arith::CmpIPredicate> predicate = comparisonWith(compare, t, i);
  int64_t axis = llvm::find(map.getIndices(), i) - map.getIndices().begin();
  if (!predicate || axis >= last || shapeOf(op.getInput())[axis] != shapeOf(op.getInput())[last] ||
      dependsOnIndex(select.getTrueValue(), i))
    return std::nullopt;
  using P = arith::CmpIPredicate;
  bool isReverse = *predicate == P::sgt || *predicate == P::sge,
       isExclusive = *predicate == P::sgt || *predicate == P::slt;
  if (!isReverse && !isExclusive && *predicate != P::sle)
    return std::nullopt;
  return RunningReduction{axis, isReverse, isExclusive};
}

namespace {
struct RunningLowering : ReduceLowering {
  RunningLowering(ReduceLowering base, RunningReduction running) : ReduceLowering(base), running(running) {}

  RunningReduction running;
  Shape result = shapeOf(op.getResult());
  SmallVector<Value> strides = scope.strides(result, loc);

  /// Along the axis from `at`, whose index there is filled in; `start` is the position of its first element.
  void run(RegionEmitter &emitter, SmallVector<LaneValue> at, Value start) {
    Value length = scope.dim(result[running.axis], loc), one = scope.index(1, loc);
    Value identity = identityOf(lowering.builder, loc, op.getKind(), accumulator);
    emitLoopNest(scope, loc, length, emitter.materialise(LaneValue::uniform(identity)),
                 [&](ArrayRef<Value> point, Value total) {
                   Value t = running.isReverse ? scope.sub(scope.sub(length, one, loc), point[0], loc) : point[0];
                   // Seen from its neighbour, element t counts even where the sum is without an element itself.
                   Value seenFrom = !running.isExclusive ? t
                                    : running.isReverse  ? scope.sub(t, one, loc)
                                                         : scope.add(t, one, loc);
                   at[running.axis] = LaneValue::uniform(seenFrom);
                   Value element = loadElement(emitter, at, LaneValue::uniform(t));
                   Value sum = combine(lowering.builder, loc, op.getKind(), total, element);
                   at[running.axis] = LaneValue::uniform(t);
                   Value offset = scope.add(start, scope.mul(t, strides[running.axis], loc), loc);
                   lowering.finish(emitter, at, offset, narrowed(emitter, running.isExclusive ? total : sum));
                   return sum;
                 });
  }

  /// Lanes along the last dimension, where it is not the axis.
  KernelGrid lower() {
    bool isLast = running.axis == int64_t(result.size()) - 1;
    Shape outer(ArrayRef<Dim>(result).drop_back());
    if (!isLast)
      outer[running.axis] = Dim(1);
    lowering.forEachRow(countOf(outer), 1, [&](Value row) {
      SmallVector<LaneValue> at = lowering.delinearise(row, outer);
      Value start = scope.index(0, loc);
      for (auto [index, stride] : llvm::zip(at, strides))
        start = scope.add(start, scope.mul(index.value, stride, loc), loc);
      at.emplace_back();
      if (isLast) {
        RegionEmitter scalar(scope, 1, loc);
        return run(scalar, at, start);
      }
      emitLaneLoop(scope, loc, scope.dim(result.back(), loc), lowering.lanesOf(accumulator),
                   [&](RegionEmitter &emitter, const LaneValue &j) {
                     at.back() = j;
                     run(emitter, at, scope.add(start, j.value, loc));
                   });
    });
    return {countOf(outer), Dim(0)};
  }
};
} // namespace

bool isRunning(ReduceOp reduce) { return RunningReduction::match(reduce).has_value(); }

KernelGrid lowerReduce(KernelLowering &lowering, ReduceOp reduce) {
  if (std::optional<RunningReduction> running = RunningReduction::match(reduce))
    return RunningLowering({lowering, reduce}, *running).lower();
  ReduceLowering work{lowering, reduce};
  return work.isReduced(int64_t(work.input.size()) - 1) ? work.alongRow() : work.alongColumns();
}

} // namespace tenon
