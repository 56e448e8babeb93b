//===- OrientCaptures.cpp - tables lie as flash attention reads them ------------------===//
//
// Free when it runs: a recipe of the weight. What is saved is a gather a key and vector of queries.
//
#include "passes/Passes.h"
#include "passes/layout/WeightRecipes.h"
#include "passes/simplify/IndexExpression.h"

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_ORIENTCAPTURES
#include "passes/Passes.h.inc"

namespace {

class Orienter {
public:
  explicit Orienter(AttentionOp op) : op(op) {
    for (auto [region, scalars] : {std::pair(&op.getScore(), 5), {&op.getKeep(), 4}, {&op.getWeight(), 5}})
      if (!region->empty())
        regions.push_back({region, unsigned(scalars)});
  }

  void orient(unsigned capture, WeightRecipes &recipes) {
    auto get = op.getCaptures()[capture].getDefiningOp<GetOp>();
    if (!get)
      return;
    std::optional<unsigned> position;
    for (const auto &[region, scalars] : regions)
      for (Operation *user : region->getArgument(scalars + capture).getUsers())
        if (!readsAlong(cast<LoadOp>(user), region->getArgument(scalars - 2), position))
          return;
    int64_t last = shapeOf(get.getResult()).size() - 1;
    if (!position || int64_t(*position) == last)
      return;
    SmallVector<int64_t> order = llvm::to_vector(llvm::seq<int64_t>(0, last + 1));
    order.erase(order.begin() + *position);
    order.push_back(*position);
    OpBuilder builder(op);
    GetOp turned = WeightRecipes::get(builder, get.getLoc(), recipes.transpose(recipes.lookup(get), order));
    op.getCapturesMutable()[capture].assign(turned);
    for (const auto &[region, scalars] : regions)
      turnLoads(region->getArgument(scalars + capture), turned.getType(), order);
  }

private:
  /// Exactly one index follows the query; the same one in every load.
  static bool readsAlong(LoadOp load, Value query, std::optional<unsigned> &position) {
    for (auto [place, index] : llvm::enumerate(load.getIndices())) {
      if (!dependsOnIndex(index, query))
        continue;
      if (position && *position != place)
        return false;
      position = place;
    }
    return true;
  }

  static void turnLoads(BlockArgument capture, Type type, ArrayRef<int64_t> order) {
    capture.setType(type);
    for (Operation *user : capture.getUsers()) {
      auto load = cast<LoadOp>(user);
      SmallVector<Value> indices(load.getIndices());
      load.getIndicesMutable().assign(llvm::map_to_vector(order, [&](int64_t from) { return indices[from]; }));
    }
  }

  AttentionOp op;
  SmallVector<std::pair<Region *, unsigned>, 3> regions; ///< And their scalar arguments.
};

struct OrientCaptures : impl::OrientCapturesBase<OrientCaptures> {
  void runOnOperation() override {
    WeightRecipes recipes(getOperation());
    SmallVector<AttentionOp> found;
    getOperation().walk([&](AttentionOp op) { found.push_back(op); });
    for (AttentionOp op : found)
      for (unsigned capture = 0; capture < op.getCaptures().size(); ++capture)
        Orienter(op).orient(capture, recipes);
  }
};

} // namespace
} // namespace tenon
