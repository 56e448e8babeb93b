//===- NativeRows.cpp - softmax and normalisation of rows on a GPU ------------------===//
//
// A short row is a warp's, a long one or one of unknown length a block's. Its elements are computed once, by whatever
// producers, and kept in shared memory where the row is known to fit; else they are computed again in each pass. A
// thread reads from there what it has written itself, so that there is nothing to wait for.
//
#include "compiler/codegen/nvptx/ThreadGroup.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
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

  explicit RowPlan(Value source)
      : shape(shapeOf(source)), rows(countOf(ArrayRef<Dim>(shape).drop_back())), length(shape.back().constant()),
        real(NormalisedRow::computedIn(elementOf(source))) {}

  bool isWarps() const { return length && *length <= longestOfWarp; }
  unsigned rowsPerBlock() const { return isWarps() ? threads / warpThreads : 1; }
  /// Elements of shared memory; 0 where rows are computed again.
  int64_t kept() const {
    int64_t count = length.value_or(0) * rowsPerBlock();
    return count * real.getIntOrFloatBitWidth() / 8 <= sharedBytes ? count : 0;
  }

  static constexpr unsigned threads = 128;
  static constexpr int64_t longestOfWarp = 1024, sharedBytes = 32 * 1024;
};

/// One row, by one group of threads.
class RowEmitter {
public:
  RowEmitter(DeviceLowering &native, const RowPlan &plan, Value source)
      : lowering(native.kernel), plan(plan), source(source),
        group(native, plan.isWarps() ? ThreadGroup::Warp : ThreadGroup::Block), emitter(scope, 1, loc),
        length(scope.dim(plan.shape.back(), loc)) {
    if (int64_t count = plan.kept())
      memory = native.function.shared(builder, loc, plan.real, count);
    start = scope.mul(group.number, length, loc);
  }

  /// Emits body(row) for this group's row, where there is one.
  void forRow(Value block, function_ref<void(Value row)> body) {
    Value row = scope.add(scope.mul(block, scope.index(plan.rowsPerBlock(), loc), loc), group.number, loc);
    Value exists = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, row, scope.dim(plan.rows, loc));
    emitGuarded(lowering, exists, [&] {
      outer = lowering.delinearise(row, ArrayRef<Dim>(plan.shape).drop_back());
      body(row);
    });
  }

  Value computed(Value j) {
    Value loaded = emitter.materialise(lowering.reader(source, emitter)(indicesAt(j)));
    return convertFloat(builder, loc, loaded, plan.real);
  }
  void keep(Value j, Value value) {
    if (memory)
      memref::StoreOp::create(builder, loc, value, memory, scope.add(start, j, loc));
  }
  Value first(Value j) {
    Value value = computed(j);
    keep(j, value);
    return value;
  }
  Value again(Value j) {
    return memory ? Value(memref::LoadOp::create(builder, loc, memory, scope.add(start, j, loc))) : computed(j);
  }
  Value reduce(ReduceKind kind, function_ref<Value(Value j)> element) {
    return group.reduce(length, kind, plan.real, element);
  }
  /// Hands element(j) on for each j of the row.
  void finish(Value row, function_ref<Value(Value j)> element) {
    Value offset = scope.mul(row, length, loc);
    group.forEach(length, [&](Value j) {
      Value value = convertFloat(builder, loc, element(j), elementOf(source));
      lowering.finish(emitter, indicesAt(j), scope.add(offset, j, loc), LaneValue::uniform(value, true));
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
    indices.push_back(LaneValue::uniform(j));
    return indices;
  }

  Value memory, start; ///< null where rows are not kept; this group's first element there
  SmallVector<LaneValue> outer;
};

DeviceForm rowForm(const std::string &name, const RowPlan &plan) {
  DeviceForm form;
  form.name = name + (plan.isWarps() ? ", a warp a row" : ", a block a row");
  form.blockThreads = RowPlan::threads;
  form.tiles = plan.rows.ceilDiv(Dim(int64_t(plan.rowsPerBlock())));
  return form;
}

void emitNorm(RowEmitter &row, NormOp norm, Value number) {
  NormalisedRow normalised(
      row.lowering, norm, [&](RegionEmitter &, const LaneValue &j) { return row.first(j.value); },
      [&](RegionEmitter &, const LaneValue &j) { return row.again(j.value); },
      [&](NormalisedRow::Element term) {
        return row.reduce(ReduceKind::Sum, [&](Value j) { return term(row.emitter, LaneValue::uniform(j)); });
      });
  row.finish(number, [&](Value j) { return normalised.at(row.emitter, LaneValue::uniform(j), row.again(j)); });
}

void emitSoftmax(RowEmitter &row, Value number) {
  OpBuilder &builder = row.builder;
  Location loc = row.loc;
  Value maximum = row.reduce(ReduceKind::Max, [&](Value j) { return row.first(j); });
  auto exponential = [&](Value element) -> Value {
    return math::ExpOp::create(builder, loc, arith::SubFOp::create(builder, loc, element, maximum));
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
    return arith::MulFOp::create(builder, loc, value, inverse);
  });
}

} // namespace

std::optional<DeviceForm> nativeNorm(NormOp norm) {
  RowPlan plan(norm.getInput());
  DeviceForm form = rowForm("norm", plan);
  form.emit = [norm, plan](DeviceLowering &native) mutable {
    RowEmitter row(native, plan, norm.getInput());
    row.forRow(native.function.block, [&](Value number) { emitNorm(row, norm, number); });
    return success();
  };
  return form;
}

std::optional<DeviceForm> nativeSoftmax(SoftmaxOp softmax) {
  RowPlan plan(softmax.getInput());
  DeviceForm form = rowForm("softmax", plan);
  form.emit = [softmax, plan](DeviceLowering &native) mutable {
    RowEmitter row(native, plan, softmax.getInput());
    row.forRow(native.function.block, [&](Value number) { emitSoftmax(row, number); });
    return success();
  };
  return form;
}

} // namespace tenon
