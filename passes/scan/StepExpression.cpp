//===- StepExpression.cpp - what the steps of an unrolled loop compute --------------------------===//
#include "passes/scan/StepExpression.h"
#include "dialects/tenon/ContractSpec.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace tenon {

/// Nodes of one trace: a loop's step has tens.
static constexpr unsigned maxNodes = 1024;
/// Maps and reshapes one behind the other.
static constexpr unsigned maxDepth = 64;

//===----------------------------------------------------------------------------===//
// Questions
//===----------------------------------------------------------------------------===//

std::optional<double> StepNode::number() const {
  auto real = kind == Constant ? dyn_cast<FloatAttr>(constant) : FloatAttr();
  return real ? std::optional(real.getValueAsDouble()) : std::nullopt;
}

bool contains(StepTree tree, function_ref<bool(const StepNode &)> what) {
  return what(*tree) || llvm::any_of(tree->operands, [&](StepTree operand) { return contains(operand, what); });
}

bool hasCarried(StepTree tree) {
  return contains(tree, [](const StepNode &node) { return node.kind == StepNode::Carried; });
}

bool hasSum(StepTree tree) {
  return contains(tree, [](const StepNode &node) { return node.kind == StepNode::Sum; });
}

bool dependsOn(StepTree tree, const Dim &symbol) {
  std::string name(*symbol.asSymbol());
  return contains(tree, [&](const StepNode &node) {
    return llvm::any_of(node.at, [&](const Dim &dim) { return llvm::is_contained(dim.symbols(), name); });
  });
}

bool isAlike(StepTree a, StepTree b) {
  return a->kind == b->kind && a->type == b->type && a->tensor == b->tensor && a->constant == b->constant &&
         a->name == b->name && a->attributes == b->attributes && a->state == b->state && a->at.size() == b->at.size() &&
         a->operands.size() == b->operands.size();
}

bool isEqual(StepTree a, StepTree b) {
  return isAlike(a, b) && a->at == b->at && llvm::all_of(llvm::zip(a->operands, b->operands), [](auto pair) {
           return isEqual(std::get<0>(pair), std::get<1>(pair));
         });
}

void collectTensors(StepTree tree, llvm::SetVector<Value> &tensors) {
  if (tree->kind == StepNode::Load)
    tensors.insert(tree->tensor);
  for (StepTree operand : tree->operands)
    collectTensors(operand, tensors);
}

//===----------------------------------------------------------------------------===//
// Tracing
//===----------------------------------------------------------------------------===//

StepTree StepTracer::make(StepNode node) {
  if (++size > maxNodes)
    return nullptr;
  nodes.push_back(std::move(node));
  return &nodes.back();
}

/// A map's region at one place.
struct StepTracer::Region {
  MapOp map;
  KnownIndices known;
  const Stops &stops;
  llvm::DenseMap<Value, StepTree> done;
};

StepTree StepTracer::element(Value tensor, ArrayRef<Dim> at, const Stops &stops) {
  if (depth == 0)
    nextSummed = size = 0;
  StepNode node{StepNode::Load, elementOf(tensor), tensor, SmallVector<Dim, 4>(at), {}, {}, {}, {}};
  if (auto it = llvm::find(stops.carried, tensor); it != stops.carried.end()) {
    node.kind = StepNode::Carried;
    node.tensor = {};
    node.state = it - stops.carried.begin();
    return make(node);
  }
  Operation *op = tensor.getDefiningOp();
  auto map = dyn_cast_if_present<MapOp>(op);
  bool isConstant = map && map.getInputs().empty();
  if (!op || depth >= maxDepth || (stops.isShared(tensor) && !isConstant))
    return make(node);
  ++depth;
  StepTree result = nullptr;
  if (map)
    result = elementOfMap(map, at, stops);
  else if (auto reshape = dyn_cast<ReshapeOp>(op))
    result = element(reshape.getInput(),
                     reshapeIndices(at, shapeOf(reshape.getResult()), shapeOf(reshape.getInput()), domain), stops);
  else if (StepTree traced = sum(op, at, stops))
    result = traced;
  else
    result = make(node);
  --depth;
  return result;
}

StepTree StepTracer::elementOfMap(MapOp map, ArrayRef<Dim> at, const Stops &stops) {
  Region region{map, KnownIndices(), stops, llvm::DenseMap<Value, StepTree>()};
  for (auto [index, dim] : llvm::zip(map.getIndices(), at))
    region.known[index] = dim;
  return scalar(map.getYielded(), region);
}

