//===- NativeRows.cpp - softmax and normalisation of rows on a GPU ------------------===//
//
// A short row is a warp's, a long one or one of unknown length a block's. Its elements are computed once, by whatever
// producers, and kept in shared memory where the row is known to fit; else they are computed again in each pass. A
// thread reads from there what it has written itself, so that there is nothing to wait for. It takes four neighbours at
// once, one access of 16 bytes, where all that is read for them lies so.
//
#include "compiler/codegen/nvptx/MapReads.h"
#include "compiler/codegen/nvptx/ThreadGroup.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "passes/lowering/NormalisedRow.h"

using namespace mlir;

namespace tenon {
namespace {

/// How rows are shared among threads.
struct RowPlan {
  Shape shape;
  Dim rows;
  std::optional<int64_t> length;
  Type real;
  int64_t lanes; ///< Neighbours a thread takes at once.

  /// Of the rows of `source`, one of the root's operands; `parameters` are the others.
  RowPlan(Operation *root, Value source, ValueRange parameters = {})
      : shape(shapeOf(source)), rows(countOf(ArrayRef<Dim>(shape).drop_back())), length(shape.back().constant()),
        real(NormalisedRow::computedIn(elementOf(source))),
        lanes(mayTakeFour(root, source, parameters) ? MapReads::four : 1) {}

  bool isWarps() const { return length && *length <= longestOfWarp; }
  unsigned rowsPerBlock() const { return isWarps() ? threads / warpThreads : 1; }
  /// Elements of shared memory; 0 where rows are computed again.
  int64_t kept() const {
    int64_t count = length.value_or(0) * rowsPerBlock();
    return count * real.getIntOrFloatBitWidth() / 8 <= sharedBytes ? count : 0;
  }

  static constexpr unsigned threads = 128;
  static constexpr int64_t longestOfWarp = 1024, sharedBytes = 32 * 1024;

private:
  bool mayTakeFour(Operation *root, Value source, ValueRange parameters) {
    auto map = source.getDefiningOp<MapOp>();
    bool isRead = map ? MapReads(map).mayTakeFour() : isa<BlockArgument>(source);
    auto behind =
        root->getParentOfType<KernelOp>().getBody().front().getTerminator()->getOperand(0).getDefiningOp<MapOp>();
    return length && *length % MapReads::four == 0 && !real.isF64() && isRead &&
           llvm::all_of(parameters, llvm::IsaPred<BlockArgument>) &&
           (!behind || MapReads(behind).mayTakeFour(root->getResult(0)));
  }
};

/// One row, by one group of threads.
class RowEmitter {
public:
  RowEmitter(DeviceLowering &native, const RowPlan &plan, Value source)
      : lowering(native.kernel), plan(plan), source(source),
        group(native, plan.isWarps() ? ThreadGroup::Warp : ThreadGroup::Block), emitter(scope, plan.lanes, loc),
        length(scope.dim(plan.shape.back(), loc)) {
    if (int64_t count = plan.kept())
      memory = native.function.shared(builder, loc, plan.real, count);
    start = scope.mul(group.number, length, loc);
  }

  /// Emits body(row) for this group's row, where there is one.
  void forRow(Value block, function_ref<void(Value row)> body) {
    Value row = scope.add(scope.mul(block, scope.index(plan.rowsPerBlock(), loc), loc), group.number, loc);
    Value exists = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, row, scope.dim(plan.rows, loc));
    emitIf(scope, loc, exists, [&] {
      outer = lowering.delinearise(row, ArrayRef<Dim>(plan.shape).drop_back());
      body(row);
    });
  }

  // Elements from j on, as many as there are lanes: a vector, or a scalar where it is one.
  Value computed(Value j) {
    Value loaded = emitter.materialise(lowering.reader(source, emitter)(indicesAt(j)));
    return convertFloat(builder, loc, loaded, plan.real);
  }
  void keep(Value j, Value value) {
    if (memory)
      emitter.store(plan.lanes > 1 ? LaneValue::varying(value) : LaneValue::uniform(value), memory,
                    scope.add(start, j, loc));
  }
  Value first(Value j) {
    Value value = computed(j);
    keep(j, value);
    return value;
  }
  Value again(Value j) {
    return memory ? emitter.materialise(emitter.loadConsecutive(memory, scope.add(start, j, loc))) : computed(j);
  }
  Value everyLane(Value scalar) { return emitter.materialise(LaneValue::uniform(scalar)); }
  LaneValue laneIndex(Value j) const { return plan.lanes > 1 ? LaneValue::linear(j) : LaneValue::uniform(j); }

