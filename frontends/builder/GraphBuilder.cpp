//===- GraphBuilder.cpp - declarations, maps and the finished module --------------===//
#include "frontends/builder/GraphBuilder.h"
#include "frontends/builder/DecidingSizes.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include <numeric>

using namespace mlir;
using namespace tenon;

/// Up to here a constant stands in the IR (the dialect's own limit).
static constexpr size_t maxInlineBytes = 1024;

Location tenon::nodeLocation(MLIRContext *context, StringRef node, StringRef opType) {
  Location inner = UnknownLoc::get(context);
  if (!opType.empty())
    inner = NameLoc::get(StringAttr::get(context, opType));
  return node.empty() ? inner : NameLoc::get(StringAttr::get(context, node), inner);
}

GraphBuilder::GraphBuilder(MLIRContext &context, WeightStore &weights, StringRef entry, Assumptions *assumptions)
    : builder(&context), weights(weights), assumptions(assumptions), loc(UnknownLoc::get(&context)) {
  context.loadDialect<TenonDialect, arith::ArithDialect, math::MathDialect, func::FuncDialect>();
  module = ModuleOp::create(loc);
  builder.setInsertionPointToEnd(module->getBody());
  function = func::FuncOp::create(builder, loc, entry, builder.getFunctionType({}, {}));
  function->setAttr("tenon.entry", builder.getUnitAttr());
  names.insert(entry);
  builder.setInsertionPointToStart(function.addEntryBlock());
}

InFlightDiagnostic GraphBuilder::error() {
  failed = true;
  return emitError(loc);
}

//===----------------------------------------------------------------------------===//
// Declarations
//===----------------------------------------------------------------------------===//

std::string GraphBuilder::uniqueName(StringRef name) {
  std::string unique = name.str();
  for (unsigned i = 1; !names.insert(unique).second; ++i)
    unique = (name + "_" + Twine(i)).str();
  return unique;
}

Dim GraphBuilder::symbol(StringRef name, int64_t min, int64_t max, int64_t divisor) {
  auto known = symbols.find(name);
  if (known != symbols.end())
    return known->second;
  std::string unique = uniqueName(name);
  Dim dim = assumptions ? assumptions->resolve(unique) : Dim::symbol(unique);
  symbols.emplace(name.str(), dim);
  if (dim != Dim::symbol(unique)) {
    // An expression of others, which must be declared too.
    for (const std::string &other : dim.symbols())
      symbol(other);
    return dim;
  }
  Interval interval{min, max};
  if (assumptions) {
    interval = assumptions->restrict(unique, interval);
    divisor = std::lcm(divisor, assumptions->divisor(unique));
  }
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPoint(function);
  SymbolOp::create(builder, loc, unique, interval.lo, interval.hi, divisor);
  bounds.set(unique, interval, divisor);
  return dim;
}

/// What an entry says of an argument or result beside its type.
static DictionaryAttr entryAttrs(OpBuilder &builder, StringRef name, Type element, Sign sign) {
  SmallVector<NamedAttribute> attributes{builder.getNamedAttr("tenon.name", builder.getStringAttr(name))};
  if (sign == Sign::Unsigned && isa<IntegerType>(element) && !element.isInteger(1))
    attributes.push_back(builder.getNamedAttr("tenon.unsigned", builder.getUnitAttr()));
  return builder.getDictionaryAttr(attributes);
}

std::optional<RankedTensorType> GraphBuilder::typeOf(Type element, Dims shape) {
  Shape simple = llvm::map_to_vector<4>(shape, [&](const Dim &dim) { return simplify(dim); });
  for (const Dim &dim : simple) {
    if (!dim.isValid()) {
      error() << "a dimension of " << toString(shape) << " leaves what can be computed";
      return std::nullopt;
    }
    if (isOfData(dim)) {
      error() << "wanted dimensions known from the shapes of the inputs, found " << toString(shape);
      return std::nullopt;
    }
    if (dim.interval(bounds).hi < 0) {
      error() << "wanted dimensions of at least 0, found " << toString(shape);
      return std::nullopt;
    }
  }
  return tensorOf(element, simple);
}

