//===- CentreStream.cpp - LayerNorms as RMSNorms, their streams centred -----------------------===//
#include "compiler/factorization/CentreStream.h"
#include "compiler/factorization/CompressStream.h"
#include "compiler/factorization/MapEditing.h"
#include "compiler/factorization/ResidualStream.h"
#include "compiler/program/BuildProgram.h"
#include "interpreter/Array.h"
#include "mlir/IR/Remarks.h"

using namespace mlir;

namespace tenon {
namespace {

class Centring {
public:
  /// With `compress`, weights lose the last channel as well.
  Centring(ModelWeights &weights, bool compress, std::vector<FactorizedWeight> &reports)
      : weights(weights), compress(compress), reports(reports) {}

  llvm::Error run(const ResidualStream &stream) {
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
    int64_t channels = sizesOf(weight)[axis] - compress;
    found = weights.recipes.slice(*made, axis, 0, channels);
    FactorizedWeight report;
    report.before = countOf(sizesOf(weight));
    report.weight = weight.getSymName().str();
    report.sources = sourceOf(loc);
    report.columns = channels;
    report.rows = report.before / sizesOf(weight)[axis];
    report.change = what;
    reportExact(loc, StepKind::RmsNorms, report, reports);
    return found;
  }

  ModelWeights &weights;
  bool compress;
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
  return weights.recipes.add(weight,
                             weights.add(weight, ".means", sizes, std::vector<float>(means.begin(), means.end())));
}

/// Of one stream; what stands in the way first of all.
static llvm::Expected<std::string> centreStream(const ResidualStream &stream, ModelWeights &weights, bool compress,
                                                std::vector<FactorizedWeight> &reports) {
  LinearAnalysis linear(weights);
  std::string problem = stream.problem;
  if (problem.empty() && compress)
    problem = problemOfCompression(stream, linear);
  if (!problem.empty())
    return problem;
  if (llvm::Error error = Centring(weights, compress, reports).run(stream))
    return std::move(error);
  if (compress)
    if (llvm::Error error = compressStream(stream, linear, reports))
      return std::move(error);
  return "";
}

llvm::Error centreStreams(ModuleOp module, ModelWeights &weights, bool compress,
                          std::vector<FactorizedWeight> &reports) {
  llvm::SetVector<Operation *> norms;
  module.walk([&](NormOp norm) {
    if (norm.getKind() == NormKind::Layer && norm.getOver() == 1)
      norms.insert(norm);
  });
  if (norms.empty())
    return llvm::createStringError("the model has no LayerNorm over the last dim");
  std::string problem;
  bool hasOne = false;
  while (!norms.empty()) {
    auto norm = cast<NormOp>(norms.front());
    Location loc = norm.getLoc();
    ResidualStream stream(norm, weights);
    if (stream.problem.empty())
      norms.set_subtract(stream.norms);
    norms.remove(norm);
    llvm::Expected<std::string> found = centreStream(stream, weights, compress, reports);
    if (!found)
      return found.takeError();
    if (found->empty()) {
      hasOne = true;
      continue;
    }
    std::string text = "LayerNorm '" + sourceOf(loc) + "': " + *found;
    remark::missed(loc, remark::RemarkOpts::name("factorize").category(nameOf(StepKind::RmsNorms)))
        << remark::reason("{0}", text);
    problem = problem.empty() ? text : problem;
  }
  return hasOne ? llvm::Error::success() : llvm::createStringError(problem);
}

} // namespace tenon
