//===- MergeProjections.cpp - products of one operand with several weights are one -----===//
//
// Queries, keys and values are three products of the same rows. As one product the rows are read
// once and the grid has three times the columns, which matters most where rows are few.
//
#include "dialects/tenon/ContractSpec.h"
#include "llvm/ADT/MapVector.h"
#include "passes/Passes.h"
#include "passes/layout/WeightRecipes.h"
#include "passes/simplify/View.h"

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_MERGEPROJECTIONS
#include "passes/Passes.h.inc"

namespace {

/// `contract(x, weight)`, and the map that adds a bias to it, if that is all its reader does.
struct Projection {
  ContractOp product;
  WeightOp weight;
  MapOp sum;     ///< Null without a bias.
  WeightOp bias; ///< Null without a bias.

  Value result() { return sum ? sum.getResult() : product.getResult(); }
};

/// A load that reads element (i, j, …) at indices (i, j, …).
bool isIdentity(LoadOp load, MapOp map) { return load && llvm::equal(load.getIndices(), map.getIndices()); }

Value operandOf(LoadOp load, MapOp map) {
  return map.getInputs()[cast<BlockArgument>(load.getTensor()).getArgNumber()];
}

class ProjectionFinder {
public:
  explicit ProjectionFinder(WeightRecipes &recipes) : recipes(recipes) {}

  /// Null product where the op is no projection that may be merged.
  Projection find(ContractOp op) {
    auto get = op.getRhs().getDefiningOp<GetOp>();
    if (!get || op.getPanels() || !columnsLast(op))
      return {};
    Projection projection{op, recipes.lookup(get), {}, {}};
    addBias(projection);
    bool onlyMoved = llvm::all_of(op->getUsers(), [](Operation *user) {
      auto map = dyn_cast<MapOp>(user);
      return !isa<ReturnOp>(user) && !user->hasTrait<OpTrait::IsTerminator>() && (!map || movesElements(map));
    });
    return projection.sum || onlyMoved ? projection : Projection{};
  }

private:
  /// "… k, k n -> … n"
  static bool columnsLast(ContractOp op) {
    std::string error;
    std::optional<ContractSpec> spec = ContractSpec::parse(op.getSpec(), error);
    return spec && spec->batch().empty() && spec->lone().empty() && spec->rhs.size() == 2 &&
           spec->columns().size() == 1 && spec->result.back() == spec->columns()[0] &&
           spec->rhs[1] == spec->columns()[0];
  }

  void addBias(Projection &projection) {
    auto map = projection.product->hasOneUse() ? dyn_cast<MapOp>(*projection.product->user_begin()) : MapOp();
    auto sum = map ? map.getYielded().getDefiningOp<arith::AddFOp>() : arith::AddFOp();
    if (!sum || map.getType() != projection.product.getType())
      return;
    auto a = sum.getLhs().getDefiningOp<LoadOp>(), b = sum.getRhs().getDefiningOp<LoadOp>();
    if (!a || !b)
      return;
    if (operandOf(b, map) == projection.product.getResult())
      std::swap(a, b);
    auto get = operandOf(b, map).getDefiningOp<GetOp>();
    bool perColumn = b.getIndices().size() == 1 && b.getIndices()[0] == map.getIndices().back();
    if (operandOf(a, map) != projection.product.getResult() || !isIdentity(a, map) || !get || !perColumn)
      return;
    projection.sum = map;
    projection.bias = recipes.lookup(get);
  }

  WeightRecipes &recipes;
};

/// Makes the merged product where the first part was: all other operands are weights.
class Merger {
public:
  Merger(ArrayRef<Projection> parts, WeightRecipes &recipes)
      : parts(parts), recipes(recipes), builder(parts.front().product), loc(fusedLocation()) {}