/// `a >= b ? t : f` where t - f is a - b is the greater of t and f: an index that stays in a tensor. `a < b ? t : f` is
/// f where t is not less than f, and f at b - 1: the only index of a dim of 1.
void StepTracer::readClamp(Value index, Region &region) {
  auto select = index.getDefiningOp<arith::SelectOp>();
  auto compare = select ? select.getCondition().getDefiningOp<arith::CmpIOp>() : arith::CmpIOp();
  if (!compare || !index.getType().isIndex())
    return;
  auto read = [&](Value value) { return readIndex(value, region.known, domain); };
  Dim over = read(compare.getLhs()) - read(compare.getRhs());
  Dim first = read(select.getTrueValue()), second = read(select.getFalseValue());
  using P = arith::CmpIPredicate;
  P predicate = compare.getPredicate();
  bool isAbove = predicate == P::sge || predicate == P::sgt, isBelow = predicate == P::sle || predicate == P::slt;
  if ((isAbove || isBelow) && domain.isEqual(first - second, over))
    region.known[index] = isAbove ? Dim::max(first, second) : Dim::min(first, second);
  else if (predicate == P::slt && domain.isEqual(first - over - Dim(1), second) && domain.isLessEqual(second, first))
    region.known[index] = second;
}

StepTree StepTracer::scalar(Value value, Region &region) {
  if (auto it = region.done.find(value); it != region.done.end())
    return it->second;
  auto known = [&](Value index) -> std::optional<Dim> {
    readClamp(index, region);
    Dim dim = domain.simplify(readIndex(index, region.known, domain));
    return domain.hasOpaque(dim) ? std::nullopt : std::optional(dim);
  };
  auto trace = [&]() -> StepTree {
    StepNode node{StepNode::Apply, value.getType(), {}, {}, {}, {}, {}, {}};
    if (value.getType().isIndex()) {
      std::optional<Dim> dim = known(value);
      node.kind = StepNode::Index;
      if (dim)
        node.at.push_back(*dim);
      return dim ? make(node) : nullptr;
    }
    Operation *op = value.getDefiningOp();
    if (!op || op->getNumResults() != 1 || op->getNumRegions() != 0)
      return nullptr;
    if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
      node.kind = StepNode::Constant;
      node.constant = constant.getValue();
      return make(node);
    }
    if (auto load = dyn_cast<LoadOp>(op)) {
      SmallVector<Dim, 4> at;
      for (Value index : load.getIndices()) {
        std::optional<Dim> dim = known(index);
        if (!dim)
          return nullptr;
        at.push_back(*dim);
      }
      return element(region.map.getInputs()[cast<BlockArgument>(load.getTensor()).getArgNumber()], at, region.stops);
    }
    if (auto select = dyn_cast<arith::SelectOp>(op))
      if (auto compare = select.getCondition().getDefiningOp<arith::CmpIOp>()) {
        std::optional<Dim> a = known(compare.getLhs()), b = a ? known(compare.getRhs()) : std::nullopt;
        if (std::optional<bool> outcome = b ? decide(compare.getPredicate(), *a, *b, domain) : std::nullopt)
          return scalar(*outcome ? select.getTrueValue() : select.getFalseValue(), region);
      }
    node.name = op->getName();
    node.attributes = op->getAttrDictionary();
    for (Value operand : op->getOperands()) {
      StepTree traced = scalar(operand, region);
      if (!traced)
        return nullptr;
      node.operands.push_back(traced);
    }
    return make(node);
  };
  return region.done[value] = trace();
}

StepTree StepTracer::opened(StepTree load) {
  if (load->kind != StepNode::Load || !isa_and_present<MapOp, ReshapeOp>(load->tensor.getDefiningOp()))
    return nullptr;
  Value tensor = load->tensor;
  return element(tensor, load->at, {{}, [&](Value other) { return other != tensor; }});
}

/// Every trace numbers its sums alike, so that those of two steps are comparable.
Dim StepTracer::summedSymbol(const Dim &extent) {
  if (extent == Dim(1))
    return Dim(0);
  for (; nextSummed < summed.size(); ++nextSummed)
    if (summed[nextSummed].second == extent)
      return summed[nextSummed++].first;
  ++nextSummed;
  return summed.emplace_back(domain.addIndex(extent), extent).first;
}

