//===- RegionEmitter.cpp - regions of scalar arithmetic as vector code --------------===//
#include "passes/lowering/RegionEmitter.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Matchers.h"
#include "passes/lowering/Faults.h"

using namespace mlir;

namespace tenon {

static std::optional<int64_t> constantOf(Value value) {
  APInt constant;
  return matchPattern(value, m_ConstantInt(&constant)) ? std::optional(constant.getSExtValue()) : std::nullopt;
}

//===----------------------------------------------------------------------------===//
// KernelScope
//===----------------------------------------------------------------------------===//

Value KernelScope::index(int64_t value, Location loc) { return arith::ConstantIndexOp::create(builder, loc, value); }

Value KernelScope::add(Value a, Value b, Location loc) { return builder.createOrFold<arith::AddIOp>(loc, a, b); }
Value KernelScope::sub(Value a, Value b, Location loc) { return builder.createOrFold<arith::SubIOp>(loc, a, b); }
Value KernelScope::mul(Value a, Value b, Location loc) { return builder.createOrFold<arith::MulIOp>(loc, a, b); }
Value KernelScope::minimum(Value a, Value b, Location loc) {
  return builder.createOrFold<arith::MinSIOp>(loc, a, b);
}

namespace {
/// Turns the postfix walk of a Dim into index arithmetic.
struct DimEmitter : DimVisitor {
  DimEmitter(KernelScope &scope, Location loc) : scope(scope), loc(loc) {}

  void constant(int64_t value) override { stack.push_back(scope.index(value, loc)); }
  void symbol(std::string_view name) override {
    unsigned k = 0;
    bool isKernelDim =
        name.size() > 1 && name[0] == 'd' && !StringRef(name.data() + 1, name.size() - 1).getAsInteger(10, k);
    assert(isKernelDim && "a kernel knows only its own dims");
    (void)isKernelDim;
    stack.push_back(scope.function.dim(k));
  }
  void binary(DimOp op) override {
    Value b = stack.pop_back_val(), a = stack.pop_back_val();
    stack.push_back(emit(op, a, b));
  }
  Value emit(DimOp op, Value a, Value b) {
    OpBuilder &builder = scope.builder;
    switch (op) {
    case DimOp::Add:
      return scope.add(a, b, loc);
    case DimOp::Multiply:
      return scope.mul(a, b, loc);
    case DimOp::FloorDiv:
      return builder.createOrFold<arith::FloorDivSIOp>(loc, a, b);
    case DimOp::Mod:
      return scope.sub(a, scope.mul(builder.createOrFold<arith::FloorDivSIOp>(loc, a, b), b, loc), loc);
    case DimOp::Min:
      return scope.minimum(a, b, loc);
    case DimOp::Max:
      return builder.createOrFold<arith::MaxSIOp>(loc, a, b);
    }
    llvm_unreachable("every DimOp is above");
  }

