//===- SumsAlongDim.cpp - a map as sums of tensors along one of its dims -----------------------------===//
#include "passes/fusion/SumsAlongDim.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace tenon {

//===----------------------------------------------------------------------------===//
// Reading: each operation once, in order
//===----------------------------------------------------------------------------===//

SumAlongDim::SumAlongDim(MapOp map, unsigned dim, int64_t begin, int64_t end)
    : map(map), own(map.getIndices()[dim]), begin(begin), end(end), domain(domainOf(map)) {
  for (auto [index, extent] : llvm::zip(map.getIndices(), shapeOf(map.getResult())))
    if (index != own)
      known[index] = domain.addIndex(extent);
  place = domain.addIndex(Dim(end - begin));
  known[own] = place + Dim(begin);
  varying.insert(own);
}

std::optional<SumAlongDim> SumAlongDim::match(MapOp map, unsigned dim, int64_t begin, int64_t end) {
  SumAlongDim sum(map, dim, begin, end);
  for (Operation &op : map.getBody().front().without_terminator())
    sum.read(op);
  if (!sum.sums.contains(map.getYielded()))
    return std::nullopt;
  sum.collectNeeded();
  for (Operation *op : sum.needed)
    if (auto term = sum.terms.find(op); term != sum.terms.end()) {
      auto [tensor, isNew] = sum.tensors.insert({cast<LoadOp>(op).getTensor(), term->second});
      if (!isNew && tensor->second != term->second)
        return std::nullopt;
    }
  return sum;
}

void SumAlongDim::read(Operation &op) {
  Value value = op.getResult(0);
  if (std::optional<bool> outcome = outcomeOf(op)) {
    outcomes[value] = *outcome;
    return;
  }
  if (Value chosen = choiceOf(op)) {
    choices[value] = chosen;
    if (value.getType().isIndex())
      known[value] = readIndex(chosen, known, domain);
    if (varies(chosen))
      varying.insert(value);
    if (sums.contains(chosen))
      sums.insert(value);
    return;
  }
  if (llvm::any_of(op.getOperands(), [&](Value operand) { return varies(operand); }))
    varying.insert(value);
  if (isSum(op))
    sums.insert(value);
}

/// Of a condition that changes along the dim: what it is all over the piece.
std::optional<bool> SumAlongDim::outcomeOf(Operation &op) {
  if (auto compare = dyn_cast<arith::CmpIOp>(op)) {
    Value a = compare.getLhs(), b = compare.getRhs();
    if (!a.getType().isIndex() || (!varies(a) && !varies(b)))
      return std::nullopt;
    return decide(compare.getPredicate(), readIndex(a, known, domain), readIndex(b, known, domain), domain);
  }
  if (!isa<arith::AndIOp, arith::OrIOp>(op))
    return std::nullopt;
  bool decisive = isa<arith::OrIOp>(op);
  auto a = outcomes.find(op.getOperand(0)), b = outcomes.find(op.getOperand(1));
  bool hasFirst = a != outcomes.end(), hasSecond = b != outcomes.end();
  if ((hasFirst && a->second == decisive) || (hasSecond && b->second == decisive))
    return decisive;
  return hasFirst && hasSecond ? std::optional(!decisive) : std::nullopt;
}

/// The operand that the operation is all over the piece, where conditions say so; no outcome of their own.
Value SumAlongDim::choiceOf(Operation &op) {
  if (isa<arith::SelectOp>(op)) {
    auto outcome = outcomes.find(op.getOperand(0));
    return outcome == outcomes.end() ? Value() : op.getOperand(outcome->second ? 1 : 2);
  }
  if (isa<arith::AndIOp, arith::OrIOp>(op))
    for (unsigned n : {0, 1})
      if (outcomes.contains(op.getOperand(n)))
        return op.getOperand(1 - n);
  return {};
}

bool SumAlongDim::isSum(Operation &op) {
  auto isSummand = [&](Value value) { return sums.contains(value); };
  if (auto load = dyn_cast<LoadOp>(op)) {
    std::optional<unsigned> dim = termOf(load);
    if (dim)
      terms[load] = *dim;
    return dim.has_value();
  }
  if (isa<arith::ConstantOp>(op))
    return matchPattern(&op, m_AnyZeroFloat());
  if (isa<arith::SelectOp>(op))
    return !varies(op.getOperand(0)) && llvm::all_of(op.getOperands().drop_front(), isSummand);
  if (isa<arith::AddFOp, arith::SubFOp, arith::NegFOp>(op))
    return llvm::all_of(op.getOperands(), isSummand);
  if (!isa<arith::MulFOp, arith::DivFOp>(op))
    return false;
  Value a = op.getOperand(0), b = op.getOperand(1);
  return (isSummand(a) && !varies(b)) || (isa<arith::MulFOp>(op) && !varies(a) && isSummand(b));
}

