//===- LaneLoop.cpp - loops over neighbouring elements -----------------------------===//
#include "passes/lowering/LaneLoop.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace tenon {

void emitLoop(KernelScope &scope, Location loc, Value begin, Value end, function_ref<void(Value)> body) {
  auto loop = scf::ForOp::create(scope.builder, loc, begin, end, scope.index(1, loc));
  OpBuilder::InsertionGuard guard(scope.builder);
  scope.builder.setInsertionPointToStart(loop.getBody());
  body(loop.getInductionVar());
}

void emitIf(KernelScope &scope, Location loc, Value condition, function_ref<void()> yes, function_ref<void()> no) {
  auto choice = scf::IfOp::create(scope.builder, loc, condition, /*withElseRegion=*/bool(no));
  OpBuilder::InsertionGuard guard(scope.builder);
  scope.builder.setInsertionPointToStart(choice.thenBlock());
  yes();
  if (!no)
    return;
  scope.builder.setInsertionPointToStart(choice.elseBlock());
  no();
}

SmallVector<Value> emitCarryingLoop(KernelScope &scope, Location loc, Value begin, Value end, int64_t step,
                                    ValueRange start, function_ref<SmallVector<Value>(Value, ValueRange)> body) {
  auto loop = scf::ForOp::create(scope.builder, loc, begin, end, scope.index(step, loc), start);
  OpBuilder::InsertionGuard guard(scope.builder);
  scope.builder.setInsertionPointToStart(loop.getBody());
  SmallVector<Value> next = body(loop.getInductionVar(), loop.getRegionIterArgs());
  if (!next.empty())
    scf::YieldOp::create(scope.builder, loc, next);
  return SmallVector<Value>(loop.getResults());
}

Value emitLoopNest(KernelScope &scope, Location loc, ArrayRef<Value> sizes, Value start,
                   function_ref<Value(ArrayRef<Value>, Value)> body) {
  SmallVector<Value> point;
  std::function<Value(Value)> nest = [&](Value carried) -> Value {
    if (point.size() == sizes.size())
      return body(point, carried);
    auto loop = scf::ForOp::create(scope.builder, loc, scope.index(0, loc), sizes[point.size()], scope.index(1, loc),
                                   carried);
    OpBuilder::InsertionGuard guard(scope.builder);
    scope.builder.setInsertionPointToStart(loop.getBody());
    point.push_back(loop.getInductionVar());
    scf::YieldOp::create(scope.builder, loc, nest(loop.getRegionIterArg(0)));
    point.pop_back();
    return loop.getResult(0);
  };
  return nest(start);
}

//===----------------------------------------------------------------------------===//
// Lanes
//===----------------------------------------------------------------------------===//

namespace {
/// n split into whole vectors and a remainder.
struct Split {
  Value whole;        // elements covered by whole vectors
  bool hasVectors, hasRemainder;
};
} // namespace

static Split splitLanes(KernelScope &scope, Location loc, Value n, unsigned lanes) {
  APInt constant;
  if (matchPattern(n, m_ConstantInt(&constant))) {
    int64_t size = constant.getSExtValue(), whole = size / lanes * lanes;
    return {scope.index(whole, loc), whole > 0, size > whole};
  }
  Value width = scope.index(lanes, loc);
  Value remainder = scope.builder.createOrFold<arith::RemUIOp>(loc, n, width);
  return {scope.sub(n, remainder, loc), true, lanes > 1};
}

/// The whole vectors.
static void emitVectors(KernelScope &scope, Location loc, const Split &split, unsigned lanes,
                        function_ref<void(RegionEmitter &, const LaneValue &)> body) {
  if (!split.hasVectors)
    return;
  RegionEmitter emitter(scope, lanes, loc);
  auto loop = scf::ForOp::create(scope.builder, loc, scope.index(0, loc), split.whole, scope.index(lanes, loc));
  OpBuilder::InsertionGuard guard(scope.builder);
  scope.builder.setInsertionPointToStart(loop.getBody());
  Value j = loop.getInductionVar();
  body(emitter, lanes == 1 ? LaneValue::uniform(j) : LaneValue::linear(j));
}

