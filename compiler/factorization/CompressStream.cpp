//===- CompressStream.cpp - a centred stream without its last channel -----------------------------------===//
#include "compiler/factorization/CompressStream.h"
#include "compiler/factorization/MapEditing.h"
#include "compiler/program/BuildProgram.h"

using namespace mlir;

namespace tenon {

static Value mapRows(OpBuilder &builder, Location loc, Value like, ArrayRef<Value> inputs,
                     llvm::function_ref<Value(OpBuilder &, Location, ArrayRef<Value>)> body) {
  return MapOp::create(builder, loc, cast<RankedTensorType>(like.getType()), inputs,
                       [&](OpBuilder &b, Location loc, ValueRange t, ValueRange at) -> Value {
                         auto loads = llvm::map_to_vector(t, [&](Value tensor) -> Value {
                           return LoadOp::create(b, loc, tensor, at.take_front(shapeOf(tensor).size()));
                         });
                         return body(b, loc, loads);
                       });
}

/// Σ c² and Σ c of the rows, then c times 1 / sqrt((Σ c² + (Σ c)²) / d + ε).
static Value normOfOthers(OpBuilder &builder, Location loc, Value c, double epsilon) {
  int64_t last = int64_t(shapeOf(c).size()) - 1;
  int64_t d = *shapeOf(c).back().constant() + 1;
  Value squares = mapRows(builder, loc, c, {c}, [](OpBuilder &b, Location loc, ArrayRef<Value> x) -> Value {
    return arith::MulFOp::create(b, loc, x[0], x[0]);
  });
  Value sums[] = {ReduceOp::create(builder, loc, ReduceKind::Sum, squares, {last}),
                  ReduceOp::create(builder, loc, ReduceKind::Sum, c, {last})};
  Value root = mapRows(builder, loc, sums[0], sums, [&](OpBuilder &b, Location loc, ArrayRef<Value> x) -> Value {
    auto number = [&](double value) { return arith::ConstantOp::create(b, loc, b.getF32FloatAttr(float(value))); };
    Value whole = arith::AddFOp::create(b, loc, x[0], arith::MulFOp::create(b, loc, x[1], x[1]));
    Value mean = arith::MulFOp::create(b, loc, whole, number(1.0 / double(d)));
    return math::RsqrtOp::create(b, loc, arith::AddFOp::create(b, loc, mean, number(epsilon)));
  });
  return mapRows(builder, loc, c, {c, root}, [](OpBuilder &b, Location loc, ArrayRef<Value> x) -> Value {
    return arith::MulFOp::create(b, loc, x[0], x[1]);
  });
}

std::string problemOfCompression(const ResidualStream &stream, LinearAnalysis &linear) {
  for (Operation *norm : stream.norms) {
    std::string problem = NormProducts(norm->getResult(0), linear).problem;
    if (shapeOf(norm->getResult(0)).back() == Dim(1))
      problem = "it has one channel";
    if (!problem.empty())
      return "'" + sourceOf(norm->getLoc()) + "' needs the last channel: " + problem;
  }
  return "";
}

static void narrowStream(const ResidualStream &stream) {
  for (auto [value, dim] : stream.places)
    setSize(value, dim, *shapeOf(value)[dim].constant() - 1);
  for (ChannelProduct product : stream.producers)
    if (product.reshape) { // its result is one of the places, the contraction's is not
      ContractOp op = product.op;
      std::string error;
      ContractSpec spec = *ContractSpec::parse(op.getSpec(), error);
      StringRef channel = (product.operand == 0 ? spec.lhs : spec.rhs)[size_t(product.channelAxis())];
      setSize(op.getResult(), unsigned(positionOf(channel, spec.result)), product.channels - 1);
    }
}

static llvm::Error compressNorm(NormOp norm, LinearAnalysis &linear, std::vector<FactorizedWeight> &reports) {
  ModelWeights &weights = linear.weights;
  llvm::Expected<Channels> scale = parameterOf(norm.getScale(), 1, weights),
                           shift = parameterOf(norm.getShift(), 0, weights);
  if (!scale || !shift)
    return llvm::joinErrors(scale ? llvm::Error::success() : scale.takeError(),
                            shift ? llvm::Error::success() : shift.takeError());
  auto lessLastRow = [&](WeightOp matrix) -> llvm::Expected<WeightOp> {
    int64_t last = sizesOf(matrix)[0] - 1;
    WeightOp minus = weights.add(matrix, ".factor", {1, 1}, std::vector<float>{-1});
    WeightOp row = weights.recipes.multiply(weights.recipes.slice(matrix, 0, last, 1), minus);
    return weights.recipes.add(weights.recipes.slice(matrix, 0, 0, last), row);
  };
  OpBuilder builder(norm);
  Value normal = normOfOthers(builder, norm.getLoc(), norm.getInput(), norm.getEpsilon().convertToDouble());
  NormProducts products(norm.getResult(), linear);
  if (llvm::Error error = products.replace(normal, *scale, *shift, lessLastRow, StepKind::RmsNorms,
                                           "reads the channels but the last", reports))
    return error;
  norm.erase();
  return llvm::Error::success();
}

llvm::Error compressStream(const ResidualStream &stream, LinearAnalysis &linear,
                           std::vector<FactorizedWeight> &reports) {
  narrowStream(stream);
  for (Operation *norm : stream.norms)
    if (llvm::Error error = compressNorm(cast<NormOp>(norm), linear, reports))
      return error;
  return llvm::Error::success();
}

} // namespace tenon