Value GraphBuilder::input(StringRef name, Type element, Dims shape, Sign sign) {
  std::optional<RankedTensorType> type = typeOf(element, shape);
  if (!type)
    return {};
  inputNames.push_back(entryAttrs(builder, name, element, sign));
  return function.getBody().front().addArgument(*type, loc);
}

void GraphBuilder::output(StringRef name, Value value, Sign sign) {
  if (!value) {
    if (!hasFailed())
      error() << "output '" << name << "' has no value";
    return;
  }
  outputNames.push_back(entryAttrs(builder, name, elementOf(value), sign));
  outputs.push_back(value);
}

Value GraphBuilder::declareWeight(StringRef unique, RankedTensorType type, Attribute value) {
  {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPoint(function);
    WeightOp::create(builder, loc, unique, type, value);
  }
  return GetOp::create(builder, loc, type, unique);
}

static DenseElementsAttr elementsOf(RankedTensorType type, const void *data, size_t size) {
  auto *bytes = static_cast<const char *>(data);
  if (!type.getElementType().isInteger(1))
    return DenseElementsAttr::getFromRawBuffer(type, ArrayRef<char>(bytes, size));
  SmallVector<bool> bits(size);
  llvm::transform(ArrayRef<char>(bytes, size), bits.begin(), [](char byte) { return byte != 0; });
  return DenseElementsAttr::get(type, ArrayRef<bool>(bits));
}

Value GraphBuilder::weight(StringRef name, Type element, Axes sizes, const void *data, std::shared_ptr<void> owner) {
  auto type = RankedTensorType::get(sizes, element);
  size_t size = type.getNumElements() * ((element.getIntOrFloatBitWidth() + 7) / 8);
  std::string unique = uniqueName(name);
  if (size <= maxInlineBytes)
    return declareWeight(unique, type, elementsOf(type, data, size));
  weights.add(unique, data, size, std::move(owner));
  return declareWeight(unique, type, SourceAttr::get(builder.getContext(), unique, 0));
}

Value GraphBuilder::recipe(StringRef name, StringRef kind, ArrayRef<Value> inputs, Type element, Axes sizes,
                           ArrayRef<NamedAttribute> parameters) {
  SmallVector<FlatSymbolRefAttr> references;
  for (Value input : inputs) {
    auto get = input ? input.getDefiningOp<GetOp>() : GetOp();
    if (!get) {
      if (!hasFailed())
        error() << "'" << name << "' is made from weights only, found a computed value";
      return {};
    }
    references.push_back(get.getWeightAttr());
  }
  auto value = RecipeAttr::get(builder.getContext(), kind, references, builder.getDictionaryAttr(parameters));
  return declareWeight(uniqueName(name), RankedTensorType::get(sizes, element), value);
}

//===----------------------------------------------------------------------------===//
// Maps
//===----------------------------------------------------------------------------===//

static bool anyNull(ValueRange values) {
  return llvm::any_of(values, [](Value value) { return !value; });
}

Value GraphBuilder::splat(Type element, double value, Dims shape) {
  if (auto real = dyn_cast<FloatType>(element))
    return splat(FloatAttr::get(real, value), shape);
  return splat(IntegerAttr::get(element, static_cast<int64_t>(value)), shape);
}

Value GraphBuilder::splat(TypedAttr value, Dims shape) {
  return map(value.getType(), shape, {}, [&](ScalarBuilder &s, ValueRange, ValueRange) -> Value {
    return arith::ConstantOp::create(s.builder, s.loc, value);
  });
}

TypedAttr GraphBuilder::splatElement(Value value) {
  auto map = value.getDefiningOp<MapOp>();
  if (!map || !map.getInputs().empty())
    return {};
  auto constant = map.getYielded().getDefiningOp<arith::ConstantOp>();
  return constant ? constant.getValue() : TypedAttr();
}

