//===- ComposeMaps.cpp - evaluate a map inside the map that loads it -----------------===//
//
// Costs: a composed producer is no longer stored and read back; its region may run
// once per load instead of once per element, which `worthComposing` bounds.
//
#include "passes/Passes.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_COMPOSEMAPS
#include "passes/Passes.h.inc"

namespace {

/// Arithmetic operations a region may hold and still be cheaper to evaluate again than to load.
constexpr unsigned cheapOperations = 8;

bool isCheap(Operation &op) {
  if (isa<math::MathDialect>(op.getDialect()) && !isa<math::AbsFOp, math::FmaOp, math::FloorOp>(op))
    return false;
  return !isa<arith::DivFOp, arith::RemFOp>(op);
}

bool isCheap(MapOp map) {
  Block &body = map.getBody().front();
  return llvm::all_of(body, [](Operation &op) { return isCheap(op); }) &&
         llvm::count_if(body, [](Operation &op) { return !isa<LoadOp, YieldOp, arith::ConstantOp>(op); }) <=
             cheapOperations;
}

/// The loads of one operand of a map.
SmallVector<LoadOp> loadsOf(BlockArgument argument) {
  return llvm::map_to_vector(argument.getUsers(), [](Operation *user) { return cast<LoadOp>(user); });
}

bool worthComposing(MapOp producer, MapOp consumer, BlockArgument argument) {
  if (isCheap(producer))
    return true;
  return producer->hasOneUse() && argument.hasOneUse() &&
         countOf(shapeOf(producer.getResult())) == countOf(shapeOf(consumer.getResult()));
}

struct ComposeProducer : OpRewritePattern<MapOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(MapOp consumer, PatternRewriter &rewriter) const override {
    for (BlockArgument argument : consumer.getOperandArgs()) {
      auto producer = consumer.getInputs()[argument.getArgNumber()].getDefiningOp<MapOp>();
      if (!producer || argument.use_empty() || !worthComposing(producer, consumer, argument))
        continue;
      rewriter.modifyOpInPlace(consumer, [&] { compose(producer, consumer, argument, rewriter); });
      return success();
    }
    return failure();
  }

  static void compose(MapOp producer, MapOp consumer, BlockArgument argument, PatternRewriter &rewriter) {
    IRMapping mapping;
    Block &body = consumer.getBody().front();
    for (auto [inner, input] : llvm::zip(producer.getOperandArgs(), producer.getInputs())) {
      unsigned position = consumer.getInputs().size();
      mapping.map(inner, body.insertArgument(position, input.getType(), producer.getLoc()));
      consumer.getInputsMutable().append(input);
    }
    for (LoadOp load : loadsOf(argument)) {
      rewriter.setInsertionPoint(load);
      for (auto [index, value] : llvm::zip(producer.getIndices(), load.getIndices()))
        mapping.map(index, value);
      for (Operation &op : producer.getBody().front().without_terminator())
        rewriter.clone(op, mapping);
      rewriter.replaceOp(load, mapping.lookupOrDefault(producer.getYielded()));
    }
    consumer->setLoc(rewriter.getFusedLoc({producer.getLoc(), consumer.getLoc()}));
  }
};

struct ComposeMaps : impl::ComposeMapsBase<ComposeMaps> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<ComposeProducer>(&getContext());
    MapOp::getCanonicalizationPatterns(patterns, &getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
} // namespace tenon