  void merge() {
    Value all = product();
    if (parts.front().sum)
      all = addBias(all);
    Dim begin(0);
    for (Projection part : parts) {
      Value result = part.result();
      result.replaceAllUsesWith(slice(all, cast<RankedTensorType>(result.getType()), begin));
      begin += shapeOf(result).back();
    }
    for (Projection part : parts) {
      if (part.sum)
        part.sum->erase();
      part.product->erase();
    }
  }

private:
  Location fusedLocation() const {
    SmallVector<Location> locations;
    for (Projection part : parts)
      locations.push_back(part.product.getLoc());
    return FusedLoc::get(parts.front().product->getContext(), locations);
  }

  RankedTensorType widened(Value narrow) const {
    Shape shape = shapeOf(narrow);
    shape.back() = Dim(0);
    for (Projection part : parts)
      shape.back() += shapeOf(part.product.getResult()).back();
    return tensorOf(elementOf(narrow), shape);
  }

  Value product() {
    auto weights = llvm::map_to_vector(parts, [](const Projection &part) { return part.weight; });
    Value weight = WeightRecipes::get(builder, loc, recipes.concat(weights, 1));
    ContractOp first = parts.front().product;
    return ContractOp::create(builder, loc, widened(first.getResult()), first.getSpecAttr(), first.getLhs(), weight,
                              IntegerAttr(), first.getAccumulateAttr());
  }

  Value addBias(Value all) {
    auto biases = llvm::map_to_vector(parts, [](const Projection &part) { return part.bias; });
    Value bias = WeightRecipes::get(builder, loc, recipes.concat(biases, 0));
    return MapOp::create(builder, loc, cast<RankedTensorType>(all.getType()), ValueRange{all, bias},
                         [](OpBuilder &b, Location loc, ValueRange tensors, ValueRange at) -> Value {
                           Value element = LoadOp::create(b, loc, tensors[0], at);
                           Value shift = LoadOp::create(b, loc, tensors[1], at.back());
                           return arith::AddFOp::create(b, loc, element, shift);
                         });
  }

  Value slice(Value all, RankedTensorType type, const Dim &begin) {
    return MapOp::create(builder, loc, type, all,
                         [&](OpBuilder &b, Location loc, ValueRange tensors, ValueRange at) -> Value {
                           SmallVector<Value> indices(at);
                           Value first = arith::ConstantIndexOp::create(b, loc, *begin.constant());
                           if (begin != Dim(0))
                             indices.back() = arith::AddIOp::create(b, loc, at.back(), first);
                           return LoadOp::create(b, loc, tensors[0], indices);
                         });
  }

  ArrayRef<Projection> parts;
  WeightRecipes &recipes;
  OpBuilder builder;
  Location loc;
};

struct MergeProjections : impl::MergeProjectionsBase<MergeProjections> {
  void runOnOperation() override {
    WeightRecipes recipes(getOperation());
    ProjectionFinder finder(recipes);
    llvm::MapVector<Value, SmallVector<Projection>> groups;
    getOperation().walk([&](ContractOp op) {
      if (Projection projection = finder.find(op); projection.product)
        groups[op.getLhs()].push_back(projection);
    });
    for (auto &[operand, projections] : groups)
      while (!projections.empty())
        mergeLike(projections, recipes);
  }

  /// Takes the first projection out, with all that match it.
  static void mergeLike(SmallVector<Projection> &projections, WeightRecipes &recipes) {
    Projection first = projections.front();
    SmallVector<Projection> like, rest;
    for (Projection &other : projections) {
      bool alike = other.product.getSpec() == first.product.getSpec() &&
                   other.product.getType() == first.product.getType() && !other.sum == !first.sum &&
                   other.product->getBlock() == first.product->getBlock() &&
                   (!other.sum || other.sum.getType() == first.sum.getType());
      (alike ? like : rest).push_back(other);
    }
    if (like.size() > 1)
      Merger(like, recipes).merge();
    projections = std::move(rest);
  }
};

} // namespace
} // namespace tenon
