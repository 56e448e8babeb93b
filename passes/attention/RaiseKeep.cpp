//===- RaiseKeep.cpp - mask values in a score become a keep region --------------------===//
//
// What is gained: keys can be skipped, tile by tile, once the mask is a condition and not a number.
//
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/Remarks.h"
#include "passes/Passes.h"
#include "passes/attention/LinearScore.h"
#include "passes/attention/RegionAnalysis.h"

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_RAISEKEEP
#include "passes/Passes.h.inc"

namespace {

/// Finite mask values count as absorbing from here on: see the pass's description.
constexpr double absorbing = -1e30;
/// And those that replace a score and to which nothing is added, which need not absorb anything.
constexpr double replacing = -1e8;

std::optional<double> constantOf(Value value) {
  FloatAttr attribute;
  return matchPattern(value, m_Constant(&attribute)) ? std::optional(attribute.getValueAsDouble()) : std::nullopt;
}

/// A condition and what it has to be.
struct Guard {
  Value condition;
  bool wanted;
};

/// A select between a live and a dead value.
struct MaskTerm {
  arith::SelectOp select;
  bool liveIfTrue;
  double dead;                      ///< The value of a dead key.
  Value live;                       ///< What stays where the key is live; null for an added 0.
  SmallVector<Guard, 1> under = {}; ///< Elsewhere the score does not have this mask.

  bool isInfinite() const { return std::isinf(dead); }

  /// `bound`: values above it are numbers like others.
  static std::optional<MaskTerm> match(Value value, double bound) {
    auto select = value.getDefiningOp<arith::SelectOp>();
    if (!select || !isa<FloatType>(value.getType()))
      return std::nullopt;
    std::optional<double> ifTrue = constantOf(select.getTrueValue()), ifFalse = constantOf(select.getFalseValue());
    bool deadIfFalse = ifFalse && *ifFalse <= bound, deadIfTrue = ifTrue && *ifTrue <= bound;
    if (deadIfFalse == deadIfTrue)
      return std::nullopt;
    std::optional<double> live = deadIfFalse ? ifTrue : ifFalse;
    if (live && *live != 0)
      return std::nullopt;
    Value kept = live ? Value() : deadIfFalse ? select.getTrueValue() : select.getFalseValue();
    return MaskTerm{select, deadIfFalse, deadIfFalse ? *ifFalse : *ifTrue, kept};
  }
};

/// The masks among the summands of a score. A select inside the live side of another replaces the same value, so
/// both together are one mask of two conditions (of one dead value, unless both absorb). Of two sides of a choice by
/// position (keys and a learned sink), a mask holds on its own.
class MaskFinder {
public:
  MaskFinder(AttentionOp op, double bound) : bound(bound), analysis(op.getScore(), /*hasScore=*/true) {
    visit(op.getScore().front().getTerminator()->getOperand(0), Place());
  }

  SmallVector<MaskTerm> masks;
  SmallVector<Value> zeros; ///< Masks that mask nothing: added zeros.
  unsigned infinite = 0, finite = 0;

  /// Two finite masks that are both dead give -inf, one of them a finite value: no set of keys says that.
  bool isMixed() const { return finite > 1 || (finite && infinite); }

private:
  struct Place {
    bool isSummand = false;           ///< Something is added to the value, or another is chosen beside it.
    std::optional<double> outer = {}; ///< The dead value of the mask on whose live side the value is.
  };

  /// A dead key has to have the mask's value, and every dead key the same.
  static bool isMask(const MaskTerm &mask, const Place &place) {
    if (place.outer && *place.outer != mask.dead && std::max(*place.outer, mask.dead) > absorbing)
      return false;
    return mask.dead <= absorbing || (mask.live && !place.isSummand);
  }

