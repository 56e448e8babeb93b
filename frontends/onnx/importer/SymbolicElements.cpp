//===- SymbolicElements.cpp - elements of tensors as dim expressions ----------------===//
#include "frontends/onnx/importer/SymbolicElements.h"

#include <cmath>

using namespace mlir;
using namespace tenon;
using namespace tenon::onnx_importer;

/// Maps within maps that are looked into.
static constexpr unsigned maxDepth = 32;
/// Larger numerators and denominators are no sizes.
static constexpr int64_t maxDenominator = int64_t(1) << 20;

/// The element count, if the dims are constants and it is small.
static std::optional<int64_t> smallCount(Value tensor) {
  std::optional<int64_t> count = countOf(shapeOf(tensor)).constant();
  return count && *count <= Sizes::maxElements ? count : std::nullopt;
}

void SymbolicElements::remember(Value tensor, const Sizes &sizes) {
  Elements elements;
  for (const Dim &element : sizes.elements)
    elements.push_back({element});
  memory[tensor] = std::move(elements);
}

std::optional<Sizes> SymbolicElements::sizesOf(Value tensor) {
  Type type = elementOf(tensor);
  if (!type.isInteger(64) && !type.isInteger(32) && !type.isInteger(1))
    return std::nullopt;
  const Elements *elements = elementsOf(tensor);
  if (!elements)
    return std::nullopt;
  Sizes sizes{{}, {}, elementTypeOf(type)};
  for (const Dim &dim : shapeOf(tensor))
    sizes.dims.push_back(*dim.constant());
  for (const Number &element : *elements)
    sizes.elements.push_back(element.numerator);
  return sizes;
}

std::optional<SmallVector<std::optional<Dim>>> SymbolicElements::eachSizeOf(Value list) {
  std::optional<int64_t> count = shapeOf(list).size() == 1 ? smallCount(list) : std::nullopt;
  if (!count || !isa<IntegerType>(elementOf(list)))
    return std::nullopt;
  SmallVector<std::optional<Dim>> sizes(*count);
  auto map = list.getDefiningOp<MapOp>();
  for (auto [i, size] : llvm::enumerate(sizes))
    if (MaybeNumber number = map ? evaluate(map, int64_t(i)) : std::nullopt; number && number->denominator == 1)
      size = number->numerator;
  return sizes;
}

/// Every element is computed alike, from one constant: no index is used but to load elements that are equal.
static bool isUniform(Value tensor, unsigned depth = 0) {
  if (auto reshape = tensor.getDefiningOp<ReshapeOp>())
    return isUniform(reshape.getInput(), depth);
  auto map = tensor.getDefiningOp<MapOp>();
  if (!map || depth == maxDepth)
    return false;
  for (Operation &op : map.getBody().front())
    if (!isa<LoadOp>(op) &&
        llvm::any_of(op.getOperands(), [&](Value operand) { return llvm::is_contained(map.getIndices(), operand); }))
      return false;
  return llvm::all_of(map.getInputs(), [&](Value input) { return isUniform(input, depth + 1); });
}

SymbolicElements::MaybeNumber SymbolicElements::everyElement(Value tensor) {
  return isUniform(tensor) ? elementAt(tensor, SmallVector<int64_t>(shapeOf(tensor).size(), 0)) : std::nullopt;
}

std::optional<std::pair<Dim, int64_t>> SymbolicElements::fractionOf(Value scalar) {
  const Elements *elements = countOf(shapeOf(scalar)) == Dim(1) ? elementsOf(scalar) : nullptr;
  return elements ? std::optional(std::pair((*elements)[0].numerator, (*elements)[0].denominator)) : std::nullopt;
}

std::optional<bool> SymbolicElements::isNonZeroThroughout(Value tensor) {
  MaybeNumber first = everyElement(tensor);
  std::optional<int64_t> constant = first ? first->numerator.constant() : std::nullopt;
  return constant ? std::optional(*constant != 0) : std::nullopt;
}

//===----------------------------------------------------------------------------===//
// Tensors
//===----------------------------------------------------------------------------===//

