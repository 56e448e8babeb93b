//===- ResidualStream.cpp - the stream that norms of a pre-norm transformer read ------------------------===//
#include "compiler/factorization/ResidualStream.h"
#include "compiler/program/BuildProgram.h"
#include "mlir/IR/Matchers.h"
#include "passes/simplify/IndexExpression.h"

using namespace mlir;

namespace tenon {

ResidualStream::ResidualStream(NormOp norm, const ModelWeights &weights) : weights(weights) {
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

void ResidualStream::fail(const char *what, Operation *op) {
  if (problem.empty())
    problem = std::string(what) + " '" + sourceOf(op->getLoc()) + "'";
}

//===----------------------------------------------------------------------------===//
// What reads it
//===----------------------------------------------------------------------------===//

/// The dim of `to` that is `dim` of `from`, all dims in front of it the same elements.
static std::optional<unsigned> dimThrough(ArrayRef<Dim> from, unsigned dim, ArrayRef<Dim> to) {
  for (unsigned d = 0; d < to.size(); ++d)
    if (to[d] == from[dim] && countOf(to.take_front(d)) == countOf(from.take_front(dim)))
      return d;
  return std::nullopt;
}

void ResidualStream::visitReader(OpOperand &use, unsigned dim) {
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
void ResidualStream::visitReader(MapOp map, BlockArgument argument, unsigned dim) {
  std::optional<unsigned> channels = dimOfReader(map, argument, dim);
  channels ? void(places.insert({map.getResult(), *channels})) : fail("it is read by", map);
}

//===----------------------------------------------------------------------------===//
// What makes it
//===----------------------------------------------------------------------------===//

void ResidualStream::visitDefinition(Place place) {
  auto [value, dim] = place;
  Operation *op = value.getDefiningOp();
  if (!op) {
    problem = "it is made from an input";
    return;
  }
  if (auto product = ChannelProduct::match(value, weights);
      product && product->dim == dim && product->channelAxis() >= 0) {
    producers.push_back(*product);
  } else if (auto reshape = dyn_cast<ReshapeOp>(op)) {
    std::optional<unsigned> before = dimThrough(shapeOf(value), dim, shapeOf(reshape.getInput()));
    before ? void(places.insert({reshape.getInput(), *before})) : fail("its channels are made by", op);
  } else if (auto map = dyn_cast<MapOp>(op); !map || !isSum(map.getYielded(), map, map.getIndices()[dim])) {
    fail("wanted a sum of products with weights, biases and tables, found", op);
  }
}

/// A change of all that it loads, linear and the same for every row, is that change of it: sums, differences, and multiples that are the
/// same for all channels.
bool ResidualStream::isSum(Value scalar, MapOp map, Value channel) {
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
bool ResidualStream::isPart(LoadOp load, MapOp map, Value channel) {
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

} // namespace tenon