  KernelScope &scope;
  Location loc;
  SmallVector<Value> stack;
};
} // namespace

Value KernelScope::dim(const Dim &dim, Location loc) {
  DimEmitter emitter(*this, loc);
  dim.visit(emitter);
  return emitter.stack.back();
}

SmallVector<Value> KernelScope::strides(ArrayRef<Dim> shape, Location loc) {
  SmallVector<Value> strides(shape.size());
  Dim stride(1);
  for (int64_t i = int64_t(shape.size()) - 1; i >= 0; --i) {
    strides[i] = dim(stride, loc);
    stride *= shape[i];
  }
  return strides;
}

Type KernelScope::memoryType(Type element) {
  if (element.isInteger(1))
    return IntegerType::get(element.getContext(), 8);
  return element.isIndex() ? IntegerType::get(element.getContext(), 64) : element;
}

//===----------------------------------------------------------------------------===//
// Lane values
//===----------------------------------------------------------------------------===//

Value RegionEmitter::materialise(const LaneValue &value) {
  if (lanes == 1 || value.kind == LaneValue::Varying)
    return value.value;
  VectorType type = vectorOf(value.value.getType());
  Value vector = vector::BroadcastOp::create(builder, loc, type, value.value);
  if (value.kind == LaneValue::Uniform)
    return vector;
  SmallVector<Attribute> steps;
  for (unsigned lane = 0; lane < lanes; ++lane)
    steps.push_back(builder.getIntegerAttr(type.getElementType(), int64_t(lane) * value.step));
  Value offsets = arith::ConstantOp::create(builder, loc, DenseElementsAttr::get(type, steps));
  return arith::AddIOp::create(builder, loc, vector, offsets);
}

LaneValue RegionEmitter::addIndices(const LaneValue &a, const LaneValue &b, bool subtract) {
  auto combine = [&](Value x, Value y) { return subtract ? scope.sub(x, y, loc) : scope.add(x, y, loc); };
  if (a.kind == LaneValue::Varying || b.kind == LaneValue::Varying)
    return LaneValue::varying(combine(materialise(a), materialise(b)), false).like({a, b});
  LaneValue sum = LaneValue::linear(combine(a.value, b.value), subtract ? a.step - b.step : a.step + b.step);
  if (sum.step == 0)
    sum.kind = LaneValue::Uniform;
  return sum.like({a, b});
}

LaneValue RegionEmitter::multiplyIndices(const LaneValue &a, const LaneValue &b) {
  if (a.kind == LaneValue::Uniform && b.kind == LaneValue::Uniform)
    return LaneValue::uniform(scope.mul(a.value, b.value, loc)).like({a, b});
  const LaneValue &linear = a.kind == LaneValue::Linear ? a : b, &factor = a.kind == LaneValue::Linear ? b : a;
  std::optional<int64_t> constant = factor.kind == LaneValue::Uniform ? constantOf(factor.value) : std::nullopt;
  if (linear.kind == LaneValue::Linear && constant)
    return LaneValue{*constant == 0 ? LaneValue::Uniform : LaneValue::Linear,
                     scope.mul(linear.value, factor.value, loc), linear.step * *constant}
        .like({a, b});
  return LaneValue::varying(scope.mul(materialise(a), materialise(b), loc), false).like({a, b});
}

//===----------------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------------===//

LaneValue RegionEmitter::clampIndex(const LaneValue &index, Value size) {
  bool isUniform = index.kind == LaneValue::Uniform || lanes == 1;
  auto everyLane = [&](Value scalar) { return isUniform ? scalar : materialise(LaneValue::uniform(scalar)); };
  Value last = everyLane(scope.sub(size, scope.index(1, loc), loc)), zero = everyLane(scope.index(0, loc));
  Value value = isUniform ? index.value : materialise(index);
  Value below = arith::MinSIOp::create(builder, loc, value, last);
  Value clamped = arith::MaxSIOp::create(builder, loc, below, zero);
  Value isBad = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ne, clamped, value);
  if (!isUniform)
    isBad = vector::ReductionOp::create(builder, loc, vector::CombiningKind::OR, isBad);
  auto guard = scf::IfOp::create(builder, loc, isBad, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard insertion(builder);
  builder.setInsertionPointToStart(guard.thenBlock());
  Value bits = arith::ConstantIntOp::create(builder, loc, builder.getI32Type(), faultIndexOutOfRange);
  scope.function.raiseFaults(builder, loc, bits);
  return isUniform ? LaneValue::uniform(clamped, true) : LaneValue::varying(clamped);
}

/// i1 is stored as a byte.
LaneValue RegionEmitter::fromMemory(LaneValue loaded, Type element) {
  loaded.fromData = true;
  if (element.isInteger(1)) {
    Value zero = arith::ConstantOp::create(builder, loc, builder.getZeroAttr(loaded.value.getType()));
    loaded.value = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ne, loaded.value, zero);
  } else if (element.isIndex()) {
    Type type = isa<VectorType>(loaded.value.getType()) ? Type(vectorOf(element)) : element;
    loaded.value = arith::IndexCastOp::create(builder, loc, type, loaded.value);
  }
  return loaded;
}

Value RegionEmitter::laneMask() {
  VectorType type = vectorOf(builder.getI1Type());
  if (activeLanes)
    return vector::CreateMaskOp::create(builder, loc, type, activeLanes);
  return arith::ConstantOp::create(builder, loc, DenseElementsAttr::get(type, true));
}

Value RegionEmitter::reversed(Value vector) {
  SmallVector<int64_t> order;
  for (int64_t lane = lanes; lane-- > 0;)
    order.push_back(lane);
  return vector::ShuffleOp::create(builder, loc, vector, vector, order);
}

/// The elements at offset, offset + 1, …, or backwards at offset, offset - 1, ….
Value RegionEmitter::loadRow(Value memory, VectorType type, Value offset, bool backwards) {
  if (backwards)
    offset = scope.sub(offset, scope.index(lanes - 1, loc), loc);
  Value row;
  if (!activeLanes) {
    row = vector::LoadOp::create(builder, loc, type, memory, offset);
  } else {
    Value mask = backwards ? reversed(laneMask()) : laneMask();
    Value none = arith::ConstantOp::create(builder, loc, builder.getZeroAttr(type));
    row = vector::MaskedLoadOp::create(builder, loc, type, memory, offset, mask, none);
  }
  return backwards ? reversed(row) : row;
}

