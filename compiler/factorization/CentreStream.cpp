//===- CentreStream.cpp - LayerNorms as RMSNorms, their streams centred -----------------------===//
#include "compiler/factorization/CentreStream.h"
#include "compiler/factorization/ChannelProduct.h"
#include "compiler/factorization/MapEditing.h"
#include "compiler/program/BuildProgram.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/Remarks.h"
#include "passes/simplify/IndexExpression.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace tenon {
namespace {

/// A tensor and which of its dims the channels are.
using Place = std::pair<Value, unsigned>;

/// All that is connected by sums: what adds to a stream, and what reads it.
class Stream {
public:
  Stream(NormOp norm, const ModelWeights &weights) : weights(weights) {
    places.insert({norm.getInput(), unsigned(shapeOf(norm.getInput()).size()) - 1});
    for (size_t next = 0; next < places.size() && problem.empty(); ++next) {
      visitDefinition(places[next]);
      for (OpOperand &use : places[next].first.getUses())
        visitReader(use, places[next].second);
    }
    for (auto [value, dim] : places)
      for (auto [other, otherDim] : places)
        if (value == other && dim != otherDim)
          fail("channels are two dims of", value.getDefiningOp());
  }

  SmallVector<ChannelProduct> producers;
  llvm::MapVector<Operation *, unsigned> tableLoads; ///< And the table's dim of the channels.
  llvm::SetVector<Operation *> norms;
  std::string problem; ///< Why it cannot be centred, if so.

private:
  void fail(const char *what, Operation *op) {
    if (problem.empty())
      problem = std::string(what) + " '" + sourceOf(op->getLoc()) + "'";
  }

  void visitReader(OpOperand &use, unsigned dim) {
    Operation *reader = use.getOwner();
    bool isLast = dim + 1 == shapeOf(use.get()).size();
    if (auto norm = dyn_cast<NormOp>(reader); norm && isLast && norm.getInput() == use.get()) {
      if (norm.getKind() != NormKind::Layer || norm.getOver() != 1)
        return fail("it is read by a norm that is no LayerNorm over the last dim,", reader);
      norms.insert(norm);
    } else if (auto map = dyn_cast<MapOp>(reader)) {
      visitReader(map, map.getBody().getArgument(use.getOperandNumber()), dim);
    } else if (auto reshape = dyn_cast<ReshapeOp>(reader)) {
      std::optional<unsigned> after = dimThrough(shapeOf(use.get()), dim, shapeOf(reshape.getResult()));
      after ? void(places.insert({reshape.getResult(), *after})) : fail("its channels are split by", reader);
    } else {
      fail("it is read by", reader);
    }
  }

  /// Whether the map adds to the stream is asked where it is visited; here, that it reads it in its channels alone.
  void visitReader(MapOp map, BlockArgument argument, unsigned dim) {
    std::optional<unsigned> channels = dimOfReader(map, argument, dim);
    channels ? void(places.insert({map.getResult(), *channels})) : fail("it is read by", map);
  }

  static std::optional<unsigned> dimThrough(ArrayRef<Dim> from, unsigned dim, ArrayRef<Dim> to) {
    for (unsigned d = 0; d < to.size(); ++d)
      if (to[d] == from[dim] && countOf(to.take_front(d)) == countOf(from.take_front(dim)))
        return d;
    return std::nullopt;
  }

  void visitDefinition(Place place) {
    auto [value, dim] = place;
    Operation *op = value.getDefiningOp();
    if (!op) {
      problem = "it is made from an input";
      return;
    }
    if (auto product = ChannelProduct::match(value, weights); product && product->dim == dim && product->channelAxis() >= 0) {
      producers.push_back(*product);
    } else if (auto reshape = dyn_cast<ReshapeOp>(op)) {
      std::optional<unsigned> before = dimThrough(shapeOf(value), dim, shapeOf(reshape.getInput()));
      before ? void(places.insert({reshape.getInput(), *before})) : fail("its channels are made by", op);
    } else if (auto map = dyn_cast<MapOp>(op); !map || !isSum(map.getYielded(), map, map.getIndices()[dim])) {
      fail("wanted a sum of products with weights, biases and tables, found", op);
    }
  }

  /// Centred where all that it loads is: sums, differences, and multiples that are the same for all channels.
  bool isSum(Value scalar, MapOp map, Value channel) {
    auto isOfRow = [&](Value factor) { return !dependsOnIndex(factor, channel); };
    auto isSummed = [&](Value part) { return isSum(part, map, channel); };
    Operation *op = scalar.getDefiningOp();
    if (!op || !scalar.getType().isF32())
      return false;
    if (auto load = dyn_cast<LoadOp>(op))
      return isPart(load, map, channel);
    if (isa<arith::AddFOp, arith::SubFOp>(op))
      return isSummed(op->getOperand(0)) && isSummed(op->getOperand(1));
    if (isa<arith::NegFOp>(op))
      return isSummed(op->getOperand(0));
    if (isa<arith::MulFOp>(op) && isOfRow(op->getOperand(0)))
      return isSummed(op->getOperand(1));
    if (isa<arith::MulFOp, arith::DivFOp>(op))
      return isOfRow(op->getOperand(1)) && isSummed(op->getOperand(0));
    if (auto select = dyn_cast<arith::SelectOp>(op))
      return isOfRow(select.getCondition()) && isSummed(select.getTrueValue()) && isSummed(select.getFalseValue());
    return matchPattern(scalar, m_AnyZeroFloat());
  }

