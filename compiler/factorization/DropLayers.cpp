//===- DropLayers.cpp - a sub-model without some of its layers -----------------------------===//
#include "compiler/factorization/DropLayers.h"
#include "compiler/factorization/LinearForm.h"
#include "compiler/factorization/MapEditing.h"
#include "compiler/factorization/ProductNames.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "compiler/program/BuildProgram.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace tenon {
namespace {

using IsWanted = llvm::function_ref<bool(ArrayRef<std::string> names)>;

/// The weights an operation reads.
SmallVector<WeightOp> weightsOf(Operation *op, const ModelWeights &weights) {
  SmallVector<WeightOp> found;
  for (Value operand : op->getOperands())
    if (WeightOp weight = weights.of(operand))
      found.push_back(weight);
  return found;
}

bool isNamed(Operation *op, WeightOp weight, IsWanted isWanted) {
  auto contract = dyn_cast<ContractOp>(op);
  return isWanted(contract ? namesOf(contract, weight) : namesOf(weight));
}

/// What the weights named span.
class Span {
public:
  Span(Block &block, const ModelWeights &weights, IsWanted isWanted) : weights(weights), isWanted(isWanted) {
    unsigned place = 0, lastNamed = 0;
    for (Operation &op : block) {
      places[&op] = ++place;
      bool names =
          llvm::any_of(weightsOf(&op, weights), [&](WeightOp weight) { return isNamed(&op, weight, isWanted); });
      bool depends =
          llvm::any_of(op.getOperands(), [&](Value operand) { return behind.contains(operand.getDefiningOp()); });
      if (names)
        lastNamed = place;
      if (names || depends)
        behind.insert(&op);
    }
    if (behind.empty())
      return;
    find(lastNamed);
    if (problem.empty())
      checkAllAreNamed();
  }

  std::string problem;
  Value input, output; ///< Null where nothing is named.
  SmallVector<Operation *> inside;

private:
  template <typename Made> unsigned lastReader(Made made) const {
    unsigned last = 0;
    for (Operation *user : made.getUsers())
      last = std::max(last, places.lookup(user));
    return last;
  }

  /// The first tensor that is all that anything else reads of what stands up to it, and like one tensor that goes in.
  void find(unsigned lastNamed) {
    unsigned last = 0;
    for (Operation *op : behind) {
      inside.push_back(op);
      bool isAll = last <= places.lookup(op) && places.lookup(op) >= lastNamed && op->getNumResults() == 1;
      llvm::SetVector<Value> inputs = isAll ? inputsLike(op->getResult(0)) : llvm::SetVector<Value>();
      // What is read behind it as well is added there: the block stands beside a residual sum, which is part of it.
      if (inputs.size() == 1 && lastReader(inputs[0]) <= places.lookup(op)) {
        input = inputs[0];
        output = op->getResult(0);
        return;
      }
      if (inputs.size() > 1) {
        problem = "more than one tensor like '" + sourceOf(op->getLoc()) + "' goes in";
        return;
      }
      last = std::max(last, lastReader(op->getResults()));
    }
    problem = "what they make does not come together in one tensor that is like one that goes in";
  }

  llvm::SetVector<Value> inputsLike(Value result) const {
    llvm::SetVector<Value> found;
    for (Operation *op : inside)
      for (Value operand : op->getOperands()) {
        bool isInside = operand.getDefiningOp() && llvm::is_contained(inside, operand.getDefiningOp());
        if (!isInside && operand.getType() == result.getType() && !weights.of(operand))
          found.insert(operand);
      }
    return found;
  }

  void checkAllAreNamed() {
    for (Operation *op : inside)
      if (isa<ContractOp, NormOp>(op))
        for (WeightOp weight : weightsOf(op, weights))
          if (problem.empty() && !isNamed(op, weight, isWanted))
            problem = "weight '" + weight.getSymName().str() + "' stands between them and is not named";
  }

  const ModelWeights &weights;
  IsWanted isWanted;
  llvm::DenseMap<Operation *, unsigned> places;
  llvm::SetVector<Operation *> behind; ///< What depends on a weight named, in order.
};

void report(const Span &span, const ModelWeights &weights, std::vector<FactorizedWeight> &reports) {
  for (Operation *op : span.inside) {
    auto contract = dyn_cast<ContractOp>(op);
    std::optional<MatrixProduct> product = contract ? MatrixProduct::match(contract, weights) : std::nullopt;
    if (!product)
      continue;
    FactorizedWeight report;
    report.weight = product->weight.getSymName().str();
    report.sources = sourceOf(op->getLoc());
    report.rows = product->k;
    report.columns = product->n;
    report.after = 0;
    report.change = "left out with its layer";
    reportExact(op->getLoc(), StepKind::DropLayers, report, reports);
  }
}

} // namespace

llvm::Error dropLayers(ModuleOp module, ModelWeights &weights, IsWanted isWanted,
                       std::vector<FactorizedWeight> &reports) {
  for (auto function : module.getOps<func::FuncOp>()) {
    Span span(function.front(), weights, isWanted);
    if (!span.problem.empty())
      return llvm::createStringError("the layer cannot be left out: %s", span.problem.c_str());
    if (!span.output)
      continue;
    report(span, weights, reports);
    Operation *last = span.output.getDefiningOp();
    span.output.replaceAllUsesWith(span.input);
    eraseUnread(last);
  }
  return llvm::Error::success();
}

} // namespace tenon