void emitLaneLoop(KernelScope &scope, Location loc, Value n, unsigned lanes,
                  function_ref<void(RegionEmitter &, const LaneValue &)> body) {
  Split split = splitLanes(scope, loc, n, lanes);
  emitVectors(scope, loc, split, lanes, body);
  if (split.hasRemainder) {
    RegionEmitter emitter(scope, 1, loc);
    emitLoop(scope, loc, split.whole, n, [&](Value j) { body(emitter, LaneValue::uniform(j)); });
  }
}

void emitMaskedLaneLoop(KernelScope &scope, Location loc, Value n, unsigned lanes,
                        function_ref<void(RegionEmitter &, const LaneValue &)> body) {
  Split split = splitLanes(scope, loc, n, lanes);
  emitVectors(scope, loc, split, lanes, body);
  if (!split.hasRemainder)
    return;
  Value isLeft = arith::CmpIOp::create(scope.builder, loc, arith::CmpIPredicate::slt, split.whole, n);
  emitIf(scope, loc, isLeft, [&] {
    RegionEmitter emitter(scope, lanes, loc);
    emitter.limitLanes(scope.sub(n, split.whole, loc));
    body(emitter, LaneValue::linear(split.whole));
  });
}

static vector::CombiningKind horizontal(ReduceKind kind, Type element) {
  bool isFloat = isa<FloatType>(element);
  switch (kind) {
  case ReduceKind::Sum:
    return vector::CombiningKind::ADD;
  case ReduceKind::Product:
    return vector::CombiningKind::MUL;
  case ReduceKind::Max:
    return isFloat ? vector::CombiningKind::MAXIMUMF : vector::CombiningKind::MAXSI;
  case ReduceKind::Min:
    return isFloat ? vector::CombiningKind::MINIMUMF : vector::CombiningKind::MINSI;
  }
  llvm_unreachable("every ReduceKind is above");
}

/// Neighbouring vectors of a long row are added up side by side: one chain of sums
/// would wait for every addition before the next.
static constexpr unsigned chains = 4;

/// One loop of a reduction, from `begin` to `end`, `lanes` elements a step for each of
/// the accumulators in `start`.
static SmallVector<Value> reduceLoop(KernelScope &scope, Location loc, Value begin, Value end, unsigned lanes,
                                     ReduceKind kind, ArrayRef<Value> start,
                                     function_ref<Value(RegionEmitter &, const LaneValue &)> element) {
  RegionEmitter emitter(scope, lanes, loc);
  Value step = scope.index(int64_t(lanes * start.size()), loc);
  auto loop = scf::ForOp::create(scope.builder, loc, begin, end, step, start);
  OpBuilder::InsertionGuard guard(scope.builder);
  scope.builder.setInsertionPointToStart(loop.getBody());
  SmallVector<Value> carried;
  for (auto [chain, sum] : llvm::enumerate(loop.getRegionIterArgs())) {
    Value j = scope.add(loop.getInductionVar(), scope.index(int64_t(chain * lanes), loc), loc);
    Value value = element(emitter, lanes == 1 ? LaneValue::uniform(j) : LaneValue::linear(j));
    carried.push_back(combine(scope.builder, loc, kind, sum, value));
  }
  scf::YieldOp::create(scope.builder, loc, carried);
  return SmallVector<Value>(loop.getResults());
}

/// The whole vectors of a reduction, into one vector.
static Value reduceVectors(KernelScope &scope, Location loc, Value whole, unsigned lanes, ReduceKind kind,
                           Value identity, function_ref<Value(RegionEmitter &, const LaneValue &)> element) {
  Split wide = splitLanes(scope, loc, whole, chains * lanes);
  Value total = identity;
  if (wide.hasVectors) {
    SmallVector<Value> start(chains, identity);
    SmallVector<Value> sums = reduceLoop(scope, loc, scope.index(0, loc), wide.whole, lanes, kind, start, element);
    for (size_t count = sums.size(); count > 1; count /= 2)
      for (size_t i = 0; i < count / 2; ++i)
        sums[i] = combine(scope.builder, loc, kind, sums[i], sums[i + count / 2]);
    total = sums.front();
  }
  return wide.hasRemainder ? reduceLoop(scope, loc, wide.whole, whole, lanes, kind, total, element).front() : total;
}

