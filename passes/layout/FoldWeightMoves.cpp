//===- FoldWeightMoves.cpp - weights are moved when the artifact is written -----------===//
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "passes/Passes.h"
#include "passes/layout/WeightRecipes.h"
#include "passes/simplify/View.h"

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_FOLDWEIGHTMOVES
#include "passes/Passes.h.inc"

namespace {

std::optional<SmallVector<int64_t>> constantsOf(ArrayRef<Dim> shape) {
  SmallVector<int64_t> sizes;
  for (const Dim &dim : shape) {
    if (!dim.constant())
      return std::nullopt;
    sizes.push_back(*dim.constant());
  }
  return sizes;
}

/// The steps from a weight to a rearrangement of it: reshape, slices, transpose, reshape.
class Rearrangement {
public:
  Rearrangement(GetOp get, WeightRecipes &recipes) : weight(recipes.lookup(get)), recipes(recipes) {}

  /// The weight whose elements at `symbols` are this one's at `dims`; null if an index is not among the dims.
  WeightOp make(ArrayRef<SplitDim> dims, ArrayRef<Dim> symbols, ArrayRef<int64_t> sizes) {
    SmallVector<int64_t> split = llvm::map_to_vector(dims, [](const SplitDim &dim) { return *dim.size.constant(); });
    weight = recipes.reshape(weight, split);
    for (auto [axis, dim] : llvm::enumerate(dims))
      if (dim.symbol.empty())
        weight = recipes.slice(weight, axis, dim.position, 1);
    SmallVector<int64_t> permutation;
    for (const Dim &symbol : symbols)
      for (auto [axis, dim] : llvm::enumerate(dims))
        if (dim.symbol == *symbol.asSymbol())
          permutation.push_back(axis);
    for (auto [axis, dim] : llvm::enumerate(dims))
      if (dim.symbol.empty())
        permutation.push_back(axis);
    return recipes.reshape(recipes.transpose(weight, permutation), sizes);
  }

private:
  WeightOp weight;
  WeightRecipes &recipes;
};

/// Every index but those of extent 1 is a dim of the weight: nothing is broadcast.
bool coversAll(ArrayRef<SplitDim> dims, ArrayRef<Dim> symbols, ArrayRef<int64_t> sizes) {
  for (auto [symbol, size] : llvm::zip(symbols, sizes)) {
    StringRef name = *symbol.asSymbol();
    if (size != 1 && llvm::none_of(dims, [&](const SplitDim &dim) { return dim.symbol == name; }))
      return false;
  }
  return true;
}

struct FoldWeightMoves : impl::FoldWeightMovesBase<FoldWeightMoves> {
  void runOnOperation() override {
    WeightRecipes recipes(getOperation());
    SmallVector<Operation *> moves;
    getOperation().walk([&](Operation *op) {
      if (isa<MapOp, ReshapeOp>(op))
        moves.push_back(op);
    });
    for (Operation *op : moves)
      fold(op, recipes);
  }

  static void fold(Operation *op, WeightRecipes &recipes) {
    Value result = op->getResult(0);
    Shape shape = shapeOf(result);
    std::optional<SmallVector<int64_t>> sizes = constantsOf(shape);
    if (!sizes || op->use_empty())
      return;
    IndexDomain domain = domainOf(op);
    auto symbols = llvm::map_to_vector<4>(shape, [&](const Dim &extent) { return domain.addIndex(extent); });
    SmallVector<View> views = viewsOf(result, symbols, domain, Through::Movement);
    auto get = views.back().base.getDefiningOp<GetOp>();
    if (!get || views.size() == 1)
      return;
    OpBuilder builder(op);
    if (isa<ReshapeOp>(op) && op->getOperand(0) == get.getResult()) {
      result.replaceAllUsesWith(
          WeightRecipes::get(builder, op->getLoc(), recipes.reshape(recipes.lookup(get), *sizes)));
      return;
    }
    auto dims = splitDims(views.back().indices, shapeOf(get.getResult()), domain);
    if (!dims || !coversAll(*dims, symbols, *sizes))
      return;
    WeightOp weight = Rearrangement(get, recipes).make(*dims, symbols, *sizes);
    result.replaceAllUsesWith(WeightRecipes::get(builder, op->getLoc(), weight));
  }
};

} // namespace
} // namespace tenon
