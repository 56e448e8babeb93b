//===- NativeState.cpp - states of attention merged and divided, on a GPU -----------===//
//
// A row of a state is a, m, l (tenon.attention_update). A thread computes one element of a row from all parts:
//
//   m = max m_s,  f_s = exp(m_s - m),  l = Σ l_s f_s,  a[d] = Σ a_s[d] f_s
//
// Its warp reads the same m_s and l_s, and a_s side by side.
//
#include "compiler/codegen/nvptx/NativeLowerings.h"
#include "dialects/tenon/AttentionLayout.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "passes/lowering/VectorMath.h"

using namespace mlir;

namespace tenon {
namespace {

class StateEmitter {
public:
  StateEmitter(KernelLowering &lowering, ValueRange states, Normaliser normaliser)
      : lowering(lowering), states(states), normaliser(normaliser), shape(shapeOf(states.front())),
        columns(*shape[4].constant()), rows(scope.dim(rowsOf(states.front()), loc)) {}

  static Dim rowsOf(Value state) {
    Shape shape = shapeOf(state);
    return shape[1] * shape[2] * shape[3];
  }

  /// Of all parts of `row`: their greatest m, and the sums of their elements at `columns`, times their factors.
  struct Merged {
    Value maximum;
    SmallVector<Value> sums;
  };
  Merged merged(Value row, ArrayRef<Value> at) {
    Value maximum = overParts(row, dead(), [&](Value memory, Value start, ValueRange carried) {
      Value other = load(memory, start, index(columns - 2));
      Value isGreater = compare(arith::CmpFPredicate::OGT, other, carried[0]);
      return SmallVector<Value>{arith::SelectOp::create(builder, loc, isGreater, other, carried[0])};
    }).front();
    SmallVector<Value> zeros(at.size(), number(0));
    return {maximum, overParts(row, zeros, [&](Value memory, Value start, ValueRange carried) {
              Value factor = factorOf(load(memory, start, index(columns - 2)), maximum);
              SmallVector<Value> next;
              for (auto [column, sum] : llvm::zip(at, carried)) {
                Value scaled = arith::MulFOp::create(builder, loc, load(memory, start, column), factor);
                next.push_back(arith::AddFOp::create(builder, loc, sum, scaled));
              }
              return next;
            })};
  }

  Value index(int64_t value) { return scope.index(value, loc); }
  Value number(float value) { return arith::ConstantOp::create(builder, loc, builder.getF32FloatAttr(value)); }
  Value dead() { return number(-std::numeric_limits<float>::infinity()); }
  Value compare(arith::CmpFPredicate predicate, Value a, Value b) {
    return arith::CmpFOp::create(builder, loc, predicate, a, b);
  }

  KernelLowering &lowering;
  ValueRange states;
  Normaliser normaliser;
  KernelScope &scope = lowering.scope;
  OpBuilder &builder = lowering.builder;
  Location loc = lowering.loc;
  Shape shape;
  int64_t columns;

private:
  using Part = llvm::function_ref<SmallVector<Value>(Value memory, Value start, ValueRange carried)>;

  SmallVector<Value> overParts(Value row, ArrayRef<Value> start, Part body) {
    SmallVector<Value> carried(start);
    for (Value state : states) {
      Value memory = lowering.memoryOf(state), parts = scope.dim(shapeOf(state)[0], loc);
      carried = emitCarryingLoop(scope, loc, index(0), parts, 1, carried, [&](Value part, ValueRange old) {
        Value number = scope.add(scope.mul(part, rows, loc), row, loc);
        return body(memory, scope.mul(number, index(columns), loc), old);
      });
    }
    return carried;
  }

  Value load(Value memory, Value start, Value column) {
    return memref::LoadOp::create(builder, loc, memory, scope.add(start, column, loc));
  }

  /// A part without live keys is m = -inf; beside another its factor is 0, alone everything is 0.
  Value factorOf(Value part, Value maximum) {
    if (normaliser != Normaliser::Softmax)
      return number(1);
    Value isEmpty = compare(arith::CmpFPredicate::OEQ, maximum, dead());
    Value shift = arith::SelectOp::create(builder, loc, isEmpty, number(0), maximum);
    return emitMath(builder, loc, MathFunction::ExpNonPositive,
                    Value(arith::SubFOp::create(builder, loc, part, shift)));
  }

