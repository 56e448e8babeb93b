//===- ThreadGroup.cpp - threads that work on one row together ----------------------===//
#include "compiler/codegen/nvptx/ThreadGroup.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace tenon {

ThreadGroup::ThreadGroup(DeviceLowering &lowering, Kind kind)
    : size(kind == Warp ? warpThreads : lowering.function.blockThreads), function(lowering.function),
      scope(lowering.kernel.scope), builder(lowering.kernel.builder), loc(lowering.kernel.loc) {
  Value warp = scope.index(warpThreads, loc), thread = function.thread;
  rank = kind == Warp ? Value(arith::RemUIOp::create(builder, loc, thread, warp)) : thread;
  number = kind == Warp ? Value(arith::DivUIOp::create(builder, loc, thread, warp)) : scope.index(0, loc);
}

void ThreadGroup::forEach(Value n, function_ref<void(Value)> body) {
  emitCarryingLoop(scope, loc, rank, n, size, {}, [&](Value j, ValueRange) {
    body(j);
    return SmallVector<Value>();
  });
}

Value ThreadGroup::reduce(Value n, ReduceKind kind, Type type, function_ref<Value(Value)> element) {
  Value start = identityOf(builder, loc, kind, type);
  Value own = emitCarryingLoop(scope, loc, rank, n, size, start, [&](Value j, ValueRange carried) {
                return SmallVector<Value>{tenon::combine(builder, loc, kind, carried[0], element(j))};
              }).front();
  return combine(kind, own);
}

Value ThreadGroup::combine(ReduceKind kind, Value value) {
  Value total = acrossWarp(kind, value);
  return size == warpThreads ? total : acrossBlock(kind, total);
}

Value ThreadGroup::exchangeWord(Value word, unsigned distance) {
  auto constant = [&](int64_t value) {
    return arith::ConstantIntOp::create(builder, loc, builder.getI32Type(), value);
  };
  return NVVM::ShflOp::create(builder, loc, word.getType(), constant(-1), word, constant(distance),
                              constant(warpThreads - 1), NVVM::ShflKind::bfly, UnitAttr());
}

/// What the thread `distance` away in the warp has as `value`.
Value ThreadGroup::exchange(Value value, unsigned distance) {
  Type type = value.getType(), word = builder.getI32Type();
  unsigned bits = type.isIndex() ? 64 : type.getIntOrFloatBitWidth();
  if (type.isF32() || type.isInteger(32))
    return exchangeWord(value, distance);
  if (bits < 32) { // integers; narrow floats are reduced as f32
    Value wide = exchangeWord(arith::ExtSIOp::create(builder, loc, word, value), distance);
    return arith::TruncIOp::create(builder, loc, type, wide);
  }
  Type whole = builder.getI64Type();
  Value raw = type.isIndex()   ? Value(arith::IndexCastOp::create(builder, loc, whole, value))
              : type == whole  ? value
                               : Value(arith::BitcastOp::create(builder, loc, whole, value));
  Value half = arith::ConstantIntOp::create(builder, loc, whole, 32);
  Value low = exchangeWord(arith::TruncIOp::create(builder, loc, word, raw), distance);
  Value upper = arith::ShRUIOp::create(builder, loc, raw, half);
  Value high = exchangeWord(arith::TruncIOp::create(builder, loc, word, upper), distance);
  Value both = arith::OrIOp::create(
      builder, loc, arith::ExtUIOp::create(builder, loc, whole, low),
      arith::ShLIOp::create(builder, loc, arith::ExtUIOp::create(builder, loc, whole, high), half));
  if (type.isIndex())
    return arith::IndexCastOp::create(builder, loc, type, both);
  return type == whole ? both : Value(arith::BitcastOp::create(builder, loc, type, both));
}

Value ThreadGroup::acrossWarp(ReduceKind kind, Value value) {
  for (unsigned distance = warpThreads / 2; distance > 0; distance /= 2)
    value = tenon::combine(builder, loc, kind, value, exchange(value, distance));
  return value;
}

/// Each reduction has shared memory of its own, so that one barrier is enough.
Value ThreadGroup::acrossBlock(ReduceKind kind, Value value) {
  unsigned warps = size / warpThreads;
  Value memory = function.shared(builder, loc, KernelScope::memoryType(value.getType()), warps);
  Value warp = scope.index(warpThreads, loc);
  Value lane = arith::RemUIOp::create(builder, loc, function.thread, warp);
  Value isFirst = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, lane, scope.index(0, loc));
  emitIf(scope, loc, isFirst, [&] {
    memref::StoreOp::create(builder, loc, value, memory,
                            Value(arith::DivUIOp::create(builder, loc, function.thread, warp)));
  });
  function.barrier(builder, loc);
  Value total;
  for (unsigned i = 0; i < warps; ++i) {
    Value part = memref::LoadOp::create(builder, loc, memory, scope.index(i, loc));
    total = total ? tenon::combine(builder, loc, kind, total, part) : part;
  }
  return total;
}

} // namespace tenon