  void visit(Value value, const Place &place) {
    if (auto sum = value.getDefiningOp<arith::AddFOp>(); sum && sum->hasOneUse()) {
      // Summands beside a replacing mask are absorbed by its dead value like the one it replaces.
      visit(sum.getLhs(), {.isSummand = true});
      visit(sum.getRhs(), {.isSummand = true});
      return;
    }
    if (constantOf(value) == 0.0 && isa<arith::AddFOp>(*value.user_begin()) && value.hasOneUse()) {
      zeros.push_back(value);
      return;
    }
    std::optional<MaskTerm> mask = MaskTerm::match(value, bound);
    if (mask && !isMask(*mask, place))
      mask.reset();
    if (auto choice = value.getDefiningOp<arith::SelectOp>(); !mask && choice)
      return visitSides(choice);
    if (!mask || !value.hasOneUse() || analysis.dependenceOf(mask->select.getCondition()).score)
      return;
    if (!mask->live && !isa<arith::AddFOp>(*value.user_begin()))
      return;
    mask->under = under;
    masks.push_back(*mask);
    bool isInsideFinite = place.outer && !std::isinf(*place.outer);
    (mask->isInfinite() ? infinite : finite) += mask->isInfinite() || !isInsideFinite;
    if (mask->live)
      visit(mask->live, {place.isSummand, mask->dead});
  }

  void visitSides(arith::SelectOp choice) {
    if (!choice->hasOneUse() || analysis.dependenceOf(choice.getCondition()).score)
      return;
    for (bool side : {true, false}) {
      under.push_back({choice.getCondition(), side});
      visit(side ? choice.getTrueValue() : choice.getFalseValue(), {.isSummand = true});
      under.pop_back();
    }
  }

  double bound;
  RegionAnalysis analysis;
  SmallVector<Guard, 1> under;
};

/// Conjunction of the masks' conditions as the keep region of the op.
void writeKeep(AttentionOp op, ArrayRef<MaskTerm> masks) {
  Region &score = op.getScore();
  OpBuilder builder(op.getContext());
  Block *block = builder.createBlock(&op.getKeep());
  IRMapping mapping;
  for (BlockArgument argument : llvm::drop_begin(score.getArguments()))
    mapping.map(argument, block->addArgument(argument.getType(), argument.getLoc()));
  llvm::SmallPtrSet<Operation *, 16> needed;
  std::function<void(Value)> need = [&](Value value) {
    Operation *definition = value.getDefiningOp();
    if (definition && needed.insert(definition).second)
      llvm::for_each(definition->getOperands(), need);
  };
  for (MaskTerm mask : masks) {
    need(mask.select.getCondition());
    for (const Guard &guard : mask.under)
      need(guard.condition);
  }
  for (Operation &inner : score.front())
    if (needed.contains(&inner))
      builder.clone(inner, mapping);
  auto hasValue = [&](Value condition, bool wanted) -> Value {
    condition = mapping.lookup(condition);
    if (wanted)
      return condition;
    Value yes = arith::ConstantOp::create(builder, op.getLoc(), builder.getBoolAttr(true));
    return arith::XOrIOp::create(builder, op.getLoc(), condition, yes);
  };
  Value live;
  for (MaskTerm mask : masks) {
    Value condition = hasValue(mask.select.getCondition(), mask.liveIfTrue);
    for (const Guard &guard : mask.under)
      condition = arith::OrIOp::create(builder, op.getLoc(), hasValue(guard.condition, !guard.wanted), condition);
    live = live ? Value(arith::AndIOp::create(builder, op.getLoc(), live, condition)) : condition;
  }
  YieldOp::create(builder, op.getLoc(), live);
}

/// x + 0 is x to an exponential, which does not see the sign of zero.
void removeSummand(Value summand) {
  auto sum = cast<arith::AddFOp>(*summand.user_begin());
  sum.getResult().replaceAllUsesWith(sum.getLhs() == summand ? sum.getRhs() : sum.getLhs());
  sum.erase();
}

void removeMasks(ArrayRef<MaskTerm> masks) {
  for (MaskTerm mask : llvm::reverse(masks)) {
    if (mask.live) { // Without the masks inside of it, which are gone.
      mask.select.getResult().replaceAllUsesWith(mask.liveIfTrue ? mask.select.getTrueValue()
                                                                 : mask.select.getFalseValue());
      continue;
    }
    removeSummand(mask.select.getResult());
  }
}

void dropDeadOps(Region &region) {
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(region.front())))
    if (op.use_empty() && !op.hasTrait<OpTrait::IsTerminator>())
      op.erase();
}

