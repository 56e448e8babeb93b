//===- PackWeights.cpp - weights of matrix products in column panels ------------------===//
#include "passes/Passes.h"
#include "passes/layout/MatrixProduct.h"
#include "passes/layout/WeightRecipes.h"
#include "passes/lowering/WindowProduct.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_PACKWEIGHTS
#include "passes/Passes.h.inc"

namespace {

/// Few terms, and positions that fill vectors as they are: turning the sums would cost more than packing windows does.
bool isBestAlongPositions(const WindowProduct &windows) {
  constexpr int64_t fewTerms = 128, vector = 16;
  std::optional<int64_t> positions = windows.read.positions().constant();
  bool isPointwise = llvm::all_of(windows.read.axes, [](const WindowRead::Axis &axis) {
    return axis.taps == 1 && axis.stride == 1 && axis.before == Dim(0);
  });
  return isPointwise && windows.depth() < fewTerms && positions &&
         8 * int64_t(llvm::alignTo(*positions, vector)) <= 9 * *positions;
}

/// Filters times windows becomes windows times panels of filters, of which few columns may be made up.
void packFilters(ContractOp op, WeightRecipes &recipes, int64_t width) {
  std::optional<WindowProduct> windows = WindowProduct::match(op);
  auto get = windows ? windows->filters().getDefiningOp<GetOp>() : GetOp();
  if (!get || windows->isPacked || windows->kind != WindowProduct::Dense || isBestAlongPositions(*windows))
    return;
  if (!mayStandInPanels(windows->filterCount(), width))
    return;
  OpBuilder builder(op);
  Value rows = windows->windows();
  WeightOp weight = recipes.panels(recipes.transpose(recipes.lookup(get), {1, 0}), width);
  op.setSpec(windows->hasBatch ? "b m k, k n -> b n m" : "m k, k n -> n m");
  op.getRhsMutable().assign(WeightRecipes::get(builder, get.getLoc(), weight).getResult());
  op.getLhsMutable().assign(rows);
  op.setPanels(width);
  if (get->use_empty())
    get.erase();
}

/// One filter a channel, lanes along channels: taps first. Rows of less than half a vector want that in planes, too.
void turnDepthwiseFilters(ContractOp op, WeightRecipes &recipes) {
  constexpr int64_t shortRow = 8, vector = 16;
  std::optional<WindowProduct> windows = WindowProduct::match(op);
  auto get = windows ? windows->filters().getDefiningOp<GetOp>() : GetOp();
  if (!get || windows->kind != WindowProduct::Depthwise || windows->tapsFirst)
    return;
  bool isShort = windows->read.axes.back().positions.constant().value_or(vector) <= shortRow;
  if (!windows->isAlongChannels() && !(isShort && windows->read.groups >= vector))
    return;
  OpBuilder builder(op);
  WeightOp weight = recipes.transpose(recipes.lookup(get), {1, 0});
  op.getLhsMutable().assign(WeightRecipes::get(builder, get.getLoc(), weight).getResult());
  op.setSpec(("k g" + op.getSpec().drop_front(3)).str());
  if (get->use_empty())
    get.erase();
}

struct PackWeights : impl::PackWeightsBase<PackWeights> {
  using PackWeightsBase::PackWeightsBase;

  void runOnOperation() override {
    WeightRecipes recipes(getOperation());
    getOperation().walk([&](ContractOp op) {
      packFilters(op, recipes, width);
      turnDepthwiseFilters(op, recipes);
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
