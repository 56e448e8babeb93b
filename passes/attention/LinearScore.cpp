//===- LinearScore.cpp - scores that are x times factors -------------------------------===//
#include "passes/attention/LinearScore.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/Remarks.h"

using namespace mlir;

namespace tenon {

//===----------------------------------------------------------------------------===//
// Factors
//===----------------------------------------------------------------------------===//

namespace {
class ScoreFactoriser {
public:
  explicit ScoreFactoriser(AttentionOp op) : op(op), analysis(op.getScore(), /*hasScore=*/true) {}

  std::optional<LinearScore> run() {
    Value yielded = op.getScore().front().getTerminator()->getOperand(0);
    return collect(yielded) ? std::optional(factors) : std::nullopt;
  }

private:
  /// Whether `value`, which depends on x, is x times factors.
  bool collect(Value value) {
    if (value == op.getScore().getArgument(0))
      return true;
    if (auto product = value.getDefiningOp<arith::MulFOp>()) {
      bool left = analysis.dependenceOf(product.getLhs()).score, right = analysis.dependenceOf(product.getRhs()).score;
      Value x = left ? product.getLhs() : product.getRhs(), factor = left ? product.getRhs() : product.getLhs();
      return left != right && add({factor, false}) && collect(x);
    }
    if (auto quotient = value.getDefiningOp<arith::DivFOp>())
      return !analysis.dependenceOf(quotient.getRhs()).score && add({quotient.getRhs(), true}) &&
             collect(quotient.getLhs());
    return false;
  }

  bool add(LinearScore::Factor factor) {
    Dependence on = analysis.dependenceOf(factor.value);
    auto product = factor.value.getDefiningOp<arith::MulFOp>();
    if (product && on.query && on.key) // Each of its factors may be of one side.
      return add({product.getLhs(), factor.divides}) && add({product.getRhs(), factor.divides});
    // One key serves all query heads of its group.
    AttentionOp::Sizes sizes = op.getSizes();
    if (on.key && !on.query && on.head && sizes.keyHeads != sizes.heads)
      return false;
    (!on.key ? factors.ofQuery : !on.query ? factors.ofKey : factors.ofBoth).push_back(factor);
    return true;
  }

  AttentionOp op;
  RegionAnalysis analysis;
  LinearScore factors;
};
} // namespace

std::optional<LinearScore> LinearScore::match(AttentionOp op) {
  return op.hasScore() ? ScoreFactoriser(op).run() : LinearScore();
}

StringRef whyNotLinear(AttentionOp op) {
  if (op.getKeys().size() != 1)
    return "there is more than one source of keys";
  if (op.getOverQueries() || !op.getMore().empty())
    return "weights are of queries, or asked for";
  if (op.hasWeight())
    return "a weight region stands between the products";
  if (!LinearScore::match(op))
    return "the score is not linear in x with factors of the query and of the key";
  return "";
}

void rewriteLinearAttentions(ModuleOp module, function_ref<bool(AttentionOp)> concerns, const LinearRewrite &how) {
  SmallVector<AttentionOp> found;
  module.walk([&](AttentionOp op) {
    bool isLinear = op.getNormaliser() == Normaliser::Sum || op.getNormaliser() == Normaliser::None;
    if (isLinear && !op.getAlgorithm() && concerns(op))
      found.push_back(op);
  });
  auto options = remark::RemarkOpts::name(how.name).category(how.pass);
  for (AttentionOp op : found) {
    if (StringRef reason = how.whyNot(op); !reason.empty()) {
      remark::missed(op.getLoc(), options) << remark::reason("{0}: {1}", how.notTaken, reason);
      continue;
    }
    remark::passed(op.getLoc(), options) << remark::add("{0}", how.taken);
    op.getResult().replaceAllUsesWith(how.lower(op));
    op.erase();
  }
}

bool isCausal(AttentionOp op) {
  if (!op.hasKeep())
    return false;
  Value query = op.getKeep().getArgument(2), key = op.getKeep().getArgument(3);
  auto compare = op.getKeep().front().getTerminator()->getOperand(0).getDefiningOp<arith::CmpIOp>();
  if (!compare)
    return false;
  using Predicate = arith::CmpIPredicate;
  bool keyFirst = compare.getLhs() == key && compare.getRhs() == query;
  bool queryFirst = compare.getLhs() == query && compare.getRhs() == key;
  Predicate predicate = compare.getPredicate();
  return (keyFirst && (predicate == Predicate::sle || predicate == Predicate::ule)) ||
         (queryFirst && (predicate == Predicate::sge || predicate == Predicate::uge));
}

//===----------------------------------------------------------------------------===//
// Decays
//===----------------------------------------------------------------------------===//

namespace {
class DecayMatcher {
public:
  explicit DecayMatcher(AttentionOp op)
      : analysis(op.getScore(), /*hasScore=*/true), query(op.getScore().getArgument(3)),
        key(op.getScore().getArgument(4)) {}

  bool isPower(Value factor) {
    if (auto power = factor.getDefiningOp<math::PowFOp>())
      return isFree(power.getLhs()) && isMultipleOfLag(power.getRhs());
    Value exponent = exponentOf(factor);
    return exponent && isMultipleOfLag(exponent);
  }

  bool isRatio(Value factor) {
    Value exponent = exponentOf(factor);
    return exponent && isDifference(exponent);
  }

private:
  static Value exponentOf(Value factor) {
    Operation *op = factor.getDefiningOp();
    return isa_and_nonnull<math::ExpOp, math::Exp2Op>(op) ? op->getOperand(0) : Value();
  }

  bool isFree(Value value) {
    Dependence on = analysis.dependenceOf(value);
    return !on.score && !on.query && !on.key;
  }

