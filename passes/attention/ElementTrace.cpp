//===- ElementTrace.cpp - an element of a tensor as arithmetic in a region -------------===//
#include "passes/attention/ElementTrace.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "passes/simplify/MapCost.h"

using namespace mlir;

namespace tenon {

char Roles::letterOf(StringRef symbol) const {
  for (auto [dim, letter] : {std::pair(&b, 'b'), {&h, 'h'}, {&i, 'i'}, {&j, 'j'}})
    if (std::optional<std::string_view> name = dim->asSymbol(); name && StringRef(*name) == symbol)
      return letter;
  return 0;
}

//===----------------------------------------------------------------------------===//
// From a tensor back to the target
//===----------------------------------------------------------------------------===//

static bool dependsOn(Value tensor, Value target, llvm::SmallPtrSetImpl<Operation *> &seen) {
  if (tensor == target)
    return true;
  Operation *op = tensor.getDefiningOp();
  if (!op || !seen.insert(op).second)
    return false;
  return llvm::any_of(op->getOperands(), [&](Value operand) { return dependsOn(operand, target, seen); });
}

bool dependsOn(Value tensor, Value target) {
  llvm::SmallPtrSet<Operation *, 16> seen;
  return dependsOn(tensor, target, seen);
}

namespace {
/// Collects the one place at which the target is read.
class AccessFinder {
public:
  AccessFinder(Value target, IndexDomain &domain) : target(target), domain(domain) {}

  bool visit(Value tensor, ArrayRef<Dim> at) {
    if (tensor == target)
      return record(at);
    if (!dependsOn(tensor, target))
      return true;
    if (auto reshape = tensor.getDefiningOp<ReshapeOp>())
      return visit(reshape.getInput(), reshapeIndices(at, shapeOf(reshape.getResult()), shapeOf(reshape.getInput()),
                                                      domain));
    auto map = tensor.getDefiningOp<MapOp>();
    if (!map)
      return false;
    KnownIndices known;
    for (auto [index, dim] : llvm::zip(map.getIndices(), at))
      known[index] = dim;
    for (auto load : map.getBody().front().getOps<LoadOp>()) {
      Value input = map.getInputs()[cast<BlockArgument>(load.getTensor()).getArgNumber()];
      if (!dependsOn(input, target))
        continue;
      auto indices = llvm::map_to_vector<4>(
          load.getIndices(), [&](Value index) { return domain.simplify(readIndex(index, known, domain)); });
      if (!visit(input, indices))
        return false;
    }
    return true;
  }

  std::optional<SmallVector<Dim, 4>> found;

private:
  bool record(ArrayRef<Dim> at) {
    if (llvm::any_of(at, [&](const Dim &dim) { return domain.hasOpaque(dim); }))
      return false;
    if (!found)
      found = SmallVector<Dim, 4>(at);
    return llvm::all_of(llvm::zip(*found, at),
                        [&](auto pair) { return domain.isEqual(std::get<0>(pair), std::get<1>(pair)); });
  }