/// Regions that are identities go, then captures no region loads.
void cleanUp(AttentionOp op) {
  dropDeadOps(op.getScore());
  if (op.getScore().front().getTerminator()->getOperand(0) == op.getScore().getArgument(0)) {
    op.getScore().front().erase();
  }
  for (unsigned c = op.getCaptures().size(); c-- > 0;) {
    auto argumentOf = [&](Region &region, unsigned scalars) { return region.getArgument(scalars + c); };
    SmallVector<std::pair<Region *, unsigned>> regions;
    for (auto [region, scalars] : {std::pair(&op.getScore(), 5), {&op.getKeep(), 4}, {&op.getWeight(), 5}})
      if (!region->empty())
        regions.push_back({region, scalars});
    if (llvm::any_of(regions, [&](auto &r) { return !argumentOf(*r.first, r.second).use_empty(); }))
      continue;
    for (auto &[region, scalars] : regions)
      region->front().eraseArgument(scalars + c);
    op.getCapturesMutable().erase(c);
  }
}

/// x - select(c, 1e30, 0), as XLNet and Transformer-XL mask, is x + select(c, -1e30, -0): one form of it.
void addNegatedMasks(Region &score) {
  for (auto difference : llvm::make_early_inc_range(score.front().getOps<arith::SubFOp>())) {
    auto choice = difference.getRhs().getDefiningOp<arith::SelectOp>();
    std::optional<double> yes = choice ? constantOf(choice.getTrueValue()) : std::nullopt;
    std::optional<double> no = choice ? constantOf(choice.getFalseValue()) : std::nullopt;
    if (!yes || !no)
      continue;
    OpBuilder builder(difference);
    auto negated = [&](double value) -> Value {
      auto number = builder.getFloatAttr(difference.getType(), value == 0 ? 0 : -value);
      return arith::ConstantOp::create(builder, difference.getLoc(), number);
    };
    Value mask =
        arith::SelectOp::create(builder, difference.getLoc(), choice.getCondition(), negated(*yes), negated(*no));
    difference.replaceAllUsesWith(
        arith::AddFOp::create(builder, difference.getLoc(), difference.getLhs(), mask).getResult());
    difference.erase();
  }
}

/// y * select(c, 1, 0) and y * (c as a number) are select(c, y, 0), for a y that is finite. Of a linear score such
/// factors of the query or the key alone are taken into those, which leaves the products free to change order.
void selectForProducts(AttentionOp op) {
  Region &score = op.getScore();
  bool isLinear = LinearScore::match(op).has_value();
  for (auto product : llvm::make_early_inc_range(score.front().getOps<arith::MulFOp>()))
    for (bool left : {true, false}) {
      Value mask = left ? product.getLhs() : product.getRhs(), other = left ? product.getRhs() : product.getLhs();
      auto choice = mask.getDefiningOp<arith::SelectOp>();
      auto number = mask.getDefiningOp<arith::UIToFPOp>();
      std::optional<double> yes = choice ? constantOf(choice.getTrueValue()) : std::nullopt;
      std::optional<double> no = choice ? constantOf(choice.getFalseValue()) : std::nullopt;
      bool isCondition = number && number.getIn().getType().isInteger(1);
      if (!isCondition && !(yes == 1.0 && no == 0.0) && !(yes == 0.0 && no == 1.0))
        continue;
      Dependence on = RegionAnalysis(score, /*hasScore=*/true).dependenceOf(mask);
      if (isLinear && !(on.query && on.key))
        continue;
      OpBuilder builder(product);
      Value zero = arith::ConstantOp::create(builder, product.getLoc(), builder.getFloatAttr(product.getType(), 0));
      bool liveIfTrue = isCondition || yes == 1.0;
      Value selected =
          arith::SelectOp::create(builder, product.getLoc(), isCondition ? number.getIn() : choice.getCondition(),
                                  liveIfTrue ? other : zero, liveIfTrue ? zero : other);
      product.replaceAllUsesWith(selected);
      product.erase();
      break;
    }
}