  /// An element of the stream, or of a table, in the channel the map is at.
  bool isPart(LoadOp load, MapOp map, Value channel) {
    Value tensor = tensorOf(load);
    std::optional<unsigned> dim = dimOfChannel(load, channel);
    unsigned position = cast<BlockArgument>(channel).getArgNumber() - unsigned(map.getInputs().size());
    if (!dim || shapeOf(tensor)[*dim] != shapeOf(map.getResult())[position])
      return false;
    WeightOp table = weights.of(tensor);
    if (!table)
      places.insert({tensor, *dim});
    else
      tableLoads.insert({load, *dim});
    return !table || isFloat32(table);
  }

  const ModelWeights &weights;
  llvm::SetVector<Place> places;
};

class Centring {
public:
  Centring(ModelWeights &weights, std::vector<FactorizedWeight> &reports) : weights(weights), reports(reports) {}

  llvm::Error run(const Stream &stream) {
    what = "centred for " + std::to_string(stream.norms.size()) + (stream.norms.size() == 1 ? " norm" : " norms");
    for (ChannelProduct product : stream.producers) {
      llvm::Expected<WeightOp> centred = centre(product.weight, unsigned(product.channelAxis()), product.op.getLoc());
      if (!centred)
        return centred.takeError();
      OpBuilder builder(product.op);
      product.op->setOperand(product.operand, WeightRecipes::get(builder, product.op.getLoc(), *centred));
    }
    for (auto [op, axis] : stream.tableLoads)
      if (llvm::Error error = centreTable(cast<LoadOp>(op), axis))
        return error;
    for (Operation *op : stream.norms)
      cast<NormOp>(op).setKind(NormKind::RMS);
    return llvm::Error::success();
  }

private:
  llvm::Error centreTable(LoadOp load, unsigned axis) {
    auto map = cast<MapOp>(load->getParentOp());
    Value tensor = tensorOf(load);
    WeightOp table = weights.of(tensor);
    llvm::Expected<WeightOp> centred = centre(table, axis, map.getLoc());
    if (!centred)
      return centred.takeError();
    OpBuilder builder(map);
    load.getTensorMutable().assign(appendInput(map, WeightRecipes::get(builder, map.getLoc(), *centred)));
    dropUnreadInputs(map);
    return llvm::Error::success();
  }

  llvm::Expected<WeightOp> centre(WeightOp weight, unsigned axis, Location loc) {
    WeightOp &found = known[{weight, axis}];
    if (found)
      return found;
    llvm::Expected<WeightOp> made = centred(weight, axis, weights);
    if (!made)
      return made;
    found = *made;
    int64_t elements = 1;
    for (int64_t size : sizesOf(weight))
      elements *= size;
    FactorizedWeight report;
    report.weight = weight.getSymName().str();
    report.sources = sourceOf(loc);
    report.columns = sizesOf(weight)[axis];
    report.rows = elements / report.columns;
    report.change = what;
    reportExact(loc, StepKind::RmsNorms, report, reports);
    return found;
  }

  ModelWeights &weights;
  std::vector<FactorizedWeight> &reports;
  std::string what;
  llvm::DenseMap<std::pair<Operation *, unsigned>, WeightOp> known;
};

} // namespace

llvm::Expected<WeightOp> centred(WeightOp weight, unsigned axis, ModelWeights &weights) {
  std::vector<float> elements;
  if (std::string error = weights.read(weight, elements); !error.empty())
    return llvm::createStringError(error);
  SmallVector<int64_t> sizes(sizesOf(weight));
  int64_t inner = 1, count = sizes[axis];
  for (int64_t size : ArrayRef(sizes).drop_front(axis + 1))
    inner *= size;
  sizes[axis] = 1;
  Channels means(elements.size() / size_t(count), 0);
  for (size_t n = 0; n < elements.size(); ++n)
    means[n / size_t(count * inner) * size_t(inner) + n % size_t(inner)] -= elements[n] / double(count);
  return weights.recipes.add(weight, weights.add(weight, ".means", sizes, std::vector<float>(means.begin(), means.end())));
}

llvm::Error centreStreams(ModuleOp module, ModelWeights &weights, std::vector<FactorizedWeight> &reports) {
  SmallVector<NormOp> norms;
  module.walk([&](NormOp norm) {
    if (norm.getKind() == NormKind::Layer && norm.getOver() == 1)
      norms.push_back(norm);
  });
  if (norms.empty())
    return llvm::createStringError("the model has no LayerNorm over the last dim");
  std::string problem;
  bool hasOne = false;
  for (NormOp norm : norms) {
    if (norm.getKind() != NormKind::Layer)
      continue; // of a stream that is done
    Stream stream(norm, weights);
    if (stream.problem.empty()) {
      if (llvm::Error error = Centring(weights, reports).run(stream))
        return error;
      hasOne = true;
      continue;
    }
    std::string text = "LayerNorm '" + sourceOf(norm.getLoc()) + "': " + stream.problem;
    remark::missed(norm.getLoc(), remark::RemarkOpts::name("factorize").category(nameOf(StepKind::RmsNorms))) << remark::reason("{0}", text);
    problem = problem.empty() ? text : problem;
  }
  return hasOne ? llvm::Error::success() : llvm::createStringError(problem);
}

} // namespace tenon
