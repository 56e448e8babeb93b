//===- ConstantNorms.cpp - LayerNorms that divide by a constant --------------------------------------===//
#include "compiler/factorization/ConstantNorms.h"
#include "compiler/factorization/CentreStream.h"
#include "compiler/factorization/LinearForm.h"
#include "compiler/factorization/MapEditing.h"
#include "compiler/program/BuildProgram.h"
#include <cmath>

using namespace mlir;

namespace tenon {
namespace {

constexpr double leastEpsilon = 1e8;

class ConstantNorm {
public:
  ConstantNorm(NormOp norm, ModelWeights &weights, LinearAnalysis &linear) : norm(norm), weights(weights), linear(linear) {
    unsigned last = unsigned(shapeOf(norm.getResult()).size()) - 1;
    for (Operation *user : norm->getUsers()) {
      auto contract = dyn_cast<ContractOp>(user);
      std::optional<MatrixProduct> product = contract ? MatrixProduct::match(contract.getResult(), weights) : std::nullopt;
      if (product && product->dim == last && product->input == norm.getResult())
        products.push_back(*product);
      else
        problem = "it is read by '" + sourceOf(user->getLoc()) + "', which is no product with a weight";
    }
    if ((norm.getScale() && !weights.of(norm.getScale())) || (norm.getShift() && !weights.of(norm.getShift())))
      problem = "its scale or shift is no weight";
  }

  std::string problem; ///< Why it cannot be folded, if so.

  llvm::Error run(std::vector<FactorizedWeight> &reports) {
    llvm::Expected<Channels> scale = parameter(norm.getScale(), 1), shift = parameter(norm.getShift(), 0);
    if (!scale || !shift)
      return llvm::joinErrors(scale ? llvm::Error::success() : scale.takeError(), shift ? llvm::Error::success() : shift.takeError());
    double root = std::sqrt(norm.getEpsilon().convertToDouble());
    for (double &value : *scale)
      value /= root;
    for (const MatrixProduct &product : products)
      if (llvm::Error error = fold(product, *scale, *shift, reports))
        return error;
    norm.erase();
    return llvm::Error::success();
  }

private:
  llvm::Expected<Channels> parameter(Value value, double otherwise) {
    if (!value)
      return Channels{otherwise};
    std::vector<float> elements;
    if (std::string error = weights.read(weights.of(value), elements); !error.empty())
      return llvm::createStringError(error);
    return Channels(elements.begin(), elements.end());
  }

  llvm::Error fold(MatrixProduct product, const Channels &scale, const Channels &shift, std::vector<FactorizedWeight> &reports) {
    WeightOp matrix = product.weight;
    if (product.isTransposed)
      matrix = weights.recipes.transpose(matrix, {1, 0});
    llvm::Expected<Channels> offset = linear.offsetOf(LinearForm{{}, {{shift, {Factor{matrix, {}}}}}});
    llvm::Expected<WeightOp> scaled = linear.matrixOf(LinearForm{{Chain{{Factor{{}, scale}, Factor{matrix, {}}}}}, {}});
    if (!offset || !scaled)
      return llvm::joinErrors(offset ? llvm::Error::success() : offset.takeError(), scaled ? llvm::Error::success() : scaled.takeError());
    llvm::Expected<WeightOp> centred = tenon::centred(*scaled, 0, weights);
    if (!centred)
      return centred.takeError();
    OpBuilder builder(product.op);
    Location loc = product.op.getLoc();
    Value result = multiplyAlong(builder, loc, norm.getInput(), *centred, product.dim);
    if (!isAll(*offset, 0))
      result = addOffset(builder, loc, result, *centred, *offset, product.dim, weights);
    product.op.getResult().replaceAllUsesWith(result);
    product.op.erase();
    FactorizedWeight report;
    report.weight = product.weight.getSymName().str();
    report.sources = sourceOf(norm.getLoc());
    report.rows = product.k;
    report.columns = product.n;
    report.change = "takes in a norm that divides by a constant";
    reportExact(loc, StepKind::ConstantNorms, report, reports);
    return llvm::Error::success();
  }

  NormOp norm;
  ModelWeights &weights;
  LinearAnalysis &linear;
  SmallVector<MatrixProduct> products;
};

} // namespace

llvm::Error foldConstantNorms(ModuleOp module, ModelWeights &weights, std::vector<FactorizedWeight> &reports) {
  LinearAnalysis linear(weights);
  std::vector<ConstantNorm> norms;
  std::string problem;
  module.walk([&](NormOp norm) {
    if (norm.getKind() != NormKind::Layer || norm.getOver() != 1 || norm.getEpsilon().convertToDouble() < leastEpsilon)
      return;
    norms.emplace_back(norm, weights, linear);
    if (const std::string &why = norms.back().problem; !why.empty() && problem.empty())
      problem = "LayerNorm '" + sourceOf(norm.getLoc()) + "': " + why;
  });
  if (!problem.empty())
    return llvm::createStringError(problem);
  if (norms.empty())
    return llvm::createStringError("the model has no LayerNorm over the last dim whose epsilon is at least %g", leastEpsilon);
  for (ConstantNorm &norm : norms)
    if (llvm::Error error = norm.run(reports))
      return error;
  return llvm::Error::success();
}

} // namespace tenon