/// The index tuple at a row-major position.
static SmallVector<int64_t> indicesAt(int64_t position, ArrayRef<Dim> shape) {
  SmallVector<int64_t> at(shape.size());
  for (size_t d = shape.size(); d-- > 0; position /= *shape[d].constant())
    at[d] = position % *shape[d].constant();
  return at;
}

const SymbolicElements::Elements *SymbolicElements::elementsOf(Value tensor) {
  std::optional<int64_t> count = smallCount(tensor);
  if (!count)
    return nullptr;
  if (auto it = memory.find(tensor); it != memory.end())
    return it->second ? &*it->second : nullptr;
  std::optional<Elements> elements;
  if (auto reshape = tensor.getDefiningOp<ReshapeOp>()) {
    if (const Elements *same = elementsOf(reshape.getInput()))
      elements = *same;
  } else if (auto reduce = tensor.getDefiningOp<ReduceOp>(); reduce && reduce.getKind() == ReduceKind::Sum) {
    // Of what is the same everywhere: so many times that, as in counting what a mask of ones keeps.
    if (MaybeNumber each = everyElement(reduce.getInput())) {
      for (int64_t d : reduce.getOver())
        each->numerator *= shapeOf(reduce.getInput())[d];
      elements.emplace(*count, *each);
    }
  } else if (auto map = tensor.getDefiningOp<MapOp>(); map && depth < maxDepth) {
    elements.emplace();
    for (int64_t i = 0; i < *count && elements; ++i) {
      MaybeNumber element = evaluate(map, indicesAt(i, shapeOf(tensor)));
      if (element && element->numerator.isValid())
        elements->push_back(*element);
      else
        elements.reset();
    }
  }
  std::optional<Elements> &kept = memory[tensor] = std::move(elements);
  return kept ? &*kept : nullptr;
}

SymbolicElements::MaybeNumber SymbolicElements::elementAt(Value tensor, ArrayRef<int64_t> at) {
  Shape shape = shapeOf(tensor);
  if (!smallCount(tensor)) {
    auto map = tensor.getDefiningOp<MapOp>();
    return map ? evaluate(map, at) : std::nullopt;
  }
  int64_t position = 0;
  for (auto [index, dim] : llvm::zip(at, shape)) {
    if (index < 0 || index >= *dim.constant())
      return std::nullopt;
    position = position * *dim.constant() + index;
  }
  const Elements *elements = elementsOf(tensor);
  return elements ? MaybeNumber((*elements)[position]) : std::nullopt;
}

SymbolicElements::MaybeNumber SymbolicElements::evaluate(MapOp map, ArrayRef<int64_t> at) {
  if (depth == maxDepth)
    return std::nullopt;
  ++depth;
  Scalars known;
  for (auto [index, value] : llvm::zip(map.getIndices(), at))
    known[index] = {Dim(value)};
  // What cannot be evaluated may stand in a part that a select leaves out.
  for (Operation &op : map.getBody().front().without_terminator())
    if (MaybeNumber result = evaluate(op, map, known))
      known[op.getResult(0)] = *result;
  --depth;
  auto it = known.find(map.getYielded());
  return it == known.end() ? std::nullopt : MaybeNumber(it->second);
}

//===----------------------------------------------------------------------------===//
// Operations
//===----------------------------------------------------------------------------===//

/// A float as a fraction with a power of two below.
static std::optional<std::pair<int64_t, int64_t>> binaryFractionOf(double value) {
  for (int64_t denominator = 1; denominator <= maxDenominator; denominator *= 2) {
    double numerator = value * double(denominator);
    if (std::abs(numerator) > 1e15)
      return std::nullopt;
    if (numerator == std::floor(numerator))
      return std::pair(int64_t(numerator), denominator);
  }
  return std::nullopt;
}

