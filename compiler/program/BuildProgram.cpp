//===- BuildProgram.cpp - a module of dispatches as a table of commands --------------===//
#include "compiler/program/BuildProgram.h"
#include "compiler/program/IndexRows.h"
#include "mlir/IR/Location.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace tenon {

std::optional<format::DataType> dataTypeOf(Type element) {
  using format::DataType;
  if (element.isF32())
    return DataType::f32;
  if (element.isF16())
    return DataType::f16;
  if (element.isBF16())
    return DataType::bf16;
  if (element.isF64())
    return DataType::f64;
  if (element.isIndex())
    return DataType::i64;
  auto integer = dyn_cast<IntegerType>(element);
  if (!integer)
    return std::nullopt;
  bool isUnsigned = integer.isUnsigned();
  switch (integer.getWidth()) {
  case 1:
    return DataType::boolean;
  case 8:
    return isUnsigned ? DataType::u8 : DataType::i8;
  case 16:
    return isUnsigned ? DataType::u16 : DataType::i16;
  case 32:
    return isUnsigned ? DataType::u32 : DataType::i32;
  case 64:
    return isUnsigned ? DataType::u64 : DataType::i64;
  }
  return std::nullopt;
}

//===----------------------------------------------------------------------------===//
// Dim expressions
//===----------------------------------------------------------------------------===//

namespace {
/// Collects the postfix steps of a Dim; `index` numbers its symbols.
struct DimSteps : DimVisitor {
  using Index = std::function<DimExpr(std::string_view)>;
  explicit DimSteps(Index index) : index(std::move(index)) {}

  void constant(int64_t value) override { stack.push_back(DimExpr::constant(value)); }
  void symbol(std::string_view name) override { stack.push_back(index(name)); }
  void binary(DimOp op) override {
    DimExpr b = stack.back();
    stack.pop_back();
    DimExpr a = stack.back();
    stack.pop_back();
    stack.push_back(apply(op, a, b));
  }
  static DimExpr apply(DimOp op, const DimExpr &a, const DimExpr &b) {
    switch (op) {
    case DimOp::Add:
      return a + b;
    case DimOp::Multiply:
      return a * b;
    case DimOp::FloorDiv:
      return a.floorDiv(b);
    case DimOp::Mod:
      return a % b;
    case DimOp::Min:
      return a.min(b);
    case DimOp::Max:
      return a.max(b);
    }
    llvm_unreachable("every DimOp is above");
  }

  Index index;
  std::vector<DimExpr> stack;
};
} // namespace

static uint32_t addExpression(ProgramDesc &program, const Dim &dim, DimSteps::Index index) {
  DimSteps steps(std::move(index));
  dim.visit(steps);
  return program.addDim(steps.stack.back());
}

uint32_t addDim(ProgramDesc &program, const std::map<std::string, uint32_t, std::less<>> &symbols, const Dim &dim) {
  return addExpression(program, dim, [&](std::string_view name) {
    auto it = symbols.find(name);
    assert(it != symbols.end() && "verified: every symbol is declared");
    return DimExpr::symbol(it->second);
  });
}

uint32_t addKernelDim(ProgramDesc &program, const Dim &dim) {
  return addExpression(program, dim, [](std::string_view name) {
    uint32_t number = 0;
    StringRef(name.data(), name.size()).drop_front().getAsInteger(10, number);
    return DimExpr::kernelDim(number);
  });
}

//===----------------------------------------------------------------------------===//
// Commands
//===----------------------------------------------------------------------------===//

/// "MatMul /encoder/query, Add /encoder/query": the names in a location, each once.
static void collectNames(Location loc, llvm::SetVector<StringRef> &names) {
  if (auto name = dyn_cast<NameLoc>(loc)) {
    names.insert(name.getName());
    return;
  }
  if (auto fused = dyn_cast<FusedLoc>(loc))
    for (Location inner : fused.getLocations())
      collectNames(inner, names);
}

