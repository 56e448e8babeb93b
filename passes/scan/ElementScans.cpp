//===- ElementScans.cpp - states whose elements do not meet, one after another as recurrences ---===//
//
// A state that is known is a tensor of all it ever was, `[1 + updates, dims of the state]`: row 0 is the initial state,
// row m what update m made. To the states behind it its elements are loads like any other.
//
#include "passes/scan/ElementLoop.h"
#include "passes/scan/LinearStep.h"

using namespace mlir;

namespace tenon {
namespace {

/// S' = max(S + step, other). A null step is 0.
struct GreatestStep {
  StepTree step, other;

  static std::optional<GreatestStep> match(StepTree next) {
    if (!next->is<arith::MaximumFOp>())
      return std::nullopt;
    StepTree moved = next->operands[0], other = next->operands[1];
    if (hasCarried(other))
      std::swap(moved, other);
    if (hasCarried(other))
      return std::nullopt;
    if (moved->kind == StepNode::Carried)
      return GreatestStep{nullptr, other};
    if (!moved->is<arith::AddFOp>())
      return std::nullopt;
    StepTree state = moved->operands[0], step = moved->operands[1];
    if (hasCarried(step))
      std::swap(state, step);
    bool isStep = state->kind == StepNode::Carried && !hasCarried(step);
    return isStep ? std::optional(GreatestStep{step, other}) : std::nullopt;
  }
};

class Builder {
public:
  explicit Builder(ElementLoop &loop)
      : loop(loop), tracer(loop.tracer), builder(loop.loop.collect), loc(loop.loop.collect.getLoc()),
        shape(loop.shape()), type(elementOf(loop.states.front().values[2])), updates(loop.loop.steps() - 1),
        all(loop.states.size()) {}

  bool build() {
    for (bool isFurther = true; isFurther;) {
      isFurther = false;
      for (unsigned k = 0; k < all.size(); ++k)
        if (!all[k])
          isFurther |= bool(all[k] = solved(k));
    }
    if (llvm::is_contained(all, Value()))
      return false;
    collect();
    for (auto [state, rows] : llvm::zip(loop.states, all)) {
      Value last = state.values.back();
      if (llvm::any_of(last.getUsers(), [&](Operation *user) { return !loop.loop.isOfSteps(user); }))
        last.replaceUsesWithIf(lastRow(rows), [&](OpOperand &use) { return !loop.loop.isOfSteps(use.getOwner()); });
    }
    return true;
  }

private:
  //===--------------------------------------------------------------------------===//
  // One state
  //===--------------------------------------------------------------------------===//

  /// All rows of a state; null where it depends on states that are not known, or is no recurrence.
  Value solved(unsigned k) {
    bool isFree = true;
    StepTree next = tracer.replaced(loop.states[k].next, [&](StepTree carried) -> StepTree {
      if (carried->kind != StepNode::Carried)
        return nullptr;
      isFree &= carried->state == k || all[carried->state];
      return carried->state == k ? nullptr : rowBefore(carried);
    });
    if (!isFree)
      return {};
    if (!hasCarried(next))
      return rows(loop.states[k].initial, next);
    if (std::optional<GreatestStep> greatest = GreatestStep::match(next))
      return greatestOf(loop.states[k].initial, *greatest);
    std::optional<LinearStep::Parts> parts = LinearStep::split(tracer, next, loop.at);
    bool isLinear = parts && parts->factor && !parts->found;
    return isLinear ? scan(loop.states[k].initial, *parts) : Value();
  }

  /// What a carried element is once its state is known; null where it is not.
  StepTree rowBefore(StepTree carried) {
    if (!all[carried->state])
      return nullptr;
    SmallVector<Dim, 4> indices{loop.step - Dim(1)};
    llvm::append_range(indices, carried->at);
    return tracer.load(all[carried->state], indices);
  }

  //===--------------------------------------------------------------------------===//
  // Linear
  //===--------------------------------------------------------------------------===//

