//===- Interpreter.cpp - what a program means, evaluated ------------------------------===//
#include "interpreter/Interpreter.h"
#include "interpreter/Evaluation.h"
#include "interpreter/RegionProgram.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace tenon {

//===----------------------------------------------------------------------------===//
// Errors, types, sizes
//===----------------------------------------------------------------------------===//

llvm::Error errorAt(Operation *op, const llvm::Twine &message) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  if (auto location = op->getLoc()->findInstanceOf<FileLineColLoc>())
    stream << location.getFilename().getValue() << ":" << location.getLine() << ":" << location.getColumn() << ": ";
  else
    stream << op->getLoc() << ": ";
  stream << op->getName() << ": " << message;
  return llvm::createStringError(llvm::inconvertibleErrorCode(), "%s", text.c_str());
}

static std::optional<DType> floatType(Type type) {
  return llvm::TypeSwitch<Type, std::optional<DType>>(type)
      .Case<Float64Type>([](Type) { return DType::F64; })
      .Case<Float32Type>([](Type) { return DType::F32; })
      .Case<Float16Type>([](Type) { return DType::F16; })
      .Case<BFloat16Type>([](Type) { return DType::BF16; })
      .Default([](Type) { return std::nullopt; });
}

static std::optional<DType> integerType(Type type) {
  if (type.isIndex())
    return DType::I64;
  auto integer = dyn_cast<IntegerType>(type);
  if (!integer)
    return std::nullopt;
  bool isUnsigned = integer.isUnsigned();
  switch (integer.getWidth()) {
  case 1:
    return DType::Bool;
  case 8:
    return isUnsigned ? DType::U8 : DType::I8;
  case 16:
    return isUnsigned ? DType::U16 : DType::I16;
  case 32:
    return isUnsigned ? DType::U32 : DType::I32;
  case 64:
    return isUnsigned ? DType::U64 : DType::I64;
  default:
    return std::nullopt;
  }
}

llvm::Expected<DType> dtypeOf(Type element, Operation *op) {
  if (std::optional<DType> type = floatType(element))
    return *type;
  if (std::optional<DType> type = integerType(element))
    return *type;
  std::string text;
  llvm::raw_string_ostream(text) << element;
  return errorAt(op, "wanted elements of 16, 32 or 64-bit floats, or integers of 1 to 64 bits, found " + text);
}

/// More elements than any machine this runs on holds: a size gone wrong.
static constexpr int64_t maxElements = int64_t(1) << 36;

llvm::Expected<std::vector<int64_t>> sizesOf(Type type, Operation *op, const DimValues &dims) {
  std::vector<int64_t> sizes;
  int64_t count = 1;
  for (const Dim &dim : shapeOf(type)) {
    std::optional<int64_t> size = dim.evaluate(dims);
    if (!size)
      return errorAt(op, "the size " + dim.str() + " has no value: a symbol of it is not bound by an input");
    if (*size < 0)
      return errorAt(op, "the size " + dim.str() + " is " + llvm::Twine(*size));
    sizes.push_back(*size);
    if (*size != 0 && count > maxElements / *size)
      return errorAt(op, "a tensor of " + toString(sizes) + " is too large to interpret");
    count *= *size;
  }
  return sizes;
}

llvm::Expected<Array> makeResult(Value result, const Evaluation &evaluation) {
  Operation *op = result.getDefiningOp();
  llvm::Expected<DType> dtype = dtypeOf(elementOf(result), op);
  if (!dtype)
    return dtype.takeError();
  llvm::Expected<std::vector<int64_t>> sizes = sizesOf(result.getType(), op, evaluation.dims);
  if (!sizes)
    return sizes.takeError();
  return Array::zeros(*dtype, std::move(*sizes));
}

llvm::Expected<std::vector<Array>> makeResults(Operation *op, const Evaluation &evaluation) {
  std::vector<Array> results;
  for (Value each : op->getResults()) {
    llvm::Expected<Array> result = makeResult(each, evaluation);
    if (!result)
      return result.takeError();
    results.push_back(std::move(*result));
  }
  return results;
}

//===----------------------------------------------------------------------------===//
// Symbols from the shapes of the inputs
//===----------------------------------------------------------------------------===//

