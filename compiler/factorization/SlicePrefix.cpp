//===- SlicePrefix.cpp - a sub-model of the first columns of products ---------------------===//
#include "compiler/factorization/SlicePrefix.h"
#include "compiler/factorization/ChannelProduct.h"
#include "compiler/factorization/LinearForm.h"
#include "compiler/factorization/MapEditing.h"
#include "compiler/factorization/ProductNames.h"
#include "compiler/program/BuildProgram.h"
#include "llvm/ADT/MapVector.h"
#include "passes/simplify/IndexExpression.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;

namespace tenon {
namespace {

/// All tensors that have the columns of a product, up to the products that sum over them. A dim of heads has `per` columns at each
/// position: of x W as [b, n, 2, 20], 40 columns are 2 positions of dim 2, 20 at each.
class Columns {
public:
  using Place = std::pair<Value, unsigned>; ///< A tensor and its dim of the columns.

  Columns(MatrixProduct product, const ModelWeights &weights) : weights(weights) {
    add(product.op.getResult(), product.dim, 1);
    for (size_t next = 0; next < places.size() && problem.empty(); ++next) {
      auto [place, per] = *(places.begin() + ptrdiff_t(next));
      visitDefinition(place.first, place.second, per);
      for (OpOperand &use : place.first.getUses())
        visitReader(use, place.second, per);
    }
  }

  /// Why `size` columns are no whole number of heads; "" if they are.
  std::string problemOf(int64_t size) const {
    for (auto [place, per] : places)
      if (size % per != 0)
        return llvm::formatv("'{0}' has them as heads: wanted a size that is a multiple of {1}, found {2}",
                             sourceOf(place.first.getLoc()), per, size);
    return "";
  }

  llvm::MapVector<Place, int64_t> places; ///< And `per`.
  SmallVector<MatrixProduct> producers, consumers;
  struct Parameter { ///< A weight with an element, or a slice, for each position.
    Operation *reader;
    unsigned operand, axis;
    int64_t per;
  };
  SmallVector<Parameter> parameters;
  std::string problem;

private:
  void fail(const char *what, Operation *op) {
    if (problem.empty())
      problem = std::string(what) + (op ? " '" + sourceOf(op->getLoc()) + "'" : " an input");
  }
  void add(Value value, unsigned dim, int64_t per) { places.insert({{value, dim}, per}); }

  void visitReader(OpOperand &use, unsigned dim, int64_t per) {
    Operation *reader = use.getOwner();
    if (auto map = dyn_cast<MapOp>(reader)) {
      std::optional<unsigned> columns = dimOfReader(map, map.getBody().getArgument(use.getOperandNumber()), dim);
      columns ? add(map.getResult(), *columns, per) : fail("they are moved by", reader);
    } else if (auto reshape = dyn_cast<ReshapeOp>(reader)) {
      follow(use.get(), dim, per, reshape.getResult(), reader);
    } else if (auto contract = dyn_cast<ContractOp>(reader)) {
      visitContraction(use, dim, per, contract);
    } else if (!visitRowwise(reader, dim, per)) {
      fail("all of them are read by", reader);
    }
  }

  void visitContraction(OpOperand &use, unsigned dim, int64_t per, ContractOp contract) {
    auto product = MatrixProduct::match(contract, weights);
    if (product && product->dim == dim && product->input == use.get() && per == 1) {
      consumers.push_back(*product);
      return;
    }
    std::string error;
    ContractSpec spec = *ContractSpec::parse(contract.getSpec(), error);
    StringRef word = (use.getOperandNumber() == 0 ? spec.lhs : spec.rhs)[dim];
    Value other = contract->getOperand(1 - use.getOperandNumber());
    int inResult = positionOf(word, spec.result),
        inOther = positionOf(word, use.getOperandNumber() == 0 ? spec.rhs : spec.lhs);
    if (inResult < 0 || (inOther >= 0 && weights.of(other)))
      return fail("all of them are read by", contract);
    add(contract.getResult(), unsigned(inResult), per);
    if (inOther >= 0)
      add(other, unsigned(inOther), per);
  }

  /// Softmaxes and norms: of other dims, or norms of the columns, whose parameters are sliced with them.
  bool visitRowwise(Operation *op, unsigned dim, int64_t per) {
    Value result = op->getNumResults() == 1 ? op->getResult(0) : Value();
    if (auto softmax = dyn_cast<SoftmaxOp>(op)) {
      if (softmax.getOver() == dim)
        return false;
      add(softmax.getInput(), dim, per);
      add(result, dim, per);
      return true;
    }
    auto norm = dyn_cast<NormOp>(op);
    unsigned rank = norm ? unsigned(shapeOf(result).size()) : 0;
    if (!norm || norm.getKind() == NormKind::Group || (norm.getOver() != 1 && dim + unsigned(norm.getOver()) >= rank))
      return false;
    for (OpOperand &operand : norm->getOpOperands())
      if (operand.get() != norm.getInput() && dim + 1 == rank)
        addParameter(norm, operand.getOperandNumber(), 0, per);
    add(norm.getInput(), dim, per);
    add(result, dim, per);
    return true;
  }