  bool isBatched() const { return shape.size() > 1; }
  Dim heads() const { return countOf(ArrayRef<Dim>(shape).drop_front(isBatched())); }

  /// [batch, updates, heads], the batch where there is one.
  Shape scanned() const { return isBatched() ? Shape{shape[0], Dim(updates), heads()} : Shape{Dim(updates), heads()}; }

  Value operand(StepTree tree) {
    return map(scanned(), tree, [&](OpBuilder &b, ValueRange at, llvm::StringMap<Value> &symbols) {
      setStep(b, at[isBatched()], symbols);
      SmallVector<Value> indices = spread(b, at.back());
      if (isBatched())
        indices.insert(indices.begin(), at[0]);
      setIndices(indices, symbols);
    });
  }

  Value scan(StepTree initial, const LinearStep::Parts &parts) {
    StringRef moving = isBatched() ? "b n h" : "n h";
    SmallVector<StringRef> layouts{"d", "d", moving};
    Value one = map({Dim(1)}, tracer.number(type, 1), [](OpBuilder &, ValueRange, llvm::StringMap<Value> &) {});
    Value value = operand(parts.rest ? parts.rest : tracer.number(type, 0)), decay, from;
    if (parts.factor->number() != 1.0) {
      decay = operand(parts.factor);
      layouts.push_back(moving);
    }
    layouts.push_back(moving);
    if (initial->number() != 0.0) {
      Shape dims{isBatched() ? shape[0] : Dim(1), heads(), Dim(1), Dim(1)};
      from = map(dims, initial, [&](OpBuilder &b, ValueRange at, llvm::StringMap<Value> &symbols) {
        SmallVector<Value> indices = spread(b, at[1]);
        if (isBatched())
          indices.insert(indices.begin(), at[0]);
        setIndices(indices, symbols);
      });
    }
    auto scan = ScanOp::create(builder, loc, tensorOf(type, scanned()), Type(), one, one, value, decay, Value(),
                               Value(), from, builder.getStrArrayAttr(layouts));
    return rows(
        initial,
        [&](OpBuilder &b, ValueRange tensors, ValueRange at, Value update) -> Value {
          SmallVector<Value> place{update, gathered(b, at.drop_front(1 + isBatched()))};
          if (isBatched())
            place.insert(place.begin(), at[1]);
          return LoadOp::create(b, loc, tensors.back(), place);
        },
        scan.getResult());
  }

  //===--------------------------------------------------------------------------===//
  // The greatest
  //===--------------------------------------------------------------------------===//

  /// Row m is the greatest of 2^k rows up to m, each with the steps behind it, then of 2^(k + 1).
  Value greatestOf(StepTree initial, const GreatestStep &step) {
    Value greatest = rows(initial, step.other), steps;
    bool changes = step.step && dependsOn(step.step, loop.step);
    if (changes)
      steps = rows(tracer.number(type, 0), step.step);
    for (int64_t width = 1; width <= updates; width *= 2) {
      // The sum of the steps of `width` rows, or so many times the one.
      StepTree sum = changes     ? tracer.load(steps, rowIndices())
                     : step.step ? tracer.product(type, {tracer.number(type, width), step.step})
                                 : nullptr;
      StepTree here = tracer.load(greatest, rowIndices()), before = tracer.load(greatest, rowIndices(width));
      StepTree moved = sum ? tracer.apply<arith::AddFOp>(before, sum) : before;
      greatest = fromRow(width, here, tracer.apply<arith::MaximumFOp>(here, moved));
      if (changes)
        steps = fromRow(width, sum, tracer.apply<arith::AddFOp>(sum, tracer.load(steps, rowIndices(width))));
    }
    return greatest;
  }

  /// The indices of a row, or of the one that stands `before` rows before it, or first.
  SmallVector<Dim, 4> rowIndices(int64_t before = 0) {
    SmallVector<Dim, 4> indices{before ? Dim::max(rowIndex() - Dim(before), Dim(0)) : rowIndex()};
    llvm::append_range(indices, loop.at);
    return indices;
  }