/// Constants that folding left without a use.
static void eraseDeadScalars(Block &block) {
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
    if (isOpTriviallyDead(&op))
      op.erase();
}

Value GraphBuilder::map(Type element, Dims shape, ValueRange inputs, MapBody body) {
  if (anyNull(inputs) || hasFailed())
    return {};
  std::optional<RankedTensorType> type = typeOf(element, shape);
  if (!type)
    return {};
  llvm::SmallSetVector<Value, 4> distinct(inputs.begin(), inputs.end());
  auto build = [&](OpBuilder &inner, Location at, ValueRange arguments, ValueRange indices) -> Value {
    ScalarBuilder scalars(inner, at);
    SmallVector<Value> tensors = llvm::map_to_vector(
        inputs, [&](Value input) -> Value { return arguments[llvm::find(distinct, input) - distinct.begin()]; });
    Value result = body(scalars, tensors, indices);
    return result ? result : scalars.number(element, 0);
  };
  openInputs = distinct.getArrayRef();
  auto map = MapOp::create(builder, loc, *type, distinct.getArrayRef(), build);
  openInputs = {};
  eraseDeadScalars(map.getBody().front());
  map.walk([&](SizeOp size) {
    if (isOfData(size.getDim().getValue()))
      error() << "wanted sizes known from the shapes of the inputs, found " << size.getDim().getValue().str();
  });
  return hasFailed() ? Value() : map.getResult();
}

/// The indices at which an operand is read for a result: right-aligned, 0 along dims of size 1.
static SmallVector<Value> broadcastIndices(ScalarBuilder &s, ArrayRef<Dim> operand, ArrayRef<Dim> result,
                                           ValueRange indices) {
  SmallVector<Value> own(indices.take_back(operand.size()));
  for (auto [index, from, to] : llvm::zip(own, operand, result.take_back(operand.size())))
    if (from == Dim(1) && to != Dim(1))
      index = s.index(0);
  return own;
}

Value GraphBuilder::elementwise(Type element, ValueRange inputs, ElementBody body) {
  if (anyNull(inputs) || hasFailed())
    return {};
  Shape shape;
  for (Value input : inputs) {
    std::optional<Shape> wider = broadcast(shape, shapeOf(input));
    if (!wider)
      return {};
    shape = std::move(*wider);
  }
  SmallVector<Value> loaded;
  llvm::copy_if(inputs, std::back_inserter(loaded), [](Value input) { return !splatElement(input); });
  return map(element, shape, loaded, [&](ScalarBuilder &s, ValueRange tensors, ValueRange indices) {
    SmallVector<Value> elements;
    unsigned next = 0;
    for (Value input : inputs) {
      if (TypedAttr constant = splatElement(input))
        elements.push_back(arith::ConstantOp::create(s.builder, s.loc, constant));
      else
        elements.push_back(s.load(tensors[next++], broadcastIndices(s, shapeOf(input), shape, indices)));
    }
    return body(s, elements);
  });
}

bool GraphBuilder::sameElements(Value a, Value b) {
  if (elementOf(a) == elementOf(b))
    return true;
  error() << "wants operands of one element type, found " << elementOf(a) << " and " << elementOf(b);
  return false;
}

Value GraphBuilder::apply(Unary function, Value x) {
  if (!x)
    return {};
  return elementwise(elementOf(x), x, [&](ScalarBuilder &s, ArrayRef<Value> v) { return (s.*function)(v[0]); });
}

Value GraphBuilder::mapLike(Value a, Value b, Value (ScalarBuilder::*function)(Value, Value, Sign), Sign sign) {
  if (!a || !b || !sameElements(a, b))
    return {};
  return elementwise(elementOf(a), {a, b},
                     [&](ScalarBuilder &s, ArrayRef<Value> v) { return (s.*function)(v[0], v[1], sign); });
}

Value GraphBuilder::add(Value a, Value b) {
  if (!a || !b || !sameElements(a, b))
    return {};
  return elementwise(elementOf(a), {a, b}, [](ScalarBuilder &s, ArrayRef<Value> v) { return s.add(v[0], v[1]); });
}

