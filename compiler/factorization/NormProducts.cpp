//===- NormProducts.cpp - the products that read a norm -------------------------------------------------===//
#include "compiler/factorization/NormProducts.h"
#include "compiler/factorization/MapEditing.h"
#include "compiler/program/BuildProgram.h"

using namespace mlir;

namespace tenon {

NormProducts::NormProducts(Value norm, LinearAnalysis &linear) : norm(norm), linear(linear) {
  unsigned last = unsigned(shapeOf(norm).size()) - 1;
  for (Operation *user : norm.getUsers()) {
    auto contract = dyn_cast<ContractOp>(user);
    std::optional<MatrixProduct> product =
        contract ? MatrixProduct::match(contract.getResult(), linear.weights) : std::nullopt;
    if (product && product->dim == last && product->input == norm)
      products.push_back(*product);
    else
      problem = "it is read by '" + sourceOf(user->getLoc()) + "', which is no product with a weight";
  }
}

llvm::Error NormProducts::replace(Value input, const Channels &scale, const Channels &shift,
                                  llvm::function_ref<llvm::Expected<WeightOp>(WeightOp)> rewrite, StepKind step,
                                  StringRef change, std::vector<FactorizedWeight> &reports) {
  FactorizedWeight report;
  report.sources = sourceOf(norm.getLoc());
  report.change = change;
  for (const MatrixProduct &product : products)
    if (llvm::Error error = replace(product, input, scale, shift, rewrite, report, step, reports))
      return error;
  return llvm::Error::success();
}

llvm::Error NormProducts::replace(MatrixProduct product, Value input, const Channels &scale, const Channels &shift,
                                  llvm::function_ref<llvm::Expected<WeightOp>(WeightOp)> rewrite,
                                  FactorizedWeight report, StepKind step, std::vector<FactorizedWeight> &reports) {
  ModelWeights &weights = linear.weights;
  WeightOp matrix = product.isTransposed ? weights.recipes.transpose(product.weight, {1, 0}) : product.weight;
  llvm::Expected<Channels> offset = linear.offsetOf(LinearForm{{}, {{shift, {Factor{matrix, {}}}}}});
  llvm::Expected<WeightOp> scaled = linear.matrixOf(LinearForm{{Chain{{Factor{{}, scale}, Factor{matrix, {}}}}}, {}});
  if (!offset || !scaled)
    return llvm::joinErrors(offset ? llvm::Error::success() : offset.takeError(),
                            scaled ? llvm::Error::success() : scaled.takeError());
  llvm::Expected<WeightOp> rewritten = rewrite(*scaled);
  if (!rewritten)
    return rewritten.takeError();
  OpBuilder builder(product.op);
  Location loc = product.op.getLoc();
  Value result = multiplyAlong(builder, loc, input, *rewritten, product.dim);
  if (!isAll(*offset, 0))
    result = addOffset(builder, loc, result, *rewritten, *offset, product.dim, weights);
  product.op.getResult().replaceAllUsesWith(result);
  product.op.erase();
  report.weight = product.weight.getSymName().str();
  report.rows = sizesOf(*rewritten)[0];
  report.columns = product.n;
  report.before = product.k * product.n;
  reportExact(loc, step, report, reports);
  return llvm::Error::success();
}

llvm::Expected<Channels> parameterOf(Value parameter, double otherwise, const ModelWeights &weights) {
  if (!parameter)
    return Channels{otherwise};
  WeightOp weight = weights.of(parameter);
  if (!weight)
    return llvm::createStringError("its scale or shift is no weight");
  std::vector<float> elements;
  if (std::string error = weights.read(weight, elements); !error.empty())
    return llvm::createStringError(error);
  return Channels(elements.begin(), elements.end());
}

} // namespace tenon