/// The offset where the tensor has elements, else its start (of a vector that is turned around, the end of the first).
LaneValue RegionEmitter::startIfEmpty(LaneValue offset, ArrayRef<Dim> shape) {
  Value zero = scope.index(0, loc);
  Value isEmpty = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, scope.dim(countOf(shape), loc), zero);
  Value start = zero;
  if (offset.kind == LaneValue::Linear && offset.step == -1)
    start = scope.index(lanes - 1, loc);
  if (offset.kind == LaneValue::Linear && offset.step != 1 && offset.step != -1)
    offset = LaneValue::varying(materialise(offset));
  if (offset.kind == LaneValue::Varying)
    start = vector::BroadcastOp::create(builder, loc, offset.value.getType(), start);
  offset.value = arith::SelectOp::create(builder, loc, isEmpty, start, offset.value);
  return offset;
}

LaneValue RegionEmitter::load(Value memory, Type element, ArrayRef<Dim> shape, ArrayRef<LaneValue> indices) {
  SmallVector<Value> strides = scope.strides(shape, loc);
  LaneValue offset = LaneValue::uniform(scope.index(0, loc));
  for (auto [index, stride, dim] : llvm::zip(indices, strides, shape)) {
    LaneValue inRange = index.fromData ? clampIndex(index, scope.dim(dim, loc)) : index;
    offset = addIndices(offset, multiplyIndices(inRange, LaneValue::uniform(stride)), /*subtract=*/false).like(index);
  }
  if ((offset.fromData || offset.isChosen) && !countOf(shape).constant())
    offset = startIfEmpty(offset, shape);
  if (offset.kind == LaneValue::Uniform || lanes == 1)
    return fromMemory(LaneValue::uniform(memref::LoadOp::create(builder, loc, memory, offset.value)), element);
  VectorType type = vectorOf(KernelScope::memoryType(element));
  if (offset.kind == LaneValue::Linear && (offset.step == 1 || offset.step == -1))
    return fromMemory(LaneValue::varying(loadRow(memory, type, offset.value, offset.step < 0)), element);
  Value mask = laneMask();
  Value none = arith::ConstantOp::create(builder, loc, builder.getZeroAttr(type));
  Value zero = scope.index(0, loc);
  Value gathered =
      vector::GatherOp::create(builder, loc, type, memory, ValueRange{zero}, materialise(offset), mask, none);
  return fromMemory(LaneValue::varying(gathered), element);
}

TensorReader RegionEmitter::memoryReader(Value memory, RankedTensorType type) {
  return [=, this](ArrayRef<LaneValue> indices) { return load(memory, type.getElementType(), shapeOf(type), indices); };
}

LaneValue RegionEmitter::loadConsecutive(Value memory, Value offset) {
  Type element = cast<MemRefType>(memory.getType()).getElementType();
  if (lanes == 1)
    return LaneValue::uniform(memref::LoadOp::create(builder, loc, memory, offset), true);
  return LaneValue::varying(loadRow(memory, vectorOf(element), offset, /*backwards=*/false));
}

void RegionEmitter::store(LaneValue value, Value memory, Value offset) {
  Value stored = materialise(value);
  Type element = getElementTypeOrSelf(stored.getType());
  Type memoryElement = cast<MemRefType>(memory.getType()).getElementType();
  Type type = lanes == 1 ? memoryElement : Type(vectorOf(memoryElement));
  if (element.isIndex())
    stored = arith::IndexCastOp::create(builder, loc, type, stored);
  else if (element.isInteger(1))
    stored = arith::ExtUIOp::create(builder, loc, type, stored);
  if (lanes == 1)
    memref::StoreOp::create(builder, loc, stored, memory, offset);
  else if (activeLanes)
    vector::MaskedStoreOp::create(builder, loc, memory, offset, laneMask(), stored);
  else
    vector::StoreOp::create(builder, loc, stored, memory, offset);
}

//===----------------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------------===//

std::optional<LaneValue> RegionEmitter::evaluateLinear(Operation &op, ArrayRef<LaneValue> operands) {
  if (op.getNumResults() != 1 || !op.getResult(0).getType().isIntOrIndex())
    return std::nullopt;
  if (isa<arith::AddIOp, arith::SubIOp>(op))
    return addIndices(operands[0], operands[1], isa<arith::SubIOp>(op));
  if (isa<arith::MulIOp>(op))
    return multiplyIndices(operands[0], operands[1]);
  if (isa<arith::IndexCastOp, arith::ExtSIOp>(op) && operands[0].kind == LaneValue::Linear) {
    LaneValue cast = operands[0];
    OperationState state(loc, op.getName(), cast.value, op.getResultTypes());
    cast.value = builder.create(state)->getResult(0);
    return cast;
  }
  return std::nullopt;
}

