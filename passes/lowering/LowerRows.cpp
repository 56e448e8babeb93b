//===- LowerRows.cpp - softmax and normalisation of rows ----------------------------===//
//
// A row is read once (with whatever producers compute it), kept in scratch, and walked twice
// more from there: 3 passes over L1 for one over memory.
//
#include "mlir/Dialect/Math/IR/Math.h"
#include "passes/lowering/NormalisedRow.h"

using namespace mlir;

namespace tenon {
namespace {

/// One row of n values, being worked on in scratch: in f64 where it is f64, else in f32.
struct RowLowering {
  KernelLowering &lowering;
  Value source;
  Shape shape = shapeOf(source);
  Location loc = lowering.loc;
  KernelScope &scope = lowering.scope;
  OpBuilder &builder = lowering.builder;
  Type element = elementOf(source);
  Type real = NormalisedRow::computedIn(element);
  unsigned lanes = lowering.lanesOf(real);
  Value length = scope.dim(shape.back(), loc);
  Value scratch = lowering.scope.function.scratch(builder, loc, real, scope.index(0, loc));
  SmallVector<LaneValue> outer;

  SmallVector<LaneValue> indicesAt(const LaneValue &j) const {
    SmallVector<LaneValue> indices(outer);
    indices.push_back(j);
    return indices;
  }

  static LaneValue laneValue(RegionEmitter &emitter, Value value) {
    return emitter.getLanes() == 1 ? LaneValue::uniform(value, true) : LaneValue::varying(value);
  }

  /// An element, which is stored in scratch on the way.
  Value read(RegionEmitter &emitter, const LaneValue &j) {
    Value loaded = emitter.materialise(lowering.reader(source, emitter)(indicesAt(j)));
    Value value = convertFloat(builder, loc, loaded, real);
    emitter.store(laneValue(emitter, value), scratch, j.value);
    return value;
  }

  /// Reads the row into scratch and reduces it on the way.
  Value readAndReduce(ReduceKind kind) {
    Value start = identityOf(builder, loc, kind, real);
    return emitLaneReduction(scope, loc, length, lanes, kind, start,
                             [&](RegionEmitter &emitter, const LaneValue &j) { return read(emitter, j); });
  }

  Value stored(RegionEmitter &emitter, const LaneValue &j) {
    return emitter.materialise(emitter.loadConsecutive(scratch, j.value));
  }

  Value reduceStored(ReduceKind kind, function_ref<Value(RegionEmitter &, const LaneValue &, Value)> term) {
    Value start = identityOf(builder, loc, kind, real);
    return emitLaneReduction(scope, loc, length, lanes, kind, start, [&](RegionEmitter &emitter, const LaneValue &j) {
      return term(emitter, j, stored(emitter, j));
    });
  }

  void finishRow(Value row, function_ref<Value(RegionEmitter &, const LaneValue &, Value)> finished) {
    Value start = scope.mul(row, length, loc);
    emitLaneLoop(scope, loc, length, lanes, [&](RegionEmitter &emitter, const LaneValue &j) {
      Value value = convertFloat(builder, loc, finished(emitter, j, stored(emitter, j)), element);
      lowering.finish(emitter, indicesAt(j), scope.add(start, j.value, loc), laneValue(emitter, value));
    });
  }

  KernelGrid forEachRow(function_ref<void(Value row)> body) {
    ArrayRef<Dim> outerShape = ArrayRef<Dim>(shape).drop_back();
    int64_t rows = std::max<int64_t>(1, rowsPerTile(shape.back()) / 4);
    lowering.forEachRow(countOf(outerShape), rows, [&](Value row) {
      outer = lowering.delinearise(row, outerShape);
      body(row);
    });
    return {countOf(outerShape).ceilDiv(Dim(rows)), shape.back() * Dim(int64_t(real.getIntOrFloatBitWidth() / 8))};
  }

  Value everyLane(RegionEmitter &emitter, Value scalar) { return emitter.materialise(LaneValue::uniform(scalar)); }
  Value constant(double value) { return arith::ConstantOp::create(builder, loc, FloatAttr::get(real, value)); }
};
} // namespace

KernelGrid lowerNorm(KernelLowering &lowering, NormOp norm) {
  RowLowering row{lowering, norm.getInput()};
  return row.forEachRow([&](Value number) {
    NormalisedRow normalised(
        lowering, norm, [&](RegionEmitter &emitter, const LaneValue &j) { return row.read(emitter, j); },
        [&](RegionEmitter &emitter, const LaneValue &j) { return row.stored(emitter, j); });
    row.finishRow(number, [&](RegionEmitter &emitter, const LaneValue &j, Value value) {
      return normalised.at(emitter, j, value);
    });
  });
}

KernelGrid lowerSoftmax(KernelLowering &lowering, SoftmaxOp softmax) {
  RowLowering row{lowering, softmax.getInput()};
  OpBuilder &builder = lowering.builder;
  Location loc = lowering.loc;
  return row.forEachRow([&](Value number) {
    Value maximum = row.readAndReduce(ReduceKind::Max);
    Value sum = row.reduceStored(ReduceKind::Sum, [&](RegionEmitter &emitter, const LaneValue &j, Value value) {
      Value shifted = arith::SubFOp::create(builder, loc, value, row.everyLane(emitter, maximum));
      Value exponential = math::ExpOp::create(builder, loc, shifted);
      emitter.store(RowLowering::laneValue(emitter, exponential), row.scratch, j.value);
      return exponential;
    });
    // One division a row; the sum is at least 1, so its inverse neither overflows nor vanishes.
    Value inverse = arith::DivFOp::create(builder, loc, row.constant(1.0), sum);
    row.finishRow(number, [&](RegionEmitter &emitter, const LaneValue &, Value value) {
      return Value(arith::MulFOp::create(builder, loc, value, row.everyLane(emitter, inverse)));
    });
  });
}

} // namespace tenon
