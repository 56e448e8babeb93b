//===- RowMove.cpp - where the rows of a product come from -----------------------------===//
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

/// A normalisation of rows that are in memory, or of those a map of several readers puts there: a map that only it reads
/// is computed once, with the normalisation, and not once for each of the product's workers.
static bool normalisesStoredRows(NormOp norm) {
  auto map = norm.getInput().getDefiningOp<MapOp>();
  return norm.getKind() != NormKind::Group && norm.getOver() == 1 && elementOf(norm.getInput()).isF32() &&
         !(map && map->hasOneUse());
}

CopiedRows CopiedRows::of(ContractOp product) {
  CopiedRows rows{MapOp(), NormOp(), product.getLhs()};
  if (!product.getPanels() || !elementOf(product.getLhs()).isF32())
    return rows;
  auto map = rows.source.getDefiningOp<MapOp>();
  if (map && map->hasOneUse() && rowMoveOf(map)) {
    rows.move = map;
    rows.source = map.getInputs()[0];
  }
  auto norm = rows.source.getDefiningOp<NormOp>();
  if (norm && norm->hasOneUse() && normalisesStoredRows(norm)) {
    rows.norm = norm;
    rows.source = norm.getInput();
  }
  return rows;
}

} // namespace tenon