/// Products and sums may be contracted (design 4.13), nothing else: between two conversions the flag would drop a rounding.
static void allowContraction(Operation *op) {
  if (isa<arith::ExtFOp, arith::TruncFOp>(op))
    return;
  if (auto interface = dyn_cast<arith::ArithFastMathInterface>(op))
    op->setAttr(interface.getFastMathAttrName(),
                arith::FastMathFlagsAttr::get(op->getContext(), arith::FastMathFlags::contract));
}

LaneValue RegionEmitter::evaluateOp(Operation &op, ArrayRef<LaneValue> operands) {
  bool isUniform = llvm::all_of(operands, [](const LaneValue &value) { return value.kind == LaneValue::Uniform; });
  if (std::optional<LaneValue> linear = isUniform ? std::nullopt : evaluateLinear(op, operands))
    return *linear;
  OperationState state(loc, op.getName());
  state.addAttributes(op.getAttrs());
  for (const LaneValue &operand : operands)
    state.operands.push_back(isUniform ? operand.value : materialise(operand));
  Type result = op.getResult(0).getType();
  state.addTypes(isUniform || lanes == 1 ? result : Type(vectorOf(result)));
  Operation *emitted = builder.create(state);
  allowContraction(emitted);
  Value value = emitted->getResult(0);
  LaneValue computed =
      (isUniform || lanes == 1 ? LaneValue::uniform(value) : LaneValue::varying(value, false)).like(operands);
  computed.isChosen |= isa<arith::SelectOp, arith::MinSIOp, arith::MaxSIOp>(op);
  return computed;
}

/// A region while it is evaluated.
struct RegionEmitter::Frame {
  Frame(Block &block, bool branches) : choices(block, branches) {}

  LaneValue operator[](Value value) const { return values.lookup(value); }
  SmallVector<LaneValue> operator[](ValueRange range) const {
    return llvm::map_to_vector(range, [&](Value value) { return values.lookup(value); });
  }

  RegionChoices choices;
  llvm::DenseMap<Value, LaneValue> values;
  llvm::DenseMap<Value, const TensorReader *> readers;
};

LaneValue RegionEmitter::evaluate(Region &region, ArrayRef<LaneValue> scalars, ArrayRef<TensorReader> tensors) {
  Frame frame(region.front(), branches && lanes > 1);
  for (BlockArgument argument : region.getArguments()) {
    if (isa<RankedTensorType>(argument.getType())) {
      frame.readers[argument] = &tensors.front();
      tensors = tensors.drop_front();
    } else {
      frame.values[argument] = scalars.front();
      scalars = scalars.drop_front();
    }
  }
  evaluateSide({}, frame);
  return frame[region.front().getTerminator()->getOperand(0)];
}

void RegionEmitter::evaluateSide(RegionChoices::Side side, Frame &frame) {
  for (Operation *op : frame.choices.operationsOf(side)) {
    if (auto load = dyn_cast<LoadOp>(op))
      frame.values[load] = (*frame.readers.lookup(load.getTensor()))(frame[load.getIndices()]);
    else if (auto size = dyn_cast<SizeOp>(op))
      frame.values[size] = LaneValue::uniform(scope.dim(size.getDim().getValue(), loc));
    else if (auto select = dyn_cast<arith::SelectOp>(op))
      frame.values[select] = evaluateSelect(select, frame);
    else
      frame.values[op->getResult(0)] = evaluateOp(*op, frame[op->getOperands()]);
  }
}

LaneValue RegionEmitter::evaluateSelect(arith::SelectOp select, Frame &frame) {
  LaneValue condition = frame[select.getCondition()];
  if (condition.kind != LaneValue::Uniform || !frame.choices.areLoadsSaved(select)) {
    evaluateSide({select, true}, frame);
    evaluateSide({select, false}, frame);
    return evaluateOp(*select, frame[select->getOperands()]);
  }
  auto choice = scf::IfOp::create(builder, loc, vectorOf(select.getType()), condition.value, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(builder);
  for (bool isTrue : {true, false}) {
    builder.setInsertionPointToStart(isTrue ? choice.thenBlock() : choice.elseBlock());
    evaluateSide({select, isTrue}, frame);
    Value value = materialise(frame[isTrue ? select.getTrueValue() : select.getFalseValue()]);
    scf::YieldOp::create(builder, loc, value);
  }
  return LaneValue::varying(choice.getResult(0));
}

} // namespace tenon