namespace {
class DimBinder {
public:
  DimBinder(FunctionOpInterface function, ArrayRef<Array> inputs, DimValues &dims)
      : function(function), inputs(inputs), dims(dims) {}

  /// First the dims that are a symbol, then those an already bound symbol decides.
  llvm::Error bind() {
    if (llvm::Error error = checkTypes())
      return error;
    for (size_t before = ~size_t(0); before != dims.size();) {
      before = dims.size();
      forEachDim([&](const Dim &dim, int64_t size) { solve(dim, size); });
    }
    return checkSizes();
  }

private:
  llvm::Error checkTypes() {
    if (inputs.size() != function.getNumArguments())
      return errorAt(function, "wanted " + llvm::Twine(function.getNumArguments()) + " inputs, found " +
                                   llvm::Twine(inputs.size()));
    for (auto [index, type] : llvm::enumerate(function.getArgumentTypes())) {
      auto tensor = dyn_cast<RankedTensorType>(type);
      if (!tensor)
        return errorAt(function, "input " + llvm::Twine(index) + " is not a ranked tensor");
      llvm::Expected<DType> wanted = dtypeOf(tensor.getElementType(), function);
      if (!wanted)
        return wanted.takeError();
      const Array &input = inputs[index];
      if (*wanted != input.dtype || tensor.getRank() != int64_t(input.shape.size()))
        return errorAt(function, "input " + llvm::Twine(index) + ": wanted " + toString(*wanted) + " of " +
                                     toString(shapeOf(type)) + ", found " + toString(input.dtype) + " of " +
                                     toString(input.shape));
    }
    return llvm::Error::success();
  }

  template <typename Visit> void forEachDim(Visit visit) {
    for (auto [type, input] : llvm::zip(function.getArgumentTypes(), inputs))
      for (auto [dim, size] : llvm::zip(shapeOf(type), input.shape))
        visit(dim, size);
  }

  /// Finds the one symbol of `dim` that has no value yet, where dim is linear in it.
  void solve(const Dim &dim, int64_t size) {
    std::string open;
    for (const std::string &symbol : dim.symbols()) {
      if (dims.count(symbol))
        continue;
      if (!open.empty())
        return;
      open = symbol;
    }
    if (open.empty())
      return;
    auto at = [&](int64_t value) {
      DimValues trial = dims;
      trial[open] = value;
      return dim.evaluate(trial);
    };
    std::optional<int64_t> zero = at(0), one = at(1);
    if (!zero || !one || *one == *zero || (size - *zero) % (*one - *zero) != 0)
      return;
    int64_t value = (size - *zero) / (*one - *zero);
    if (at(value) == size)
      dims[open] = value;
  }

  llvm::Error checkSizes() {
    for (auto [index, type] : llvm::enumerate(function.getArgumentTypes()))
      for (auto [position, dim] : llvm::enumerate(shapeOf(type))) {
        std::optional<int64_t> wanted = dim.evaluate(dims);
        int64_t found = inputs[index].shape[position];
        std::string place = "input " + std::to_string(index) + ", dimension " + std::to_string(position);
        if (!wanted)
          return errorAt(function, place + ": no input determines the symbols of " + dim.str() + ", found size " +
                                       llvm::Twine(found));
        if (*wanted != found)
          return errorAt(function, place + ": wanted " + dim.str() + " = " + llvm::Twine(*wanted) + ", found " +
                                       llvm::Twine(found));
      }
    return llvm::Error::success();
  }

  FunctionOpInterface function;
  ArrayRef<Array> inputs;
  DimValues &dims;
};
} // namespace

static llvm::Error checkBounds(ModuleOp module, const DimValues &dims) {
  for (SymbolOp symbol : module.getOps<SymbolOp>()) {
    auto it = dims.find(symbol.getSymName().str());
    if (it == dims.end())
      continue;
    int64_t value = it->second;
    if (value < int64_t(symbol.getMin()) || value > int64_t(symbol.getMax()))
      return errorAt(symbol, it->first + " is " + llvm::Twine(value) + ", wanted a value in [" +
                                 llvm::Twine(int64_t(symbol.getMin())) + ", " + llvm::Twine(int64_t(symbol.getMax())) +
                                 "]");
    if (value % int64_t(symbol.getDivisor()) != 0)
      return errorAt(symbol, it->first + " is " + llvm::Twine(value) + ", wanted a multiple of " +
                                 llvm::Twine(int64_t(symbol.getDivisor())));
  }
  return llvm::Error::success();
}