std::string sourceOf(Location loc) {
  llvm::SetVector<StringRef> names;
  collectNames(loc, names);
  return llvm::join(names, ", ");
}

namespace {

/// Where a value's elements are.
struct Place {
  format::Space space = format::Space::arena;
  uint32_t index = 0;
  Dim offset = Dim(0); ///< In bytes.
};

class ProgramBuilder {
public:
  explicit ProgramBuilder(ModuleOp module) : module(module) {}

  FailureOr<Program> build() {
    declareSymbols();
    if (failed(declareStates()))
      return failure();
    for (KernelOp kernel : module.getOps<KernelOp>())
      declareKernel(kernel);
    for (auto function : module.getOps<func::FuncOp>())
      if (function->hasAttr("tenon.entry") && failed(buildEntry(function)))
        return failure();
    if (program.tables.entries.empty())
      return module.emitError("has no entry point: no function is marked tenon.entry");
    return std::move(program);
  }

private:
  void declareSymbols() {
    for (SymbolOp symbol : module.getOps<SymbolOp>()) {
      std::string name = symbol.getSymName().str();
      symbols[name] = program.tables.addSymbol({name, int64_t(symbol.getMin()), int64_t(symbol.getMax()),
                                                int64_t(symbol.getDivisor()), false, symbol.getKept()});
    }
  }

  LogicalResult declareStates() {
    for (StateOp state : module.getOps<StateOp>()) {
      stateIndex[state.getSymName()] = program.tables.states.size();
      auto tensor = describe(state.getType(), {}, state.getSymName(), std::nullopt, state);
      if (failed(tensor))
        return failure();
      uint32_t initial = format::none;
      if (FlatSymbolRefAttr name = state.getInitialAttr())
        initial = indexOfWeight(name.getValue());
      program.tables.states.push_back({*tensor, initial});
    }
    return success();
  }

  void declareKernel(KernelOp kernel) {
    kernelIndex[kernel.getSymName()] = program.kernels.size();
    program.kernels.push_back(kernel);
    uint32_t arguments = kernel.getArgumentTypes().size(), results = kernel.getResultTypes().size();
    program.tables.kernels.push_back({kernel.getSymName().str(), arguments + results, results, kernel.getNumDims()});
  }

  uint32_t dim(const Dim &dim) { return addDim(program.tables, symbols, dim); }

  /// An argument or result of an entry; `attributes` give its name and sign.
  FailureOr<TensorDesc> describe(Type type, DictionaryAttr attributes, StringRef fallback,
                                 std::optional<unsigned> number, Operation *at) {
    auto tensor = cast<RankedTensorType>(type);
    std::string name = nameOf(attributes, fallback, number);
    Type element = tensor.getElementType();
    if (attributes && attributes.contains("tenon.unsigned"))
      element = IntegerType::get(element.getContext(), element.getIntOrFloatBitWidth(), IntegerType::Unsigned);
    std::optional<format::DataType> dataType = dataTypeOf(element);
    if (!dataType)
      return at->emitError("'") << name << "' has elements of type " << tensor.getElementType()
                                << ", which an artifact cannot hold";
    TensorDesc description{name, *dataType, {}};
    for (const Dim &size : shapeOf(tensor))
      description.dims.push_back(dim(size));
    return description;
  }

  static std::string nameOf(DictionaryAttr attributes, StringRef fallback, std::optional<unsigned> number) {
    if (attributes)
      if (auto name = attributes.getAs<StringAttr>("tenon.name"))
        return name.str();
    return number ? (fallback + Twine(*number)).str() : fallback.str();
  }