Value emitLaneReduction(KernelScope &scope, Location loc, Value n, unsigned lanes, ReduceKind kind, Value start,
                        function_ref<Value(RegionEmitter &, const LaneValue &)> element) {
  OpBuilder &builder = scope.builder;
  Split split = splitLanes(scope, loc, n, lanes);
  Value total = start;
  if (split.hasVectors && lanes > 1) {
    Type type = VectorType::get({int64_t(lanes)}, start.getType());
    Value identity = vector::BroadcastOp::create(builder, loc, type, identityOf(builder, loc, kind, start.getType()));
    Value partial = reduceVectors(scope, loc, split.whole, lanes, kind, identity, element);
    auto fastMath = isa<FloatType>(start.getType()) ? arith::FastMathFlags::reassoc : arith::FastMathFlags::none;
    Value reduced = vector::ReductionOp::create(builder, loc, horizontal(kind, start.getType()), partial, fastMath);
    total = combine(builder, loc, kind, total, reduced);
  }
  if (lanes == 1)
    return reduceLoop(scope, loc, scope.index(0, loc), n, 1, kind, total, element).front();
  return split.hasRemainder ? reduceLoop(scope, loc, split.whole, n, 1, kind, total, element).front() : total;
}

//===----------------------------------------------------------------------------===//
// Reduction kinds
//===----------------------------------------------------------------------------===//

Value combine(OpBuilder &builder, Location loc, ReduceKind kind, Value a, Value b) {
  bool isFloat = isa<FloatType>(getElementTypeOrSelf(a.getType()));
  switch (kind) {
  case ReduceKind::Sum:
    return isFloat ? Value(arith::AddFOp::create(builder, loc, a, b))
                   : Value(arith::AddIOp::create(builder, loc, a, b));
  case ReduceKind::Product:
    return isFloat ? Value(arith::MulFOp::create(builder, loc, a, b))
                   : Value(arith::MulIOp::create(builder, loc, a, b));
  case ReduceKind::Max:
    return isFloat ? Value(arith::MaximumFOp::create(builder, loc, a, b))
                   : Value(arith::MaxSIOp::create(builder, loc, a, b));
  case ReduceKind::Min:
    return isFloat ? Value(arith::MinimumFOp::create(builder, loc, a, b))
                   : Value(arith::MinSIOp::create(builder, loc, a, b));
  }
  llvm_unreachable("every ReduceKind is above");
}

Value convertFloat(OpBuilder &builder, Location loc, Value value, Type element) {
  Type from = getElementTypeOrSelf(value.getType());
  if (from == element)
    return value;
  Type type = isa<VectorType>(value.getType()) ? Type(cast<VectorType>(value.getType()).clone(element)) : element;
  bool widens = from.getIntOrFloatBitWidth() < element.getIntOrFloatBitWidth();
  return widens ? Value(arith::ExtFOp::create(builder, loc, type, value))
                : Value(arith::TruncFOp::create(builder, loc, type, value));
}

Value loadAsF32(OpBuilder &builder, Location loc, Value memory, Value at, unsigned lanes) {
  auto type = VectorType::get({int64_t(lanes)}, cast<MemRefType>(memory.getType()).getElementType());
  return convertFloat(builder, loc, vector::LoadOp::create(builder, loc, type, memory, at), builder.getF32Type());
}

Value loadAsF32(OpBuilder &builder, Location loc, Value memory, Value at) {
  return convertFloat(builder, loc, memref::LoadOp::create(builder, loc, memory, at), builder.getF32Type());
}

Value identityOf(OpBuilder &builder, Location loc, ReduceKind kind, Type element) {
  if (auto type = dyn_cast<FloatType>(element)) {
    const llvm::fltSemantics &semantics = type.getFloatSemantics();
    APFloat value = kind == ReduceKind::Sum       ? APFloat::getZero(semantics)
                    : kind == ReduceKind::Product ? APFloat::getOne(semantics)
                                                  : APFloat::getInf(semantics, kind == ReduceKind::Max);
    return arith::ConstantOp::create(builder, loc, FloatAttr::get(type, value));
  }
  unsigned bits = element.isIndex() ? 64 : element.getIntOrFloatBitWidth();
  APInt value = kind == ReduceKind::Sum       ? APInt::getZero(bits)
                : kind == ReduceKind::Product ? APInt(bits, 1)
                : kind == ReduceKind::Max     ? APInt::getSignedMinValue(bits)
                                              : APInt::getSignedMaxValue(bits);
  return arith::ConstantOp::create(builder, loc, IntegerAttr::get(element, value));
}

} // namespace tenon
