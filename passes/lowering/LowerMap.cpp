//===- LowerMap.cpp - element-wise kernels --------------------------------------------===//
//
// Rows are the points of all dimensions but the last, along which the lanes run. Costs: one
// delinearisation (an integer division for each dimension but the outermost) per row.
//
#include "passes/lowering/KernelLowering.h"

using namespace mlir;

namespace tenon {

KernelGrid lowerMap(KernelLowering &lowering, MapOp map) {
  KernelScope &scope = lowering.scope;
  Location loc = lowering.loc;
  Shape shape = shapeOf(map.getResult());
  if (shape.empty())
    shape.push_back(Dim(1));
  ArrayRef<Dim> outer = ArrayRef<Dim>(shape).drop_back();
  Dim rows = countOf(outer);
  unsigned lanes = lowering.lanesOf(elementOf(map.getResult()));
  bool isScalar = map.getType().getRank() == 0;
  lowering.forEachRow(rows, rowsPerTile(shape.back()), [&](Value row) {
    SmallVector<LaneValue> indices = lowering.delinearise(row, outer);
    Value length = scope.dim(shape.back(), loc);
    Value start = scope.mul(row, length, loc);
    emitLaneLoop(scope, loc, length, lanes, [&](RegionEmitter &emitter, const LaneValue &j) {
      SmallVector<LaneValue> point(indices);
      if (!isScalar)
        point.push_back(j);
      LaneValue element = lowering.reader(map.getResult(), emitter)(point);
      emitter.store(element, lowering.resultMemory(), scope.add(start, j.value, loc));
    });
  });
  return {rows.ceilDiv(Dim(rowsPerTile(shape.back()))), Dim(0)};
}

} // namespace tenon