  Value reduce(ReduceKind kind, function_ref<Value(Value j)> element) {
    return group.reduce(steps(), kind, plan.real, [&](Value step) {
      Value elements = element(firstOf(step));
      return plan.lanes > 1 ? acrossLanes(kind, elements) : elements;
    });
  }
  /// Hands element(j) on for each j of the row.
  void finish(Value row, function_ref<Value(Value j)> element) {
    Value offset = scope.mul(row, length, loc);
    group.forEach(steps(), [&](Value step) {
      Value j = firstOf(step), value = convertFloat(builder, loc, element(j), elementOf(source));
      lowering.finish(emitter, indicesAt(j), scope.add(offset, j, loc),
                      plan.lanes > 1 ? LaneValue::varying(value) : LaneValue::uniform(value, true));
    });
  }

  KernelLowering &lowering;
  const RowPlan &plan;
  Value source;
  KernelScope &scope = lowering.scope;
  OpBuilder &builder = lowering.builder;
  Location loc = lowering.loc;
  ThreadGroup group;
  RegionEmitter emitter;
  Value length;

private:
  SmallVector<LaneValue> indicesAt(Value j) const {
    SmallVector<LaneValue> indices(outer);
    indices.push_back(laneIndex(j));
    return indices;
  }
  /// A row is so many times as many elements as there are lanes.
  Value steps() { return plan.lanes > 1 ? scope.index(*plan.length / plan.lanes, loc) : length; }
  Value firstOf(Value step) { return plan.lanes > 1 ? scope.mul(step, scope.index(plan.lanes, loc), loc) : step; }
  Value acrossLanes(ReduceKind kind, Value vector) {
    Value total = vector::ExtractOp::create(builder, loc, vector, 0);
    for (int64_t lane = 1; lane < plan.lanes; ++lane)
      total = combine(builder, loc, kind, total, vector::ExtractOp::create(builder, loc, vector, lane));
    return total;
  }

  Value memory, start; ///< null where rows are not kept; this group's first element there
  SmallVector<LaneValue> outer;
};

DeviceForm rowForm(const std::string &name, const RowPlan &plan) {
  DeviceForm form;
  form.name = name + (plan.isWarps() ? ", a warp a row" : ", a block a row") +
              (plan.lanes > 1 ? ", four elements a thread" : "");
  form.blockThreads = RowPlan::threads;
  form.tiles = plan.rows.ceilDiv(Dim(int64_t(plan.rowsPerBlock())));
  return form;
}

void emitNorm(RowEmitter &row, NormOp norm, Value number) {
  NormalisedRow normalised(
      row.lowering, norm, [&](RegionEmitter &, const LaneValue &j) { return row.first(j.value); },
      [&](RegionEmitter &, const LaneValue &j) { return row.again(j.value); },
      [&](NormalisedRow::Element term) {
        return row.reduce(ReduceKind::Sum, [&](Value j) { return term(row.emitter, row.laneIndex(j)); });
      });
  row.finish(number, [&](Value j) { return normalised.at(row.emitter, row.laneIndex(j), row.again(j)); });
}

void emitSoftmax(RowEmitter &row, Value number) {
  OpBuilder &builder = row.builder;
  Location loc = row.loc;
  Value maximum = row.reduce(ReduceKind::Max, [&](Value j) { return row.first(j); });
  auto exponential = [&](Value element) -> Value {
    return math::ExpOp::create(builder, loc, arith::SubFOp::create(builder, loc, element, row.everyLane(maximum)));
  };
  Value sum = row.reduce(ReduceKind::Sum, [&](Value j) {
    Value value = exponential(row.again(j));
    row.keep(j, value);
    return value;
  });
  // One division a row; the sum is at least 1, so its inverse neither overflows nor vanishes.
  Value one = arith::ConstantOp::create(builder, loc, FloatAttr::get(row.plan.real, 1.0));
  Value inverse = arith::DivFOp::create(builder, loc, one, sum);
  row.finish(number, [&](Value j) -> Value {
    Value value = row.plan.kept() ? row.again(j) : exponential(row.again(j));
    return arith::MulFOp::create(builder, loc, value, row.everyLane(inverse));
  });
}

} // namespace

std::optional<DeviceForm> nativeNorm(NormOp norm) {
  SmallVector<Value> parameters(norm->getOperands().drop_front());
  RowPlan plan(norm, norm.getInput(), parameters);
  DeviceForm form = rowForm("norm", plan);
  form.emit = [norm, plan](DeviceLowering &native) mutable {
    RowEmitter row(native, plan, norm.getInput());
    row.forRow(native.function.block, [&](Value number) { emitNorm(row, norm, number); });
    alignVectors(native.function.kernel.function());
    return success();
  };
  return form;
}

std::optional<DeviceForm> nativeSoftmax(SoftmaxOp softmax) {
  RowPlan plan(softmax, softmax.getInput());
  DeviceForm form = rowForm("softmax", plan);
  form.emit = [softmax, plan](DeviceLowering &native) mutable {
    RowEmitter row(native, plan, softmax.getInput());
    row.forRow(native.function.block, [&](Value number) { emitSoftmax(row, number); });
    alignVectors(native.function.kernel.function());
    return success();
  };
  return form;
}

} // namespace tenon