StepTree StepTracer::sum(Operation *op, ArrayRef<Dim> at, const Stops &stops) {
  if (depth == 0)
    nextSummed = size = 0;
  StepNode node{StepNode::Sum, elementOf(op->getResult(0)), {}, {}, {}, {}, {}, {}};
  StepTree inner = nullptr;
  ++depth;
  if (auto contract = dyn_cast<ContractOp>(op)) {
    std::string error;
    std::optional<ContractSpec> spec = ContractSpec::parse(contract.getSpec(), error);
    if (spec && !contract.getPanels() && contract.getAccumulateType() == node.type) {
      llvm::StringMap<Dim> places;
      for (auto [word, dim] : llvm::zip(spec->result, at))
        places[word] = dim;
      auto factor = [&](Value operand, const ContractSpec::Indices &words) {
        SmallVector<Dim, 4> indices;
        for (auto [word, extent] : llvm::zip(words, shapeOf(operand))) {
          if (!places.contains(word)) {
            places[word] = summedSymbol(extent);
            if (extent != Dim(1))
              node.at.push_back(places[word]);
          }
          indices.push_back(places[word]);
        }
        return element(operand, indices, stops);
      };
      StepTree a = factor(contract.getLhs(), spec->lhs), b = a ? factor(contract.getRhs(), spec->rhs) : nullptr;
      inner = a && b ? apply<arith::MulFOp>(a, b) : nullptr;
    }
  } else if (auto reduce = dyn_cast<ReduceOp>(op); reduce && reduce.getKind() == ReduceKind::Sum) {
    SmallVector<Dim, 4> indices;
    unsigned next = 0;
    for (auto [axis, extent] : llvm::enumerate(shapeOf(reduce.getInput()))) {
      bool isSummed = llvm::is_contained(reduce.getOver(), int64_t(axis));
      indices.push_back(isSummed ? summedSymbol(extent) : at[next++]);
      if (isSummed && extent != Dim(1))
        node.at.push_back(indices.back());
    }
    inner = element(reduce.getInput(), indices, stops);
  }
  --depth;
  if (!inner || !isa<FloatType>(node.type) || node.at.empty())
    return inner;
  node.operands.push_back(inner);
  return make(node);
}

//===----------------------------------------------------------------------------===//
// Many steps as one
//===----------------------------------------------------------------------------===//

std::optional<Dim> StepTracer::generalised(const Dim &first, const Dim &second, int64_t step, const Dim &n) {
  Dim difference = domain.simplify(second - first);
  if (!difference.isConstant())
    return std::nullopt;
  return first + difference * (n - Dim(step));
}

StepTree StepTracer::generalised(StepTree first, StepTree second, int64_t step, const Dim &n) {
  if (depth == 0)
    size = 0;
  if (!isAlike(first, second))
    return nullptr;
  StepNode node = *first;
  ++depth;
  bool isOne = true;
  for (auto [place, other] : llvm::zip(node.at, second->at)) {
    std::optional<Dim> dim = generalised(place, other, step, n);
    isOne = isOne && dim;
    place = dim.value_or(Dim(0));
  }
  for (auto [operand, other] : llvm::zip(node.operands, second->operands)) {
    operand = isOne ? generalised(operand, other, step, n) : nullptr;
    isOne = isOne && operand;
  }
  --depth;
  return isOne ? make(node) : nullptr;
}

bool StepTracer::isInstance(StepTree general, StepTree tree, const Dim &n, int64_t step,
                            function_ref<bool(StepTree, StepTree)> carried) {
  if (general->kind == StepNode::Carried && carried(general, tree))
    return true;
  std::map<std::string, Dim, std::less<>> here{{std::string(*n.asSymbol()), Dim(step)}};
  return isAlike(general, tree) &&
         llvm::all_of(
             llvm::zip(general->at, tree->at),
             [&](auto pair) { return domain.isEqual(std::get<0>(pair).substitute(here), std::get<1>(pair)); }) &&
         llvm::all_of(llvm::zip(general->operands, tree->operands),
                      [&](auto pair) { return isInstance(std::get<0>(pair), std::get<1>(pair), n, step, carried); });
}

//===----------------------------------------------------------------------------===//
// Building
//===----------------------------------------------------------------------------===//