  /// A symbol takes its value from an input's dimension that is the symbol alone, or from the session.
  LogicalResult checkSymbolsAreBound(func::FuncOp function) {
    llvm::StringSet<> bound;
    for (SymbolOp symbol : module.getOps<SymbolOp>())
      if (symbol.getKept())
        bound.insert(symbol.getSymName());
    for (Type input : function.getArgumentTypes())
      for (const Dim &size : shapeOf(input))
        if (std::vector<std::string> used = size.symbols(); used.size() == 1 && size == Dim::symbol(used.front()))
          bound.insert(used.front());
    for (Type type : llvm::concat<const Type>(function.getArgumentTypes(), function.getResultTypes()))
      for (const Dim &size : shapeOf(type))
        for (const std::string &symbol : size.symbols())
          if (!bound.contains(symbol))
            return function.emitError("entry '")
                   << function.getSymName() << "': no input has a dimension that is just " << symbol
                   << ", which would give it its value; it is needed for " << size.str();
    return success();
  }

  LogicalResult buildEntry(func::FuncOp function) {
    if (failed(checkSymbolsAreBound(function)))
      return failure();
    entry = EntryDesc();
    places.clear();
    entry.name = function.getSymName().str();
    for (BlockArgument argument : function.getArguments()) {
      unsigned number = argument.getArgNumber();
      auto tensor = describe(argument.getType(), function.getArgAttrDict(number), "input", number, function);
      if (failed(tensor))
        return failure();
      entry.inputs.push_back(*tensor);
      places[argument] = {format::Space::input, number};
    }
    if (failed(checkOrderedSizes(function)))
      return failure();
    auto returned = cast<func::ReturnOp>(function.getBody().front().getTerminator());
    claimOutputs(returned);
    placeAppended(function);
    for (Operation &op : function.getBody().front().without_terminator())
      if (failed(addOp(op)))
        return failure();
    for (OpOperand &operand : returned->getOpOperands()) {
      unsigned number = operand.getOperandNumber();
      auto tensor = describe(operand.get().getType(), function.getResultAttrDict(number), "output", number, function);
      if (failed(tensor))
        return failure();
      entry.outputs.push_back(*tensor);
      copyToOutput(operand.get(), number);
    }
    setStates(function);
    noteIndexRows(function);
    program.tables.entries.push_back(std::move(entry));
    return success();
  }

  /// For `run --random`: "index_rows/ENTRY/INPUT" is the number of rows an integer input chooses from.
  void noteIndexRows(func::FuncOp function) {
    for (auto [tensor, rows] : llvm::zip(entry.inputs, indexRows(function)))
      if (rows)
        program.tables.metadata.emplace_back("index_rows/" + entry.name + "/" + tensor.name, std::to_string(*rows));
  }

  /// The value whose memory `value` is, past reshapes.
  static Value origin(Value value) {
    while (auto reshape = value.getDefiningOp<ReshapeOp>())
      value = reshape.getInput();
    return value;
  }

  /// A returned tensor that a dispatch computes is computed in the caller's buffer.
  void claimOutputs(func::ReturnOp returned) {
    for (OpOperand &operand : returned->getOpOperands()) {
      Value computed = origin(operand.get());
      if (computed.getDefiningOp<DispatchOp>())
        places.try_emplace(computed, Place{format::Space::output, operand.getOperandNumber()});
    }
  }

  LogicalResult addOp(Operation &op) {
    return llvm::TypeSwitch<Operation *, LogicalResult>(&op)
        .Case([&](GetOp get) { return addWeight(get); })
        .Case([&](StateGetOp get) { return addStateRows(get); })
        .Case([&](AppendOp append) { return addAppend(append); })
        .Case<StateSetOp, AdvanceOp>([](Operation *) { return success(); }) // when the run has ended
        .Case([&](ReshapeOp) { return success(); })
        .Case([&](DispatchOp dispatch) { return addDispatch(dispatch); })
        .Default([](Operation *op) { return op->emitError("is not in a kernel: '") << op->getName() << "'"; });
  }

  LogicalResult addWeight(GetOp get) {
    places[get] = {format::Space::weight, indexOfWeight(get.getWeight())};
    return success();
  }

  uint32_t indexOfWeight(StringRef name) {
    auto [it, isNew] = weightIndex.try_emplace(name, program.weights.size());
    if (isNew)
      program.weights.push_back(module.lookupSymbol<WeightOp>(name));
    return it->second;
  }