  const Dim &rowIndex() {
    if (!row)
      row = tracer.domain.addIndex(Dim(updates + 1));
    return *row;
  }

  /// Rows from number `begin` on as `tree` says, those before as `other`.
  Value fromRow(int64_t begin, StepTree other, StepTree tree) {
    llvm::SetVector<Value> tensors;
    collectTensors(tree, tensors);
    collectTensors(other, tensors);
    return MapOp::create(builder, loc, rowsType(), tensors.getArrayRef(),
                         [&](OpBuilder &b, Location, ValueRange inputs, ValueRange at) -> Value {
                           llvm::StringMap<Value> symbols;
                           symbols[*rowIndex().asSymbol()] = at[0];
                           setIndices(at.drop_front(), symbols);
                           Value isBehind =
                               arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sge, at[0], constant(b, begin));
                           return arith::SelectOp::create(
                               b, loc, isBehind, tracer.emit(b, loc, tree, tensors.getArrayRef(), inputs, symbols),
                               tracer.emit(b, loc, other, tensors.getArrayRef(), inputs, symbols));
                         });
  }

  //===--------------------------------------------------------------------------===//
  // Maps
  //===--------------------------------------------------------------------------===//

  RankedTensorType rowsType() const {
    Shape dims{Dim(updates + 1)};
    llvm::append_range(dims, shape);
    return tensorOf(type, dims);
  }

  using Element = function_ref<Value(OpBuilder &, ValueRange tensors, ValueRange at, Value update)>;

  /// The initial state, and behind it what `element` gives for each update, which may load from `last`.
  Value rows(StepTree initial, Element element, Value last, llvm::SetVector<Value> tensors = {}) {
    collectTensors(initial, tensors);
    if (last)
      tensors.insert(last);
    return MapOp::create(
        builder, loc, rowsType(), tensors.getArrayRef(),
        [&](OpBuilder &b, Location, ValueRange inputs, ValueRange at) -> Value {
          llvm::StringMap<Value> symbols;
          setIndices(at.drop_front(), symbols);
          Value zero = constant(b, 0), less = arith::SubIOp::create(b, loc, at[0], constant(b, 1));
          Value isFirst = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, at[0], constant(b, 1));
          Value update = arith::SelectOp::create(b, loc, isFirst, zero, less);
          Value behind = element(b, inputs, at, update);
          return arith::SelectOp::create(b, loc, isFirst,
                                         tracer.emit(b, loc, initial, tensors.getArrayRef(), inputs, symbols), behind);
        });
  }

  Value rows(StepTree initial, StepTree tree) {
    llvm::SetVector<Value> tensors;
    collectTensors(tree, tensors);
    collectTensors(initial, tensors);
    return rows(
        initial,
        [&](OpBuilder &b, ValueRange inputs, ValueRange at, Value update) {
          llvm::StringMap<Value> symbols;
          setStep(b, update, symbols);
          setIndices(at.drop_front(), symbols);
          return tracer.emit(b, loc, tree, tensors.getArrayRef(), inputs, symbols);
        },
        Value(), tensors);
  }

  using Symbols = function_ref<void(OpBuilder &, ValueRange at, llvm::StringMap<Value> &)>;

  Value map(ArrayRef<Dim> dims, StepTree tree, Symbols name) {
    llvm::SetVector<Value> tensors;
    collectTensors(tree, tensors);
    return MapOp::create(builder, loc, tensorOf(type, dims), tensors.getArrayRef(),
                         [&](OpBuilder &b, Location, ValueRange inputs, ValueRange at) {
                           llvm::StringMap<Value> symbols;
                           name(b, at, symbols);
                           return tracer.emit(b, loc, tree, tensors.getArrayRef(), inputs, symbols);
                         });
  }

