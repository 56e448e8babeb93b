//===- SlicePrefix.cpp - a sub-model of the first columns of products ---------------------===//
#include "compiler/factorization/SlicePrefix.h"
#include "compiler/factorization/ChannelProduct.h"
#include "compiler/factorization/LinearForm.h"
#include "compiler/factorization/MapEditing.h"
#include "compiler/factorization/ProductNames.h"
#include "compiler/program/BuildProgram.h"
#include "llvm/ADT/MapVector.h"
#include "passes/simplify/IndexExpression.h"

using namespace mlir;

namespace tenon {
namespace {

/// All tensors that have the columns of a product, up to the products that sum over them.
class Columns {
public:
  using Place = std::pair<Value, unsigned>; ///< A tensor and its dim of the columns.

  Columns(MatrixProduct product, const ModelWeights &weights) : weights(weights) {
    places.insert({product.op.getResult(), product.dim});
    for (size_t next = 0; next < places.size() && problem.empty(); ++next) {
      visitDefinition(places[next]);
      for (OpOperand &use : places[next].first.getUses())
        visitReader(use, places[next].second);
    }
  }

  llvm::SetVector<Place> places;
  SmallVector<MatrixProduct> producers, consumers;
  llvm::MapVector<Operation *, unsigned> vectorLoads; ///< And the weight's dim of the columns.
  std::string problem;

private:
  void fail(const char *what, Operation *op) {
    if (problem.empty())
      problem = std::string(what) + (op ? " '" + sourceOf(op->getLoc()) + "'" : " an input");
  }

  void visitReader(OpOperand &use, unsigned dim) {
    Operation *reader = use.getOwner();
    if (auto map = dyn_cast<MapOp>(reader)) {
      std::optional<unsigned> columns = dimOfReader(map, map.getBody().getArgument(use.getOperandNumber()), dim);
      columns ? void(places.insert({map.getResult(), *columns})) : fail("they are moved by", reader);
      return;
    }
    auto contract = dyn_cast<ContractOp>(reader);
    auto product = contract ? MatrixProduct::match(contract, weights) : std::nullopt;
    if (product && product->dim == dim && product->input == use.get())
      consumers.push_back(*product);
    else
      fail("all of them are read by", reader);
  }

  void visitDefinition(Place place) {
    auto [value, dim] = place;
    if (auto product = MatrixProduct::match(value, weights); product && product->dim == dim) {
      producers.push_back(*product);
      return;
    }
    auto map = value.getDefiningOp<MapOp>();
    if (!map)
      return fail("they are made by", value.getDefiningOp());
    Value column = map.getIndices()[dim];
    for (LoadOp load : map.getBody().front().getOps<LoadOp>()) {
      if (llvm::none_of(load.getIndices(), [&](Value index) { return dependsOnIndex(index, column); }))
        continue;
      std::optional<unsigned> at = dimOfChannel(load, column);
      bool isWhole = at && shapeOf(load.getTensor())[*at] == shapeOf(value)[dim];
      if (!isWhole)
        return fail("they are moved by", map);
      if (weights.of(tensorOf(load)))
        vectorLoads.insert({load, *at});
      else
        places.insert({tensorOf(load), *at});
    }
  }

  const ModelWeights &weights;
};

class PrefixSlicer {
public:
  PrefixSlicer(ModelWeights &weights, int64_t size, std::vector<FactorizedWeight> &reports)
      : weights(weights), size(size), reports(reports) {}

  void run(const Columns &columns) {
    for (const MatrixProduct &product : columns.producers)
      slice(product, product.isTransposed ? 0 : 1);
    for (const MatrixProduct &product : columns.consumers)
      slice(product, product.isTransposed ? 1 : 0);
    for (auto [op, axis] : columns.vectorLoads) {
      auto load = cast<LoadOp>(op);
      auto map = cast<MapOp>(op->getParentOp());
      OpBuilder builder(map);
      WeightOp vector = weights.recipes.slice(weights.of(tensorOf(load)), axis, 0, size);
      load.getTensorMutable().assign(appendInput(map, WeightRecipes::get(builder, map.getLoc(), vector)));
      dropUnreadInputs(map);
    }
    for (auto [value, dim] : columns.places)
      narrow(value, dim);
  }

private:
  void slice(MatrixProduct product, int64_t axis) {
    unsigned operand = product.op.getLhs() == product.input ? 1 : 0;
    OpBuilder builder(product.op);
    WeightOp sliced = weights.recipes.slice(product.weight, axis, 0, size);
    product.op->setOperand(operand, WeightRecipes::get(builder, product.op.getLoc(), sliced));
    FactorizedWeight report;
    report.weight = product.weight.getSymName().str();
    report.sources = sourceOf(product.op.getLoc());
    bool isColumns = axis == (product.isTransposed ? 0 : 1);
    report.rows = isColumns ? product.k : size;
    report.columns = isColumns ? size : product.n;
    report.before = product.k * product.n;
    report.change = std::string("the first ") + (isColumns ? "columns" : "rows");
    reportExact(product.op.getLoc(), StepKind::Prefix, report, reports);
  }

  void narrow(Value value, unsigned dim) {
    Shape shape = shapeOf(value);
    shape[dim] = Dim(size);
    RankedTensorType type = tensorOf(elementOf(value), shape);
    value.setType(type);
    for (OpOperand &use : value.getUses())
      if (auto map = dyn_cast<MapOp>(use.getOwner()))
        map.getBody().getArgument(use.getOperandNumber()).setType(type);
  }

  ModelWeights &weights;
  int64_t size;
  std::vector<FactorizedWeight> &reports;
};

} // namespace

llvm::Error slicePrefixes(ModuleOp module, ModelWeights &weights, int64_t size,
                          llvm::function_ref<bool(ArrayRef<std::string>)> isWanted, std::vector<FactorizedWeight> &reports) {
  SmallVector<ContractOp> contracts;
  module.walk([&](ContractOp op) { contracts.push_back(op); });
  for (ContractOp op : contracts) {
    std::optional<MatrixProduct> product = MatrixProduct::match(op, weights);
    if (!product)
      continue;
    if (!isWanted(namesOf(op, product->weight)) || product->n == size)
      continue; // also one that was sliced with another
    std::string place = "weight '" + product->weight.getSymName().str() + "' (" + std::to_string(product->k) + " x " +
                        std::to_string(product->n) + ")";
    if (size > product->n)
      return llvm::createStringError("%s: wanted a size of at most %lld, found %lld", place.c_str(), (long long)product->n,
                                     (long long)size);
    Columns columns(*product, weights);
    if (columns.problem.empty() && columns.consumers.empty())
      columns.problem = "no product sums over them";
    if (!columns.problem.empty())
      return llvm::createStringError("%s: its columns cannot be left out: %s", place.c_str(), columns.problem.c_str());
    PrefixSlicer(weights, size, reports).run(columns);
  }
  return llvm::Error::success();
}

} // namespace tenon
