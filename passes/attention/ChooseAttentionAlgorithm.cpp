//===- ChooseAttentionAlgorithm.cpp - how each attention is computed, and why ----------===//
#include "dialects/tenon/AttentionLayout.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Remarks.h"
#include "passes/Passes.h"
#include "passes/attention/FlashAttention.h"
#include "passes/attention/KeepAnalysis.h"
#include "passes/attention/KeyParts.h"
#include "passes/attention/PositionProducts.h"
#include "passes/attention/RegionAnalysis.h"

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_CHOOSEATTENTIONALGORITHM
#include "passes/Passes.h.inc"

namespace {

bool hasConstantRows(AttentionOp op, unsigned operand, Value tensor) {
  std::string error;
  return AttentionLayout::parse(op.getLayout(operand), error)->hasConstantRows(shapeOf(tensor));
}

/// Weights exist only after the last key: scores are computed twice, first for their sum.
bool needsNormalisedWeights(AttentionOp op) {
  return op.hasWeight() && op.getNormaliser() != Normaliser::None && !isNaNGuard(op.getWeight()) &&
         !isProportional(op.getWeight());
}

/// What the keep region does to each `what` of keys, or nothing where there is none.
std::string describeKeep(AttentionOp op, StringRef what) {
  if (!op.hasKeep())
    return "";
  KeepAnalysis keep(op.getKeep());
  return (keep.decides() ? llvm::formatv("; dead {0}s skipped, live ones unmasked", what)
                         : llvm::formatv("; every {0} masked", what))
             .str() +
         ", conditions: " + keep.summary();
}

std::string describeFlash(AttentionOp op) {
  std::string text = "flash: keys are taken in tile by tile, no N x N scores";
  if (needsNormalisedWeights(op))
    text += "; two passes, for the weight region needs normalised weights";
  else if (op.hasWeight() && isProportional(op.getWeight()))
    text += "; one pass, for the weight region is a factor, taken in with the values";
  if (op.getNormaliser() == Normaliser::Hard)
    text += "; a row's best key is remembered, its value read at the end";
  if (op.getNormaliser() == Normaliser::TopKSoftmax)
    text += "; two passes, the first for the greatest scores of each row: " + std::to_string(*op.getCount());
  if (size_t products = PositionProduct::streamed(op).size())
    text += "; products with positions computed with the tile: " + std::to_string(products);
  return text + describeKeep(op, "tile");
}

/// Whether positions alone leave keys out, as a window over a cache does: pieces of them are skipped.
bool hasWindow(AttentionOp op) {
  KeepAnalysis keep(op.getKeep());
  SmallVector<Value> conditions{op.getKeep().front().getTerminator()->getOperand(0)};
  while (!conditions.empty()) {
    Value condition = conditions.pop_back_val();
    if (auto both = condition.getDefiningOp<arith::AndIOp>())
      conditions.append({both.getLhs(), both.getRhs()});
    else if (!keep.dependsOnData(condition))
      return true;
  }
  return false;
}

/// Where a row without live keys weighs the dead ones alike, they do so with the least score as well: exp(s - s) is 1 for
/// all of them, and beside a live key exp(s - m) is 0.
bool mayScoreDeadKeys(AttentionOp op) {
  return op.hasKeep() && op.getEmpty() == EmptyRow::Uniform && op.getNormaliser() == Normaliser::Softmax &&
         op.getMore().empty() && op.getScoreType().isF32() && !hasWindow(op);
}

/// The keep region becomes part of the score region.
void scoreDeadKeys(AttentionOp op) {
  Block &keep = op.getKeep().front();
  Location loc = op.getLoc();
  OpBuilder builder(op);
  if (!op.hasScore()) {
    Block *block = builder.createBlock(&op.getScore());
    Value score = block->addArgument(op.getScoreType(), loc);
    for (BlockArgument argument : keep.getArguments())
      block->addArgument(argument.getType(), loc);
    YieldOp::create(builder, loc, score);
  }
  Block &score = op.getScore().front();
  Operation *end = score.getTerminator();
  builder.setInsertionPoint(end);
  IRMapping mapping;
  mapping.map(keep.getArguments(), score.getArguments().drop_front());
  for (Operation &operation : keep.without_terminator())
    builder.clone(operation, mapping);
  Value isLive = mapping.lookupOrDefault(keep.getTerminator()->getOperand(0));
  Value least = arith::ConstantOp::create(builder, loc, builder.getF32FloatAttr(std::numeric_limits<float>::lowest()));
  end->setOperand(0, arith::SelectOp::create(builder, loc, isLive, end->getOperand(0), least));
  op.getKeep().getBlocks().clear();
  op.setEmpty(EmptyRow::Zero);
}

std::string describeSplit(AttentionOp op) {
  StringRef why = op.getKeys().size() > 1       ? "several sources of keys"
                  : !op.getMore().empty()       ? "the logarithm of the sum is asked for"
                  : KeyParts::hasFewQueries(op) ? "few queries"
                                                : "few blocks of queries for a GPU";
  std::string keep = mayScoreDeadKeys(op) ? "; dead keys get the least score, so that rows of them weigh all alike"
                                          : describeKeep(op, "piece");
  return "split: " + why.str() + ", so states of parts of the keys are merged" + keep;
}

/// Why no tile of keys can be taken in before the others are known, or empty.
StringRef whyNotStreamed(AttentionOp op) {
  if (op.getOverQueries())
    return "it is normalised over the queries";
  if (op.getNormaliser() == Normaliser::Sinkhorn)
    return "the normaliser needs all scores at once";
  return op.getAlso("scores") ? "the scores themselves are asked for" : "";
}

/// What streams computes in f32.
bool isWiderThanF32(AttentionOp op) {
  auto isF64 = [](Value tensor) { return elementOf(tensor).isF64(); };
  return isF64(op.getQuery()) || llvm::any_of(op.getKeys(), isF64) || llvm::any_of(op.getValues(), isF64) ||
         isF64(op.getResult());
}

/// Empty where states of parts of the keys compute the op.
StringRef whyNotSplit(AttentionOp op) {
  if (StringRef reason = whyNotStreamed(op); !reason.empty())
    return reason;
  if (op.getNormaliser() == Normaliser::Hard || op.getNormaliser() == Normaliser::TopKSoftmax)
    return "keys are chosen among those of all parts";
  if (isWiderThanF32(op))
    return "elements are f64";
  if (op.hasWeight() && !(isNaNGuard(op.getWeight()) && op.getNormaliser() == Normaliser::Softmax))
    return "a weight region needs normalised weights";
  if (op.hasKeep() && op.getEmpty() != EmptyRow::Zero && op.getEmpty() != EmptyRow::NaN && !mayScoreDeadKeys(op))
    return "rows without live keys need the dead ones";
  for (unsigned operand = 0; operand < 1 + 2 * op.getKeys().size(); ++operand)
    if (!hasConstantRows(op, operand, op->getOperand(operand)))
      return "depth or the distance of rows is not a constant";
  std::string error;
  unsigned result = 1 + 2 * op.getKeys().size();
  if (AttentionLayout::parse(op.getLayout(result), error)->strideOf('d', shapeOf(op.getResult())) != Dim(1) ||
      op.getLayout(result).find_first_of("0123456789") != StringRef::npos)
    return "the elements of a row of the result do not lie side by side";
  return "";
}

/// Empty where online softmax, a tile of keys at a time, computes the op.
StringRef whyNotFlash(AttentionOp op) {
  if (StringRef reason = whyNotStreamed(op); !reason.empty())
    return reason;
  if (!op.getMore().empty())
    return "flash gives the result alone";
  if (isWiderThanF32(op))
    return "elements are f64";
  if (op.getKeys().size() != 1)
    return "there is more than one source of keys";
  bool revives = op.hasKeep() && (op.getEmpty() == EmptyRow::Uniform || op.getEmpty() == EmptyRow::IgnoreKeep);
  if (revives && (needsNormalisedWeights(op) || op.getNormaliser() == Normaliser::None))
    return "rows without live keys get weights, and the weight region or the normaliser does not stream them";
  if (StringRef reason = whyNotChosen(op); !reason.empty())
    return reason;
  if (!hasConstantRows(op, 0, op.getQuery()) || !hasConstantRows(op, 1, op.getKeys()[0]) ||
      !hasConstantRows(op, 2, op.getValues()[0]) || !hasConstantRows(op, 3, op.getResult()))
    return "depth or the distance of rows is not a constant";
  return "";
}

struct ChooseAttentionAlgorithm : impl::ChooseAttentionAlgorithmBase<ChooseAttentionAlgorithm> {
  using ChooseAttentionAlgorithmBase::ChooseAttentionAlgorithmBase;

