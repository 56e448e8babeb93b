//===- LowerRows.cpp - softmax and normalisation of rows ----------------------------===//
//
// A row is read once (with whatever producers compute it), kept in scratch, and walked twice
// more from there: 3 passes over L1 for one over memory.
//
#include "passes/lowering/KernelLowering.h"
#include "mlir/Dialect/Math/IR/Math.h"

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
  Type real = element.isF64() ? element : Type(Float32Type::get(builder.getContext()));
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

  /// Reads the row into scratch and reduces it on the way.
  Value readAndReduce(ReduceKind kind) {
    Value start = identityOf(builder, loc, kind, real);
    return emitLaneReduction(scope, loc, length, lanes, kind, start, [&](RegionEmitter &emitter, const LaneValue &j) {
      Value loaded = emitter.materialise(lowering.reader(source, emitter)(indicesAt(j)));
      Value value = convertFloat(builder, loc, loaded, real);
      emitter.store(laneValue(emitter, value), scratch, j.value);
      return value;
    });
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
  Value lengthAsFloat() {
    Value integer = arith::IndexCastOp::create(builder, loc, builder.getI64Type(), length);
    return arith::SIToFPOp::create(builder, loc, real, integer);
  }
};

/// 1 / sqrt(Σ squares / n + epsilon).
Value reciprocalDeviation(RowLowering &row, Value sumOfSquares, double epsilon) {
  OpBuilder &builder = row.builder;
  Value mean = arith::DivFOp::create(builder, row.loc, sumOfSquares, row.lengthAsFloat());
  Value shifted = arith::AddFOp::create(builder, row.loc, mean, row.constant(epsilon));
  Value deviation = math::SqrtOp::create(builder, row.loc, shifted);
  return arith::DivFOp::create(builder, row.loc, row.constant(1.0), deviation);
}

/// value · scale + shift, either of which may be missing.
Value scaleAndShift(RowLowering &row, NormOp norm, RegionEmitter &emitter, const LaneValue &j, Value value) {
  auto parameter = [&](Value tensor) {
    Value loaded = emitter.materialise(row.lowering.reader(tensor, emitter)(j));
    return convertFloat(row.builder, row.loc, loaded, row.real);
  };
  auto contract = arith::FastMathFlags::contract;
  if (norm.getScale())
    value = arith::MulFOp::create(row.builder, row.loc, value, parameter(norm.getScale()), contract);
  if (norm.getShift())
    value = arith::AddFOp::create(row.builder, row.loc, value, parameter(norm.getShift()), contract);
  return value;
}
} // namespace

KernelGrid lowerNorm(KernelLowering &lowering, NormOp norm) {
  RowLowering row{lowering, norm.getInput()};
  OpBuilder &builder = lowering.builder;
  Location loc = lowering.loc;
  bool centres = norm.getKind() == NormKind::Layer;
  return row.forEachRow([&](Value number) {
    Value sum = row.readAndReduce(ReduceKind::Sum);
    Value mean = centres ? Value(arith::DivFOp::create(builder, loc, sum, row.lengthAsFloat())) : row.constant(0.0);
    auto centred = [&](RegionEmitter &emitter, Value value) -> Value {
      return centres ? Value(arith::SubFOp::create(builder, loc, value, row.everyLane(emitter, mean))) : value;
    };
    Value squares = row.reduceStored(ReduceKind::Sum, [&](RegionEmitter &emitter, const LaneValue &, Value value) {
      Value difference = centred(emitter, value);
      return Value(arith::MulFOp::create(builder, loc, difference, difference, arith::FastMathFlags::contract));
    });
    Value factor = reciprocalDeviation(row, squares, norm.getEpsilon().convertToDouble());
    row.finishRow(number, [&](RegionEmitter &emitter, const LaneValue &j, Value value) {
      Value normal = arith::MulFOp::create(builder, loc, centred(emitter, value), row.everyLane(emitter, factor));
      return scaleAndShift(row, norm, emitter, j, normal);
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
