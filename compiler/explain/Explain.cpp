//===- Explain.cpp - the explanation of a module of dispatches -------------------------===//
#include "compiler/explain/Explain.h"
#include "compiler/explain/CountWork.h"
#include "dialects/tenon/Shape.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace tenon {
namespace {

//===----------------------------------------------------------------------------===//
// Operations in words
//===----------------------------------------------------------------------------===//

/// "mulf, erf, addf": the arithmetic of a region, each name once, in order.
std::string arithmeticOf(Region &region) {
  llvm::SetVector<StringRef> names;
  region.walk([&](Operation *op) {
    if (isa<arith::ArithDialect, math::MathDialect>(op->getDialect()) && !isa<arith::ConstantOp>(op) &&
        !isa<IndexType>(op->getResult(0).getType()))
      names.insert(op->getName().stripDialect());
  });
  return llvm::join(names, ", ");
}

/// Some index of a load comes from loaded data.
bool gathers(Region &region) {
  bool found = false;
  region.walk([&](LoadOp load) {
    SmallVector<Value> work(load.getIndices());
    while (!work.empty()) {
      Operation *op = work.pop_back_val().getDefiningOp();
      if (!op)
        continue;
      found |= isa<LoadOp>(op);
      llvm::append_range(work, op->getOperands());
    }
  });
  return found;
}

std::string describe(MapOp map) {
  std::string text = gathers(map.getBody()) ? "map gather" : "map";
  std::string arithmetic = arithmeticOf(map.getBody());
  if (arithmetic.empty())
    return gathers(map.getBody()) ? text : "map move";
  return text + ": " + arithmetic;
}

std::string describe(Operation &op) {
  if (auto map = dyn_cast<MapOp>(op))
    return describe(map);
  auto root = dyn_cast<KernelRootOpInterface>(op);
  std::string text = root ? root.describe() : op.getName().stripDialect().str();
  if (auto regions = dyn_cast<ElementRegionsOpInterface>(op))
    for (const ElementRegion &region : regions.getElementRegions())
      text += ("; " + region.name + ": ").str() + arithmeticOf(*region.region);
  return text;
}

ExplainedTensor explainTensor(const TensorDesc &tensor, RankedTensorType type) {
  Shape shape = shapeOf(type);
  return {
      tensor.name, std::string(format::dataTypeName(tensor.dataType)) + toString(shape), {shape.begin(), shape.end()}};
}

/// The dispatches that compute what `op` reads, directly or through reshapes.
void collectProducers(Operation *op, llvm::SetVector<Operation *> &producers) {
  for (Value operand : op->getOperands())
    if (Operation *producer = operand.getDefiningOp()) {
      if (isa<DispatchOp>(producer))
        producers.insert(producer);
      else
        collectProducers(producer, producers);
    }
}

//===----------------------------------------------------------------------------===//
// Commands
//===----------------------------------------------------------------------------===//

class Explainer {
public:
  Explainer(ModuleOp module, const Program &program)
      : module(module), program(program), bounds(boundsOf(module)) {}

  Explanation explain() {
    Explanation explanation;
    explanation.kernels = program.kernels.size();
    for (SymbolOp symbol : module.getOps<SymbolOp>())
      explanation.symbols.push_back({symbol.getSymName().str(), int64_t(symbol.getMin()), int64_t(symbol.getMax())});
    size_t number = 0;
    for (auto function : module.getOps<func::FuncOp>())
      if (function->hasAttr("tenon.entry"))
        explanation.entries.push_back(explainEntry(function, program.tables.entries[number++]));
    return explanation;
  }

private:
  ExplainedEntry explainEntry(func::FuncOp function, const EntryDesc &entry) {
    ExplainedEntry explained;
    explained.name = entry.name;
    for (auto [type, tensor] : llvm::zip(function.getArgumentTypes(), entry.inputs))
      explained.inputs.push_back(explainTensor(tensor, cast<RankedTensorType>(type)));
    for (auto [type, tensor] : llvm::zip(function.getResultTypes(), entry.outputs))
      explained.outputs.push_back(explainTensor(tensor, cast<RankedTensorType>(type)));
    // Commands are the dispatches in order, then copies of what is returned elsewhere too.
    auto dispatches = llvm::to_vector(function.getOps<DispatchOp>());
    auto returned = cast<func::ReturnOp>(function.getBody().front().getTerminator());
    for (auto [number, command] : llvm::enumerate(entry.commands)) {
      bool isCopy = command.kind == format::CommandKind::copy;
      Value copied = isCopy ? returned.getOperand(command.operands[1].index) : Value();
      explained.commands.push_back(isCopy ? explainCopy(copied) : explainDispatch(dispatches[number]));
      explained.commands.back().reads =
          producersOf(isCopy ? copied.getDefiningOp() : dispatches[number], isCopy, dispatches);
      explained.commands.back().number = number;
      explained.commands.back().sources = command.source;
    }
    return explained;
  }

  /// The numbers of the dispatches before `op`, or of itself where its result is what is copied.
  static std::vector<unsigned> producersOf(Operation *op, bool isCopied, ArrayRef<DispatchOp> dispatches) {
    llvm::SetVector<Operation *> producers;
    if (isCopied && isa_and_nonnull<DispatchOp>(op))
      producers.insert(op);
    else if (op)
      collectProducers(op, producers);
    std::vector<unsigned> numbers;
    for (auto [number, dispatch] : llvm::enumerate(dispatches))
      if (producers.contains(dispatch))
        numbers.push_back(number);
    return numbers;
  }

  ExplainedCommand explainDispatch(DispatchOp dispatch) {
    ExplainedCommand command;
    command.kernel = dispatch.getKernel().str();
    auto kernel = module.lookupSymbol<KernelOp>(dispatch.getKernel());
    for (Operation &op : kernel.getBody().front().without_terminator())
      command.steps.push_back(describe(op));
    std::map<std::string, Dim, std::less<>> values;
    for (auto [k, value] : llvm::enumerate(dispatch.getDims().getDims())) {
      command.dims.emplace_back(kernelDim(k).str(), value);
      values.emplace(kernelDim(k).str(), value);
    }
    Work work = countWork(kernel);
    auto inSymbols = [&](const Dim &dim) { return dim.substitute(values).simplify(bounds); };
    command.operations = inSymbols(work.operations);
    command.bytesRead = inSymbols(work.bytesRead);
    command.bytesWritten = inSymbols(work.bytesWritten);
    return command;
  }

  ExplainedCommand explainCopy(Value value) {
    ExplainedCommand command;
    command.kernel = "copy";
    Type element = elementOf(value);
    command.bytesRead = countOf(shapeOf(value)) * Dim(format::elementBytes(*dataTypeOf(element)));
    command.bytesWritten = command.bytesRead;
    return command;
  }

  ModuleOp module;
  const Program &program;
  Bounds bounds;
};

} // namespace

Explanation explainProgram(ModuleOp module, const Program &program, std::vector<Decision> decisions) {
  Explanation explanation = Explainer(module, program).explain();
  explanation.decisions = std::move(decisions);
  return explanation;
}

} // namespace tenon