SymbolicElements::MaybeNumber SymbolicElements::evaluate(Operation &op, MapOp map, const Scalars &known) {
  if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
    if (auto integer = dyn_cast<IntegerAttr>(constant.getValue()))
      return Number{Dim(integer.getType().isInteger(1) ? int64_t(integer.getValue().getZExtValue())
                                                       : integer.getValue().getSExtValue())};
    auto real = dyn_cast<FloatAttr>(constant.getValue());
    auto fraction = real ? binaryFractionOf(real.getValueAsDouble()) : std::nullopt;
    return fraction ? MaybeNumber({Dim(fraction->first), fraction->second}) : std::nullopt;
  }
  if (auto size = dyn_cast<SizeOp>(op))
    return Number{size.getDim().getValue()};
  if (auto loaded = dyn_cast<LoadOp>(op))
    return load(loaded, map, known);
  if (auto chosen = dyn_cast<arith::SelectOp>(op))
    return select(chosen, known);
  if (op.getNumResults() != 1 || op.getNumOperands() == 0 ||
      !llvm::all_of(op.getOperands(), [&](Value operand) { return known.contains(operand); }))
    return std::nullopt;
  Number a = known.lookup(op.getOperand(0));
  if (op.getNumOperands() == 1)
    return convert(op, a);
  if (op.getNumOperands() != 2)
    return std::nullopt;
  Number b = known.lookup(op.getOperand(1));
  return isa<arith::CmpIOp, arith::CmpFOp>(op) ? compare(op, a, b) : arithmetic(op, a, b);
}

SymbolicElements::MaybeNumber SymbolicElements::load(LoadOp op, MapOp map, const Scalars &known) {
  SmallVector<int64_t> at;
  for (Value index : op.getIndices()) {
    auto it = known.find(index);
    std::optional<int64_t> constant = it == known.end() ? std::nullopt : it->second.numerator.constant();
    if (!constant)
      return std::nullopt;
    at.push_back(*constant);
  }
  return elementAt(map.getInputs()[cast<BlockArgument>(op.getTensor()).getArgNumber()], at);
}

SymbolicElements::MaybeNumber SymbolicElements::select(arith::SelectOp op, const Scalars &known) {
  auto condition = known.find(op.getCondition());
  std::optional<int64_t> decided = condition == known.end() ? std::nullopt : condition->second.numerator.constant();
  if (!decided)
    return std::nullopt;
  auto chosen = known.find(*decided ? op.getTrueValue() : op.getFalseValue());
  return chosen == known.end() ? std::nullopt : MaybeNumber(chosen->second);
}

SymbolicElements::MaybeNumber SymbolicElements::arithmetic(Operation &op, const Number &a, const Number &b) {
  auto over = [](const Number &x, int64_t other) { return x.numerator * Dim(other); };
  int64_t common = a.denominator * b.denominator;
  if (common > maxDenominator)
    return std::nullopt;
  if (a.denominator == b.denominator && isa<arith::AddFOp, arith::SubFOp, arith::MinimumFOp, arith::MaximumFOp>(op))
    common = a.denominator;
  Dim left = common == a.denominator ? a.numerator : over(a, b.denominator);
  Dim right = common == b.denominator ? b.numerator : over(b, a.denominator);
  if (isa<arith::AddIOp, arith::AddFOp>(op))
    return Number{left + right, common};
  if (isa<arith::SubIOp, arith::SubFOp>(op))
    return Number{left - right, common};
  if (isa<arith::MulIOp, arith::MulFOp, arith::AndIOp>(op)) {
    if (isa<arith::AndIOp>(op) && !op.getResult(0).getType().isInteger(1))
      return std::nullopt;
    return Number{a.numerator * b.numerator, a.denominator * b.denominator};
  }
  if (isa<arith::MinSIOp, arith::MinimumFOp>(op))
    return Number{Dim::min(left, right).simplify(bounds), common};
  if (isa<arith::MaxSIOp, arith::MaximumFOp>(op))
    return Number{Dim::max(left, right).simplify(bounds), common};
  if (isa<arith::OrIOp>(op) && op.getResult(0).getType().isInteger(1))
    return Number{Dim::max(left, right)};
  if (isa<arith::XOrIOp>(op) && op.getResult(0).getType().isInteger(1))
    return Number{left + right - Dim(2) * left * right};
  if (isa<arith::DivFOp>(op)) {
    std::optional<int64_t> divisor = b.numerator.constant();
    if (!divisor || *divisor <= 0 || a.denominator * *divisor > maxDenominator)
      return std::nullopt;
    return Number{a.numerator * Dim(b.denominator), a.denominator * *divisor};
  }
  // Rounding down is rounding towards zero where neither is negative.
  bool isPositive = a.numerator.interval(bounds).lo >= 0 && b.numerator.interval(bounds).lo > 0;
  if (isPositive && isa<arith::DivSIOp>(op))
    return Number{a.numerator.floorDiv(b.numerator).simplify(bounds)};
  if (isPositive && isa<arith::RemSIOp>(op))
    return Number{a.numerator.mod(b.numerator).simplify(bounds)};
  return std::nullopt;
}