  static Value withoutCasts(Value value) {
    while (Operation *op = value.getDefiningOp()) {
      if (!isa<arith::IndexCastOp, arith::SIToFPOp, arith::ExtFOp, arith::TruncFOp, arith::ExtSIOp>(op))
        break;
      value = op->getOperand(0);
    }
    return value;
  }

  /// i - j, times one or minus one; or its greater or lesser with zero, which for j ≤ i is itself.
  bool isLag(Value value) {
    value = withoutCasts(value);
    Operation *op = value.getDefiningOp();
    if (isa_and_nonnull<arith::MaxSIOp, arith::MaximumFOp>(op))
      return isZero(op->getOperand(1)) && isDistance(op->getOperand(0), query, key);
    if (isa_and_nonnull<arith::MinSIOp, arith::MinimumFOp>(op))
      return isZero(op->getOperand(1)) && isDistance(op->getOperand(0), key, query);
    return isDistance(value, query, key) || isDistance(value, key, query);
  }

  static bool isZero(Value value) {
    value = withoutCasts(value);
    return matchPattern(value, m_Zero()) || matchPattern(value, m_AnyZeroFloat());
  }

  static bool isDistance(Value value, Value from, Value to) {
    Operation *op = withoutCasts(value).getDefiningOp();
    return isa_and_nonnull<arith::SubIOp, arith::SubFOp>(op) && withoutCasts(op->getOperand(0)) == from &&
           withoutCasts(op->getOperand(1)) == to;
  }

  /// The lag times what is the same for all queries and keys.
  bool isMultipleOfLag(Value value) {
    if (isLag(value))
      return true;
    Operation *op = withoutCasts(value).getDefiningOp();
    if (isa_and_nonnull<arith::NegFOp>(op))
      return isMultipleOfLag(op->getOperand(0));
    if (isa_and_nonnull<arith::DivFOp>(op))
      return isFree(op->getOperand(1)) && isMultipleOfLag(op->getOperand(0));
    if (!isa_and_nonnull<arith::MulFOp, arith::MulIOp>(op))
      return false;
    Value a = op->getOperand(0), b = op->getOperand(1);
    return (isFree(a) && isMultipleOfLag(b)) || (isFree(b) && isMultipleOfLag(a));
  }

  /// u(i) - u(j).
  bool isDifference(Value value) {
    auto difference = value.getDefiningOp<arith::SubFOp>();
    if (!difference)
      return false;
    Dependence ofLeft = analysis.dependenceOf(difference.getLhs()),
               ofRight = analysis.dependenceOf(difference.getRhs());
    return !ofLeft.score && !ofRight.score && !ofLeft.key && !ofRight.query &&
           isSame(difference.getLhs(), difference.getRhs());
  }

  /// The same function, of i and of j.
  bool isSame(Value ofQuery, Value ofKey) {
    if (ofQuery == query || ofKey == key)
      return ofQuery == query && ofKey == key;
    if (ofQuery == ofKey)
      return true;
    Operation *a = ofQuery.getDefiningOp(), *b = ofKey.getDefiningOp();
    return a && b && a->getName() == b->getName() && a->getAttrDictionary() == b->getAttrDictionary() &&
           a->getNumOperands() == b->getNumOperands() &&
           llvm::all_of(llvm::zip(a->getOperands(), b->getOperands()),
                        [&](auto pair) { return isSame(std::get<0>(pair), std::get<1>(pair)); });
  }

  RegionAnalysis analysis;
  Value query, key;
};
} // namespace

bool LinearScore::isPower(AttentionOp op, Value factor) { return DecayMatcher(op).isPower(factor); }
bool LinearScore::isRatio(AttentionOp op, Value factor) { return DecayMatcher(op).isRatio(factor); }

//===----------------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------------===//

Value LinearAttentionRewriter::scaled(OpBuilder &b, Value element, ArrayRef<LinearScore::Factor> factors,
                                      ValueRange place, ValueRange captures) {
  for (const LinearScore::Factor &factor : factors) {
    Value value = inlined(b, op.getScore(), number(b, 0), place, captures, factor.value);
    element = factor.divides ? Value(arith::DivFOp::create(b, loc, element, value))
                             : Value(arith::MulFOp::create(b, loc, element, value));
  }
  return element;
}

void LinearAttentionRewriter::scale(Worded &operand, ArrayRef<LinearScore::Factor> factors, StringRef row) {
  if (factors.empty())
    return;
  operand.tensor = map(type, shapeOf(operand.tensor), withCaptures(operand.tensor),
                       [&](OpBuilder &b, ValueRange inputs, ValueRange at) {
                         return scaled(b, LoadOp::create(b, loc, inputs[0], at), factors, placeOf(b, operand, at, row),
                                       inputs.drop_front());
                       });
}

/// b, h, i, j for an element of the operand; what it has not is 0.
SmallVector<Value> LinearAttentionRewriter::placeOf(OpBuilder &b, const Worded &operand, ValueRange at, StringRef row) {
  Value zero = arith::ConstantIndexOp::create(b, loc, 0);
  auto index = [&](StringRef word) {
    auto it = llvm::find(operand.words, word);
    return it == operand.words.end() ? zero : at[it - operand.words.begin()];
  };
  Value head = index("h");
  if (operand.has("g")) {
    Value group = size(b, sizes.heads.floorDiv(sizes.keyHeads));
    head = arith::AddIOp::create(b, loc, arith::MulIOp::create(b, loc, index("g"), group), index("r"));
  }
  return {index("b"), head, row == "i" ? index("i") : zero, row == "j" ? index("j") : zero};
}

} // namespace tenon