//===----------------------------------------------------------------------------===//
// One operation
//===----------------------------------------------------------------------------===//

static llvm::Expected<Array> evaluateReshape(ReshapeOp op, const Array &input, const Evaluation &evaluation) {
  llvm::Expected<std::vector<int64_t>> sizes = sizesOf(op.getType(), op, evaluation.dims);
  if (!sizes)
    return sizes.takeError();
  if (countOf(*sizes) != input.count())
    return errorAt(op, "turns " + toString(input.shape) + " into " + toString(*sizes));
  Array result = input;
  result.shape = std::move(*sizes);
  return result;
}

static llvm::Expected<Array> evaluateGet(GetOp op, const Evaluation &evaluation) {
  auto weight = SymbolTable::lookupNearestSymbolFrom<WeightOp>(op, op.getWeightAttr());
  if (!weight)
    return errorAt(op, "reads @" + op.getWeight() + ", which no tenon.weight declares");
  return evaluateWeight(weight, evaluation);
}

llvm::Expected<std::vector<Array>> evaluateOperation(Operation *op, Operands operands, const Evaluation &evaluation) {
  if (auto attention = dyn_cast<AttentionOp>(op))
    return evaluateAttention(attention, operands, evaluation);
  if (auto scan = dyn_cast<ScanOp>(op))
    return evaluateScan(scan, operands, evaluation);
  llvm::Expected<Array> result =
      llvm::TypeSwitch<Operation *, llvm::Expected<Array>>(op)
          .Case<MapOp>([&](auto op) { return evaluateMap(op, operands, evaluation); })
          .Case<ContractOp>([&](auto op) { return evaluateContract(op, operands, evaluation); })
          .Case<ReduceOp>([&](auto op) { return evaluateReduce(op, operands, evaluation); })
          .Case<ScatterOp>([&](auto op) { return evaluateScatter(op, operands, evaluation); })
          .Case<OrderOp>([&](auto op) { return evaluateOrder(op, *operands[0], evaluation); })
          .Case<SoftmaxOp>([&](auto op) { return evaluateSoftmax(op, operands, evaluation); })
          .Case<NormOp>([&](auto op) { return evaluateNorm(op, operands, evaluation); })
          .Case<AttentionUpdateOp>([&](auto op) { return evaluateAttentionUpdate(op, operands, evaluation); })
          .Case<AttentionMergeOp>([&](auto op) { return evaluateAttentionMerge(op, operands, evaluation); })
          .Case<AttentionFinishOp>([&](auto op) { return evaluateAttentionFinish(op, operands, evaluation); })
          .Case<FFTOp>([&](auto op) { return evaluateFFT(op, operands, evaluation); })
          .Case<ToeplitzOp>([&](auto op) { return evaluateToeplitz(op, operands, evaluation); })
          .Case<CirculantOp>([&](auto op) { return evaluateCirculant(op, operands, evaluation); })
          .Case<ReshapeOp>([&](auto op) { return evaluateReshape(op, *operands[0], evaluation); })
          .Case<GetOp>([&](auto op) { return evaluateGet(op, evaluation); })
          .Case<StateGetOp>([&](auto op) { return evaluateStateGet(op, evaluation); })
          .Case<AppendOp>([&](auto op) { return evaluateAppend(op, operands, evaluation); })
          .Default([&](Operation *op) { return errorAt(op, "the interpreter does not know this operation"); });
  if (!result)
    return result.takeError();
  std::vector<Array> results;
  results.push_back(std::move(*result));
  return results;
}

//===----------------------------------------------------------------------------===//
// One function or kernel
//===----------------------------------------------------------------------------===//

namespace {
/// Evaluates the operations of one block in order. Values are freed after their last use.
class BlockEvaluator {
public:
  BlockEvaluator(const Evaluation &evaluation, Interpreter::Observer observer = {})
      : evaluation(evaluation), observer(std::move(observer)) {}