  Value target;
  IndexDomain &domain;
};
} // namespace

std::optional<SmallVector<Dim, 4>> accessOf(Value tensor, ArrayRef<Dim> at, Value target, IndexDomain &domain) {
  AccessFinder finder(target, domain);
  return finder.visit(tensor, at) ? finder.found : std::nullopt;
}

//===----------------------------------------------------------------------------===//
// Writing the region
//===----------------------------------------------------------------------------===//

Value ElementTrace::emit(const Dim &dim) {
  return emitIndex(*builder, loc, dim, roles.domain, [&](StringRef symbol) -> Value {
    return block->getArgument(1 + StringRef("bhij").find(roles.letterOf(symbol)));
  });
}

Value ElementTrace::converted(Value value, Type type) {
  if (value.getType() == type)
    return value;
  if (value.getType().getIntOrFloatBitWidth() < type.getIntOrFloatBitWidth())
    return arith::ExtFOp::create(*builder, loc, type, value);
  return arith::TruncFOp::create(*builder, loc, type, value);
}

Value ElementTrace::loadCapture(Value tensor, ArrayRef<Value> indices) {
  captures.insert(tensor);
  unsigned position = 5 + (llvm::find(captures, tensor) - captures.begin());
  while (block->getNumArguments() <= position)
    block->addArgument(captures[block->getNumArguments() - 5].getType(), loc);
  return LoadOp::create(*builder, loc, block->getArgument(position), indices);
}

/// Read in a region that runs for each pair of query and key, a table over both would be of size N x N: it is
/// evaluated there. A smaller one is, if that is as cheap as to load it.
bool ElementTrace::isWorthEvaluating(MapOp map, ArrayRef<Value> indices) {
  if (isCheap(map) || dependsOn(map.getResult(), target))
    return true;
  bool overQueries = false, overKeys = false;
  for (Value index : indices) {
    std::vector<std::string> symbols = readIndex(index, known, roles.domain).symbols();
    overQueries |= llvm::any_of(symbols, [&](const std::string &name) { return roles.letterOf(name) == 'i'; });
    overKeys |= llvm::any_of(symbols, [&](const std::string &name) { return roles.letterOf(name) == 'j'; });
  }
  return overQueries && overKeys;
}

Value ElementTrace::elementOfMap(MapOp map, ArrayRef<Value> indices) {
  IRMapping mapping;
  mapping.map(map.getIndices(), indices);
  for (Operation &op : map.getBody().front().without_terminator()) {
    auto load = dyn_cast<LoadOp>(op);
    if (!load) {
      builder->clone(op, mapping);
      continue;
    }
    auto at = llvm::map_to_vector(load.getIndices(), [&](Value index) { return mapping.lookup(index); });
    Value loaded = element(map.getInputs()[cast<BlockArgument>(load.getTensor()).getArgNumber()], at);
    if (!loaded)
      return {};
    mapping.map(load.getResult(), loaded);
  }
  return mapping.lookup(map.getYielded());
}

Value ElementTrace::elementOfReshape(ReshapeOp reshape, ArrayRef<Value> indices) {
  auto at = llvm::map_to_vector<4>(indices, [&](Value index) { return readIndex(index, known, roles.domain); });
  if (llvm::any_of(at, [&](const Dim &dim) { return roles.domain.hasOpaque(dim); }))
    return dependsOn(reshape.getResult(), target) ? Value() : loadCapture(reshape.getResult(), indices);
  auto inner = reshapeIndices(at, shapeOf(reshape.getResult()), shapeOf(reshape.getInput()), roles.domain);
  return element(reshape.getInput(), llvm::map_to_vector(inner, [&](const Dim &dim) { return emit(dim); }));
}

Value ElementTrace::element(Value tensor, ArrayRef<Value> indices) {
  if (tensor == target) {
    narrowed.push_back(converted(scalar, elementOf(target)));
    return narrowed.back();
  }
  if (auto reshape = tensor.getDefiningOp<ReshapeOp>())
    return elementOfReshape(reshape, indices);
  auto map = tensor.getDefiningOp<MapOp>();
  if (map && isWorthEvaluating(map, indices))
    return elementOfMap(map, indices);
  return dependsOn(tensor, target) ? Value() : loadCapture(tensor, indices);
}

bool ElementTrace::build(Region &region, Type type, Value tensor, ArrayRef<Dim> at, Value from, double scale,
                         Type readAs) {
  OpBuilder regionBuilder(tensor.getContext());
  builder = &regionBuilder;
  block = regionBuilder.createBlock(&region);
  target = from;
  this->readAs = readAs;
  known.clear();
  narrowed.clear();
  block->addArgument(type, loc);
  for (const Dim &role : {roles.b, roles.h, roles.i, roles.j})
    known[block->addArgument(regionBuilder.getIndexType(), loc)] = role;
  scalar = block->getArgument(0);
  if (scale != 1.0) {
    Value factor = arith::ConstantOp::create(regionBuilder, loc, regionBuilder.getFloatAttr(type, scale));
    scalar = arith::MulFOp::create(regionBuilder, loc, scalar, factor);
  }
  Value result = element(tensor, llvm::map_to_vector(at, [&](const Dim &dim) { return emit(dim); }));
  if (!result)
    return false;
  YieldOp::create(regionBuilder, loc, converted(result, type));
  dropImpliedRoundings();
  return true;
}

bool ElementTrace::isImplied(arith::TruncFOp rounding) const {
  return rounding && (llvm::is_contained(narrowed, rounding.getResult()) || rounding.getType() == readAs);
}

/// `value`, of a narrow type, before it was rounded to it; null where it is not a value of `type` whose rounding is
/// implied, or a choice among such.
Value ElementTrace::unrounded(Value value, Type type) {
  Location loc = value.getLoc();
  if (auto rounding = value.getDefiningOp<arith::TruncFOp>())
    return isImplied(rounding) && rounding.getIn().getType() == type ? rounding.getIn() : Value();
  if (matchPattern(value, m_Constant()))
    return builder->createOrFold<arith::ExtFOp>(loc, type, value);
  auto choice = value.getDefiningOp<arith::SelectOp>();
  if (!choice)
    return {};
  Value yes = unrounded(choice.getTrueValue(), type), no = unrounded(choice.getFalseValue(), type);
  return yes && no ? arith::SelectOp::create(*builder, loc, choice.getCondition(), yes, no) : Value();
}

void ElementTrace::dropImpliedRoundings() {
  for (Operation &op : llvm::make_early_inc_range(*block)) {
    builder->setInsertionPoint(&op);
    auto compare = dyn_cast<arith::CmpFOp>(op);
    bool asksForNaN =
        compare && compare.getPredicate() == arith::CmpFPredicate::UNO && compare.getLhs() == compare.getRhs();
    if (auto rounding = asksForNaN ? compare.getLhs().getDefiningOp<arith::TruncFOp>() : arith::TruncFOp();
        isImplied(rounding))
      op.setOperands({rounding.getIn(), rounding.getIn()});
    else if (auto widening = dyn_cast<arith::ExtFOp>(op))
      if (Value wide = unrounded(widening.getIn(), widening.getType()))
        widening.replaceAllUsesWith(wide);
  }
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(*block)))
    if (isOpTriviallyDead(&op))
      op.erase();
}

void ElementTrace::addMissingCaptures(Region &region, unsigned scalars, ArrayRef<Value> captures) {
  if (region.empty())
    return;
  Block &block = region.front();
  while (block.getNumArguments() < scalars + captures.size())
    block.addArgument(captures[block.getNumArguments() - scalars].getType(), captures.front().getLoc());
}

bool ElementTrace::isIdentity(Region &region) {
  return region.front().getTerminator()->getOperand(0) == region.getArgument(0);
}

} // namespace tenon
