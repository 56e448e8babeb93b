//===- FourierSides.cpp - where the numbers of Fourier transforms are -------------------===//
#include "passes/fft_rpe/FourierSides.h"

using namespace mlir;

namespace tenon {

FourierSides::FourierSides(KernelLowering &lowering, FFTOp op)
    : lowering(lowering), scope(lowering.scope), loc(lowering.loc), op(op),
      length(*op.getLength().getValue().constant()), from(sideOf(op.getInput(), lowering.memoryOf(op.getInput()))),
      to(sideOf(op.getResult(), lowering.resultMemory())) {
  from.points = std::min(from.points, length);
}

FourierSide FourierSides::sideOf(Value tensor, Value memory) {
  FourierSide side{memory, shapeOf(tensor), elementOf(tensor), {}, 0, 0, false, false};
  side.strides = scope.strides(side.shape, loc);
  side.points = *side.shape[op.getAxis()].constant();
  side.parts = *side.shape[op.getParts()].constant();
  int64_t last = int64_t(side.shape.size()) - 1;
  side.partsInside = int64_t(op.getParts()) == last;
  side.axisInside = int64_t(op.getAxis()) == last - (side.partsInside ? 1 : 0);
  return side;
}

std::optional<int64_t> FourierSides::columnDimOf(FFTOp op) {
  int64_t last = int64_t(shapeOf(op.getInput()).size()) - 1;
  int64_t dim = int64_t(op.getParts()) == last ? last - 1 : last;
  if (dim < 0 || dim == int64_t(op.getAxis()))
    return std::nullopt;
  return dim;
}

SmallVector<int64_t> FourierSides::batchDimsOf(FFTOp op, std::optional<int64_t> without) {
  SmallVector<int64_t> dims;
  for (int64_t dim = 0; dim < int64_t(shapeOf(op.getInput()).size()); ++dim)
    if (dim != int64_t(op.getAxis()) && dim != int64_t(op.getParts()) && dim != without)
      dims.push_back(dim);
  return dims;
}

Dim FourierSides::batchCountOf(FFTOp op, ArrayRef<int64_t> batch) {
  Shape shape = shapeOf(op.getInput());
  Dim count(1);
  for (int64_t dim : batch)
    count *= shape[dim];
  return count;
}

Value FourierSides::startOf(const FourierSide &side, ArrayRef<int64_t> batch, Value number) {
  Shape shape = llvm::map_to_vector<4>(batch, [&](int64_t dim) { return side.shape[dim]; });
  Value start = index(0);
  for (auto [dim, at] : llvm::zip(batch, lowering.delinearise(number, shape)))
    start = scope.add(start, scope.mul(at.value, side.strides[dim], loc), loc);
  return start;
}

Value FourierSides::offsetOf(const FourierSide &side, Value start, Value base, int64_t offset, int64_t part) {
  Value step = side.strides[op.getAxis()];
  Value at = scope.add(scope.mul(base, step, loc), scope.mul(index(offset), step, loc), loc);
  at = scope.add(at, scope.mul(index(part), side.strides[op.getParts()], loc), loc);
  return scope.add(start, at, loc);
}

Point FourierSides::leaving(Butterflies &arithmetic, const Point &point) {
  if (!op.getInverse())
    return point;
  double share = 1.0 / double(length);
  return {arithmetic.scaled(point.imaginary, share), arithmetic.scaled(point.real, share)};
}

} // namespace tenon
