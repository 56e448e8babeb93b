//===- PackWeights.cpp - weights of matrix products in column panels ------------------===//
#include "passes/Passes.h"
#include "passes/layout/MatrixProduct.h"
#include "passes/layout/WeightRecipes.h"

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_PACKWEIGHTS
#include "passes/Passes.h.inc"

namespace {

struct PackWeights : impl::PackWeightsBase<PackWeights> {
  using PackWeightsBase::PackWeightsBase;

  void runOnOperation() override {
    WeightRecipes recipes(getOperation());
    getOperation().walk([&](ContractOp op) {
      auto get = op.getRhs().getDefiningOp<GetOp>();
      if (!get || op.getPanels() || !isMatrixProduct(op) || !elementOf(op.getResult()).isF32())
        return;
      Type element = elementOf(get.getResult());
      if (!element.isF32() && !element.isBF16())
        return;
      OpBuilder builder(op);
      WeightOp weight = recipes.lookup(get);
      weight = element.isF32() ? recipes.panels(weight, width) : recipes.pairPanels(weight, width);
      op.getRhsMutable().assign(WeightRecipes::get(builder, get.getLoc(), weight).getResult());
      op.setPanels(width);
      if (get->use_empty())
        get.erase();
    });
  }
};

} // namespace
} // namespace tenon