  llvm::Expected<std::vector<Array>> run(Block &block, std::vector<Array> inputs) {
    for (auto [argument, input] : llvm::zip(block.getArguments(), inputs))
      keep(argument, std::move(input));
    for (Operation &op : block.without_terminator())
      if (!isa<StateSetOp, AdvanceOp>(op))
        if (llvm::Error error = evaluate(op))
          return error;
    auto valueOf = [&](Value value) -> const Array & { return values.lookup(value)->array; };
    if (evaluation.memory)
      if (llvm::Error error = storeStates(block, valueOf, evaluation))
        return error;
    std::vector<Array> results;
    for (Value result : block.getTerminator()->getOperands())
      results.push_back(values.lookup(result)->array);
    return results;
  }

private:
  struct Held {
    Array array;
    size_t uses;
  };

  void keep(Value value, Array array) {
    if (observer)
      observer(value, array);
    if (size_t uses = std::distance(value.use_begin(), value.use_end()))
      values[value] = std::make_shared<Held>(Held{std::move(array), uses});
  }

  void release(Operation &op) {
    for (Value operand : op.getOperands())
      if (--values[operand]->uses == 0)
        values.erase(operand);
  }

  llvm::Error evaluate(Operation &op) {
    SmallVector<const Array *> operands;
    for (Value operand : op.getOperands())
      operands.push_back(&values.lookup(operand)->array);
    llvm::Expected<std::vector<Array>> results = compute(op, operands);
    if (!results)
      return results.takeError();
    for (auto [value, array] : llvm::zip_equal(op.getResults(), *results))
      keep(value, std::move(array));
    release(op);
    return llvm::Error::success();
  }

  llvm::Expected<std::vector<Array>> compute(Operation &op, Operands operands) {
    if (auto dispatch = dyn_cast<DispatchOp>(op))
      return runKernel(dispatch, operands);
    return evaluateOperation(&op, operands, evaluation);
  }

  /// A kernel's symbols are its own: d0, d1, … as the dispatch passes them.
  llvm::Expected<std::vector<Array>> runKernel(DispatchOp op, Operands operands) {
    auto kernel = SymbolTable::lookupNearestSymbolFrom<KernelOp>(op, op.getKernelAttr());
    if (!kernel)
      return errorAt(op, "runs @" + op.getKernel() + ", which no tenon.kernel declares");
    DimValues dims;
    for (auto [index, dim] : llvm::enumerate(op.getDims().getDims())) {
      std::optional<int64_t> value = dim.evaluate(evaluation.dims);
      if (!value)
        return errorAt(op, "the dim " + dim.str() + " has no value: a symbol of it is not bound by an input");
      dims["d" + std::to_string(index)] = *value;
    }
    std::vector<Array> inputs;
    for (const Array *operand : operands)
      inputs.push_back(*operand);
    if (llvm::Error error = DimBinder(kernel, inputs, dims).bind())
      return error;
    return BlockEvaluator({evaluation.module, evaluation.weights, evaluation.arithmetic, dims})
        .run(kernel.getBody().front(), std::move(inputs));
  }

  const Evaluation &evaluation;
  Interpreter::Observer observer;
  llvm::DenseMap<Value, std::shared_ptr<Held>> values;
};
} // namespace

DimValues Interpreter::kept() const { return keptSymbols(module, memory); }

llvm::Expected<std::vector<Array>> Interpreter::run(StringRef entry, ArrayRef<Array> inputs, DimValues dims) {
  auto function = module.lookupSymbol<FunctionOpInterface>(entry);
  if (!function || function.isExternal())
    return llvm::createStringError(llvm::inconvertibleErrorCode(), "the module has no function @%s with a body",
                                   entry.str().c_str());
  for (const auto &[name, value] : kept())
    dims[name] = value;
  if (llvm::Error error = DimBinder(function, inputs, dims).bind())
    return error;
  if (llvm::Error error = checkBounds(module, dims))
    return error;
  if (!function.getFunctionBody().hasOneBlock())
    return errorAt(function, "wanted one block, found control flow");
  Evaluation evaluation{module, weights, arithmetic, dims, &memory};
  return BlockEvaluator(evaluation, observer).run(function.getFunctionBody().front(), inputs.vec());
}

} // namespace tenon