/// The dim that the load reads at the place; none where it is no term.
std::optional<unsigned> SumAlongDim::termOf(LoadOp load) {
  std::optional<unsigned> dim;
  for (auto [n, index] : llvm::enumerate(load.getIndices())) {
    if (!varies(index))
      continue;
    if (dim || shapeOf(load.getTensor())[n] != Dim(end - begin) ||
        !domain.isEqual(domain.simplify(readIndex(index, known, domain)), place))
      return std::nullopt;
    dim = n;
  }
  return dim;
}

/// From the element backwards, leaving out what is not chosen, and the index that is the place.
void SumAlongDim::collectNeeded() {
  llvm::DenseSet<Value> wanted{map.getYielded()};
  for (Operation &op : llvm::reverse(map.getBody().front().without_terminator())) {
    Value value = op.getResult(0);
    if (!wanted.contains(value))
      continue;
    needed.push_back(&op);
    if (Value chosen = choices.lookup(value))
      wanted.insert(chosen);
    else if (auto term = terms.find(&op); term != terms.end())
      for (auto [n, index] : llvm::enumerate(cast<LoadOp>(op).getIndices())) {
        if (n != term->second)
          wanted.insert(index);
      }
    else
      wanted.insert_range(op.getOperands());
  }
  std::reverse(needed.begin(), needed.end());
}

//===----------------------------------------------------------------------------===//
// Writing
//===----------------------------------------------------------------------------===//

Value SumAlongDim::emit(OpBuilder &builder, ValueRange operands, ValueRange indices,
                        const llvm::DenseMap<Value, Value> &replacements) {
  IRMapping mapping;
  mapping.map(map.getOperandArgs(), operands);
  mapping.map(map.getIndices(), indices);
  for (Operation *op : needed) {
    Value value = op->getResult(0);
    if (Value chosen = choices.lookup(value)) {
      mapping.map(value, mapping.lookup(chosen));
      continue;
    }
    auto term = terms.find(op);
    if (term == terms.end()) {
      builder.clone(*op, mapping);
      continue;
    }
    auto load = cast<LoadOp>(op);
    SmallVector<Value> at;
    for (auto [n, index] : llvm::enumerate(load.getIndices()))
      at.push_back(mapping.lookup(n == term->second ? own : index));
    mapping.map(value, LoadOp::create(builder, load.getLoc(), replacements.lookup(load.getTensor()), at).getResult());
  }
  return mapping.lookup(map.getYielded());
}

//===----------------------------------------------------------------------------===//
// All along the dim
//===----------------------------------------------------------------------------===//

/// Where a comparison changes along an index, of which one side is the index and a constant more than the other.
static SmallVector<int64_t, 2> boundsOf(arith::CmpIOp compare, const Dim &index, const KnownIndices &known,
                                        IndexDomain &domain) {
  using Predicate = arith::CmpIPredicate;
  if (!compare.getLhs().getType().isIndex())
    return {};
  Dim difference = readIndex(compare.getLhs(), known, domain) - readIndex(compare.getRhs(), known, domain);
  std::optional<int64_t> above = (index - difference).constant(), below = (difference + index).constant();
  if (!above && !below)
    return {};
  int64_t equal = above ? *above : *below; // where the difference is 0
  Predicate predicate = compare.getPredicate();
  if (predicate == Predicate::eq || predicate == Predicate::ne)
    return {equal, equal + 1};
  bool isStrict = predicate == Predicate::slt || predicate == Predicate::sge;
  return {isStrict == above.has_value() ? equal : equal + 1};
}

/// 0, where comparisons change along the dim, and its extent, in order.
static SmallVector<int64_t> boundsOf(MapOp map, unsigned dim) {
  int64_t extent = *shapeOf(map.getResult())[dim].constant();
  IndexDomain domain = domainOf(map);
  Dim index = domain.addIndex(Dim(extent));
  KnownIndices known;
  known[map.getIndices()[dim]] = index;
  SmallVector<int64_t> bounds{0, extent};
  for (auto compare : map.getBody().front().getOps<arith::CmpIOp>())
    for (int64_t bound : boundsOf(compare, index, known, domain))
      if (bound > 0 && bound < extent)
        bounds.push_back(bound);
  llvm::sort(bounds);
  bounds.erase(llvm::unique(bounds), bounds.end());
  return bounds;
}

std::vector<SumAlongDim> sumsAlongDim(MapOp map, unsigned dim) {
  constexpr size_t mostPieces = 64; // each reads the region once
  SmallVector<int64_t> bounds = boundsOf(map, dim);
  std::vector<SumAlongDim> pieces;
  if (bounds.size() > mostPieces + 1)
    return pieces;
  for (auto [begin, end] : llvm::zip(ArrayRef(bounds).drop_back(), ArrayRef(bounds).drop_front())) {
    std::optional<SumAlongDim> piece = SumAlongDim::match(map, dim, begin, end);
    if (!piece)
      return {};
    pieces.push_back(std::move(*piece));
  }
  return pieces;
}

} // namespace tenon
