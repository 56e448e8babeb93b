//===- LowerAttentionState.cpp - states of attention merged, and divided into rows -----===//
//
// A row of a state is a, m, l (tenon.attention_update). All parts of all states of one row become
//
//   m = max m_s,  f_s = exp(m_s - m),  l = Σ l_s f_s,  a[d] = Σ a_s[d] f_s        lanes along the depth
//
// in the worker's scratch; a finish that stands behind a merge in its kernel divides it there, so that a merged
// state need not exist in memory. Costs one exponential for each part and row, and reading the parts.
//
#include "dialects/tenon/AttentionLayout.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "passes/attention/FlashAttention.h"
#include "passes/lowering/KernelLowering.h"
#include "passes/lowering/VectorMath.h"

using namespace mlir;

namespace tenon {
namespace {

/// Rows of the depth to a tile: each is some parts of valueDepth + 2 floats.
constexpr int64_t rowsOfTile = 16;

class StateLowering {
public:
  StateLowering(KernelLowering &lowering, Operation *op, ValueRange states, Normaliser normaliser)
      : lowering(lowering), op(op), states(states), normaliser(normaliser), scope(lowering.scope),
        builder(lowering.builder), loc(lowering.loc) {}

  /// `use(row, b, h, i)` for each row, its merged state in scratch.
  FailureOr<KernelGrid> forEachRow(llvm::function_ref<void(Value row, ArrayRef<LaneValue> at)> use) {
    shape = shapeOf(states.front());
    std::optional<int64_t> width = shape[4].constant();
    if (!width)
      return op->emitOpError("wants a constant depth, found ") << shape[4].str() << " columns of a state";
    columns = *width;
    for (Value state : states)
      if (!elementOf(state).isF32() || !lowering.memoryOf(state))
        return op->emitOpError("wants states of f32 in memory");
    scratch = scope.function.scratch(builder, loc, builder.getF32Type(), index(0));
    rows = scope.dim(shape[1] * shape[2] * shape[3], loc);
    Dim count = shape[1] * shape[2] * shape[3];
    lowering.forEachRow(count, rowsOfTile, [&](Value row) {
      merge(row);
      Shape outer{shape[1], shape[2], shape[3]};
      use(row, lowering.delinearise(row, outer));
    });
    return KernelGrid{count.ceilDiv(Dim(rowsOfTile)), Dim(4 * int64_t(llvm::alignTo(columns, 16)))};
  }

  int64_t depth() const { return columns - 2; }
  Value index(int64_t value) { return scope.index(value, loc); }
  Value plus(Value a, Value b) { return scope.add(a, b, loc); }
  Value scalar(int64_t at) { return memref::LoadOp::create(builder, loc, scratch, index(at)); }
  Value scratch;

private:
  Value number(float value) { return arith::ConstantOp::create(builder, loc, builder.getF32FloatAttr(value)); }

  /// `body(memory, offset)` for the row in each part of each state.
  void forEachPart(Value row, llvm::function_ref<void(Value memory, Value at)> body) {
    for (Value state : states) {
      Value memory = lowering.memoryOf(state);
      emitLoop(scope, loc, index(0), scope.dim(shapeOf(state)[0], loc), [&](Value part) {
        Value number = plus(scope.mul(part, rows, loc), row);
        body(memory, scope.mul(number, index(columns), loc));
      });
    }
  }

  Value load(Value memory, Value at, int64_t column) {
    return memref::LoadOp::create(builder, loc, memory, plus(at, index(column)));
  }
  void store(Value value, int64_t column) { memref::StoreOp::create(builder, loc, value, scratch, index(column)); }

  void merge(Value row) {
    int64_t m = depth(), l = depth() + 1;
    emitLoop(scope, loc, index(0), index(columns), [&](Value column) {
      memref::StoreOp::create(builder, loc, number(0), scratch, column);
    });
    store(number(-std::numeric_limits<float>::infinity()), m);
    forEachPart(row, [&](Value memory, Value at) {
      Value other = load(memory, at, m), mine = scalar(m);
      Value isGreater = arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OGT, other, mine);
      store(arith::SelectOp::create(builder, loc, isGreater, other, mine), m);
    });
    forEachPart(row, [&](Value memory, Value at) {
      // A part without live keys is m = -inf; beside another its factor is 0, alone everything is 0.
      Value factor = number(1);
      if (normaliser == Normaliser::Softmax) {
        Value mine = scalar(m);
        Value isEmpty = arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OEQ, mine,
                                              number(-std::numeric_limits<float>::infinity()));
        Value shift = arith::SelectOp::create(builder, loc, isEmpty, number(0), mine);
        Value distance = arith::SubFOp::create(builder, loc, load(memory, at, m), shift);
        factor = emitMath(builder, loc, MathFunction::ExpNonPositive, distance);
      }
      unsigned lanes = lowering.target.getVectorBits() / 32;
      emitLaneLoop(scope, loc, index(depth()), lanes, [&](RegionEmitter &emitter, const LaneValue &d) {
        Value part = emitter.loadConsecutive(memory, plus(at, d.value)).value;
        LaneValue sum = emitter.loadConsecutive(scratch, d.value);
        Value scaled = arith::MulFOp::create(builder, loc, part, emitter.materialise(LaneValue::uniform(factor)));
        sum.value = arith::AddFOp::create(builder, loc, sum.value, scaled);
        emitter.store(sum, scratch, d.value);
      });
      Value scaled = arith::MulFOp::create(builder, loc, load(memory, at, l), factor);
      store(arith::AddFOp::create(builder, loc, scalar(l), scaled), l);
    });
  }