Value GraphBuilder::sub(Value a, Value b) {
  if (!a || !b || !sameElements(a, b))
    return {};
  return elementwise(elementOf(a), {a, b}, [](ScalarBuilder &s, ArrayRef<Value> v) { return s.sub(v[0], v[1]); });
}

Value GraphBuilder::mul(Value a, Value b) {
  if (!a || !b || !sameElements(a, b))
    return {};
  return elementwise(elementOf(a), {a, b}, [](ScalarBuilder &s, ArrayRef<Value> v) { return s.mul(v[0], v[1]); });
}

Value GraphBuilder::div(Value a, Value b, Sign sign) { return mapLike(a, b, &ScalarBuilder::div, sign); }
Value GraphBuilder::min(Value a, Value b, Sign sign) { return mapLike(a, b, &ScalarBuilder::min, sign); }
Value GraphBuilder::max(Value a, Value b, Sign sign) { return mapLike(a, b, &ScalarBuilder::max, sign); }

Value GraphBuilder::compare(Comparison comparison, Value a, Value b, Sign sign) {
  if (!a || !b || !sameElements(a, b))
    return {};
  return elementwise(i1(), {a, b},
                     [&](ScalarBuilder &s, ArrayRef<Value> v) { return s.compare(comparison, v[0], v[1], sign); });
}

Value GraphBuilder::where(Value condition, Value a, Value b) {
  if (!condition || !a || !b || !sameElements(a, b))
    return {};
  if (elementOf(condition) != i1()) {
    error() << "wants a condition of i1, found " << elementOf(condition);
    return {};
  }
  return elementwise(elementOf(a), {condition, a, b},
                     [](ScalarBuilder &s, ArrayRef<Value> v) { return s.select(v[0], v[1], v[2]); });
}

Value GraphBuilder::cast(Value x, Type element, Sign sign) {
  if (!x || elementOf(x) == element)
    return x;
  return elementwise(element, x, [&](ScalarBuilder &s, ArrayRef<Value> v) { return s.cast(v[0], element, sign); });
}

Value GraphBuilder::scale(Value x, double factor) {
  if (!x || factor == 1.0)
    return x;
  return elementwise(elementOf(x), x, [&](ScalarBuilder &s, ArrayRef<Value> v) {
    return s.mul(v[0], s.number(v[0].getType(), factor));
  });
}

//===----------------------------------------------------------------------------===//
// Dims
//===----------------------------------------------------------------------------===//

/// What must be at least 0 so that no minimum or maximum cuts a size off: n - 1 for max(1, n), 512 - n for
/// min(512, n), but n - 1 for min(1, n), what is left out of n, and n for min(0, n), an offset before the beginning.
static void collectCuts(const Dim &dim, SmallVectorImpl<Dim> &cuts) {
  for (const Dim::Term &term : dim.terms())
    for (const Dim::AtomPtr &factor : term.factors) {
      for (const Dim &operand : factor->operands)
        collectCuts(operand, cuts);
      bool isMax = factor->kind == Dim::AtomKind::Max, isMin = factor->kind == Dim::AtomKind::Min;
      if ((!isMax && !isMin) || factor->operands.size() != 2)
        continue;
      bool isConstantFirst = factor->operands[0].isConstant();
      const Dim &limit = factor->operands[!isConstantFirst], &size = factor->operands[isConstantFirst];
      if (std::optional<int64_t> constant = limit.constant())
        cuts.push_back(isMin && *constant > 1 ? limit - size : size - limit);
    }
}

/// The bounds, narrowed to where each of these dims is at least 0, as far as that can be solved.
static Bounds narrowed(Bounds bounds, ArrayRef<Dim> atLeastZero) {
  for (const Dim &dim : atLeastZero)
    if (auto solved = Assumptions::solveNonNegative(dim)) {
      Bounds::Entry entry = bounds.lookup(solved->first);
      Interval narrow{std::max(entry.interval.lo, solved->second.lo), std::min(entry.interval.hi, solved->second.hi)};
      if (narrow.lo <= narrow.hi)
        bounds.set(solved->first, narrow, entry.divisor);
    }
  return bounds;
}