  Value rows;
};

bool areInMemory(ValueRange states, std::string &reason) {
  bool fit = llvm::all_of(states, [](Value state) {
    return isa<BlockArgument>(state) && elementOf(state).isF32() && shapeOf(state)[4].constant();
  });
  if (!fit)
    reason = "wants states of f32 in memory, of a known depth";
  return fit;
}

void emitMerge(DeviceLowering &native, AttentionMergeOp merge, Value element) {
  StateEmitter state(native.kernel, merge.getStates(), merge.getNormaliser());
  Value width = state.index(state.columns);
  Value row = arith::DivUIOp::create(state.builder, state.loc, element, width);
  Value column = arith::RemUIOp::create(state.builder, state.loc, element, width);
  StateEmitter::Merged merged = state.merged(row, column);
  Value isMaximum = arith::CmpIOp::create(state.builder, state.loc, arith::CmpIPredicate::eq, column,
                                          state.index(state.columns - 2));
  Value result = arith::SelectOp::create(state.builder, state.loc, isMaximum, merged.maximum, merged.sums[0]);
  memref::StoreOp::create(state.builder, state.loc, result, native.kernel.resultMemory(), element);
}

/// Element (b, h, n, d) of the result, d running fastest.
void emitFinish(DeviceLowering &native, AttentionFinishOp finish, ValueRange states, Value element) {
  StateEmitter state(native.kernel, states, finish.getNormaliser());
  OpBuilder &builder = state.builder;
  Location loc = state.loc;
  Value depth = state.index(state.columns - 2), d = arith::RemUIOp::create(builder, loc, element, depth);
  Value row = arith::DivUIOp::create(builder, loc, element, depth);
  Value sumAt = state.index(state.columns - 1);
  StateEmitter::Merged merged = state.merged(row, {d, sumAt});
  Value divided = merged.sums[0];
  if (finish.getNormaliser() != Normaliser::None) {
    Value inverse = arith::DivFOp::create(builder, loc, state.number(1), merged.sums[1]);
    divided = arith::MulFOp::create(builder, loc, divided, inverse);
  }
  Value isEmpty = state.compare(arith::CmpFPredicate::OEQ, merged.maximum, state.dead());
  Value ofEmpty = state.number(finish.getEmpty() == EmptyRow::NaN ? std::numeric_limits<float>::quiet_NaN() : 0);
  Value result = arith::SelectOp::create(builder, loc, isEmpty, ofEmpty, divided);

  std::string error;
  AttentionLayout layout = *AttentionLayout::parse(finish.getLayout(), error);
  SmallVector<LaneValue> places = native.kernel.delinearise(row, {state.shape[1], state.shape[2], state.shape[3]}),
                         indices;
  Value offset = state.index(0);
  for (auto [role, stride] : llvm::zip(layout.roles, state.scope.strides(shapeOf(finish.getResult()), loc))) {
    indices.push_back(role == 'd' ? LaneValue::uniform(d) : places[StringRef("bhn").find(role)]);
    offset = state.scope.add(offset, state.scope.mul(indices.back().value, stride, loc), loc);
  }
  RegionEmitter emitter(state.scope, 1, loc);
  Value narrowed = convertFloat(builder, loc, result, elementOf(finish.getResult()));
  native.kernel.finish(emitter, indices, offset, LaneValue::uniform(narrowed, true));
}

} // namespace

std::optional<DeviceForm> nativeMerge(AttentionMergeOp merge, std::string &reason) {
  if (!areInMemory(merge.getStates(), reason))
    return std::nullopt;
  Value first = merge.getStates().front();
  Dim count = StateEmitter::rowsOf(first) * shapeOf(first)[4];
  DeviceForm form = elementForm("attention_merge", count);
  form.emit = [merge, count](DeviceLowering &native) {
    emitElements(native, count, [&](Value element) { emitMerge(native, merge, element); });
    return success();
  };
  return form;
}

std::optional<DeviceForm> nativeFinish(AttentionFinishOp finish, std::string &reason) {
  auto merge = finish.getState().getDefiningOp<AttentionMergeOp>();
  ValueRange states = merge ? merge.getStates() : finish->getOperands().take_front(1);
  if (!areInMemory(states, reason))
    return std::nullopt;
  Dim count = StateEmitter::rowsOf(states.front()) * (shapeOf(states.front())[4] - Dim(2));
  DeviceForm form = elementForm("attention_finish", count);
  form.emit = [finish, states, count](DeviceLowering &native) {
    emitElements(native, count, [&](Value element) { emitFinish(native, finish, states, element); });
    return success();
  };
  return form;
}

} // namespace tenon
