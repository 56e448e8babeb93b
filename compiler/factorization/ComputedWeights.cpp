//===- ComputedWeights.cpp - matrices that a model computes from its weights -------------------------===//
#include "compiler/factorization/ComputedWeights.h"
#include "compiler/factorization/ProductNames.h"
#include "compiler/program/BuildProgram.h"
#include "interpreter/Evaluation.h"
#include "llvm/ADT/StringExtras.h"
#include <cmath>

using namespace mlir;

namespace tenon {
namespace {

/// The weights a map computes a float32 tensor of known sizes from; none if it loads anything else.
SmallVector<WeightOp> weightsOf(MapOp map, const ModelWeights &weights) {
  SmallVector<WeightOp> found;
  for (Value input : map.getInputs())
    if (WeightOp weight = weights.of(input))
      found.push_back(weight);
  bool isComputed = found.size() == map.getInputs().size() && elementOf(map.getResult()).isF32() &&
                    llvm::all_of(shapeOf(map.getResult()), [](const Dim &dim) { return dim.constant().has_value(); });
  return isComputed ? found : SmallVector<WeightOp>();
}

bool isReadByWanted(MapOp map, ArrayRef<WeightOp> from, llvm::function_ref<bool(ArrayRef<std::string>)> isWanted) {
  return llvm::any_of(map->getUsers(), [&](Operation *user) {
    auto product = dyn_cast<ContractOp>(user);
    return product && llvm::any_of(from, [&](WeightOp weight) { return isWanted(namesOf(product, weight)); });
  });
}

llvm::Expected<Array> evaluate(MapOp map, ArrayRef<WeightOp> from, const Evaluation &evaluation) {
  std::vector<Array> values;
  for (WeightOp weight : from) {
    llvm::Expected<Array> value = evaluateWeight(weight, evaluation);
    if (!value)
      return value.takeError();
    values.push_back(std::move(*value));
  }
  SmallVector<const Array *> operands;
  for (const Array &value : values)
    operands.push_back(&value);
  return evaluateMap(map, operands, evaluation);
}

FactorizedWeight describe(WeightOp weight, MapOp map, ArrayRef<WeightOp> from) {
  FactorizedWeight report;
  report.weight = weight.getSymName().str();
  report.sources = sourceOf(map.getLoc());
  report.columns = sizesOf(weight).back();
  report.rows = countOf(sizesOf(weight).drop_back());
  std::vector<std::string> names;
  for (WeightOp each : from) {
    report.before += countOf(sizesOf(each));
    names.push_back(each.getSymName().str());
  }
  report.change = "computed from " + llvm::join(names, ", ");
  return report;
}

} // namespace

llvm::Error computeWeights(ModuleOp module, ModelWeights &weights,
                           llvm::function_ref<bool(ArrayRef<std::string>)> isWanted,
                           std::vector<FactorizedWeight> &reports) {
  SmallVector<MapOp> maps;
  module.walk([&](MapOp map) { maps.push_back(map); });
  DimValues dims;
  Evaluation evaluation{module, weights.store, Arithmetic::Float64, dims};
  for (MapOp map : maps) {
    SmallVector<WeightOp> from = weightsOf(map, weights);
    if (from.empty() || !isReadByWanted(map, from, isWanted))
      continue;
    llvm::Expected<Array> value = evaluate(map, from, evaluation);
    if (!value)
      return value.takeError();
    std::vector<float> elements(value->floats.begin(), value->floats.end());
    if (!llvm::all_of(elements, [](float element) { return std::isfinite(element); }))
      return llvm::createStringError(
          "weight '%s', as '%s' computes from it: wanted finite elements, found infinity or NaN",
          from[0].getSymName().str().c_str(), sourceOf(map.getLoc()).c_str());
    WeightOp weight = weights.add(from[0], ".computed", value->shape, std::move(elements));
    OpBuilder builder(map);
    map.getResult().replaceAllUsesWith(WeightRecipes::get(builder, map.getLoc(), weight));
    reportExact(map.getLoc(), StepKind::Fold, describe(weight, map, from), reports);
    map.erase();
  }
  return llvm::Error::success();
}

} // namespace tenon
