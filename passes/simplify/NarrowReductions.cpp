//===- NarrowReductions.cpp - what is equal along a dimension is reduced once ----------===//
#include "passes/Passes.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_NARROWREDUCTIONS
#include "passes/Passes.h.inc"

namespace {

/// The map over the dims of `kept` alone; the other indices are not used.
MapOp narrow(PatternRewriter &rewriter, MapOp map, ArrayRef<unsigned> kept) {
  Shape shape = shapeOf(map.getResult());
  Shape narrowed = llvm::map_to_vector<4>(kept, [&](unsigned d) { return shape[d]; });
  return MapOp::create(rewriter, map.getLoc(), tensorOf(elementOf(map.getResult()), narrowed), map.getInputs(),
                       [&](OpBuilder &builder, Location, ValueRange tensors, ValueRange at) {
                         IRMapping mapping;
                         mapping.map(map.getOperandArgs(), tensors);
                         for (auto [position, d] : llvm::enumerate(kept))
                           mapping.map(map.getIndices()[d], at[position]);
                         for (Operation &op : map.getBody().front().without_terminator())
                           builder.clone(op, mapping);
                         return mapping.lookup(map.getYielded());
                       });
}

struct ReduceOnce : OpRewritePattern<ReduceOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ReduceOp op, PatternRewriter &rewriter) const override {
    auto map = op.getInput().getDefiningOp<MapOp>();
    if (!map || map.getYielded().getParentBlock() != &map.getBody().front())
      return failure();
    SmallVector<unsigned> kept, resultKept;
    SmallVector<int64_t> over;
    unsigned resultDim = 0;
    for (auto [d, index] : llvm::enumerate(map.getIndices())) {
      bool reduced = llvm::is_contained(op.getOver(), int64_t(d));
      bool needed = reduced || !index.use_empty() || shapeOf(map.getResult())[d] == Dim(1);
      if (reduced)
        over.push_back(kept.size());
      else if (needed)
        resultKept.push_back(resultDim);
      resultDim += !reduced;
      if (needed)
        kept.push_back(d);
    }
    if (kept.size() == map.getIndices().size())
      return failure();
    Value once = ReduceOp::create(rewriter, op.getLoc(), op.getKind(), narrow(rewriter, map, kept).getResult(), over);
    rewriter.replaceOpWithNewOp<MapOp>(
        op, cast<RankedTensorType>(op.getType()), once,
        [&](OpBuilder &builder, Location loc, ValueRange tensors, ValueRange at) -> Value {
          auto own = llvm::map_to_vector(resultKept, [&](unsigned d) { return at[d]; });
          return LoadOp::create(builder, loc, tensors[0], own);
        });
    return success();
  }
};

struct NarrowReductions : impl::NarrowReductionsBase<NarrowReductions> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<ReduceOnce>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
} // namespace tenon
