//===- ComposeMaps.cpp - evaluate a map inside the map that loads it -----------------===//
//
// Costs: a composed producer is no longer stored and read back; its region may run
// once per load instead of once per element, which `worthComposing` bounds.
//
#include "passes/Passes.h"
#include "passes/lowering/WindowProduct.h"
#include "passes/simplify/ComposeProducer.h"
#include "passes/simplify/MapCost.h"
#include "passes/simplify/View.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_COMPOSEMAPS
#include "passes/Passes.h.inc"

namespace {

/// The loads of one operand of a map.
SmallVector<LoadOp> loadsOf(BlockArgument argument) {
  return llvm::map_to_vector(argument.getUsers(), [](Operation *user) { return cast<LoadOp>(user); });
}

/// All loads of an operand read the same element.
bool isReadOnce(BlockArgument argument) {
  SmallVector<LoadOp> loads = loadsOf(argument);
  return llvm::all_of(loads, [&](LoadOp load) { return llvm::equal(load.getIndices(), loads[0].getIndices()); });
}

/// The producer's region would run at most once per element it has, and its result has no other reader.
bool runsAtMostAsOften(MapOp producer, MapOp consumer, BlockArgument argument) {
  Dim before = countOf(shapeOf(producer.getResult())), after = countOf(shapeOf(consumer.getResult()));
  Bounds bounds = boundsOf(consumer->getParentOfType<ModuleOp>());
  return llvm::all_of(producer->getUsers(), [&](Operation *user) { return user == consumer; }) &&
         isReadOnce(argument) && Dim::isKnownLessEqual(after, before, bounds) == true;
}

/// Windows that overlap, for a contraction: a convolution reads them from a tensor of its own, each element of which is wanted
/// several times and found where windows are (lowering/WindowProduct.h).
bool readsWindows(MapOp consumer, Value from) {
  Value rows = consumer.getResult();
  while (auto reshape = rows.hasOneUse() ? dyn_cast<ReshapeOp>(*rows.user_begin()) : ReshapeOp())
    rows = reshape.getResult();
  if (!rows.hasOneUse() || !isa<ContractOp>(*rows.user_begin()) || shapeOf(rows).empty())
    return false;
  std::optional<int64_t> depth = shapeOf(rows).back().constant();
  std::optional<WindowRead> read = depth ? WindowRead::match(consumer, *depth) : std::nullopt;
  return read && read->overlaps && read->source == from;
}

/// Arithmetic composed into a map that only moves elements would hide the movement, which vanishes into
/// layouts of contractions and attention, behind the arithmetic, which belongs to what produced the elements.
bool worthComposing(MapOp producer, MapOp consumer, BlockArgument argument) {
  if (readsWindows(consumer, producer.getResult()))
    return false;
  if (isFreeToRepeat(producer))
    return true;
  return !movesElements(consumer) && runsAtMostAsOften(producer, consumer, argument);
}

} // namespace

void composeProducer(MapOp producer, MapOp consumer, BlockArgument argument, RewriterBase &rewriter) {
  IRMapping mapping;
  Block &body = consumer.getBody().front();
  for (auto [inner, input] : llvm::zip(producer.getOperandArgs(), producer.getInputs())) {
    unsigned position = consumer.getInputs().size();
    mapping.map(inner, body.insertArgument(position, input.getType(), producer.getLoc()));
    consumer.getInputsMutable().append(input);
  }
  // Loads of one element share one evaluation, placed at the first of them.
  SmallVector<LoadOp> loads = loadsOf(argument);
  llvm::sort(loads, [](LoadOp a, LoadOp b) { return a->isBeforeInBlock(b); });
  bool once = isReadOnce(argument);
  for (LoadOp load : loads) {
    if (!once || load == loads[0]) {
      rewriter.setInsertionPoint(load);
      for (auto [index, value] : llvm::zip(producer.getIndices(), load.getIndices()))
        mapping.map(index, value);
      for (Operation &op : producer.getBody().front().without_terminator())
        rewriter.clone(op, mapping);
    }
    rewriter.replaceOp(load, mapping.lookupOrDefault(producer.getYielded()));
  }
  consumer->setLoc(rewriter.getFusedLoc({producer.getLoc(), consumer.getLoc()}));
}

namespace {

struct ComposeProducer : OpRewritePattern<MapOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(MapOp consumer, PatternRewriter &rewriter) const override {
    for (BlockArgument argument : consumer.getOperandArgs()) {
      auto producer = consumer.getInputs()[argument.getArgNumber()].getDefiningOp<MapOp>();
      if (!producer || argument.use_empty() || !worthComposing(producer, consumer, argument))
        continue;
      rewriter.modifyOpInPlace(consumer, [&] { composeProducer(producer, consumer, argument, rewriter); });
      return success();
    }
    return failure();
  }
};

struct ComposeMaps : impl::ComposeMapsBase<ComposeMaps> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<ComposeProducer>(&getContext());
    MapOp::getCanonicalizationPatterns(patterns, &getContext());
    // Chains of choices (a binary search) compose a link in each round; every round has one producer less to compose.
    GreedyRewriteConfig config;
    config.setMaxIterations(GreedyRewriteConfig::kNoLimit);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns), config)))
      signalPassFailure();
  }
};

} // namespace
} // namespace tenon
