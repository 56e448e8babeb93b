//===- WordSort.cpp - sorting distinct 64-bit words in scratch ------------------------===//
#include "passes/lowering/WordSort.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace tenon {

/// Up to so many words ranking them is faster (Zen 4: 256 are ranked in 6.5 us, sorted by bytes in 3).
static constexpr int64_t mostRanked = 128;
static constexpr int64_t buckets = 256, keyBytes = 4, bitsBelowKey = 32;

Value WordSort::load(Value memory, Value at) { return memref::LoadOp::create(builder, loc, memory, at); }
void WordSort::store(Value value, Value memory, Value at) { memref::StoreOp::create(builder, loc, value, memory, at); }
Value WordSort::other(Value from) { return scope.sub(capacity, from, loc); }
Value WordSort::toIndex(Value integer) {
  return arith::IndexCastUIOp::create(builder, loc, builder.getIndexType(), integer);
}

Value WordSort::constant(Type type, int64_t value) {
  return arith::ConstantOp::create(builder, loc, builder.getIntegerAttr(type, value));
}

Value WordSort::sort(Value from, Value count) {
  Value areFew = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ule, count, scope.index(mostRanked, loc));
  auto choice = scf::IfOp::create(builder, loc, builder.getIndexType(), areFew, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(choice.thenBlock());
  scf::YieldOp::create(builder, loc, rank(from, count));
  builder.setInsertionPointToStart(choice.elseBlock());
  scf::YieldOp::create(builder, loc, byBytes(from, count));
  return choice.getResult(0);
}

//===----------------------------------------------------------------------------===//
// Few words
//===----------------------------------------------------------------------------===//

Value WordSort::rank(Value from, Value count) {
  auto type = VectorType::get({int64_t(lanes)}, builder.getI64Type());
  auto everyLane = [&](int64_t value) {
    return arith::ConstantOp::create(builder, loc, DenseElementsAttr::get(type, builder.getI64IntegerAttr(value)));
  };
  Value zeros = everyLane(0), ones = everyLane(1), to = other(from);
  // Behind the last word stands what comes before none.
  vector::StoreOp::create(builder, loc, everyLane(-1), words, scope.add(from, count, loc));
  emitLoop(scope, loc, scope.index(0, loc), count, [&](Value i) {
    Value mine = load(words, scope.add(from, i, loc));
    Value copies = vector::BroadcastOp::create(builder, loc, type, mine);
    SmallVector<Value> before = emitCarryingLoop(
        scope, loc, scope.index(0, loc), count, lanes, zeros, [&](Value j, ValueRange carried) -> SmallVector<Value> {
          Value others = vector::LoadOp::create(builder, loc, type, words, scope.add(from, j, loc));
          Value isBefore = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, others, copies);
          Value one = arith::SelectOp::create(builder, loc, isBefore, ones, zeros);
          return {arith::AddIOp::create(builder, loc, carried[0], one)};
        });
    Value place = vector::ReductionOp::create(builder, loc, vector::CombiningKind::ADD, before[0]);
    store(mine, words, scope.add(to, toIndex(place), loc));
  });
  return to;
}

//===----------------------------------------------------------------------------===//
// Many words
//===----------------------------------------------------------------------------===//

Value WordSort::counterOf(Value word, Value byte) {
  Value shift = scope.add(scope.mul(byte, scope.index(8, loc), loc), scope.index(bitsBelowKey, loc), loc);
  Value places = arith::IndexCastOp::create(builder, loc, builder.getI64Type(), shift);
  Value moved = arith::ShRUIOp::create(builder, loc, word, places);
  Value digit = arith::AndIOp::create(builder, loc, moved, constant(builder.getI64Type(), buckets - 1));
  return scope.add(scope.mul(byte, scope.index(buckets, loc), loc), toIndex(digit), loc);
}

void WordSort::countBytes(Value from, Value count) {
  auto type = VectorType::get({int64_t(lanes)}, builder.getI32Type());
  Value zeros = arith::ConstantOp::create(builder, loc, builder.getZeroAttr(type));
  emitCarryingLoop(scope, loc, scope.index(0, loc), scope.index(keyBytes * buckets, loc), lanes, {},
                   [&](Value at, ValueRange) -> SmallVector<Value> {
                     vector::StoreOp::create(builder, loc, zeros, counters, at);
                     return {};
                   });
  Value one = constant(builder.getI32Type(), 1);
  emitLoop(scope, loc, scope.index(0, loc), count, [&](Value i) {
    Value word = load(words, scope.add(from, i, loc));
    for (int64_t byte = 0; byte < keyBytes; ++byte) {
      Value counter = counterOf(word, scope.index(byte, loc));
      store(arith::AddIOp::create(builder, loc, load(counters, counter), one), counters, counter);
    }
  });
}

/// Counts to where each bucket begins.
void WordSort::sumCounters(Value byte) {
  Value first = scope.mul(byte, scope.index(buckets, loc), loc);
  emitCarryingLoop(scope, loc, scope.index(0, loc), scope.index(buckets, loc), 1, constant(builder.getI32Type(), 0),
                   [&](Value bucket, ValueRange sum) -> SmallVector<Value> {
                     Value at = scope.add(first, bucket, loc), words = load(counters, at);
                     store(sum[0], counters, at);
                     return {arith::AddIOp::create(builder, loc, sum[0], words)};
                   });
}

void WordSort::distribute(Value from, Value to, Value count, Value byte) {
  Value one = constant(builder.getI32Type(), 1);
  emitLoop(scope, loc, scope.index(0, loc), count, [&](Value i) {
    Value word = load(words, scope.add(from, i, loc)), counter = counterOf(word, byte);
    Value place = load(counters, counter);
    store(arith::AddIOp::create(builder, loc, place, one), counters, counter);
    store(word, words, scope.add(to, toIndex(place), loc));
  });
}

Value WordSort::byBytes(Value from, Value count) {
  countBytes(from, count);
  Value all = arith::IndexCastUIOp::create(builder, loc, builder.getI32Type(), count);
  return emitCarryingLoop(scope, loc, scope.index(0, loc), scope.index(keyBytes, loc), 1, from,
                          [&](Value byte, ValueRange carried) -> SmallVector<Value> {
                            // A byte that is the same everywhere moves nothing.
                            Value held = load(counters, counterOf(load(words, carried[0]), byte));
                            Value differ = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ne, held, all);
                            auto pass = scf::IfOp::create(builder, loc, builder.getIndexType(), differ,
                                                          /*withElseRegion=*/true);
                            OpBuilder::InsertionGuard guard(builder);
                            builder.setInsertionPointToStart(pass.thenBlock());
                            Value to = other(carried[0]);
                            sumCounters(byte);
                            distribute(carried[0], to, count, byte);
                            scf::YieldOp::create(builder, loc, to);
                            builder.setInsertionPointToStart(pass.elseBlock());
                            scf::YieldOp::create(builder, loc, carried[0]);
                            return {pass.getResult(0)};
                          })[0];
}

} // namespace tenon