bool GraphBuilder::assumeUncut(const Dim &a, const Dim &b) {
  SmallVector<Dim> cuts;
  for (const std::string &symbol : (a - b).symbols())
    cuts.push_back(Dim::symbol(symbol) - Dim(1));
  collectCuts(a, cuts);
  collectCuts(b, cuts);
  // One of them, if that is enough; else all.
  SmallVector<ArrayRef<Dim>> choices;
  for (const Dim &cut : cuts)
    choices.push_back(cut);
  choices.push_back(cuts);
  for (ArrayRef<Dim> choice : choices) {
    if (Dim::isKnownEqual(a, b, narrowed(bounds, choice)) != true)
      continue;
    bool learned = false;
    for (const Dim &cut : choice)
      learned |= assumptions->bound(Dim(0), cut);
    return learned;
  }
  return false;
}

Dim GraphBuilder::sizeOfData(StringRef name) {
  std::string unique = uniqueName(name);
  sizesOfData.insert(unique);
  bounds.set(unique, {0, std::numeric_limits<int32_t>::max()});
  return Dim::symbol(unique);
}

bool GraphBuilder::isOfData(const Dim &dim) const {
  return !sizesOfData.empty() &&
         llvm::any_of(dim.symbols(), [&](auto &symbol) { return sizesOfData.contains(symbol); });
}

Dim GraphBuilder::simplify(const Dim &dim) const {
  return assumptions ? assumptions->ordered().simplify(dim, bounds) : dim.simplify(bounds);
}

bool GraphBuilder::isAtLeastZero(const Dim &dim) const {
  return assumptions ? assumptions->ordered().isNonNegative(dim, bounds) : dim.interval(bounds).lo >= 0;
}

/// "node (Operator)", for messages when a program runs.
static std::string textOf(Location loc) {
  auto name = dyn_cast<NameLoc>(loc);
  if (!name)
    return "the model";
  auto kind = dyn_cast<NameLoc>(name.getChildLoc());
  return name.getName().str() + (kind ? " (" + kind.getName().str() + ")" : "");
}

bool GraphBuilder::wantEqual(const Dim &a, const Dim &b, const Twine &what) {
  if (a == b)
    return true;
  if (isOfData(a - b)) {
    error() << what << ": wanted sizes known from the shapes of the inputs, found " << a.str() << " and " << b.str();
    return false;
  }
  std::optional<bool> equal = Dim::isKnownEqual(simplify(a), simplify(b), bounds);
  if (equal && *equal)
    return true;
  if (!equal && assumptions &&
      (assumeUncut(a, b) || assumptions->equate(a, b) || assumptions->ordered().equate(a, b, bounds, textOf(loc)))) {
    rebuild = true;
    return false;
  }
  InFlightDiagnostic diagnostic = error();
  if (equal)
    diagnostic << what << ": wanted " << a.str() << ", found " << b.str();
  else
    diagnostic << what << ": wanted equal dimensions, found " << a.str() << " and " << b.str()
               << ", which may differ when the program runs"
               << sizesToGive((a - b).symbols(), bounds,
                              [&](const Bounds &narrow) { return Dim::isKnownEqual(a, b, narrow) == true; });
  return false;
}

bool GraphBuilder::assumeAtLeast(const Dim &a, const Dim &b) {
  return rebuild = assumptions && !isOfData(a - b) &&
                   (assumptions->bound(b, a) || assumptions->ordered().add(a - b, bounds, textOf(loc)));
}