  void addParameter(Operation *reader, unsigned operand, unsigned axis, int64_t per) {
    auto isSame = [&](const Parameter &known) {
      return known.reader == reader && known.operand == operand && known.axis == axis;
    };
    if (llvm::none_of(parameters, isSame))
      parameters.push_back({reader, operand, axis, per});
  }

  /// Through a reshape, either way: a dim stays, becomes heads and more, or is made of them.
  void follow(Value from, unsigned dim, int64_t per, Value to, Operation *reshape) {
    Shape before = shapeOf(from), after = shapeOf(to);
    for (unsigned d = 0; d < after.size(); ++d) {
      if (countOf(ArrayRef(after).take_front(d)) != countOf(ArrayRef(before).take_front(dim)))
        continue;
      Dim inner = countOf(ArrayRef(after).drop_front(d + 1)),
          innerBefore = countOf(ArrayRef(before).drop_front(dim + 1));
      std::optional<Dim> split = inner.exactDiv(innerBefore), merged = innerBefore.exactDiv(inner);
      std::optional<int64_t> by = split ? split->constant() : std::nullopt,
                             of = merged ? merged->constant() : std::nullopt;
      if (by && after[d] != Dim(1))
        return add(to, d, per * *by);
      if (of && per % *of == 0)
        return add(to, d, per / *of);
    }
    fail("they are moved by", reshape);
  }

  void visitDefinition(Value value, unsigned dim, int64_t per) {
    Operation *op = value.getDefiningOp();
    if (auto product = MatrixProduct::match(value, weights); product && product->dim == dim && per == 1) {
      producers.push_back(*product);
    } else if (auto contract = dyn_cast_or_null<ContractOp>(op)) {
      std::string error;
      ContractSpec spec = *ContractSpec::parse(contract.getSpec(), error);
      for (auto [list, operand] : {std::pair(spec.lhs, contract.getLhs()), std::pair(spec.rhs, contract.getRhs())})
        if (int position = positionOf(spec.result[dim], list); position >= 0)
          weights.of(operand) ? fail("they are made by", op) : add(operand, unsigned(position), per);
    } else if (auto reshape = dyn_cast_or_null<ReshapeOp>(op)) {
      follow(value, dim, per, reshape.getInput(), op);
    } else if (auto map = dyn_cast_or_null<MapOp>(op)) {
      visitLoads(map, dim, per);
    } else if (!op || !visitRowwise(op, dim, per)) {
      fail("they are made by", op);
    }
  }

  void visitLoads(MapOp map, unsigned dim, int64_t per) {
    Value column = map.getIndices()[dim];
    for (LoadOp load : map.getBody().front().getOps<LoadOp>()) {
      if (llvm::none_of(load.getIndices(), [&](Value index) { return dependsOnIndex(index, column); }))
        continue;
      std::optional<unsigned> at = dimOfChannel(load, column);
      bool isWhole = at && shapeOf(load.getTensor())[*at] == shapeOf(map.getResult())[dim];
      if (!isWhole)
        return fail("they are moved by", map);
      unsigned operand = cast<BlockArgument>(load.getTensor()).getArgNumber();
      if (weights.of(tensorOf(load)))
        addParameter(map, operand, *at, per);
      else
        add(tensorOf(load), *at, per);
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
    for (const Columns::Parameter &parameter : columns.parameters)
      slice(parameter);
    for (auto [place, per] : columns.places)
      setSize(place.first, place.second, size / per);
  }

private:
  void slice(const Columns::Parameter &parameter) {
    OpBuilder builder(parameter.reader);
    OpOperand &operand = parameter.reader->getOpOperand(parameter.operand);
    WeightOp sliced = weights.recipes.slice(weights.of(operand.get()), parameter.axis, 0, size / parameter.per);
    operand.set(WeightRecipes::get(builder, parameter.reader->getLoc(), sliced));
    if (auto map = dyn_cast<MapOp>(parameter.reader))
      map.getBody().getArgument(parameter.operand).setType(operand.get().getType());
  }

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

  ModelWeights &weights;
  int64_t size;
  std::vector<FactorizedWeight> &reports;
};

} // namespace

llvm::Error slicePrefixes(ModuleOp module, ModelWeights &weights, int64_t size,
                          llvm::function_ref<bool(ArrayRef<std::string>)> isWanted,
                          std::vector<FactorizedWeight> &reports) {
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
      return llvm::createStringError("%s: wanted a size of at most %lld, found %lld", place.c_str(),
                                     (long long)product->n, (long long)size);
    Columns columns(*product, weights);
    if (columns.problem.empty() && columns.consumers.empty())
      columns.problem = "no product sums over them";
    if (columns.problem.empty())
      columns.problem = columns.problemOf(size);
    if (!columns.problem.empty())
      return llvm::createStringError("%s: its columns cannot be left out: %s", place.c_str(), columns.problem.c_str());
    PrefixSlicer(weights, size, reports).run(columns);
  }
  return llvm::Error::success();
}

} // namespace tenon
