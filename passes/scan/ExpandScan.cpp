//===- ExpandScan.cpp - recurrences with a constant transition as convolutions ---------------===//
//
// S = A S + k vᵀ, o = qᵀ S with q, k and A the same at every step is o[i] = Σ_{j ≤ i} g[i - j] v[j], where the impulse
// response g[n] = qᵀ Aⁿ k is what the same recurrence makes of v = 1, 0, 0, …:
//
//   toeplitz  one number a step for all heads: the shifts of the input, [N, N], times the responses, [N, heads];
//             else a Toeplitz product of each head
//   fft       a Toeplitz product through transforms, of each head, or of each channel where heads have few columns
//
// Costs: the responses, N states of one column, unless A, q and k are weights: then the compiler computes them.
//
#include "dialects/tenon/AttentionLayout.h"
#include "passes/Passes.h"
#include "passes/scan/ScanForm.h"
#include "passes/scan/TransitionForm.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_EXPANDSCAN
#include "passes/Passes.h.inc"

namespace {

class ScanExpansion {
public:
  explicit ScanExpansion(ScanOp op)
      : op(op), builder(op), loc(op.getLoc()), sizes(op.getSizes()), type(elementOf(op.getResult())),
        steps(*sizes.steps.constant()), heads(*sizes.heads.constant()), columns(*sizes.valueDepth.constant()) {}

  Value expand() {
    Value responses = this->responses();
    bool isTransformed = op->getAttrOfType<StringAttr>(scanFormName).getValue() == transformedScanForm;
    if (!isTransformed && valueHeads() == Dim(1) && columns <= heads)
      return byShifts(responses);
    return byToeplitz(responses, isTransformed);
  }

private:
  using Body = function_ref<Value(OpBuilder &, ValueRange inputs, ValueRange at)>;
  Value map(const Shape &shape, ValueRange inputs, Body body) {
    return MapOp::create(
        builder, loc, tensorOf(type, shape), inputs,
        [&](OpBuilder &b, Location, ValueRange tensors, ValueRange at) { return body(b, tensors, at); });
  }
  Value index(OpBuilder &b, int64_t value) { return arith::ConstantIndexOp::create(b, loc, value); }
  Value number(OpBuilder &b, double value) {
    return arith::ConstantOp::create(b, loc, FloatAttr::get(cast<FloatType>(type), value));
  }
  Value isAtMost(OpBuilder &b, Value x, Value y) {
    return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sle, x, y);
  }
  Value difference(OpBuilder &b, Value x, Value y) { return arith::SubIOp::create(b, loc, x, y); }

  static AttentionLayout parsed(StringRef text) {
    std::string error;
    return *AttentionLayout::parse(text, error, "");
  }
  AttentionLayout valueLayout() { return parsed(op.getLayout(2)); }
  Dim valueHeads() { return valueLayout().sizeOf('h', shapeOf(op.getValue())); }

  /// g, [N, heads]: the recurrence of an impulse.
  Value responses() {
    Value impulse = map({Dim(steps), sizes.states}, {}, [&](OpBuilder &b, ValueRange, ValueRange at) -> Value {
      return arith::SelectOp::create(b, loc, isAtMost(b, at[0], index(b, 0)), number(b, 1), number(b, 0));
    });
    StringRef layouts[] = {op.getLayout(0), op.getLayout(1), "n h", "n h"};
    auto scan =
        ScanOp::create(builder, loc, tensorOf(type, {Dim(steps), Dim(heads)}), Type(), op.getQuery(), op.getKey(),
                       impulse, Value(), Value(), op.getTransition(), Value(), builder.getStrArrayAttr(layouts));
    scan->setAttr(scanFormName, builder.getStringAttr("steps"));
    return scan.getResult();
  }

  /// The value of head h, step n and column c for batch item b.
  Value valueAt(OpBuilder &b, Value value, Value batch, Value h, Value n, Value c) {
    SmallVector<Value> place;
    Dim shared = sizes.heads.floorDiv(valueHeads());
    AttentionLayout layout = valueLayout();
    for (auto [role, fixed] : llvm::zip(layout.roles, layout.fixed)) {
      Value head =
          role == 'h' && shared != Dim(1) ? b.createOrFold<arith::DivUIOp>(loc, h, index(b, *shared.constant())) : h;
      place.push_back(role == 'b' ? batch : role == 'h' ? head : role == 'n' ? n : role == 'd' ? c : index(b, fixed));
    }
    return LoadOp::create(b, loc, value, place);
  }

