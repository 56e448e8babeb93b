//===- ChannelProduct.cpp - contractions whose weight has the channels of the result -------===//
#include "compiler/factorization/ChannelProduct.h"
#include "dialects/tenon/ContractSpec.h"
#include "passes/simplify/IndexExpression.h"

using namespace mlir;

namespace tenon {

/// The dim of `after` that is exactly the dims [begin, end) of `before`.
static std::optional<unsigned> mergedDim(ArrayRef<Dim> before, unsigned begin, unsigned end, ArrayRef<Dim> after) {
  Dim outside = countOf(before.take_front(begin)), merged = countOf(before.slice(begin, end - begin));
  for (unsigned d = 0; d < after.size(); ++d)
    if (countOf(after.take_front(d)) == outside && after[d] == merged)
      return d;
  return std::nullopt;
}

std::optional<ChannelProduct> ChannelProduct::match(Value value, const ModelWeights &weights) {
  ChannelProduct product;
  product.reshape = value.getDefiningOp<ReshapeOp>();
  product.op = (product.reshape ? product.reshape.getInput() : value).getDefiningOp<ContractOp>();
  std::string error;
  std::optional<ContractSpec> spec = product.op ? ContractSpec::parse(product.op.getSpec(), error) : std::nullopt;
  if (!spec || product.op.getPanels() || (product.reshape && !product.op->hasOneUse()))
    return std::nullopt;
  product.weight = weights.of(product.op.getLhs());
  const ContractSpec::Indices &ofWeight = product.weight ? spec->lhs : spec->rhs;
  product.operand = product.weight ? 0 : 1;
  if (!product.weight)
    product.weight = weights.of(product.op.getRhs());
  if (!product.weight || !isFloat32(product.weight))
    return std::nullopt;
  // The weight's indices in the result: neighbours there, in the weight's order.
  SmallVector<int> positions;
  product.channels = 1;
  for (auto [index, size] : llvm::zip(ofWeight, sizesOf(product.weight))) {
    int position = positionOf(index, spec->result);
    product.factorSizes.push_back(position < 0 ? 1 : size);
    product.channels *= product.factorSizes.back();
    if (position >= 0)
      positions.push_back(position);
  }
  for (size_t n = 1; n < positions.size(); ++n)
    if (positions[n] != positions[n - 1] + 1)
      return std::nullopt;
  if (positions.empty())
    return std::nullopt;
  std::optional<unsigned> dim = mergedDim(shapeOf(product.op.getResult()), unsigned(positions.front()),
                                          unsigned(positions.back()) + 1, shapeOf(value));
  if (!dim)
    return std::nullopt;
  product.dim = *dim;
  return product;
}

int ChannelProduct::channelAxis() {
  for (auto [axis, size] : llvm::enumerate(factorSizes))
    if (size == channels && sizesOf(weight)[axis] == channels)
      return int(axis);
  return -1;
}

Value ChannelProduct::scaledBy(const Channels &factor, ModelWeights &weights) {
  std::vector<float> elements(static_cast<size_t>(channels), float(factor[0]));
  if (factor.size() > 1)
    elements.assign(factor.begin(), factor.end());
  WeightOp scaled = weights.recipes.multiply(weight, weights.add(weight, ".factor", factorSizes, std::move(elements)));
  OpBuilder builder(op);
  GetOp get = WeightRecipes::get(builder, op.getLoc(), scaled);
  auto copy = cast<ContractOp>(builder.clone(*op));
  copy->setOperand(operand, get);
  return reshape ? ReshapeOp::create(builder, reshape.getLoc(), reshape.getType(), copy.getResult()).getResult()
                 : copy.getResult();
}

std::optional<unsigned> dimOfChannel(LoadOp load, Value channel) {
  std::optional<unsigned> dim;
  for (auto [d, index] : llvm::enumerate(load.getIndices())) {
    if (index == channel && !dim)
      dim = unsigned(d);
    else if (dependsOnIndex(index, channel))
      return std::nullopt;
  }
  return dim;
}

std::optional<unsigned> dimOfReader(MapOp map, BlockArgument argument, unsigned dim) {
  std::optional<unsigned> found;
  for (Operation *user : argument.getUsers()) {
    auto channel = dyn_cast<BlockArgument>(cast<LoadOp>(user).getIndices()[dim]);
    unsigned inputs = unsigned(map.getInputs().size());
    if (!channel || channel.getArgNumber() < inputs || (found && *found != channel.getArgNumber() - inputs))
      return std::nullopt;
    found = channel.getArgNumber() - inputs;
  }
  return found;
}

} // namespace tenon