  void runOnOperation() override {
    if (!force.empty() && !forced()) {
      getOperation().emitError("unknown attention algorithm '") << force << "', wanted flash, split or materialised";
      return signalPassFailure();
    }
    KeyParts parts(getOperation());
    WalkResult walked = getOperation().walk([&](AttentionOp op) -> WalkResult { return choose(op, parts); });
    if (walked.wasInterrupted())
      signalPassFailure();
  }

private:
  /// Transforms are ChooseToeplitzForm's to ask for; they have been lowered by now.
  std::optional<AttentionAlgorithm> forced() const {
    std::optional<AttentionAlgorithm> algorithm = symbolizeAttentionAlgorithm(force);
    bool isTransform = algorithm == AttentionAlgorithm::FFT || algorithm == AttentionAlgorithm::FFTBlocks;
    return isTransform ? std::nullopt : algorithm;
  }

  LogicalResult choose(AttentionOp op, const KeyParts &parts) {
    std::optional<AttentionAlgorithm> wanted = op.getAlgorithm();
    if (!wanted && !force.empty())
      wanted = forced();
    StringRef notFlash = whyNotFlash(op), notSplit = whyNotSplit(op);
    if (wanted == AttentionAlgorithm::Flash && !notFlash.empty())
      return op.emitOpError("cannot be computed by flash: ") << notFlash;
    if (wanted == AttentionAlgorithm::Split && !notSplit.empty())
      return op.emitOpError("cannot be split: ") << notSplit;
    AttentionAlgorithm chosen = wanted.value_or(AttentionAlgorithm::Materialised);
    bool needsStates = op.getKeys().size() > 1 || !op.getMore().empty();
    bool areFew = KeyParts::hasFewQueries(op) || parts.leavesIdle(op);
    if (!wanted && notSplit.empty() && (areFew || needsStates))
      chosen = AttentionAlgorithm::Split;
    else if (!wanted && notFlash.empty())
      chosen = AttentionAlgorithm::Flash;
    op.setAlgorithm(chosen);
    auto options = remark::RemarkOpts::name("algorithm").category("tenon-choose-attention-algorithm");
    if (chosen == AttentionAlgorithm::Flash) {
      remark::passed(op.getLoc(), options) << remark::add("{0}", describeFlash(op));
    } else if (chosen == AttentionAlgorithm::Split) {
      remark::passed(op.getLoc(), options) << remark::add("{0}", describeSplit(op));
      if (mayScoreDeadKeys(op))
        scoreDeadKeys(op);
    } else {
      remark::missed(op.getLoc(), options)
          << remark::reason("materialised: {0}", wanted ? std::string("asked for") : notFlash.str());
    }
    return success();
  }
};

} // namespace
} // namespace tenon