  //===--------------------------------------------------------------------------===//
  // States: rows of dim 0, in the session's memory
  //===--------------------------------------------------------------------------===//

  Dim byteCountOf(Value value) {
    return countOf(shapeOf(value)) * Dim(format::elementBytes(*dataTypeOf(elementOf(value))));
  }

  uint32_t useState(StringRef name) {
    uint32_t index = stateIndex.lookup(name);
    if (!llvm::is_contained(entry.states, index))
      entry.states.push_back(index);
    return index;
  }

  /// A state has room for the rows of `value`: checked when the symbols are bound.
  void checkCapacity(Operation *op, StringRef name, Value value) {
    Dim rows = shapeOf(value)[0], capacity = shapeOf(module.lookupSymbol<StateOp>(name).getType())[0];
    if (Dim::isKnownLessEqual(rows, capacity, boundsOf(module)) != true)
      entry.checks.push_back({dim(rows), format::Relation::lessEqual, dim(capacity), ("rows of state " + name).str()});
  }

  /// What the importer took for granted of several symbols at once: each pair of sizes is in this order.
  LogicalResult checkOrderedSizes(func::FuncOp function) {
    auto orders = function->getAttrOfType<ArrayAttr>("tenon.ordered");
    for (Attribute each : orders ? orders.getValue() : ArrayRef<Attribute>()) {
      auto order = dyn_cast<DictionaryAttr>(each);
      auto sizes = order ? order.getAs<DimsAttr>("sizes") : DimsAttr();
      auto source = order ? order.getAs<StringAttr>("source") : StringAttr();
      if (!sizes || sizes.getDims().size() != 2 || !source)
        return function.emitError(
                   "attribute 'tenon.ordered': wanted {sizes = #tenon.dims<[a, b]>, source = \"node\"}, found ")
               << each;
      entry.checks.push_back(
          {dim(sizes.getDims()[0]), format::Relation::lessEqual, dim(sizes.getDims()[1]), source.str()});
    }
    return success();
  }

  LogicalResult addStateRows(StateGetOp get) {
    checkCapacity(get, get.getState(), get);
    places[get] = {format::Space::state, useState(get.getState())};
    return success();
  }

  /// What is appended to a state and stored in it is computed behind its rows: of each `tenon.state_set`, from its value
  /// back to the rows the run began with. Rows that something else has claimed are copied there.
  void placeAppended(func::FuncOp function) {
    for (auto set : function.getOps<StateSetOp>()) {
      SmallVector<AppendOp> chain;
      Value value = origin(set.getValue());
      while (auto append = value.getDefiningOp<AppendOp>()) {
        chain.push_back(append);
        value = origin(append.getTo());
      }
      auto get = value.getDefiningOp<StateGetOp>();
      if (!get || get.getState() != set.getState() || readsBehind(function, get))
        continue;
      for (AppendOp append : chain) {
        Place place{format::Space::state, useState(set.getState())};
        places[append] = place;
        place.offset = byteCountOf(append.getTo());
        Value rows = origin(append.getRows());
        if (rows.getDefiningOp<DispatchOp>())
          places.try_emplace(rows, place);
      }
    }
  }

  /// Some operation reads rows of the state that are not before those of `get`: what the run begins with must stay there.
  static bool readsBehind(func::FuncOp function, StateGetOp get) {
    return llvm::any_of(function.getOps<StateGetOp>(), [&](StateGetOp other) {
      return other.getState() == get.getState() && shapeOf(other)[0] != shapeOf(get)[0];
    });
  }

  LogicalResult addAppend(AppendOp append) {
    Value rows = append.getRows(), to = append.getTo();
    allocate(append);
    Place whole = places.lookup(append), first = places.lookup(origin(to));
    if (whole.space != first.space || whole.index != first.index)
      copy(to, whole, append.getLoc());
    whole.offset = byteCountOf(to);
    copy(rows, whole, append.getLoc());
    return success();
  }