/// The choices between a weight and zero, from the outermost on, by what does not depend on the score.
SmallVector<MaskTerm> zeroMasks(AttentionOp op) {
  RegionAnalysis analysis(op.getScore(), /*hasScore=*/true);
  SmallVector<MaskTerm> masks;
  Value value = op.getScore().front().getTerminator()->getOperand(0);
  while (auto select = value.getDefiningOp<arith::SelectOp>()) {
    bool deadIfFalse = constantOf(select.getFalseValue()) == 0.0, deadIfTrue = constantOf(select.getTrueValue()) == 0.0;
    if (deadIfFalse == deadIfTrue || !select->hasOneUse() || analysis.dependenceOf(select.getCondition()).score)
      break;
    value = deadIfFalse ? select.getTrueValue() : select.getFalseValue();
    masks.push_back({select, deadIfFalse, 0, value});
  }
  return masks;
}

struct RaiseKeep : impl::RaiseKeepBase<RaiseKeep> {
  void runOnOperation() override {
    getOperation().walk([](AttentionOp op) { raise(op); });
  }

  static void raise(AttentionOp op) {
    if (!op.hasScore() || op.hasKeep() || op.getKeys().size() != 1)
      return;
    if (op.getNormaliser() == Normaliser::None && !op.hasWeight())
      raiseZeros(op);
    if (op.getNormaliser() != Normaliser::Softmax)
      return;
    addNegatedMasks(op.getScore());
    auto found = std::make_unique<MaskFinder>(op, replacing);
    if (found->isMixed())
      found = std::make_unique<MaskFinder>(op, absorbing);
    llvm::for_each(found->zeros, removeSummand);
    raiseMasks(op, *found);
    cleanUp(op);
  }

  /// Without a normaliser a dead key is one of weight zero.
  static void raiseZeros(AttentionOp op) {
    selectForProducts(op);
    SmallVector<MaskTerm> masks = zeroMasks(op);
    if (!masks.empty()) {
      writeKeep(op, masks);
      removeMasks(masks);
      remark::passed(op.getLoc(), remark::RemarkOpts::name("keep").category("tenon-raise-keep"))
          << remark::add("weights chosen to be zero became a keep region");
    }
    cleanUp(op);
  }

  static void raiseMasks(AttentionOp op, MaskFinder &found) {
    auto options = remark::RemarkOpts::name("keep").category("tenon-raise-keep");
    if (found.isMixed()) {
      remark::missed(op.getLoc(), options) << remark::reason("several masks are added, not all of them -inf");
      return;
    }
    if (found.masks.empty())
      return;
    // A dead key's weight is zero and a row of dead keys is NaN: so it must be behind the weight region as well.
    bool guarded = op.hasWeight() && isNaNGuard(op.getWeight());
    if (op.hasWeight() && !guarded && !isProportional(op.getWeight())) {
      remark::missed(op.getLoc(), options) << remark::reason("the weight region may change what dead keys get");
      return;
    }
    writeKeep(op, found.masks);
    removeMasks(found.masks);
    op.setEmpty(found.finite ? EmptyRow::Uniform : guarded ? EmptyRow::Zero : EmptyRow::NaN);
    remark::passed(op.getLoc(), options) << remark::add(
        "mask values became a keep region; a row without live keys gives {0}", stringifyEmptyRow(op.getEmpty()));
  }
};

} // namespace
} // namespace tenon
