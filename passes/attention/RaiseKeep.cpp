//===- RaiseKeep.cpp - mask values in a score become a keep region --------------------===//
//
// What is gained: keys can be skipped, tile by tile, once the mask is a condition and not a number.
//
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/Remarks.h"
#include "passes/Passes.h"
#include "passes/attention/RegionAnalysis.h"

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_RAISEKEEP
#include "passes/Passes.h.inc"

namespace {

/// Finite mask values count as absorbing from here on: see the pass's description.
constexpr double absorbing = -1e30;

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
  bool isInfinite;
  Value live; ///< What stays where the key is live; null for an added 0.
  SmallVector<Guard, 1> under = {}; ///< Elsewhere the score does not have this mask.

  static std::optional<MaskTerm> match(Value value) {
    auto select = value.getDefiningOp<arith::SelectOp>();
    if (!select || !isa<FloatType>(value.getType()))
      return std::nullopt;
    std::optional<double> ifTrue = constantOf(select.getTrueValue()), ifFalse = constantOf(select.getFalseValue());
    bool deadIfFalse = ifFalse && *ifFalse <= absorbing, deadIfTrue = ifTrue && *ifTrue <= absorbing;
    if (deadIfFalse == deadIfTrue)
      return std::nullopt;
    std::optional<double> live = deadIfFalse ? ifTrue : ifFalse;
    if (live && *live != 0)
      return std::nullopt;
    Value kept = live ? Value() : deadIfFalse ? select.getTrueValue() : select.getFalseValue();
    return MaskTerm{select, deadIfFalse, std::isinf(deadIfFalse ? *ifFalse : *ifTrue), kept};
  }
};

/// The masks among the summands of a score. A select inside the live side of another replaces the same value, so
/// both together are one mask of two conditions. Of two sides of a choice by position (keys and a learned sink), a mask
/// holds on its own.
class MaskFinder {
public:
  explicit MaskFinder(AttentionOp op) : analysis(op.getScore(), /*hasScore=*/true) {
    visit(op.getScore().front().getTerminator()->getOperand(0), /*insideFinite=*/false);
  }

  SmallVector<MaskTerm> masks;
  SmallVector<Value> zeros; ///< Masks that mask nothing: added zeros.
  unsigned infinite = 0, finite = 0;

private:
  void visit(Value value, bool insideFinite) {
    if (auto sum = value.getDefiningOp<arith::AddFOp>(); sum && sum->hasOneUse()) {
      // Summands beside a replacing mask are absorbed by its dead value like the one it replaces.
      visit(sum.getLhs(), false);
      visit(sum.getRhs(), false);
      return;
    }
    if (constantOf(value) == 0.0 && isa<arith::AddFOp>(*value.user_begin()) && value.hasOneUse()) {
      zeros.push_back(value);
      return;
    }
    std::optional<MaskTerm> mask = MaskTerm::match(value);
    if (auto choice = value.getDefiningOp<arith::SelectOp>(); !mask && choice)
      return visitSides(choice);
    if (!mask || !value.hasOneUse() || analysis.dependenceOf(mask->select.getCondition()).score)
      return;
    if (!mask->live && !isa<arith::AddFOp>(*value.user_begin()))
      return;
    mask->under = under;
    masks.push_back(*mask);
    (mask->isInfinite ? infinite : finite) += mask->isInfinite || !insideFinite;
    if (mask->live)
      visit(mask->live, !mask->isInfinite);
  }

  void visitSides(arith::SelectOp choice) {
    if (!choice->hasOneUse() || analysis.dependenceOf(choice.getCondition()).score)
      return;
    for (bool side : {true, false}) {
      under.push_back({choice.getCondition(), side});
      visit(side ? choice.getTrueValue() : choice.getFalseValue(), /*insideFinite=*/false);
      under.pop_back();
    }
  }

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
    if (mask.live) {
      mask.select.getResult().replaceAllUsesWith(mask.live);
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

struct RaiseKeep : impl::RaiseKeepBase<RaiseKeep> {
  void runOnOperation() override {
    getOperation().walk([](AttentionOp op) { raise(op); });
  }

  static void raise(AttentionOp op) {
    if (!op.hasScore() || op.hasKeep() || op.getNormaliser() != Normaliser::Softmax || op.getKeys().size() != 1)
      return;
    MaskFinder found(op);
    llvm::for_each(found.zeros, removeSummand);
    raiseMasks(op, found);
    cleanUp(op);
  }

  static void raiseMasks(AttentionOp op, MaskFinder &found) {
    auto options = remark::RemarkOpts::name("keep").category("tenon-raise-keep");
    // Two finite masks that are both dead give -inf, one of them a finite value: no set of keys says that.
    if (found.finite > 1 || (found.finite && found.infinite)) {
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