  Value constant(OpBuilder &b, int64_t value) { return arith::ConstantIndexOp::create(b, loc, value); }

  /// Step n makes update n - 1.
  void setStep(OpBuilder &b, Value update, llvm::StringMap<Value> &symbols) {
    symbols[*loop.step.asSymbol()] = arith::AddIOp::create(b, loc, update, constant(b, 1));
  }

  void setIndices(ValueRange indices, llvm::StringMap<Value> &symbols) {
    for (auto [dim, index] : llvm::zip(loop.at, indices))
      if (dim.asSymbol())
        symbols[*dim.asSymbol()] = index;
  }

  Value extent(OpBuilder &b, const Dim &dim) {
    return SizeOp::create(b, loc, b.getIndexType(), DimAttr::get(b.getContext(), dim));
  }

  /// The dims of a state that are heads, from the head's number, and back.
  SmallVector<Value> spread(OpBuilder &b, Value head) {
    ArrayRef<Dim> dims = ArrayRef<Dim>(shape).drop_front(isBatched());
    SmallVector<Value> indices;
    for (const Dim &dim : llvm::reverse(dims.drop_front())) {
      indices.push_back(arith::RemUIOp::create(b, loc, head, extent(b, dim)));
      head = arith::DivUIOp::create(b, loc, head, extent(b, dim));
    }
    indices.push_back(head);
    std::reverse(indices.begin(), indices.end());
    return indices;
  }

  Value gathered(OpBuilder &b, ValueRange indices) {
    ArrayRef<Dim> dims = ArrayRef<Dim>(shape).drop_front(isBatched());
    Value head = indices.front();
    for (auto [dim, index] : llvm::zip(dims.drop_front(), indices.drop_front()))
      head = arith::AddIOp::create(b, loc, arith::MulIOp::create(b, loc, head, extent(b, dim)), index);
    return head;
  }

  //===--------------------------------------------------------------------------===//
  // Results
  //===--------------------------------------------------------------------------===//

  void collect() {
    MapOp collected = loop.loop.collect;
    StepTree tree = tracer.replaced(loop.output, [&](StepTree carried) -> StepTree {
      if (carried->kind != StepNode::Carried)
        return nullptr;
      SmallVector<Dim, 4> indices{loop.step};
      llvm::append_range(indices, carried->at);
      return tracer.load(all[carried->state], indices);
    });
    llvm::SetVector<Value> tensors;
    collectTensors(tree, tensors);
    Value result = MapOp::create(builder, loc, cast<RankedTensorType>(collected.getResult().getType()),
                                 tensors.getArrayRef(), [&](OpBuilder &b, Location, ValueRange inputs, ValueRange at) {
                                   llvm::StringMap<Value> symbols;
                                   for (auto [dim, index] : llvm::zip(loop.outputAt, at))
                                     if (dim.asSymbol())
                                       symbols[*dim.asSymbol()] = index;
                                   symbols[*loop.step.asSymbol()] = at[loop.loop.axis];
                                   return tracer.emit(b, loc, tree, tensors.getArrayRef(), inputs, symbols);
                                 });
    collected.getResult().replaceAllUsesWith(result);
  }

  Value lastRow(Value rows) {
    return MapOp::create(builder, loc, tensorOf(type, shape), rows,
                         [&](OpBuilder &b, Location, ValueRange inputs, ValueRange at) -> Value {
                           SmallVector<Value> place(at);
                           place.insert(place.begin(), constant(b, updates));
                           return LoadOp::create(b, loc, inputs[0], place);
                         });
  }

  ElementLoop &loop;
  StepTracer &tracer;
  OpBuilder builder;
  Location loc;
  Shape shape;
  Type type;
  int64_t updates;
  SmallVector<Value> all;
  std::optional<Dim> row;
};

} // namespace

bool buildElementScans(ElementLoop &loop) { return Builder(loop).build(); }

} // namespace tenon
