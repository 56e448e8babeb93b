//===- States.cpp - what a session remembers from run to run ------------------------===//
//
// A state is held as the rows that any run has set or seen; the rest of its capacity is
// what a new session has there. All errors come before the first change.
//
//===-----------------------------------------------------------------------------===//
#include "interpreter/Evaluation.h"

using namespace mlir;

namespace tenon {

DimValues keptSymbols(ModuleOp module, const SessionMemory &memory) {
  DimValues kept;
  for (SymbolOp symbol : module.getOps<SymbolOp>())
    if (symbol.getKept())
      kept[symbol.getSymName().str()] = int64_t(symbol.getMin());
  for (const auto &[name, value] : memory.kept)
    kept[name] = value;
  return kept;
}

static Array concatenate(const Array &first, const Array &second) {
  Array result = first;
  result.shape[0] += second.shape[0];
  result.floats.insert(result.floats.end(), second.floats.begin(), second.floats.end());
  result.integers.insert(result.integers.end(), second.integers.begin(), second.integers.end());
  return result;
}

/// The rows from `begin` on to `end`.
static Array rowsOf(const Array &array, int64_t begin, int64_t end) {
  Array result = array;
  int64_t length = array.shape[0] ? array.count() / array.shape[0] : 0;
  result.shape[0] = end - begin;
  auto cut = [&](auto &elements) {
    if (!elements.empty())
      elements = {elements.begin() + begin * length, elements.begin() + end * length};
  };
  cut(result.floats);
  cut(result.integers);
  return result;
}

static llvm::Expected<StateOp> lookup(Operation *op, FlatSymbolRefAttr name) {
  if (auto state = SymbolTable::lookupNearestSymbolFrom<StateOp>(op, name))
    return state;
  return errorAt(op, "names @" + name.getValue() + ", which no tenon.state declares");
}

/// The whole of a state in a new session.
static llvm::Expected<Array> initialValue(StateOp state, const Evaluation &evaluation) {
  if (FlatSymbolRefAttr initial = state.getInitialAttr())
    return evaluateWeight(SymbolTable::lookupNearestSymbolFrom<WeightOp>(state, initial), evaluation);
  llvm::Expected<DType> dtype = dtypeOf(cast<RankedTensorType>(state.getType()).getElementType(), state);
  if (!dtype)
    return dtype.takeError();
  llvm::Expected<std::vector<int64_t>> sizes = sizesOf(state.getType(), state, {});
  return sizes ? llvm::Expected<Array>(Array::zeros(*dtype, std::move(*sizes))) : sizes.takeError();
}

static llvm::Expected<Array *> stateOf(Operation *op, FlatSymbolRefAttr name, const Evaluation &evaluation) {
  llvm::Expected<StateOp> state = lookup(op, name);
  if (!state)
    return state.takeError();
  auto it = evaluation.memory->states.find(name.getValue().str());
  if (it == evaluation.memory->states.end()) {
    llvm::Expected<Array> initial = initialValue(*state, evaluation);
    if (!initial)
      return initial.takeError();
    it = evaluation.memory->states.emplace(name.getValue().str(), std::move(*initial)).first;
  }
  return &it->second;
}

static llvm::Error checkCapacity(Operation *op, FlatSymbolRefAttr name, int64_t rows, const Array &state) {
  if (rows <= state.shape[0])
    return llvm::Error::success();
  return errorAt(op, llvm::Twine(rows) + " rows of @" + name.getValue() + ", which has " +
                         llvm::Twine(state.shape[0]));
}

llvm::Expected<Array> evaluateStateGet(StateGetOp op, const Evaluation &evaluation) {
  llvm::Expected<Array *> state = stateOf(op, op.getStateAttr(), evaluation);
  if (!state)
    return state.takeError();
  llvm::Expected<std::vector<int64_t>> sizes = sizesOf(op.getType(), op, evaluation.dims);
  if (!sizes)
    return sizes.takeError();
  if (llvm::Error error = checkCapacity(op, op.getStateAttr(), (*sizes)[0], **state))
    return error;
  return rowsOf(**state, 0, (*sizes)[0]);
}

llvm::Expected<Array> evaluateAppend(AppendOp op, Operands operands, const Evaluation &) {
  return concatenate(*operands[1], *operands[0]);
}

/// What the symbols of `block` are advanced to.
static llvm::Expected<DimValues> advanced(Block &block, const Evaluation &evaluation) {
  DimValues values;
  for (AdvanceOp op : block.getOps<AdvanceOp>()) {
    auto symbol = SymbolTable::lookupNearestSymbolFrom<SymbolOp>(op, op.getSymbolAttr());
    std::optional<int64_t> value = op.getValue().getValue().evaluate(evaluation.dims);
    if (!symbol || !value)
      return errorAt(op, "the next @" + op.getSymbol() + " has no value");
    int64_t least = symbol.getMin(), most = symbol.getMax(), divisor = symbol.getDivisor();
    if (*value < least || *value > most || *value % divisor != 0)
      return errorAt(op, "the next @" + op.getSymbol() + " is " + llvm::Twine(*value) + ", wanted a value in [" +
                             llvm::Twine(least) + ", " + llvm::Twine(most) + "]");
    values[op.getSymbol().str()] = *value;
  }
  return values;
}

llvm::Error storeStates(Block &block, function_ref<const Array &(Value)> value, const Evaluation &evaluation) {
  llvm::Expected<DimValues> kept = advanced(block, evaluation);
  if (!kept)
    return kept.takeError();
  std::vector<std::pair<Array *, Array>> changes;
  for (StateSetOp op : block.getOps<StateSetOp>()) {
    llvm::Expected<Array *> state = stateOf(op, op.getStateAttr(), evaluation);
    if (!state)
      return state.takeError();
    const Array &rows = value(op.getValue());
    if (llvm::Error error = checkCapacity(op, op.getStateAttr(), rows.shape[0], **state))
      return error;
    changes.emplace_back(*state, concatenate(rows, rowsOf(**state, rows.shape[0], (*state)->shape[0])));
  }
  for (auto &[state, array] : changes)
    *state = std::move(array);
  for (const auto &[name, next] : *kept)
    evaluation.memory->kept[name] = next;
  return llvm::Error::success();
}

} // namespace tenon
