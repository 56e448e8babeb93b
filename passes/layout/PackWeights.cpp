//===- PackWeights.cpp - weights of matrix products in column panels ------------------===//
#include "dialects/tenon/ContractSpec.h"
#include "passes/Passes.h"
#include "passes/layout/WeightRecipes.h"

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_PACKWEIGHTS
#include "passes/Passes.h.inc"

namespace {

/// "m k, k n -> m n" under any names.
bool isMatrixProduct(ContractOp op) {
  std::string error;
  ContractSpec spec = *ContractSpec::parse(op.getSpec(), error);
  return spec.lhs.size() == 2 && spec.rhs.size() == 2 && spec.result.size() == 2 && spec.lhs[0] == spec.result[0] &&
         spec.lhs[1] == spec.rhs[0] && spec.rhs[1] == spec.result[1] && spec.lhs[0] != spec.rhs[1];
}

struct PackWeights : impl::PackWeightsBase<PackWeights> {
  using PackWeightsBase::PackWeightsBase;

  void runOnOperation() override {
    WeightRecipes recipes(getOperation());
    getOperation().walk([&](ContractOp op) {
      auto get = op.getRhs().getDefiningOp<GetOp>();
      if (!get || op.getPanels() || !elementOf(get.getResult()).isF32() || !isMatrixProduct(op))
        return;
      OpBuilder builder(op);
      op.getRhsMutable().assign(
          WeightRecipes::get(builder, get.getLoc(), recipes.panels(recipes.lookup(get), width)).getResult());
      op.setPanels(width);
      if (get->use_empty())
        get.erase();
    });
  }
};

} // namespace
} // namespace tenon
