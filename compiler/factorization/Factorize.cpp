//===- Factorize.cpp - a recipe applied to a model ---------------------------------------===//
#include "compiler/factorization/Factorize.h"
#include "compiler/factorization/CentreStream.h"
#include "compiler/factorization/FoldWeights.h"
#include "compiler/factorization/LowRankProducts.h"
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
  return succeeded(passes.run(module)) ? llvm::Error::success() : llvm::createStringError("the model could not be prepared");
}

static bool isLowRank(const FactorizationStep &step) { return step.kind == StepKind::LowRank; }

static llvm::Error checkPatterns(ModuleOp module, const ModelWeights &weights, const ProductPatterns &patterns, size_t number) {
  SmallVector<ProductNames> products;
  module.walk([&](ContractOp op) {
    for (Value operand : {op.getLhs(), op.getRhs()})
      if (WeightOp weight = weights.of(operand))
        products.push_back(namesOf(op, weight));
  });
  return patterns.checkAll(products, number);
}

/// Steps that change nothing of what the model computes.
static llvm::Error runExact(ModuleOp module, ModelWeights &weights, const FactorizationStep &step, size_t number,
                            std::vector<FactorizedWeight> &reports) {
  ProductPatterns patterns(step);
  if (llvm::Error error = checkPatterns(module, weights, patterns, number))
    return error;
  auto isWanted = [&](ArrayRef<std::string> names) { return patterns.match(names); };
  llvm::Error error = step.kind == StepKind::Fold     ? foldWeights(module, weights, isWanted, reports)
                      : step.kind == StepKind::Prefix ? slicePrefixes(module, weights, step.size, isWanted, reports)
                                                      : centreStreams(module, weights, reports);
  return error ? llvm::createStringError("step %zu: %s", number, llvm::toString(std::move(error)).c_str())
               : llvm::Error::success();
}

void reportExact(Location loc, StepKind step, FactorizedWeight report, std::vector<FactorizedWeight> &reports) {
  remark::passed(loc, remark::RemarkOpts::name("factorize").category(nameOf(step)))
      << remark::add("{0}, {1} x {2}, {3}: {4:f1} % of the elements and multiply-adds before", report.weight, report.rows,
                     report.columns, report.change, 100.0 * double(report.elementsAfter()) / double(report.elementsBefore()));
  reports.push_back(std::move(report));
}

llvm::Expected<std::vector<FactorizedWeight>> factorize(ModuleOp module, WeightStore &store, const FactorizationRecipe &recipe,
                                                        unsigned threads) {
  if (!llvm::all_of(recipe.steps, isLowRank))
    if (llvm::Error error = prepare(module))
      return std::move(error);
  ModelWeights weights(module, store);
  std::vector<FactorizedWeight> reports;
  ArrayRef<FactorizationStep> steps = recipe.steps;
  for (size_t begin = 0, end; begin < steps.size(); begin = end) {
    end = begin + 1;
    if (isLowRank(steps[begin]))
      while (end < steps.size() && isLowRank(steps[end]))
        ++end;
    llvm::Error error = isLowRank(steps[begin])
                            ? factorLowRank(module, weights, steps.slice(begin, end - begin), begin + 1, threads, reports)
                            : runExact(module, weights, steps[begin], begin + 1, reports);
    if (error)
      return std::move(error);
  }
  return reports;
}

} // namespace tenon