StepTree StepTracer::number(Type type, double value) {
  size = 0;
  return make({StepNode::Constant, type, {}, {}, FloatAttr::get(type, value), {}, {}, {}});
}

StepTree StepTracer::apply(StringRef name, Type type, ArrayRef<StepTree> operands) {
  if (depth == 0)
    size = 0;
  MLIRContext *context = type.getContext();
  return make({StepNode::Apply,
               type,
               {},
               {},
               {},
               OperationName(name, context),
               DictionaryAttr::get(context),
               SmallVector<StepTree, 3>(operands)});
}

StepTree StepTracer::product(Type type, ArrayRef<StepTree> factors) {
  StepTree result = nullptr;
  for (StepTree factor : factors)
    if (factor->number() != 1.0)
      result = result ? apply<arith::MulFOp>(result, factor) : factor;
  return result ? result : number(type, 1);
}

StepTree StepTracer::substituted(StepTree tree, const std::map<std::string, Dim, std::less<>> &map) {
  StepNode node = *tree;
  for (Dim &dim : node.at)
    dim = domain.simplify(dim.substitute(map));
  for (StepTree &operand : node.operands)
    operand = substituted(operand, map);
  size = 0;
  return make(node);
}

StepTree StepTracer::load(Value tensor, ArrayRef<Dim> at) {
  size = 0;
  return make({StepNode::Load, elementOf(tensor), tensor, SmallVector<Dim, 4>(at), {}, {}, {}, {}});
}

StepTree StepTracer::carried(Type type, ArrayRef<Dim> at) {
  size = 0;
  return make({StepNode::Carried, type, {}, SmallVector<Dim, 4>(at), {}, {}, {}, {}});
}

StepTree StepTracer::startingWith(StepTree first, StepTree later, const Dim &n) {
  MLIRContext *context = first->type.getContext();
  Type index = IndexType::get(context);
  auto isFirst = arith::CmpIPredicateAttr::get(context, arith::CmpIPredicate::slt);
  std::map<std::string, Dim, std::less<>> behind{{std::string(*n.asSymbol()), Dim::max(n, Dim(1))}};
  later = substituted(later, behind);
  StepTree number = make({StepNode::Index, index, {}, {n}, {}, {}, {}, {}});
  StepTree one = make({StepNode::Index, index, {}, {Dim(1)}, {}, {}, {}, {}});
  StepTree compare = make({StepNode::Apply,
                           IntegerType::get(context, 1),
                           {},
                           {},
                           {},
                           OperationName(arith::CmpIOp::getOperationName(), context),
                           DictionaryAttr::get(context, NamedAttribute(StringAttr::get(context, "predicate"), isFirst)),
                           {number, one}});
  return apply(arith::SelectOp::getOperationName(), first->type, {compare, first, later});
}

StepTree StepTracer::replaced(StepTree tree, function_ref<StepTree(StepTree)> by) {
  if (StepTree other = by(tree))
    return other;
  StepNode node = *tree;
  for (StepTree &operand : node.operands)
    operand = replaced(operand, by);
  size = 0;
  return make(node);
}

Value StepTracer::emit(OpBuilder &builder, Location loc, StepTree tree, ArrayRef<Value> tensors, ValueRange inputs,
                       const llvm::StringMap<Value> &symbols, function_ref<Value(ArrayRef<Value>)> carried) {
  auto indexOf = [&](StringRef name) { return symbols.lookup(name); };
  auto indices = [&] {
    return llvm::map_to_vector(tree->at, [&](const Dim &dim) { return emitIndex(builder, loc, dim, domain, indexOf); });
  };
  switch (tree->kind) {
  case StepNode::Load:
    return LoadOp::create(builder, loc, inputs[llvm::find(tensors, tree->tensor) - tensors.begin()], indices());
  case StepNode::Carried:
    return carried(indices());
  case StepNode::Constant:
    return arith::ConstantOp::create(builder, loc, tree->constant);
  case StepNode::Index:
    return indices()[0];
  case StepNode::Sum:
    llvm_unreachable("a sum is no scalar operation");
  case StepNode::Apply:
    break;
  }
  OperationState state(loc, *tree->name);
  for (StepTree operand : tree->operands)
    state.addOperands(emit(builder, loc, operand, tensors, inputs, symbols, carried));
  state.addTypes(tree->type);
  state.addAttributes(tree->attributes.getValue());
  return builder.create(state)->getResult(0);
}

} // namespace tenon
