//===- RowMove.cpp - maps that gather rows ----------------------------------------------===//
#include "passes/lowering/RowMove.h"
#include "passes/simplify/IndexExpression.h"

using namespace mlir;

namespace tenon {

LoadOp rowMoveOf(MapOp map) {
  auto load = map.getYielded().getDefiningOp<LoadOp>();
  if (!load || map.getIndices().empty() || load.getIndices().empty() || map.getInputs().size() != 1)
    return {};
  Value column = map.getIndices().back();
  auto rows = load.getIndices().drop_back();
  bool keepsRows = load.getIndices().back() == column &&
                   shapeOf(map.getInputs()[0]).back() == shapeOf(map.getResult()).back() &&
                   llvm::none_of(rows, [&](Value index) { return dependsOnIndex(index, column); });
  bool isPositional = llvm::count_if(map.getBody().front(), [](Operation &op) { return isa<LoadOp>(op); }) == 1;
  return keepsRows && isPositional ? load : LoadOp();
}

} // namespace tenon
