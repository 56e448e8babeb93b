//===- Affine.cpp - sums of tensors times constants, found in the regions of maps --------===//
#include "compiler/factorization/Affine.h"
#include "compiler/factorization/ChannelProduct.h"
#include "mlir/IR/Matchers.h"
#include <cmath>

using namespace mlir;

namespace tenon {

Channels combined(const Channels &a, const Channels &b, llvm::function_ref<double(double, double)> combine) {
  Channels result(std::max(a.size(), b.size()));
  for (size_t c = 0; c < result.size(); ++c)
    result[c] = combine(a[a.size() == 1 ? 0 : c], b[b.size() == 1 ? 0 : c]);
  return result;
}

static Channels each(Channels channels, llvm::function_ref<double(double)> function) {
  llvm::transform(channels, channels.begin(), function);
  return channels;
}

/// Both read the same elements.
static bool areEqual(const AffineTerm &a, const AffineTerm &b) {
  LoadOp first = a.elsewhere, second = b.elsewhere;
  return a.tensor == b.tensor && bool(first) == bool(second) && (!first || first.getIndices() == second.getIndices());
}

/// Vectors are read; matrices, which a channel is no index of alone, are not.
std::optional<Channels> AffineAnalysis::constantLoad(LoadOp load, MapOp map, unsigned dim) {
  WeightOp weight = weights.of(tensorOf(load));
  Shape shape = shapeOf(map.getResult());
  if (!weight || !isFloat32(weight) || !shape[dim].constant())
    return std::nullopt;
  int64_t begin = 0, step = 0, stride = 1;
  for (auto [index, size] : llvm::reverse(llvm::zip(load.getIndices(), sizesOf(weight)))) {
    APInt position;
    if (index == map.getIndices()[dim])
      step += stride;
    else if (matchPattern(index, m_ConstantInt(&position)))
      begin += position.getSExtValue() * stride;
    else if (size != 1)
      return std::nullopt;
    stride *= size;
  }
  std::vector<float> &elements = vectors[weight];
  if (elements.empty() && !weights.readAny(weight, elements).empty())
    return std::nullopt;
  Channels channels(step ? size_t(*shape[dim].constant()) : 1);
  for (size_t c = 0; c < channels.size(); ++c) {
    int64_t at = begin + int64_t(c) * step;
    if (at < 0 || at >= int64_t(elements.size()))
      return std::nullopt;
    channels[c] = elements[size_t(at)];
  }
  return channels;
}

std::optional<Channels> AffineAnalysis::constant(Value scalar, MapOp map, unsigned dim) {
  if (!scalar.getType().isF32())
    return std::nullopt;
  Operation *op = scalar.getDefiningOp();
  if (auto load = dyn_cast_or_null<LoadOp>(op))
    return constantLoad(load, map, dim);
  FloatAttr number;
  if (matchPattern(scalar, m_Constant(&number)))
    return Channels{number.getValueAsDouble()};
  if (!isa_and_nonnull<arith::AddFOp, arith::SubFOp, arith::MulFOp, arith::DivFOp, arith::NegFOp, math::SqrtOp,
                       math::RsqrtOp>(op))
    return std::nullopt;
  std::optional<Channels> a = constant(op->getOperand(0), map, dim);
  if (!a)
    return std::nullopt;
  if (isa<arith::NegFOp>(op))
    return each(*a, std::negate<double>());
  if (isa<math::SqrtOp>(op))
    return each(*a, [](double value) { return std::sqrt(value); });
  if (isa<math::RsqrtOp>(op))
    return each(*a, [](double value) { return 1 / std::sqrt(value); });
  std::optional<Channels> b = constant(op->getOperand(1), map, dim);
  if (!b)
    return std::nullopt;
  if (isa<arith::AddFOp>(op))
    return sum(*a, *b);
  if (isa<arith::SubFOp>(op))
    return combined(*a, *b, std::minus<double>());
  return isa<arith::MulFOp>(op) ? product(*a, *b) : combined(*a, *b, std::divides<double>());
}

static Affine scaled(Affine affine, const Channels &factor) {
  for (AffineTerm &term : affine.terms)
    term.factor = product(term.factor, factor);
  affine.offset = product(affine.offset, factor);
  return affine;
}

static Affine added(Affine a, const Affine &b) {
  a.offset = sum(a.offset, b.offset);
  for (const AffineTerm &term : b.terms) {
    auto same = llvm::find_if(a.terms, [&](const AffineTerm &other) { return areEqual(other, term); });
    if (same == a.terms.end())
      a.terms.push_back(term);
    else
      same->factor = sum(same->factor, term.factor);
  }
  return a;
}

std::optional<Affine> AffineAnalysis::find(Value scalar, MapOp map, unsigned dim) {
  if (leaf && scalar == leaf)
    return Affine{{{leaf, {1}}}, {0}};
  if (std::optional<Channels> channels = constant(scalar, map, dim))
    return Affine{{}, *channels};
  Operation *op = scalar.getDefiningOp();
  if (auto load = dyn_cast_or_null<LoadOp>(op)) {
    Value tensor = tensorOf(load);
    std::optional<unsigned> channels = dimOfChannel(load, map.getIndices()[dim]);
    if (!scalar.getType().isF32() || !channels || shapeOf(tensor)[*channels] != shapeOf(map.getResult())[dim])
      return std::nullopt;
    bool isInPlace = shapeOf(tensor) == shapeOf(map.getResult()) && llvm::equal(load.getIndices(), map.getIndices());
    return Affine{{{tensor, {1}, isInPlace ? LoadOp() : load}}, {0}};
  }
  if (!isa_and_nonnull<arith::AddFOp, arith::SubFOp, arith::MulFOp, arith::DivFOp, arith::NegFOp>(op))
    return std::nullopt;
  std::optional<Affine> a = find(op->getOperand(0), map, dim);
  if (!a || isa<arith::NegFOp>(op))
    return a ? std::optional(scaled(*a, {-1})) : std::nullopt;
  std::optional<Affine> b = find(op->getOperand(1), map, dim);
  if (!b)
    return std::nullopt;
  if (isa<arith::AddFOp>(op))
    return added(*a, *b);
  if (isa<arith::SubFOp>(op))
    return added(*a, scaled(*b, {-1}));
  if (!b->terms.empty() && (!a->terms.empty() || isa<arith::DivFOp>(op)))
    return std::nullopt;
  if (isa<arith::DivFOp>(op))
    return scaled(*a, each(b->offset, [](double value) { return 1 / value; }));
  return b->terms.empty() ? scaled(*a, b->offset) : scaled(*b, a->offset);
}

std::optional<Affine> AffineAnalysis::find(MapOp map, unsigned dim) {
  std::optional<Affine> affine = find(map.getYielded(), map, dim);
  return affine && !affine->terms.empty() ? affine : std::nullopt;
}

} // namespace tenon