  /// The result, given how an element of it is read: `element(b, inputs, batch, h, n, c)`.
  Value placed(Value tensor, function_ref<Value(OpBuilder &, Value, Value, Value, Value, Value)> place) {
    return map(shapeOf(op.getResult()), tensor, [&](OpBuilder &b, ValueRange inputs, ValueRange at) -> Value {
      Value zero = index(b, 0), batch = zero, h = zero, n = zero, c = zero;
      for (auto [role, here] : llvm::zip(parsed(op.getLayoutOfResult()).roles, at))
        (role == 'b' ? batch : role == 'h' ? h : role == 'n' ? n : c) = here;
      return place(b, inputs[0], batch, h, n, c);
    });
  }

  /// Σ_j v[n - j] g[j, h] as a product of matrices.
  Value byShifts(Value responses) {
    Shape shape{sizes.batch, Dim(columns), Dim(steps), Dim(steps)};
    Value shifts = map(shape, op.getValue(), [&](OpBuilder &b, ValueRange inputs, ValueRange at) -> Value {
      Value isThere = isAtMost(b, at[3], at[2]);
      Value from = arith::SelectOp::create(b, loc, isThere, difference(b, at[2], at[3]), index(b, 0));
      Value element = valueAt(b, inputs[0], at[0], index(b, 0), from, at[1]);
      return arith::SelectOp::create(b, loc, isThere, element, number(b, 0));
    });
    Value product = ContractOp::create(builder, loc, "b c n j, j h -> b c n h", shifts, responses);
    return placed(product, [&](OpBuilder &b, Value tensor, Value batch, Value h, Value n, Value c) -> Value {
      return LoadOp::create(b, loc, tensor, ValueRange{batch, c, n, h});
    });
  }

  /// Heads by themselves, or as channels of one: channel h · columns + c.
  Value byToeplitz(Value responses, bool isTransformed) {
    bool isOfChannels = isTransformed && hasKernelsOfChannels(op);
    Dim channels(isOfChannels ? heads * columns : columns);
    auto headOf = [&](OpBuilder &b, Value head, Value channel) -> Value {
      return isOfChannels ? b.createOrFold<arith::DivUIOp>(loc, channel, index(b, columns)) : head;
    };
    auto columnOf = [&](OpBuilder &b, Value channel) -> Value {
      return isOfChannels ? b.createOrFold<arith::RemUIOp>(loc, channel, index(b, columns)) : channel;
    };
    Dim rows(isOfChannels ? 1 : heads);
    Value input = map({sizes.batch, rows, Dim(steps), channels}, op.getValue(),
                      [&](OpBuilder &b, ValueRange inputs, ValueRange at) {
                        return valueAt(b, inputs[0], at[0], headOf(b, at[1], at[3]), at[2], columnOf(b, at[3]));
                      });
    Shape shape{rows, Dim(2 * steps - 1)};
    if (isOfChannels)
      shape.push_back(channels);
    // Of j - i = p - (N - 1) that is g[i - j]; what lies ahead is left out, whatever stands there.
    Value diagonals = map(shape, responses, [&](OpBuilder &b, ValueRange inputs, ValueRange at) -> Value {
      Value behind = arith::MaxSIOp::create(b, loc, difference(b, index(b, steps - 1), at[1]), index(b, 0));
      return LoadOp::create(b, loc, inputs[0], ValueRange{behind, headOf(b, at[0], at.back())});
    });
    auto form = ToeplitzFormAttr::get(builder.getContext(), isTransformed ? ToeplitzForm::FFT : ToeplitzForm::Direct);
    Value product =
        ToeplitzOp::create(builder, loc, input.getType(), input, diagonals, ValueRange(), builder.getUnitAttr(), form);
    return placed(product, [&](OpBuilder &b, Value tensor, Value batch, Value h, Value n, Value c) -> Value {
      if (!isOfChannels)
        return LoadOp::create(b, loc, tensor, ValueRange{batch, h, n, c});
      Value channel = arith::AddIOp::create(b, loc, arith::MulIOp::create(b, loc, h, index(b, columns)), c);
      return LoadOp::create(b, loc, tensor, ValueRange{batch, index(b, 0), n, channel});
    });
  }

  ScanOp op;
  OpBuilder builder;
  Location loc;
  ScanOp::Sizes sizes;
  Type type;
  int64_t steps, heads, columns;
};

struct ExpandScan : impl::ExpandScanBase<ExpandScan> {
  void runOnOperation() override {
    getOperation().walk([](ScanOp op) {
      auto form = op->getAttrOfType<StringAttr>(scanFormName);
      if (!op.getTransition() || !form ||
          (form.getValue() != toeplitzScanForm && form.getValue() != transformedScanForm))
        return;
      op.getResult().replaceAllUsesWith(ScanExpansion(op).expand());
      op.erase();
    });
  }
};

} // namespace
} // namespace tenon