std::optional<Shape> GraphBuilder::broadcast(Dims a, Dims b) {
  if (a.size() < b.size())
    std::swap(a, b);
  Shape result(a);
  size_t offset = a.size() - b.size();
  for (size_t i = 0; i < b.size(); ++i) {
    Dim &dim = result[offset + i];
    if (b[i] == Dim(1) || dim == b[i])
      continue;
    if (dim == Dim(1)) {
      dim = b[i];
      continue;
    }
    // A slice of one, `min(1, S)`, is there to be broadcast: S is at least 1.
    for (const Dim &one : {dim, b[i]})
      if (Interval interval = one.interval(bounds); interval.lo == 0 && interval.hi == 1 && assumeAtLeast(one, Dim(1)))
        return std::nullopt;
    if (!wantEqual(dim, b[i], "broadcast of " + toString(a) + " with " + toString(b)))
      return std::nullopt;
    if (b[i].isConstant())
      dim = b[i];
  }
  return result;
}

std::optional<int64_t> GraphBuilder::axis(int64_t axis, int64_t rank) {
  if (axis >= -rank && axis < rank)
    return axis < 0 ? axis + rank : axis;
  error() << "wanted an axis from " << -rank << " to " << rank - 1 << ", found " << axis;
  return std::nullopt;
}

std::optional<SmallVector<int64_t>> GraphBuilder::axes(Axes list, int64_t rank) {
  SmallVector<int64_t> result;
  for (int64_t one : list) {
    std::optional<int64_t> position = axis(one, rank);
    if (!position)
      return std::nullopt;
    if (llvm::is_contained(result, *position)) {
      error() << "wanted distinct axes, found axis " << *position << " twice";
      return std::nullopt;
    }
    result.push_back(*position);
  }
  return result;
}

//===----------------------------------------------------------------------------===//
// The module
//===----------------------------------------------------------------------------===//

void GraphBuilder::eraseDeadOps() {
  eraseDeadScalars(function.getBody().front());
  // From the last to the first: a recipe stands after the weights it reads.
  llvm::StringSet<> used;
  function.walk([&](GetOp get) { used.insert(get.getWeight()); });
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(*module->getBody()))) {
    auto weight = dyn_cast<WeightOp>(op);
    if (!weight)
      continue;
    if (!used.contains(weight.getSymName())) {
      weight.erase();
      continue;
    }
    if (auto recipe = dyn_cast<RecipeAttr>(weight.getValue()))
      for (FlatSymbolRefAttr input : recipe.getInputs())
        used.insert(input.getValue());
  }
}

/// For the table of commands: `sizes` in this order, or the run is an error of `source`.
void GraphBuilder::noteOrders() {
  SmallVector<Attribute> orders;
  for (const OrderedSizes::Order &order : assumptions->ordered().all()) {
    auto [smaller, larger] = order.sides();
    if (Dim::isKnownLessEqual(smaller, larger, bounds) == true)
      continue;
    Attribute sizes = DimsAttr::get(builder.getContext(), {smaller, larger});
    orders.push_back(builder.getDictionaryAttr(
        {builder.getNamedAttr("sizes", sizes), builder.getNamedAttr("source", builder.getStringAttr(order.source))}));
  }
  if (!orders.empty())
    function->setAttr("tenon.ordered", builder.getArrayAttr(orders));
}

FailureOr<OwningOpRef<ModuleOp>> GraphBuilder::finish() {
  if (hasFailed())
    return failure();
  Block &body = function.getBody().front();
  auto result = func::ReturnOp::create(builder, loc, outputs);
  function.setType(builder.getFunctionType(body.getArgumentTypes(), result.getOperandTypes()));
  if (assumptions)
    noteOrders();
  SmallVector<Attribute> arguments(inputNames.begin(), inputNames.end());
  SmallVector<Attribute> results(outputNames.begin(), outputNames.end());
  if (!arguments.empty())
    function.setArgAttrsAttr(builder.getArrayAttr(arguments));
  if (!results.empty())
    function.setResAttrsAttr(builder.getArrayAttr(results));
  eraseDeadOps();
  if (mlir::failed(mlir::verify(*module))) {
    failed = true;
    return failure();
  }
  return std::move(module);
}
