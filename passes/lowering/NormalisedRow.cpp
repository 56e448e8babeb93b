//===- NormalisedRow.cpp - one row of a layer or RMS normalisation --------------------===//
#include "passes/lowering/NormalisedRow.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;

namespace tenon {

Type NormalisedRow::computedIn(Type element) {
  return element.isF64() ? element : Type(Float32Type::get(element.getContext()));
}

NormalisedRow::NormalisedRow(KernelLowering &lowering, NormOp norm, Element first, Element again, Sum add)
    : lowering(lowering), norm(norm), real(computedIn(elementOf(norm.getInput()))),
      length(lowering.scope.dim(shapeOf(norm.getInput()).back(), lowering.loc)) {
  auto total = [&](Element term) { return add ? add(term) : sumOf(term); };
  Value sum = total(first);
  if (norm.getKind() == NormKind::Layer)
    mean = meanOf(sum);
  Value squares = total([&](RegionEmitter &emitter, const LaneValue &j) -> Value {
    Value difference = centred(emitter, again(emitter, j));
    return arith::MulFOp::create(builder, loc, difference, difference, arith::FastMathFlags::contract);
  });
  Value shifted = arith::AddFOp::create(builder, loc, meanOf(squares), constant(norm.getEpsilon().convertToDouble()));
  factor = arith::DivFOp::create(builder, loc, constant(1), math::SqrtOp::create(builder, loc, shifted));
}

Value NormalisedRow::constant(double value) const {
  return arith::ConstantOp::create(builder, loc, FloatAttr::get(real, value));
}

Value NormalisedRow::sumOf(Element term) const {
  Value zero = identityOf(builder, loc, ReduceKind::Sum, real);
  return emitLaneReduction(lowering.scope, loc, length, lowering.lanesOf(real), ReduceKind::Sum, zero, term);
}

Value NormalisedRow::meanOf(Value sum) const {
  Value integer = arith::IndexCastOp::create(builder, loc, builder.getI64Type(), length);
  return arith::DivFOp::create(builder, loc, sum, arith::SIToFPOp::create(builder, loc, real, integer));
}

Value NormalisedRow::centred(RegionEmitter &emitter, Value element) const {
  return mean ? Value(arith::SubFOp::create(builder, loc, element, everyLane(emitter, mean))) : element;
}

Value NormalisedRow::at(RegionEmitter &emitter, const LaneValue &j, Value element) {
  auto contract = arith::FastMathFlags::contract;
  auto parameter = [&](Value tensor) {
    return convertFloat(builder, loc, emitter.materialise(lowering.reader(tensor, emitter)(j)), real);
  };
  Value value = arith::MulFOp::create(builder, loc, centred(emitter, element), everyLane(emitter, factor));
  if (norm.getScale())
    value = arith::MulFOp::create(builder, loc, value, parameter(norm.getScale()), contract);
  if (norm.getShift())
    value = arith::AddFOp::create(builder, loc, value, parameter(norm.getShift()), contract);
  return value;
}

} // namespace tenon
