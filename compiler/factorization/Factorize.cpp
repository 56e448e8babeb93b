//===- Factorize.cpp - a recipe applied to a model ---------------------------------------===//
#include "compiler/factorization/Factorize.h"
#include "compiler/factorization/Calibration.h"
#include "compiler/factorization/CentreStream.h"
#include "compiler/factorization/ConstantNorms.h"
#include "compiler/factorization/DenseSparseProducts.h"
#include "compiler/factorization/DropLayers.h"
#include "compiler/factorization/FoldWeights.h"
#include "compiler/factorization/LowRankProducts.h"
#include "compiler/factorization/MergeHeads.h"
#include "compiler/factorization/ProductNames.h"
#include "compiler/factorization/SlicePrefix.h"
#include "mlir/IR/Remarks.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Passes.h"

using namespace mlir;

namespace tenon {

/// What exact steps read: weights in whatever arrangement as weights, norms as norms.
static llvm::Error prepare(ModuleOp module) {
  PassManager passes(module.getContext());
  passes.addPass(createFoldWeightMoves());
  passes.addPass(createRaiseNorms());
  return succeeded(passes.run(module)) ? llvm::Error::success()
                                       : llvm::createStringError("the model could not be prepared");
}

static bool isLowRank(const FactorizationStep &step) { return step.kind == StepKind::LowRank; }

/// Patterns name products; where `takesAll`, also weights that anything else reads.
static llvm::Error checkPatterns(ModuleOp module, const ModelWeights &weights, const ProductPatterns &patterns,
                                 size_t number, bool takesAll) {
  SmallVector<ProductNames> products;
  auto addNames = [&](ContractOp op, Value operand) {
    if (WeightOp weight = weights.of(operand))
      products.push_back(namesOf(op, weight));
  };
  module.walk([&](ContractOp op) {
    for (Value operand : op.getOperands()) {
      addNames(op, operand);
      if (auto map = operand.getDefiningOp<MapOp>()) // a matrix computed from weights
        llvm::for_each(map.getInputs(), [&](Value input) { addNames(op, input); });
    }
  });
  module.walk([&](Operation *op) {
    if (takesAll && !isa<ContractOp>(op))
      for (Value operand : op->getOperands())
        if (WeightOp weight = weights.of(operand))
          products.push_back(namesOf(weight));
  });
  return patterns.checkAll(products, number);
}

/// Steps of `fold`'s kind: they rewrite the program by what it computes.
static llvm::Error runRewriting(ModuleOp module, ModelWeights &weights, const FactorizationStep &step,
                                llvm::function_ref<bool(ArrayRef<std::string>)> isWanted,
                                std::vector<FactorizedWeight> &reports) {
  switch (step.kind) {
  case StepKind::Fold:
    return foldWeights(module, weights, isWanted, reports);
  case StepKind::ConstantNorms:
    return foldConstantNorms(module, weights, reports);
  case StepKind::RmsNorms:
    return centreStreams(module, weights, step.compress, reports);
  case StepKind::MergeHeads:
    return mergeHeads(module, weights, isWanted, reports);
  case StepKind::Prefix:
    return slicePrefixes(module, weights, step.size, isWanted, reports);
  case StepKind::DropLayers:
    return dropLayers(module, weights, isWanted, reports);
  case StepKind::LowRank:
  case StepKind::DenseSparse:
    break;
  }
  llvm_unreachable("a step that fits matrices");
}

static llvm::Error runExact(ModuleOp module, ModelWeights &weights, const FactorizationStep &step, size_t number,
                            std::vector<FactorizedWeight> &reports) {
  ProductPatterns patterns(step);
  if (llvm::Error error = checkPatterns(module, weights, patterns, number, step.kind == StepKind::DropLayers))
    return error;
  auto isWanted = [&](ArrayRef<std::string> names) { return patterns.match(names); };
  llvm::Error error = runRewriting(module, weights, step, isWanted, reports);
  return error ? llvm::createStringError("step %zu: %s", number, llvm::toString(std::move(error)).c_str())
               : llvm::Error::success();
}

void reportExact(Location loc, StepKind step, FactorizedWeight report, std::vector<FactorizedWeight> &reports) {
  remark::passed(loc, remark::RemarkOpts::name("factorize").category(nameOf(step))) << remark::add(
      "{0}, {1} x {2}, {3}: {4:f1} % of the elements and multiply-adds before", report.weight, report.rows,
      report.columns, report.change, 100.0 * double(report.elementsAfter()) / double(report.elementsBefore()));
  // Streams lose their means, layers that are left out have no result.
  if (step != StepKind::RmsNorms && step != StepKind::DropLayers)
    report.place = LocationAttr(loc);
  reports.push_back(std::move(report));
}

static llvm::Error runSteps(ModuleOp module, WeightStore &store, ArrayRef<FactorizationStep> steps,
                            const Calibration *calibration, unsigned threads, std::vector<FactorizedWeight> &reports) {
  ModelWeights weights(module, store);
  for (size_t begin = 0, end; begin < steps.size(); begin = end) {
    end = begin + 1;
    if (isLowRank(steps[begin]))
      while (end < steps.size() && isLowRank(steps[end]))
        ++end;
    const FactorizationStep &step = steps[begin];
    llvm::Error error =
        isLowRank(step)
            ? factorLowRank(module, weights, calibration, steps.slice(begin, end - begin), begin + 1, threads, reports)
        : step.kind == StepKind::DenseSparse ? factorDenseSparse(module, weights, step, begin + 1, threads, reports)
                                             : runExact(module, weights, step, begin + 1, reports);
    if (error)
      return error;
  }
  return llvm::Error::success();
}

static void remarkDistances(ModuleOp module, const FactorizationReport &report) {
  auto options = remark::RemarkOpts::name("factorize").category("calibration");
  for (const FactorizedWeight &weight : report.weights)
    if (weight.distance)
      remark::analysis(Location(weight.place), options) << remark::add(
          "{0}: its result is {1:e1} off the original's on the calibration inputs", weight.weight, *weight.distance);
  for (const OutputDistance &output : report.outputs)
    remark::analysis(module.getLoc(), options) << remark::add(
        "output {0} is {1:e1} off the original's on the calibration inputs", output.name, output.distance);
}

llvm::Expected<FactorizationReport> factorize(ModuleOp module, WeightStore &store, const FactorizationRecipe &recipe,
                                              unsigned threads) {
  std::optional<Calibration> calibration;
  OwningOpRef<ModuleOp> original;
  if (!recipe.calibration.empty()) {
    llvm::Expected<Calibration> read = Calibration::read(module, recipe);
    if (!read)
      return read.takeError();
    calibration = std::move(*read);
  }
  if (!llvm::all_of(recipe.steps, isLowRank))
    if (llvm::Error error = prepare(module))
      return std::move(error);
  if (calibration)
    original = module.clone();
  FactorizationReport report;
  if (llvm::Error error =
          runSteps(module, store, recipe.steps, calibration ? &*calibration : nullptr, threads, report.weights))
    return std::move(error);
  if (!calibration)
    return report;
  auto outputs = calibration->compare(*original, module, store, report.weights);
  if (!outputs)
    return outputs.takeError();
  report.outputs = std::move(*outputs);
  remarkDistances(module, report);
  return report;
}

} // namespace tenon