  /// The end of a run: states whose rows are not there already, and what kept symbols become. A state that is set to rows
  /// of another one's memory takes them from a copy, so that the order of setting does not matter.
  void setStates(func::FuncOp function) {
    SmallVector<std::pair<Value, Place>> copies;
    for (auto set : function.getOps<StateSetOp>()) {
      checkCapacity(set, set.getState(), set.getValue());
      Place from = places.lookup(origin(set.getValue())), to{format::Space::state, useState(set.getState())};
      if (from.space == format::Space::state && from.index != to.index) {
        Place aside{format::Space::arena, newBuffer(set.getValue())};
        copy(set.getValue(), aside, set.getLoc());
        places[origin(set.getValue())] = aside;
      }
      copies.push_back({set.getValue(), to});
    }
    for (auto [value, place] : copies)
      copy(value, place, value.getLoc());
    for (auto advance : function.getOps<AdvanceOp>())
      entry.advances.push_back({symbols.find(advance.getSymbol().str())->second, dim(advance.getValue().getValue())});
  }

  //===--------------------------------------------------------------------------===//
  // Operands and buffers
  //===--------------------------------------------------------------------------===//

  OperandDesc use(Value value) { return use(value, places.lookup(origin(value))); }

  OperandDesc use(Value value, const Place &place) {
    if (place.space == format::Space::arena)
      entry.buffers[place.index].lastLive = entry.commands.size();
    OperandDesc operand;
    operand.space = place.space;
    operand.index = place.index;
    if (place.offset != Dim(0))
      operand.offset = dim(place.offset);
    operand.bytes = byteCount(value);
    return operand;
  }

  uint32_t byteCount(Value value) { return dim(byteCountOf(value)); }

  uint32_t newBuffer(Value value) {
    uint32_t now = entry.commands.size();
    entry.buffers.push_back({byteCount(value), now, now});
    return entry.buffers.size() - 1;
  }

  void allocate(Value result) {
    if (!places.count(result))
      places[result] = {format::Space::arena, newBuffer(result)};
  }

  LogicalResult addDispatch(DispatchOp dispatch) {
    CommandDesc command;
    command.kernel = kernelIndex.lookup(dispatch.getKernel());
    command.source = sourceOf(dispatch.getLoc());
    for (Value result : dispatch.getResults()) {
      if (!dataTypeOf(elementOf(result)))
        return dispatch.emitError("computes elements of type ") << elementOf(result) << ", which memory cannot hold";
      allocate(result);
    }
    for (Value input : dispatch.getInputs())
      command.operands.push_back(use(input));
    for (Value result : dispatch.getResults())
      command.operands.push_back(use(result));
    ArrayRef<Dim> dims = dispatch.getDims().getDims();
    unsigned wanted = program.kernels[command.kernel].getNumDims();
    for (const Dim &value : dims.take_front(wanted))
      command.dims.push_back(dim(value));
    entry.commands.push_back(std::move(command));
    return success();
  }

  void copyToOutput(Value value, unsigned number) {
    copy(value, {format::Space::output, number}, value.getLoc());
  }

  /// To another place; where it is there already, nothing.
  void copy(Value value, const Place &to, Location loc) {
    Place from = places.lookup(origin(value));
    if (from.space == to.space && from.index == to.index && from.offset == to.offset)
      return;
    CommandDesc copy;
    copy.kind = format::CommandKind::copy;
    copy.operands = {use(value), use(value, to)};
    copy.expression = byteCount(value);
    copy.source = sourceOf(loc);
    entry.commands.push_back(std::move(copy));
  }

  ModuleOp module;
  Program program;
  EntryDesc entry;
  std::map<std::string, uint32_t, std::less<>> symbols;
  llvm::StringMap<uint32_t> kernelIndex, weightIndex, stateIndex;
  llvm::DenseMap<Value, Place> places;
};
} // namespace

FailureOr<Program> buildProgram(ModuleOp module) { return ProgramBuilder(module).build(); }

} // namespace tenon
