//===- LowerScatter.cpp - slices put into a tensor at computed places -----------------===//
//
// A tile owns a range of the first dimension: it copies that range of `into`, then walks all
// places in their order and writes the slices that fall into its range. So no two tiles touch one
// element, and the order of places is kept whatever the threads. Costs, for each tile, a look at all
// places: hence at most `mostTiles`.
//
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "passes/lowering/Faults.h"
#include "passes/lowering/KernelLowering.h"

using namespace mlir;

namespace tenon {
namespace {

constexpr int64_t mostTiles = 16;

struct ScatterLowering {
  KernelLowering &lowering;
  ScatterOp op;
  Shape into = shapeOf(op.getInto()), places = shapeOf(op.getPlaces());
  int64_t tuple = op.getTupleSize();
  Location loc = lowering.loc;
  KernelScope &scope = lowering.scope;
  OpBuilder &builder = lowering.builder;
  unsigned lanes = lowering.lanesOf(elementOf(op.getInto()));
  Value low, high; ///< The tile's range of the first dimension.

  Value index(int64_t value) { return scope.index(value, loc); }

  /// into[low..high) to the result.
  void copyRange() {
    if (into.size() == 1) {
      Value length = scope.sub(high, low, loc);
      emitLaneLoop(scope, loc, length, lanes, [&](RegionEmitter &emitter, const LaneValue &j) {
        LaneValue at{j.kind, scope.add(low, j.value, loc), j.step, false};
        emitter.store(lowering.reader(op.getInto(), emitter)(at), lowering.resultMemory(), at.value);
      });
      return;
    }
    ArrayRef<Dim> outer = ArrayRef<Dim>(into).drop_back();
    Value each = scope.dim(countOf(outer.drop_front()), loc), length = scope.dim(into.back(), loc);
    emitLoop(scope, loc, scope.mul(low, each, loc), scope.mul(high, each, loc), [&](Value row) {
      SmallVector<LaneValue> indices = lowering.delinearise(row, outer);
      Value start = scope.mul(row, length, loc);
      emitLaneLoop(scope, loc, length, lanes, [&](RegionEmitter &emitter, const LaneValue &j) {
        SmallVector<LaneValue> at(indices);
        at.push_back(j);
        emitter.store(lowering.reader(op.getInto(), emitter)(at), lowering.resultMemory(),
                      scope.add(start, j.value, loc));
      });
    });
  }

  void writeElement(RegionEmitter &emitter, ArrayRef<LaneValue> at, Value offset) {
    LaneValue value = lowering.reader(op.getUpdates(), emitter)(at);
    if (std::optional<ReduceKind> by = op.getBy()) {
      Value there = emitter.materialise(emitter.loadConsecutive(lowering.resultMemory(), offset));
      Value combined = combine(builder, loc, *by, there, emitter.materialise(value));
      value = emitter.getLanes() == 1 ? LaneValue::uniform(combined, true) : LaneValue::varying(combined);
    }
    emitter.store(value, lowering.resultMemory(), offset);
  }

  /// updates[n] to the result from element `offset` on.
  void writeSlice(Value n, Value offset) {
    ArrayRef<Dim> slice = ArrayRef<Dim>(into).drop_front(tuple);
    if (slice.empty()) {
      RegionEmitter scalar(scope, 1, loc);
      return writeElement(scalar, LaneValue::uniform(n), offset);
    }
    ArrayRef<Dim> outer = slice.drop_back();
    Value length = scope.dim(slice.back(), loc);
    emitLoop(scope, loc, index(0), scope.dim(countOf(outer), loc), [&](Value row) {
      SmallVector<LaneValue> indices{LaneValue::uniform(n)};
      llvm::append_range(indices, lowering.delinearise(row, outer));
      Value start = scope.add(offset, scope.mul(row, length, loc), loc);
      emitLaneLoop(scope, loc, length, lanes, [&](RegionEmitter &emitter, const LaneValue &j) {
        SmallVector<LaneValue> at(indices);
        at.push_back(j);
        writeElement(emitter, at, scope.add(start, j.value, loc));
      });
    });
  }

  Value compare(arith::CmpIPredicate predicate, Value a, Value b) {
    return arith::CmpIOp::create(builder, loc, predicate, a, b);
  }
  Value both(Value a, Value b) { return arith::AndIOp::create(builder, loc, a, b); }

  /// The tuple of place n, whether it lies within the tensor, and where its slice begins.
  void writePlace(Value n) {
    RegionEmitter scalar(scope, 1, loc);
    SmallVector<Value> strides = scope.strides(into, loc);
    Value inside, first, offset = index(0);
    for (int64_t k = 0; k < tuple; ++k) {
      LaneValue loaded = lowering.reader(op.getPlaces(), scalar)({LaneValue::uniform(n), LaneValue::uniform(index(k))});
      Value at = arith::IndexCastOp::create(builder, loc, builder.getIndexType(), loaded.value);
      // Unsigned, a negative index is too large.
      Value here = compare(arith::CmpIPredicate::ult, at, scope.dim(into[k], loc));
      inside = inside ? both(inside, here) : here;
      first = first ? first : at;
      offset = scope.add(offset, scope.mul(at, strides[k], loc), loc);
    }
    auto writeOwn = [&] {
      Value fromLow = compare(arith::CmpIPredicate::sge, first, low);
      Value belowHigh = compare(arith::CmpIPredicate::slt, first, high);
      emitIf(scope, loc, both(fromLow, belowHigh), [&] { writeSlice(n, offset); });
    };
    emitIf(scope, loc, inside, writeOwn, [&] {
      Value bits = arith::ConstantIntOp::create(builder, loc, builder.getI32Type(), faultIndexOutOfRange);
      scope.function.raiseFaults(builder, loc, bits);
    });
  }

  KernelGrid lower() {
    Dim tiles = Dim::min(into[0], Dim(mostTiles));
    Value total = scope.dim(into[0], loc), count = scope.dim(tiles, loc);
    emitLoop(scope, loc, scope.function.firstTile(), scope.function.lastTile(), [&](Value tile) {
      Value size = builder.createOrFold<arith::CeilDivUIOp>(loc, total, count);
      low = scope.minimum(scope.mul(tile, size, loc), total, loc);
      high = scope.minimum(scope.add(low, size, loc), total, loc);
      copyRange();
      emitLoop(scope, loc, index(0), scope.dim(places[0], loc), [&](Value n) { writePlace(n); });
    });
    return {tiles, Dim(0)};
  }
};

} // namespace

KernelGrid lowerScatter(KernelLowering &lowering, ScatterOp scatter) {
  ScatterLowering work{lowering, scatter};
  return work.lower();
}

} // namespace tenon
