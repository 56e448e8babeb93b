//===- ConstantNorms.cpp - LayerNorms that divide by a constant --------------------------------------===//
#include "compiler/factorization/ConstantNorms.h"
#include "compiler/factorization/CentreStream.h"
#include "compiler/factorization/MapEditing.h"
#include "compiler/factorization/NormProducts.h"
#include "compiler/program/BuildProgram.h"
#include "passes/fusion/RowScalars.h"
#include <cmath>

using namespace mlir;

namespace tenon {
namespace {

constexpr double leastEpsilon = 1e8;

/// (input - mean) · scale + shift, over the last dim.
struct ConstantNorm {
  Operation *op;
  Value input;
  Channels scale, shift;
};

llvm::Expected<ConstantNorm> normOf(NormOp norm, const ModelWeights &weights) {
  llvm::Expected<Channels> scale = parameterOf(norm.getScale(), 1, weights),
                           shift = parameterOf(norm.getShift(), 0, weights);
  if (!scale || !shift)
    return llvm::joinErrors(scale ? llvm::Error::success() : scale.takeError(),
                            shift ? llvm::Error::success() : shift.takeError());
  double root = std::sqrt(norm.getEpsilon().convertToDouble());
  return ConstantNorm{norm, norm.getInput(), product(*scale, {1 / root}), *shift};
}

/// A map of an element less its row's mean, times constants, plus constants.
std::optional<ConstantNorm> normOf(MapOp map, AffineAnalysis &affine) {
  size_t rank = map.getIndices().size();
  for (auto difference : map.getBody().front().getOps<arith::SubFOp>()) {
    Value x = rank ? elementTensor(difference.getLhs()) : Value();
    if (!x || shapeOf(x) != shapeOf(map.getResult()) || meanOf(difference.getRhs(), rank - 1) != x)
      continue;
    affine.leaf = difference.getResult();
    std::optional<Affine> sum = affine.find(map, unsigned(rank) - 1);
    affine.leaf = {};
    if (sum && sum->terms.size() == 1 && sum->terms[0].tensor == difference.getResult())
      return ConstantNorm{map, x, sum->terms[0].factor, sum->offset};
  }
  return std::nullopt;
}

llvm::Error checkFinite(const ConstantNorm &norm) {
  bool isFinite = LinearForm{{Chain{{Factor{{}, norm.scale}}}}, {{norm.shift, {}}}}.isFinite();
  return isFinite ? llvm::Error::success()
                  : llvm::createStringError("wanted a finite divisor, scale and shift, found infinity or NaN");
}

} // namespace

llvm::Error foldConstantNorms(ModuleOp module, ModelWeights &weights, std::vector<FactorizedWeight> &reports) {
  LinearAnalysis linear(weights);
  std::vector<std::pair<ConstantNorm, NormProducts>> norms;
  llvm::Error problem = llvm::Error::success();
  auto fail = [&](Operation *op, const std::string &why) {
    if (!problem)
      problem = llvm::createStringError("LayerNorm '%s': %s", sourceOf(op->getLoc()).c_str(), why.c_str());
  };
  auto add = [&](const ConstantNorm &norm) {
    norms.emplace_back(norm, NormProducts(norm.op->getResult(0), linear));
    if (const std::string &why = norms.back().second.problem; !why.empty())
      fail(norm.op, why);
    else if (llvm::Error error = checkFinite(norm))
      fail(norm.op, llvm::toString(std::move(error)));
  };
  module.walk([&](Operation *op) {
    if (auto map = dyn_cast<MapOp>(op)) {
      if (std::optional<ConstantNorm> found = normOf(map, linear.affine))
        add(*found);
    } else if (auto norm = dyn_cast<NormOp>(op); norm && norm.getKind() == NormKind::Layer && norm.getOver() == 1 &&
                                                 norm.getEpsilon().convertToDouble() >= leastEpsilon) {
      llvm::Expected<ConstantNorm> found = normOf(norm, weights);
      found ? add(*found) : fail(norm, llvm::toString(found.takeError()));
    }
  });
  if (problem)
    return problem;
  if (norms.empty())
    return llvm::createStringError(
        "the model has no LayerNorm over the last dim that divides by a constant, or whose epsilon is at least %g",
        leastEpsilon);
  for (auto &[norm, products] : norms) {
    auto centre = [&](WeightOp scaled) { return centred(scaled, 0, weights); };
    if (llvm::Error error = products.replace(norm.input, norm.scale, norm.shift, centre, StepKind::ConstantNorms,
                                             "takes in a norm that divides by a constant", reports))
      return error;
    eraseUnread(norm.op);
  }
  return llvm::Error::success();
}

} // namespace tenon
