//===- RegionAnalysis.cpp - what the regions of an attention depend on ----------------===//
#include "passes/attention/RegionAnalysis.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace tenon {

/// Extents are unknown here on purpose: a shift leaves them, so ranges must not decide anything.
RegionAnalysis::RegionAnalysis(Region &region, bool hasScore) : first(hasScore ? 1 : 0), domain(Bounds()) {
  for (unsigned role = 0; role < 4; ++role) {
    BlockArgument argument = region.getArgument(first + role);
    known[argument] = domain.addOpaque(argument);
  }
  query = known[region.getArgument(first + 2)];
  key = known[region.getArgument(first + 3)];
}

Dependence RegionAnalysis::dependenceOf(Value value) {
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    unsigned number = argument.getArgNumber();
    return {first == 1 && number == 0, number == first, number == first + 1, number == first + 2,
            number == first + 3};
  }
  if (auto it = dependence.find(value); it != dependence.end())
    return it->second;
  Dependence result;
  for (Value operand : value.getDefiningOp()->getOperands())
    if (!isa<ShapedType>(operand.getType()))
      result = result | dependenceOf(operand);
  return dependence[value] = result;
}

/// What the expression could not look into must be unchanged as well.
bool RegionAnalysis::isUnchangedByShift(const Dim &dim, Value self) {
  for (const std::string &name : dim.symbols()) {
    Value leaf = domain.opaqueValue(name);
    if (leaf && !isa<BlockArgument>(leaf) && (leaf == self || !isShiftInvariant(leaf)))
      return false;
  }
  auto shifted = [](const Dim &symbol) { return std::pair(std::string(*symbol.asSymbol()), symbol + Dim(1)); };
  return dim.substitute({shifted(query), shifted(key)}) == dim;
}

bool RegionAnalysis::isShiftInvariant(Value value) {
  Dependence depends = dependenceOf(value);
  if (!depends.query && !depends.key)
    return true;
  if (auto it = invariant.find(value); it != invariant.end())
    return it->second;
  Operation *op = value.getDefiningOp();
  bool result = false;
  if (op && (value.getType().isIndex() || value.getType().isInteger(64)))
    result = isUnchangedByShift(readIndex(value, known, domain), value);
  if (auto compare = dyn_cast_or_null<arith::CmpIOp>(op);
      compare && (compare.getLhs().getType().isIndex() || compare.getLhs().getType().isInteger(64)))
    result = isUnchangedByShift(readIndex(compare.getLhs(), known, domain) -
                                readIndex(compare.getRhs(), known, domain), value);
  if (!result && op)
    result = llvm::all_of(op->getOperands(), [&](Value operand) {
      return isa<ShapedType>(operand.getType()) || isShiftInvariant(operand);
    });
  return invariant[value] = result;
}

bool RegionAnalysis::isDistance(Value index) {
  Dim rest = readIndex(index, known, domain) - (key - query);
  return llvm::none_of(rest.symbols(), [&](const std::string &name) { return domain.opaqueValue(name); });
}

bool isNaNGuard(Region &weight) {
  Value p = weight.getArgument(0);
  auto select = weight.front().getTerminator()->getOperand(0).getDefiningOp<arith::SelectOp>();
  if (!select || select.getFalseValue() != p || !matchPattern(select.getTrueValue(), m_AnyZeroFloat()))
    return false;
  auto compare = select.getCondition().getDefiningOp<arith::CmpFOp>();
  return compare && compare.getPredicate() == arith::CmpFPredicate::UNO && compare.getLhs() == p &&
         compare.getRhs() == p;
}

bool isProportional(Region &weight) {
  RegionAnalysis analysis(weight, /*hasScore=*/true);
  Value value = weight.front().getTerminator()->getOperand(0);
  while (auto product = value.getDefiningOp<arith::MulFOp>()) {
    bool left = analysis.dependenceOf(product.getLhs()).score, right = analysis.dependenceOf(product.getRhs()).score;
    if (left == right)
      return false;
    value = left ? product.getLhs() : product.getRhs();
  }
  return value == weight.getArgument(0);
}

} // namespace tenon