SymbolicElements::MaybeNumber SymbolicElements::compare(Operation &op, const Number &a, const Number &b) {
  Dim left = a.numerator * Dim(b.denominator), right = b.numerator * Dim(a.denominator);
  enum { Equal, NotEqual, Less, LessEqual, Greater, GreaterEqual, Other } kind = Other;
  if (auto integers = dyn_cast<arith::CmpIOp>(op)) {
    using P = arith::CmpIPredicate;
    switch (integers.getPredicate()) {
    case P::eq:
      kind = Equal;
      break;
    case P::ne:
      kind = NotEqual;
      break;
    case P::slt:
      kind = Less;
      break;
    case P::sle:
      kind = LessEqual;
      break;
    case P::sgt:
      kind = Greater;
      break;
    case P::sge:
      kind = GreaterEqual;
      break;
    default:
      break;
    }
  } else {
    using P = arith::CmpFPredicate;
    switch (cast<arith::CmpFOp>(op).getPredicate()) {
    case P::OEQ:
      kind = Equal;
      break;
    case P::UNE:
      kind = NotEqual;
      break;
    case P::OLT:
      kind = Less;
      break;
    case P::OLE:
      kind = LessEqual;
      break;
    case P::OGT:
      kind = Greater;
      break;
    case P::OGE:
      kind = GreaterEqual;
      break;
    default:
      break;
    }
  }
  if (kind == Other)
    return std::nullopt;
  bool negate = kind == NotEqual || kind == Less || kind == Greater;
  std::optional<bool> outcome = kind == Equal || kind == NotEqual      ? Dim::isKnownEqual(left, right, bounds)
                                : kind == LessEqual || kind == Greater ? Dim::isKnownLessEqual(left, right, bounds)
                                                                       : Dim::isKnownLessEqual(right, left, bounds);
  return outcome ? MaybeNumber({Dim(*outcome != negate)}) : std::nullopt;
}

SymbolicElements::MaybeNumber SymbolicElements::convert(Operation &op, const Number &a) {
  bool isBool = op.getOperand(0).getType().isInteger(1);
  if (isa<arith::ExtUIOp, arith::IndexCastOp, arith::IndexCastUIOp, arith::ExtFOp, arith::TruncFOp, arith::UIToFPOp>(
          op) ||
      (isa<arith::ExtSIOp, arith::SIToFPOp>(op) && !isBool))
    return a;
  Dim divisor(a.denominator);
  if (isa<arith::TruncIOp>(op) && !op.getResult(0).getType().isInteger(1)) {
    std::optional<int64_t> constant = a.numerator.constant(); // Sizes fit; numbers beyond all sizes wrap.
    unsigned bits = op.getResult(0).getType().getIntOrFloatBitWidth();
    return constant ? Number{Dim(llvm::SignExtend64(uint64_t(*constant), bits))} : a;
  }
  if (isa<math::FloorOp>(op))
    return Number{a.numerator.floorDiv(divisor).simplify(bounds)};
  if (isa<math::CeilOp>(op))
    return Number{a.numerator.ceilDiv(divisor).simplify(bounds)};
  if (isa<arith::NegFOp>(op))
    return Number{-a.numerator, a.denominator};
  bool isPositive = a.numerator.interval(bounds).lo >= 0;
  if (isa<arith::FPToSIOp, math::TruncOp>(op) && (a.denominator == 1 || isPositive))
    return Number{a.numerator.floorDiv(divisor).simplify(bounds)};
  return std::nullopt;
}