  KernelLowering &lowering;
  Operation *op;
  ValueRange states;
  Normaliser normaliser;
  KernelScope &scope;
  OpBuilder &builder;
  Location loc;
  Shape shape;
  int64_t columns = 0;
  Value rows;
};

} // namespace

FailureOr<KernelGrid> lowerAttentionMerge(KernelLowering &lowering, AttentionMergeOp merge) {
  StateLowering state(lowering, merge, merge.getStates(), merge.getNormaliser());
  OpBuilder &builder = lowering.builder;
  Location loc = lowering.loc;
  return state.forEachRow([&](Value row, ArrayRef<LaneValue>) {
    Value to = lowering.scope.mul(row, state.index(state.depth() + 2), loc);
    emitLoop(lowering.scope, loc, state.index(0), state.index(state.depth() + 2), [&](Value column) {
      Value element = memref::LoadOp::create(builder, loc, state.scratch, column);
      memref::StoreOp::create(builder, loc, element, lowering.resultMemory(), state.plus(to, column));
    });
  });
}

FailureOr<KernelGrid> lowerAttentionFinish(KernelLowering &lowering, AttentionFinishOp finish) {
  auto merge = finish.getState().getDefiningOp<AttentionMergeOp>();
  // Not ValueRange(finish.getState()), which would refer to a temporary.
  ValueRange states = merge ? merge.getStates() : finish->getOperands().take_front(1);
  StateLowering state(lowering, finish, states, finish.getNormaliser());
  std::string error;
  AttentionLayout layout = *AttentionLayout::parse(finish.getLayout(), error);
  KernelScope &scope = lowering.scope;
  OpBuilder &builder = lowering.builder;
  Location loc = lowering.loc;
  Shape result = shapeOf(finish.getResult());
  if (layout.strideOf('d', result) != Dim(1))
    return finish.emitOpError("wants the elements of a row of the result side by side, found layout \"")
           << finish.getLayout() << "\"";
  auto number = [&](float value) -> Value {
    return arith::ConstantOp::create(builder, loc, builder.getF32FloatAttr(value));
  };
  return state.forEachRow([&](Value, ArrayRef<LaneValue> at) {
    Value factor = number(1);
    if (finish.getNormaliser() != Normaliser::None)
      factor = arith::DivFOp::create(builder, loc, factor, state.scalar(state.depth() + 1));
    Value isEmpty = arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OEQ, state.scalar(state.depth()),
                                          number(-std::numeric_limits<float>::infinity()));
    Value ofEmpty = number(finish.getEmpty() == EmptyRow::NaN ? std::numeric_limits<float>::quiet_NaN() : 0);
    unsigned lanes = lowering.target.getVectorBits() / 32;
    SmallVector<Value> strides = scope.strides(result, loc);
    emitLaneLoop(scope, loc, state.index(state.depth()), lanes, [&](RegionEmitter &emitter, const LaneValue &d) {
      LaneValue element = emitter.loadConsecutive(state.scratch, d.value);
      Value divided =
          arith::MulFOp::create(builder, loc, element.value, emitter.materialise(LaneValue::uniform(factor)));
      element.value = arith::SelectOp::create(builder, loc, isEmpty,
                                              emitter.materialise(LaneValue::uniform(ofEmpty)), divided);
      SmallVector<LaneValue> indices;
      Value offset = state.index(0);
      for (auto [role, stride] : llvm::zip(layout.roles, strides)) {
        LaneValue index = role == 'd' ? d : at[StringRef("bhn").find(role)];
        offset = state.plus(offset, scope.mul(index.value, stride, loc));
        indices.push_back(index);
      }
      element.value = convertFloat(builder, loc, element.value, elementOf(finish.getResult()));
      lowering.finish(emitter, indices, offset, element);
    });
  });
}

} // namespace tenon
